// Sessions on disk as the hub makes them, through the real stream and the real writer, for tests of what
// happens to them afterwards. Video is a small synthetic H.264 stream with valid headers.
#ifndef CH_TESTS_SESSION_MAKER_H
#define CH_TESTS_SESSION_MAKER_H

#include "h264_maker.h"

#include "base/file.h"
#include "base/log.h"
#include "proto/camera_h264.h"
#include "sink/verify.h"
#include "sink/writer.h"
#include "stream/stream.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define STARTED_US INT64_C(1767225600000000) // 2026-01-01
#define MAX_MESSAGES 256

// --- video ----------------------------------------------------------------------------------------

struct message {
    uint8_t data[8192];
    size_t size;
    uint32_t sequence;
    uint64_t device_ms;
    bool picture;
    bool sound;    // an AAC frame
    uint32_t rate; // from this message on there is sound of this rate; 0: as before
};

struct show {
    struct message messages[MAX_MESSAGES];
    size_t count, pictures;
    uint32_t sequence;
    uint64_t device_ms;
    unsigned frame_num;
};

static inline struct message *add_message(struct show *show, uint64_t device_ms)
{
    assert_true(show->count < MAX_MESSAGES);
    struct message *message = &show->messages[show->count++];
    message->device_ms = device_ms;
    message->sequence = show->sequence++;
    return message;
}

static inline void put_unit(struct message *message, unsigned zeros, const struct unit *unit)
{
    assert_true(message->size + zeros + 1 + unit->size <= sizeof message->data);
    memset(message->data + message->size, 0, zeros);
    message->data[message->size + zeros] = 1;
    memcpy(message->data + message->size + zeros + 1, unit->data, unit->size);
    message->size += zeros + 1 + unit->size;
}

static inline void put_sets(struct message *message, const struct recipe *recipe)
{
    struct unit sps = make_sps(recipe), pps = make_pps(0, 0, false);
    put_unit(message, 3, &sps);
    put_unit(message, 3, &pps);
}

// A coded slice of one whole picture, ITU-T H.264 7.3.3, with `bytes` of noise for macroblocks.
static inline struct unit make_slice(const struct recipe *recipe, bool idr, unsigned frame_num, int poc_lsb,
                                     bool reference, unsigned salt, size_t bytes)
{
    struct maker maker = begin((uint8_t)(idr ? 0x65 : reference ? 0x41 : 0x01));
    ue(&maker, 0);
    ue(&maker, idr ? 7 : 5);
    ue(&maker, 0);
    u(&maker, recipe->log2_frame_num, frame_num);
    if (idr)
        ue(&maker, salt % 7);
    if (recipe->poc_type == 0)
        u(&maker, recipe->log2_poc_lsb, (uint32_t)poc_lsb & ((1u << recipe->log2_poc_lsb) - 1));
    for (size_t i = 0; i < bytes; i++) {
        salt = salt * 1103515245u + 12345u;
        u(&maker, 8, salt >> 16 & 0xFF);
    }
    return finish(&maker);
}

static inline void add_sets(struct show *show, const struct recipe *recipe)
{
    put_sets(add_message(show, 0), recipe);
}

// The next picture, `step_ms` behind the last one.
static inline struct message *add_picture(struct show *show, const struct recipe *recipe, bool idr, unsigned step_ms,
                                          size_t bytes)
{
    show->device_ms += step_ms;
    struct message *message = add_message(show, show->device_ms);
    show->frame_num = idr ? 0 : (show->frame_num + 1) % (1u << recipe->log2_frame_num);
    struct unit slice = make_slice(recipe, idr, show->frame_num, 0, true, show->sequence * 77, bytes);
    put_unit(message, 3, &slice);
    message->picture = true;
    show->pictures++;
    return message;
}

static inline struct show *new_show(void)
{
    struct show *show = calloc(1, sizeof *show);
    assert_non_null(show);
    show->device_ms = 5000000;
    return show;
}

