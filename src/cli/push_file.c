#include "cli/push_file.h"

#include "base/file.h"
#include "base/limits.h"
#include "codec/h264_au.h"
#include "codec/jpeg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define READ_BYTES (1u << 20)
#define MAX_RATE 300

static bool has_h264_name(const char *path)
{
    static const char *const endings[] = {".264", ".h264", ".jsv", ".avc"};
    const char *dot = strrchr(path, '.');
    for (unsigned i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

// A start code and then a NAL unit header that an H.264 stream can begin with. Other formats have the
// same start codes (MPEG-1 to 4, HEVC); their next byte has the forbidden bit set, or a type or
// nal_ref_idc that does not go with it (7.4.1).
static bool begins_like_h264(const uint8_t *data, size_t size)
{
    size_t zeros = 0;
    while (zeros < size && data[zeros] == 0)
        zeros++;
    if (zeros < 2 || zeros + 1 >= size || data[zeros] != 1)
        return false;
    unsigned header = data[zeros + 1], type = header & 31, ref_idc = header >> 5;
    switch (type) {
    case CH_NAL_AUD:
    case CH_NAL_SEI: return ref_idc == 0;
    case CH_NAL_SPS:
    case CH_NAL_PPS:
    case CH_NAL_IDR: return ref_idc >= 1 && ref_idc <= 3;
    default: return false;
    }
}

bool ch_push_file_is_h264(const char *path)
{
    uint8_t head[64];
    if (has_h264_name(path))
        return true;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    int64_t n = ch_file_read_some(fd, head, sizeof head, 0);
    close(fd);
    return n > 0 && begins_like_h264(head, (size_t)n);
}

// --- the index ----------------------------------------------------------------------------------

// What is known while the file is looked through.
struct indexing {
    struct ch_push_file *file;
    struct ch_h264_shown *pictures; // owned
    size_t picture_room;
    uint64_t offset; // of the next unit
};

static int grow(void **array, size_t *room, size_t count, size_t element)
{
    if (count < *room)
        return 0;
    size_t wanted = *room ? *room * 2 : 1024;
    void *grown = reallocarray(*array, wanted, element);
    if (!grown)
        return -ENOMEM;
    *array = grown;
    *room = wanted;
    return 0;
}

static void note_first_picture(struct ch_push_file *file, const struct ch_h264_au *au)
{
    file->width = au->width;
    file->height = au->height;
    // Two ticks are a frame, E.2.1. A rate that no camera has is no rate.
    uint64_t num = au->time_scale, den = 2 * (uint64_t)au->num_units_in_tick;
    if (num >= den && den > 0 && den <= UINT32_MAX && num <= den * MAX_RATE) {
        file->rate_num = (uint32_t)num;
        file->rate_den = (uint32_t)den;
    }
}

static int add_unit(struct indexing *indexing, const struct ch_h264_au *au)
{
    struct ch_push_file *file = indexing->file;
    void *units = file->units, *pictures = indexing->pictures;
    if (file->pictures == UINT32_MAX || au->bytes > CH_LIMIT_MESSAGE_BYTES_MAX)
        return -EFBIG;
    int rc = grow(&units, &file->room, file->count, sizeof *file->units);
    file->units = units;
    if (rc == 0)
        rc = grow(&pictures, &indexing->picture_room, file->pictures, sizeof *indexing->pictures);
    indexing->pictures = pictures;
    if (rc < 0)
        return rc;
    file->units[file->count++] = (struct ch_push_unit){
        .offset = indexing->offset, .bytes = (uint32_t)au->bytes, .decoded = file->pictures, .picture = au->picture};
    indexing->offset += au->bytes;
    if (!au->picture)
        return 0;
    indexing->pictures[file->pictures++] = (struct ch_h264_shown){.poc = au->poc, .restart = au->idr || !au->known};
    if (file->width == 0 && au->known)
        note_first_picture(file, au);
    return 0;
}

// The part of the file that is being split: little more than one unit.
struct window {
    uint8_t *data; // owned; [at, used) has not been split
    size_t at, used, room;
    uint64_t read_to;
    bool end;
};

static int refill(struct window *window, int fd)
{
    if (window->at > 0)
        memmove(window->data, window->data + window->at, window->used - window->at);
    window->used -= window->at;
    window->at = 0;
    if (window->room - window->used < READ_BYTES) {
        if (window->room > CH_LIMIT_MESSAGE_BYTES_MAX)
            return -EFBIG;
        uint8_t *grown = realloc(window->data, 2 * window->room + READ_BYTES);
        if (!grown)
            return -ENOMEM;
        window->data = grown;
        window->room = 2 * window->room + READ_BYTES;
    }
    int64_t n = ch_file_read_some(fd, window->data + window->used, READ_BYTES, window->read_to);
    if (n < 0)
        return (int)n;
    window->used += (size_t)n;
    window->read_to += (uint64_t)n;
    window->end = n < (int64_t)READ_BYTES;
    return 0;
}

static int split(struct indexing *indexing, struct ch_h264_au_splitter *splitter)
{
    struct window window = {.data = NULL};
    int rc = refill(&window, indexing->file->fd);
    while (rc == 0) {
        struct ch_h264_au au;
        rc = ch_h264_au_next(splitter, window.data + window.at, window.used - window.at, window.end, &au);
        if (rc == 1) {
            window.at += au.bytes;
            rc = add_unit(indexing, &au);
        } else if (rc == 0) {
            if (window.end)
                break;
            rc = refill(&window, indexing->file->fd);
        }
    }
    free(window.data);
    return rc;
}

// Gives every unit its place in output order.
static void place_units(struct ch_push_file *file, struct ch_h264_shown *pictures)
{
    ch_h264_output_order(pictures, file->pictures);
    for (size_t i = 0; i < file->count; i++) {
        struct ch_push_unit *unit = &file->units[i];
        if (unit->decoded == file->pictures)
            unit->decoded = file->pictures - 1; // behind the last picture
        unit->shown = pictures[unit->decoded].shown;
        if (unit->shown > unit->decoded && unit->shown - unit->decoded > file->lead)
            file->lead = unit->shown - unit->decoded;
    }
}

static int build_index(struct ch_push_file *file)
{
    struct ch_h264_sets *sets = ch_h264_sets_new();
    if (!sets)
        return -ENOMEM;
    struct ch_h264_au_splitter splitter;
    ch_h264_au_init(&splitter, sets);
    struct indexing indexing = {.file = file};
    int rc = split(&indexing, &splitter);
    if (rc == 0 && file->pictures == 0)
        rc = -ENODATA;
    if (rc == 0)
        place_units(file, indexing.pictures);
    free(indexing.pictures);
    ch_h264_sets_free(sets);
    return rc;
}

int ch_push_file_open(struct ch_push_file *file, const char *path)
{
    memset(file, 0, sizeof *file);
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file->fd < 0)
        return -errno;
    int rc = build_index(file);
    if (rc < 0)
        ch_push_file_close(file);
    return rc;
}

void ch_push_file_close(struct ch_push_file *file)
{
    ch_push_payload_unref(file->newest);
    file->newest = NULL;
    for (size_t i = 0; file->names && i < file->count; i++)
        free(file->names[i]);
    free(file->names);
    free(file->units);
    file->names = NULL;
    file->units = NULL;
    close(file->fd);
}

static int read_unit(struct ch_push_file *file, size_t index, uint8_t *out)
{
    const struct ch_push_unit *unit = &file->units[index];
    struct ch_jpeg jpeg;
    int fd = file->names ? openat(file->fd, file->names[index], O_RDONLY | O_CLOEXEC | O_NOCTTY) : file->fd;
    if (fd < 0)
        return -errno;
    int rc = ch_file_read_at(fd, out, unit->bytes, unit->offset);
    if (file->names)
        close(fd);
    if (rc < 0 || !file->jpegs)
        return rc;
    return ch_jpeg_parse(out, unit->bytes, &jpeg) == 0 && jpeg.bytes == unit->bytes ? 0 : -EBADMSG;
}

int ch_push_file_read(struct ch_push_file *file, size_t index, struct ch_push_payload **out)
{
    if (!file->newest || file->newest_index != index) {
        struct ch_push_payload *payload = ch_push_payload_new(file->units[index].bytes);
        if (!payload)
            return -ENOMEM;
        int rc = read_unit(file, index, payload->data);
        if (rc < 0) {
            ch_push_payload_unref(payload);
            return rc;
        }
        ch_push_payload_seal(payload);
        ch_push_payload_unref(file->newest);
        file->newest = payload;
        file->newest_index = index;
    }
    *out = ch_push_payload_ref(file->newest);
    return 0;
}
