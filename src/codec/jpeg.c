#include "codec/jpeg.h"

#include "base/bytes.h"

#include <errno.h>

// Markers, T.81 Table B.1
enum {
    TEM = 0x01,
    SOF0 = 0xC0,
    DHT = 0xC4,
    JPG = 0xC8,
    DAC = 0xCC,
    SOF15 = 0xCF,
    RST0 = 0xD0,
    RST7 = 0xD7,
    SOI = 0xD8,
    EOI = 0xD9,
    SOS = 0xDA,
    DNL = 0xDC,
    DHP = 0xDE,
    EXP = 0xDF,
};

struct walk {
    const uint8_t *data;
    size_t size, at;
    struct ch_jpeg *out;
    bool framed, scanned; // a frame header was there; a scan was there
};

static bool is_frame_header(unsigned marker)
{
    return marker >= SOF0 && marker <= SOF15 && marker != DHT && marker != JPG && marker != DAC;
}

// Differential frames, SOF5 to 7 and 13 to 15, are parts of hierarchical pictures.
static bool is_differential(unsigned marker)
{
    return (marker & 4) != 0;
}

// The marker at hand, with fill bytes in front of it (B.1.1.2). -ENODATA, -EBADMSG if there is none.
static int next_marker(struct walk *walk)
{
    if (walk->at == walk->size)
        return -ENODATA;
    if (walk->data[walk->at] != 0xFF)
        return -EBADMSG;
    while (walk->at < walk->size && walk->data[walk->at] == 0xFF)
        walk->at++;
    return walk->at < walk->size ? walk->data[walk->at++] : -ENODATA;
}

// The parameters of a segment (B.1.1.4), and on behind it. At least `min` bytes, or -EBADMSG.
static int take_segment(struct walk *walk, size_t min, const uint8_t **parameters, size_t *bytes)
{
    if (walk->size - walk->at < 2)
        return -ENODATA;
    size_t length = ch_get_be16(walk->data + walk->at);
    if (length < 2 + min)
        return -EBADMSG;
    if (length > walk->size - walk->at)
        return -ENODATA;
    *parameters = walk->data + walk->at + 2;
    *bytes = length - 2;
    walk->at += length;
    return 0;
}

// B.2.2
static int take_frame_header(struct walk *walk, unsigned marker)
{
    const uint8_t *p;
    size_t bytes;
    if (walk->framed || is_differential(marker))
        return -EBADMSG;
    int rc = take_segment(walk, 6, &p, &bytes);
    if (rc < 0)
        return rc;
    walk->framed = true;
    walk->out->height = ch_get_be16(p + 1);
    walk->out->width = ch_get_be16(p + 3);
    walk->out->components = p[5];
    if (walk->out->width == 0 || p[5] < 1 || p[5] > 4 || bytes != 6 + 3u * p[5])
        return -EBADMSG;
    return 0;
}

// Entropy-coded data up to the next marker that is not a restart: FF 00 is a data byte (B.1.1.5).
static int pass_data(struct walk *walk)
{
    for (;;) {
        const uint8_t *at = memchr(walk->data + walk->at, 0xFF, walk->size - walk->at);
        if (!at)
            return -ENODATA;
        walk->at = (size_t)(at - walk->data);
        size_t next = walk->at;
        while (next < walk->size && walk->data[next] == 0xFF)
            next++;
        if (next == walk->size)
            return -ENODATA;
        if (walk->data[next] != 0 && (walk->data[next] < RST0 || walk->data[next] > RST7))
            return 0;
        walk->at = next + 1;
    }
}

// B.2.3
static int take_scan(struct walk *walk)
{
    const uint8_t *p;
    size_t bytes;
    if (!walk->framed)
        return -EBADMSG;
    int rc = take_segment(walk, 1, &p, &bytes);
    if (rc < 0)
        return rc;
    if (p[0] < 1 || p[0] > walk->out->components || bytes != 4 + 2u * p[0])
        return -EBADMSG;
    walk->scanned = true;
    return pass_data(walk);
}

// The number of lines, where the frame header left it open. B.2.5
static int take_lines(struct walk *walk)
{
    const uint8_t *p;
    size_t bytes;
    int rc = take_segment(walk, 2, &p, &bytes);
    if (rc < 0)
        return rc;
    if (!walk->scanned || bytes != 2 || (walk->out->height != 0 && walk->out->height != ch_get_be16(p)))
        return -EBADMSG;
    walk->out->height = ch_get_be16(p);
    return 0;
}

// What no picture has at this place: bytes that are no marker, reserved ones, restarts outside a scan, a second
// SOI, and all of hierarchical pictures.
static bool is_forbidden(unsigned marker)
{
    return marker == 0 || (marker > TEM && marker < SOF0) || (marker >= RST0 && marker <= SOI) || marker == JPG ||
           marker == DHP || marker == EXP;
}

static int take_marker(struct walk *walk, unsigned marker)
{
    const uint8_t *p;
    size_t bytes;
    if (is_forbidden(marker))
        return -EBADMSG;
    if (is_frame_header(marker))
        return take_frame_header(walk, marker);
    switch (marker) {
    case TEM: return 0; // stands alone
    case SOS: return take_scan(walk);
    case DNL: return take_lines(walk);
    default: return take_segment(walk, 0, &p, &bytes);
    }
}

static void look_behind(struct walk *walk)
{
    while (walk->at < walk->size && walk->data[walk->at] == 0)
        walk->at++;
    walk->out->zeros = walk->at - walk->out->bytes;
    walk->out->other = walk->size - walk->at;
}

int ch_jpeg_parse(const uint8_t *data, size_t size, struct ch_jpeg *out)
{
    struct ch_jpeg found = {0};
    struct walk walk = {.data = data, .size = size, .at = 2, .out = &found};
    if ((size > 0 && data[0] != 0xFF) || (size > 1 && data[1] != SOI))
        return -EBADMSG;
    if (size < 2)
        return -ENODATA;
    for (;;) {
        int marker = next_marker(&walk);
        if (marker == EOI)
            break;
        int rc = marker < 0 ? marker : take_marker(&walk, (unsigned)marker);
        if (rc < 0)
            return rc;
    }
    if (!walk.scanned || found.height == 0)
        return -EBADMSG;
    found.bytes = walk.at;
    look_behind(&walk);
    *out = found;
    return 0;
}

size_t ch_jpeg_find(const uint8_t *data, size_t size, size_t from)
{
    while (from < size) {
        const uint8_t *at = memchr(data + from, 0xFF, size - from);
        if (!at)
            break;
        from = (size_t)(at - data);
        if (size - from >= 3 && at[1] == SOI && at[2] == 0xFF)
            return from;
        from++;
    }
    return size;
}