// Parameter sets once, then groups of pictures with steps that differ: a phone.
static inline struct show *phone_show(size_t pictures, size_t group, size_t bytes)
{
    struct show *show = new_show();
    struct recipe recipe = BASELINE;
    add_sets(show, &recipe);
    for (size_t i = 0; i < pictures; i++)
        add_picture(show, &recipe, i % group == 0, 60 + (unsigned)(i * 7 % 50), bytes + i % 5);
    return show;
}

// I P b b in turn, times of presentation: decoding order is not the order of pictures.
static inline struct show *b_frame_show(size_t groups)
{
    struct show *show = new_show();
    struct recipe recipe = BASELINE;
    recipe.profile = 77;
    recipe.constraints = 0;
    recipe.poc_type = 0;
    recipe.log2_poc_lsb = 8;
    recipe.refs = 2;
    add_sets(show, &recipe);
    for (size_t group = 0; group < groups; group++) {
        static const int shown[7] = {0, 3, 1, 2, 6, 4, 5};
        for (size_t i = 0; i < 7; i++) {
            bool reference = shown[i] % 3 == 0;
            struct message *message = add_message(show, 6000000 + (uint64_t)(group * 7 + (size_t)shown[i]) * 40);
            unsigned number = (unsigned)(i == 0 ? 0 : 1 + (i > 1) + (i > 4));
            struct unit slice =
                make_slice(&recipe, i == 0, number, 2 * shown[i], reference, (unsigned)(group * 7 + i), 60 + i);
            put_unit(message, 3, &slice);
            message->picture = true;
            show->pictures++;
        }
    }
    return show;
}

// Everything that a message may look like.
static inline struct show *odd_show(void)
{
    struct show *show = new_show();
    struct recipe recipe = BASELINE;
    struct unit delimiter = {.data = {0x09, 0xF0}, .size = 2}, filler = {.data = {0x0C, 0xFF, 0x80}, .size = 3};
    add_picture(show, &recipe, false, 30, 50); // before the first key frame
    add_sets(show, &recipe);
    for (size_t i = 0; i < 24; i++) {
        bool idr = i % 8 == 0;
        show->device_ms += 50;
        struct message *message = add_message(show, show->device_ms);
        put_unit(message, 3, &delimiter);
        if (idr && i > 0)
            put_sets(message, &recipe);
        show->frame_num = idr ? 0 : show->frame_num + 1;
        struct unit slice = make_slice(&recipe, idr, show->frame_num, 0, true, (unsigned)i, 40 + 3 * i);
        put_unit(message, i % 3 == 0 ? 2 : 3, &slice);
        if (i % 4 == 1)
            put_unit(message, 2, &filler);
        if (i % 5 == 2) {
            memset(message->data + message->size, 0, 3); // trailing zeros
            message->size += 3;
        }
        message->picture = true;
        show->pictures++;
        if (i == 10)
            show->sequence += 3; // lost on the way
        if (i == 14) {           // sent twice
            struct message *again = add_message(show, 0);
            *again = *message;
            show->sequence--;
        }
        if (i == 17)
            memcpy(add_message(show, show->device_ms)->data, "nothing", 7), show->messages[show->count - 1].size = 7;
    }
    return show;
}

// The PPS changes in mid-stream, alone and again with pictures: it stays in the samples from there on.
static inline struct show *changing_show(void)
{
    struct show *show = new_show();
    struct recipe recipe = BASELINE;
    add_sets(show, &recipe);
    for (size_t i = 0; i < 20; i++) {
        struct message *message = add_picture(show, &recipe, i % 5 == 0, 40, 40 + i);
        if (i % 7 != 6)
            continue;
        struct message picture = *message; // a new PPS in front of it
        struct unit pps = make_pps(0, 0, false);
        pps.data[pps.size - 1] ^= 0x10; // another chroma_qp_index_offset or flag: other bytes, still a PPS
        message->size = 0;
        put_unit(message, 3, &pps);
        memcpy(message->data + message->size, picture.data, picture.size);
        message->size += picture.size;
    }
    return show;
}

