// Sessions of a JPEG camera on disk, through the real stream and the real writer.
#ifndef CH_TESTS_JPEG_SESSION_H
#define CH_TESTS_JPEG_SESSION_H

#include "jpeg_maker.h"
#include "session_checks.h"

#define MAX_PICTURES 250

struct album {
    struct picture pictures[MAX_PICTURES];
    int64_t times_us[MAX_PICTURES]; // of arrival, from 0
    size_t count;
};

// Steps that differ, padding that differs, another size from the middle on.
static inline struct album *make_album(size_t count, size_t comment)
{
    struct album *album = calloc(1, sizeof *album);
    assert_non_null(album);
    assert_true(count <= MAX_PICTURES);
    int64_t time_us = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned width = i < count / 2 ? 64 : 40;
        album->pictures[i] = make_picture(width, 48, (unsigned)i, comment + i % 7);
        for (size_t zeros = i * 5 % 9; zeros > 0; zeros--)
            add_byte(&album->pictures[i], 0);
        album->times_us[i] = time_us;
        time_us += 80000 + (int64_t)(i * 7919 % 41) * 1000 + 7;
    }
    album->count = count;
    return album;
}

static inline void free_album(struct album *album)
{
    for (size_t i = 0; i < album->count; i++)
        free_picture(&album->pictures[i]);
    free(album);
}

static inline int begin_album(struct taping *taping, const struct place *where, const char *client)
{
    *taping = (struct taping){.cursor = {.wake = no_wake, .lossless = true}};
    struct ch_writer_options options = writer_options(where, client, false);
    options.kind = CH_SESSION_JPEG;
    int rc = ch_writer_open(&taping->writer, &options);
    if (rc < 0)
        return rc;
    taping->stream = ch_stream_new();
    assert_non_null(taping->stream);
    ch_cursor_attach(&taping->cursor, taping->stream, 0);
    return 0;
}

static inline void tape_picture(struct taping *taping, const struct album *album, size_t number)
{
    const struct picture *picture = &album->pictures[number];
    struct ch_frame *frame = ch_frame_new(picture->size);
    assert_non_null(frame);
    memcpy(frame->message, picture->data, picture->size);
    int64_t time_us = album->times_us[number];
    assert_int_equal(
        ch_stream_append_jpeg(taping->stream, &frame, picture->size, STARTED_US + 1000 + time_us, 7000000 + time_us),
        0);
}

// Pictures [from, to) in batches of `batch`, each batch synced.
static inline void tape_album(struct taping *taping, const struct album *album, size_t from, size_t to, size_t batch)
{
    for (size_t i = from; i < to; i++) {
        tape_picture(taping, album, i);
        if ((i + 1) % batch == 0 || i + 1 == to)
            tape_batch(taping, INT64_MAX / 4 + (int64_t)i * 100000);
    }
}

// A whole recording; `cut_short` is the folder as it lay before the end, `whole` afterwards. Either may be NULL.
static inline struct ch_session_summary record_album(const struct album *album, struct folder *cut_short,
                                                     struct folder *whole)
{
    struct taping taping;
    assert_int_equal(begin_album(&taping, &place, "made"), 0);
    tape_album(&taping, album, 0, album->count, 7);
    assert_int_equal(taping.error, 0);
    char id[CH_SESSION_ID_BYTES];
    strcpy(id, ch_writer_id(taping.writer));
    if (cut_short)
        *cut_short = read_folder(place.root, id);
    struct ch_session_summary summary = end_taping(&taping);
    if (whole)
        *whole = read_folder(place.root, id);
    remove_folder_at(place.root, id);
    return summary;
}

// What a folder's files hold, one behind the other.
static inline struct picture joined(struct folder *folder, const char *const *names, size_t count)
{
    struct picture all = {0};
    for (size_t i = 0; i < count; i++) {
        const struct file *file = file_of(folder, names[i]);
        if (file)
            add_bytes(&all, file->data, file->size);
    }
    return all;
}

static inline json_t *report_of(const char *id)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", place.path, id);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    json_t *session = ch_session_json_read(dir);
    close(dir);
    assert_non_null(session);
    return session;
}

#endif
