// Small JPEGs that decoders really show, put together marker by marker. For tests of what reads or carries JPEGs.
#ifndef CH_TESTS_JPEG_MAKER_H
#define CH_TESTS_JPEG_MAKER_H

#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>

struct picture {
    uint8_t *data;
    size_t size, capacity;
    unsigned bits, bit_count; // entropy-coded bits not yet written
};

static inline void add_bytes(struct picture *picture, const void *data, size_t size)
{
    if (picture->size + size > picture->capacity) {
        picture->capacity = 2 * (picture->size + size);
        picture->data = realloc(picture->data, picture->capacity);
        assert_non_null(picture->data);
    }
    if (size > 0)
        memcpy(picture->data + picture->size, data, size);
    picture->size += size;
}

static inline void add_byte(struct picture *picture, unsigned value)
{
    uint8_t byte = (uint8_t)value;
    add_bytes(picture, &byte, 1);
}

static inline void add_marker(struct picture *picture, unsigned marker)
{
    add_byte(picture, 0xFF);
    add_byte(picture, marker);
}

// A marker, its length, its parameters.
static inline void add_segment(struct picture *picture, unsigned marker, const void *parameters, size_t size)
{
    add_marker(picture, marker);
    add_byte(picture, (unsigned)(size + 2) >> 8);
    add_byte(picture, (unsigned)(size + 2) & 0xFF);
    add_bytes(picture, parameters, size);
}

static inline void add_bits(struct picture *picture, unsigned value, unsigned count)
{
    for (; count > 0; count--) {
        picture->bits = picture->bits << 1 | (value >> (count - 1) & 1);
        if (++picture->bit_count < 8)
            continue;
        add_byte(picture, picture->bits & 0xFF);
        if ((picture->bits & 0xFF) == 0xFF)
            add_byte(picture, 0); // stuffing, ITU-T T.81 B.1.1.5
        picture->bits = picture->bit_count = 0;
    }
}

static inline void end_bits(struct picture *picture)
{
    while (picture->bit_count > 0)
        add_bits(picture, 1, 1);
}

static inline void add_quantisation(struct picture *picture)
{
    uint8_t table[65] = {0};
    memset(table + 1, 16, 64);
    add_segment(picture, 0xDB, table, sizeof table);
}

static inline void add_frame_header(struct picture *picture, unsigned marker, unsigned width, unsigned height)
{
    uint8_t header[9] = {8, (uint8_t)(height >> 8), (uint8_t)height, (uint8_t)(width >> 8), (uint8_t)width, 1, 1, 0x11,
                         0};
    add_segment(picture, marker, header, sizeof header);
}

// DC: 0 is category 0, 10 is category 3. AC: 0 is the end of the block.
static inline void add_huffman(struct picture *picture)
{
    static const uint8_t dc[1 + 16 + 2] = {0x00, 1, 1, [17] = 0, 3}, ac[1 + 16 + 1] = {0x10, 1, [17] = 0};
    add_segment(picture, 0xC4, dc, sizeof dc);
    add_segment(picture, 0xC4, ac, sizeof ac);
}

static inline void add_scan_header(struct picture *picture)
{
    static const uint8_t header[6] = {1, 1, 0, 0, 63, 0};
    add_segment(picture, 0xDA, header, sizeof header);
}

// Blocks of grey, lighter and darker in turn.
static inline void add_blocks(struct picture *picture, unsigned count, unsigned salt)
{
    for (unsigned i = 0, step = 0; i < count; i++) {
        salt = salt * 1103515245u + 12345u;
        step = i % 2 == 0 ? salt >> 16 & 3 : step;
        add_bits(picture, 2, 2);
        add_bits(picture, i % 2 == 0 ? 4 + step : 3 - step, 3); // +4..7, and back by the same
        add_bits(picture, 0, 1);
    }
    end_bits(picture);
}

// A whole grey picture; `comment` bytes of noise in a comment in front of it (up to 65533).
static inline struct picture make_picture(unsigned width, unsigned height, unsigned salt, size_t comment)
{
    struct picture picture = {0};
    uint8_t *noise = malloc(comment + 1);
    assert_non_null(noise);
    for (size_t i = 0; i < comment; i++)
        noise[i] = (uint8_t)((salt * 2654435761u + i * 2246822519u) >> 13);
    add_marker(&picture, 0xD8);
    if (comment > 0)
        add_segment(&picture, 0xFE, noise, comment);
    free(noise);
    add_quantisation(&picture);
    add_frame_header(&picture, 0xC0, width, height);
    add_huffman(&picture);
    add_scan_header(&picture);
    add_blocks(&picture, (width + 7) / 8 * ((height + 7) / 8), salt);
    add_marker(&picture, 0xD9);
    return picture;
}

static inline void free_picture(struct picture *picture)
{
    free(picture->data);
    *picture = (struct picture){0};
}

#endif