// --- sound ----------------------------------------------------------------------------------------

// AAC-LC, one channel, ISO/IEC 14496-3 1.6.2.1.
static inline struct ch_aac_config aac_config(uint32_t rate)
{
    static const uint32_t rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                     22050, 16000, 12000, 11025, 8000,  7350};
    unsigned index = 0;
    while (rates[index] != rate)
        index++;
    const uint8_t config[2] = {(uint8_t)(2 << 3 | index >> 1), (uint8_t)((index & 1) << 7 | 1 << 3)};
    struct ch_aac_config audio;
    assert_int_equal(ch_aac_parse(config, sizeof config, &audio), 0);
    return audio;
}

// An AAC frame of noise; every third one ends in a zero byte, as an encoder that fills up may do.
static inline void add_sound(struct show *show, uint64_t device_ms, size_t bytes)
{
    assert_true(show->count < MAX_MESSAGES && bytes > 0);
    unsigned salt = (unsigned)show->count * 77 + 5;
    struct message *message = &show->messages[show->count++];
    message->device_ms = device_ms;
    message->sound = true;
    message->size = bytes;
    for (size_t i = 0; i < bytes; i++) {
        salt = salt * 1103515245u + 12345u;
        message->data[i] = (uint8_t)(salt >> 16);
    }
    message->data[bytes - 1] = show->count % 3 == 0 ? 0 : 0x1C;
}

// The show with AAC frames between its pictures, which begin `begin_ms` behind the first one and come without a break.
static inline struct show *with_sound(struct show *show, uint32_t rate, int64_t begin_ms, size_t bytes)
{
    struct show *both = calloc(1, sizeof *both);
    assert_non_null(both);
    uint64_t first = 0, latest = 0;
    for (size_t i = 0, sound = 0; i < show->count; i++) {
        const struct message *message = &show->messages[i];
        if (message->picture && first == 0)
            first = latest = message->device_ms;
        if (message->device_ms > latest)
            latest = message->device_ms;
        for (; first > 0 && message->device_ms != first; sound++) {
            uint64_t at = first + (uint64_t)begin_ms + (sound * 1024 * 1000 + rate / 2) / rate;
            if (at > latest)
                break;
            add_sound(both, at, bytes + sound % 11);
        }
        assert_true(both->count < MAX_MESSAGES);
        both->messages[both->count++] = *message;
    }
    both->messages[0].rate = rate;
    both->pictures = show->pictures;
    both->sequence = show->sequence;
    both->device_ms = show->device_ms;
    both->frame_num = show->frame_num;
    free(show);
    return both;
}

// --- folders --------------------------------------------------------------------------------------

struct place {
    char path[64];
    int root;
};

static inline void hush(void *context, const char *line)
{
    (void)context;
    if (getenv("CAMHUB_TEST_LOG"))
        fputs(line, stderr);
}

// In memory where that is possible: these tests sync thousands of times.
static inline struct place make_place(void)
{
    struct place place = {.path = "/dev/shm/camhub-test-XXXXXX"};
    if (!mkdtemp(place.path)) {
        strcpy(place.path, "/tmp/camhub-test-XXXXXX");
        assert_non_null(mkdtemp(place.path));
    }
    place.root = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(place.root >= 0);
    ch_log_set_writer(hush, NULL);
    return place;
}

static inline void remove_folder_at(int root, const char *id)
{
    int dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return;
    DIR *entries = fdopendir(dir);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries));)
        unlinkat(dir, entry->d_name, 0);
    closedir(entries);
    unlinkat(root, id, AT_REMOVEDIR);
}

static inline void remove_place(struct place *place)
{
    DIR *entries = fdopendir(dup(place->root));
    assert_non_null(entries);
    rewinddir(entries);
    for (struct dirent *entry; (entry = readdir(entries));)
        if (entry->d_name[0] != '.')
            remove_folder_at(place->root, entry->d_name);
    closedir(entries);
    close(place->root);
    assert_int_equal(rmdir(place->path), 0);
    ch_log_set_writer(NULL, NULL);
}

struct file {
    char name[40];
    uint8_t *data;
    size_t size;
};

struct folder {
    struct file files[32];
    size_t count;
};

static inline struct folder read_folder(int root, const char *id)
{
    struct folder folder = {0};
    int dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    DIR *entries = fdopendir(dup(dir));
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (entry->d_name[0] == '.')
            continue;
        struct file *file = &folder.files[folder.count++];
        assert_true(folder.count < 32 && strlen(entry->d_name) < sizeof file->name);
        strcpy(file->name, entry->d_name);
        char *data;
        assert_int_equal(ch_file_read_all(dir, file->name, 64 << 20, &data, &file->size), 0);
        file->data = (uint8_t *)data;
    }
    closedir(entries);
    close(dir);
    return folder;
}

static inline void write_folder(int root, const char *id, const struct folder *folder)
{
    remove_folder_at(root, id);
    assert_int_equal(mkdirat(root, id, 0755), 0);
    int dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < folder->count; i++) {
        int fd = ch_file_create(dir, folder->files[i].name);
        assert_true(fd >= 0);
        assert_int_equal(ch_file_write_at(fd, folder->files[i].data, folder->files[i].size, 0), 0);
        close(fd);
    }
    close(dir);
}

static inline struct file *file_of(struct folder *folder, const char *name)
{
    for (size_t i = 0; i < folder->count; i++)
        if (strcmp(folder->files[i].name, name) == 0)
            return &folder->files[i];
    return NULL;
}

static inline void drop_file(struct folder *folder, const char *name)
{
    struct file *file = file_of(folder, name);
    assert_non_null(file);
    free(file->data);
    *file = folder->files[--folder->count];
}

static inline void free_folder(struct folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        free(folder->files[i].data);
    folder->count = 0;
}

static inline struct folder copy_folder(const struct folder *folder)
{
    struct folder copy = *folder;
    for (size_t i = 0; i < copy.count; i++) {
        copy.files[i].data = malloc(copy.files[i].size + 1);
        memcpy(copy.files[i].data, folder->files[i].data, copy.files[i].size);
        copy.files[i].data[copy.files[i].size] = 0; // texts are looked through
    }
    return copy;
}

// --- recording ------------------------------------------------------------------------------------

struct taping {
    struct ch_stream *stream;
    struct ch_cursor cursor;
    struct ch_writer *writer;
    int error; // that ended it
};

static inline void no_wake(struct ch_cursor *cursor)
{
    (void)cursor;
}

static inline struct ch_writer_options writer_options(const struct place *place, const char *client, bool h264)
{
    return (struct ch_writer_options){
        .root = place->root,
        .root_path = place->path,
        .h264 = h264,
        .sync_us = 200000,
        .client = client,
        .camera_name = client,
        .address = "192.0.2.1:4000",
        .device_model = "Test",
        .started_us = STARTED_US,
    };
}

static inline int begin_taping(struct taping *taping, const struct place *place, const char *client, bool h264)
{
    *taping = (struct taping){.cursor = {.wake = no_wake, .lossless = true}};
    struct ch_writer_options options = writer_options(place, client, h264);
    int rc = ch_writer_open(&taping->writer, &options);
    if (rc < 0)
        return rc;
    taping->stream = ch_stream_new();
    assert_non_null(taping->stream);
    ch_cursor_attach(&taping->cursor, taping->stream, 0);
    return 0;
}

// Hands what the stream has to the writer, as one batch.
static inline void tape_batch(struct taping *taping, int64_t now_us)
{
    struct ch_frame *batch[MAX_MESSAGES];
    size_t count = 0;
    while ((batch[count] = ch_cursor_next(&taping->cursor)))
        count++;
    int rc = ch_writer_write(taping->writer, batch, count, now_us);
    if (taping->error == 0)
        taping->error = rc;
    while (count > 0)
        ch_frame_unref(batch[--count]);
}

static inline void tape_sound(struct taping *taping, const struct message *message, size_t number)
{
    struct ch_frame *frame = ch_frame_new(message->size);
    assert_non_null(frame);
    memcpy(frame->message, message->data, message->size);
    int64_t arrival = (int64_t)number * 70000;
    assert_int_equal(ch_stream_append_audio(taping->stream, &frame, message->size, (int64_t)message->device_ms,
                                            STARTED_US + 1000 + arrival, 1000000 + arrival),
                     0);
}

static inline void tape_message(struct taping *taping, const struct message *message, size_t number)
{
    if (message->rate > 0) {
        struct ch_aac_config audio = aac_config(message->rate);
        ch_stream_set_audio(taping->stream, &audio);
    }
    if (message->sound) {
        tape_sound(taping, message, number);
        return;
    }
    struct ch_frame *frame = ch_frame_new(CH_CAMERA_HEADER_BYTES + message->size);
    assert_non_null(frame);
    struct ch_camera_header header = {
        .device_ms = message->device_ms, .sequence = message->sequence, .payload_bytes = (uint32_t)message->size};
    ch_camera_write_header(&header, frame->message);
    memcpy(frame->message + CH_CAMERA_HEADER_BYTES, message->data, message->size);
    uint32_t declared;
    int64_t arrival = (int64_t)number * 70000;
    assert_int_equal(ch_stream_append(taping->stream, &frame, CH_CAMERA_HEADER_BYTES + message->size,
                                      STARTED_US + 1000 + arrival, 1000000 + arrival, &declared),
                     0);
}

// Messages [from, to) in batches of `batch`.
static inline void tape(struct taping *taping, const struct show *show, size_t from, size_t to, size_t batch)
{
    size_t number = 0; // sound comes with the pictures
    for (size_t i = 0; i < from; i++)
        number += !show->messages[i].sound;
    for (size_t i = from; i < to; i++) {
        tape_message(taping, &show->messages[i], number);
        number += !show->messages[i].sound;
        if ((i + 1) % batch == 0 || i + 1 == to)
            tape_batch(taping, INT64_MAX / 4 + (int64_t)i * 100000); // every second or third batch syncs
    }
}

static inline struct ch_session_summary end_taping(struct taping *taping)
{
    struct ch_session_summary summary;
    ch_stream_flush(taping->stream, INT64_MAX / 2, 0);
    tape_batch(taping, INT64_MAX / 4);
    ch_writer_end(&taping->writer, "capture_stopped", &summary);
    ch_cursor_detach(&taping->cursor);
    ch_stream_free(taping->stream);
    return summary;
}

// A whole recording; `cut` is the folder as it lay before the end, `whole` afterwards. Either may be NULL.
static inline void record_show(const struct place *place, const struct show *show, bool h264, struct folder *cut_short,
                               struct folder *whole)
{
    struct taping taping;
    assert_int_equal(begin_taping(&taping, place, "made", h264), 0);
    tape(&taping, show, 0, show->count, 7);
    ch_stream_flush(taping.stream, INT64_MAX / 2, 0);
    tape_batch(&taping, INT64_MAX / 4);
    assert_int_equal(taping.error, 0);
    char id[CH_SESSION_ID_BYTES];
    strcpy(id, ch_writer_id(taping.writer));
    if (cut_short)
        *cut_short = read_folder(place->root, id);
    end_taping(&taping);
    if (whole)
        *whole = read_folder(place->root, id);
    remove_folder_at(place->root, id);
}

static inline size_t records_of(const struct folder *folder, struct ch_record *records, size_t capacity)
{
    struct folder copy = *folder;
    const struct file *file = file_of(&copy, "frames.idx");
    size_t count = 0;
    for (size_t at = 64; file && at + 64 <= file->size && count < capacity; at += 64)
        assert_int_equal(ch_index_read_record(file->data + at, &records[count++]), 0);
    return count;
}

#endif
