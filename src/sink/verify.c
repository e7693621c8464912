// One walk along the index, and along each file beside it: a message's record, its bytes in stream.h264 (of a JPEG
// camera stream.mjpeg) and its sample in the MP4 are at hand at the same time, so memory does not grow with the session, but for
// the sample tables of finished parts. Those are made once more from the records and compared as a whole; only
// where they differ are they taken apart.
#include "sink/verify.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "sink/part.h"
#include "sink/scan_part.h"
#include "sink/session_json.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// A part that the records name.
struct part {
    int fd; // -1: none, or none that is to be checked
    char name[32];
    bool damaged; // as session.json says
    struct ch_part_shape shape;
    struct ch_part_tables tables;  // made from the records
    uint64_t frames, audio_frames; // by the records
    uint64_t listed_frames;
    bool broken; // the tables cannot be made
};

// A file as session.json lists it.
struct listed {
    const char *name;
    uint64_t bytes, frames;
    bool damaged;
    int fd;
};

struct verifier {
    int dir;
    json_t *session;
    struct ch_verification *out;
    struct ch_report report;
    struct part parts[CH_LIMIT_PARTS + 1];
    enum ch_session_kind kind;
    bool raw_missing; // it was said that pictures are in no file
    struct listed raw[CH_LIMIT_PARTS];
    size_t raw_count, raw_at; // files of stream.h264 or stream.mjpeg in order; the one that the walk has come to
    uint64_t raw_offset, raw_items, raw_total;
    uint64_t record;   // number of the one at hand
    uint64_t messages; // passed so far that stream.h264 or stream.mjpeg is to have
    struct ch_scratch scratch;
    EVP_MD_CTX *hash;
};

__attribute__((format(printf, 2, 3))) static void problem(struct verifier *v, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (json_array_size(v->out->problems) < CH_LIMIT_REPORT_LIST)
        json_array_append_new(v->out->problems, json_string(text));
}

// "frame 12 at 0.400 s": number as in frames.idx.
#define FRAME "frame %llu at %.3f s"
#define FRAME_ARGS(v, record) (unsigned long long)(v)->record, (double)(record)->pts_ticks / CH_MP4_TIMESCALE

static int open_regular(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -EINVAL;
    }
    return fd;
}

// --- the files that session.json lists ---

// Opens the file and compares its size. False if there is nothing to look at.
static bool open_listed(struct verifier *v, const json_t *entry, struct listed *out)
{
    *out = (struct listed){.name = json_string_value(json_object_get(entry, "name")),
                           .fd = -1,
                           .damaged = json_is_true(json_object_get(entry, "damaged"))};
    json_int_t bytes = json_integer_value(json_object_get(entry, "bytes"));
    json_int_t frames = json_integer_value(json_object_get(entry, "frames"));
    out->bytes = bytes > 0 ? (uint64_t)bytes : 0;
    out->frames = frames > 0 ? (uint64_t)frames : 0;
    if (!out->name || strchr(out->name, '/')) {
        problem(v, "session.json lists a file without a proper name");
        return false;
    }
    out->fd = open_regular(v->dir, out->name);
    if (out->fd < 0) {
        problem(v, "%s cannot be opened (%s)", out->name, strerror(-out->fd));
        return false;
    }
    int64_t size = ch_file_size(out->fd);
    bool torn = out->damaged && size >= 0 && (uint64_t)size > out->bytes; // a tail that could not be cut
    if (!torn && (size < 0 || (uint64_t)size != out->bytes))
        problem(v, "%s has %lld bytes, session.json says %llu", out->name, (long long)size,
                (unsigned long long)out->bytes);
    return true;
}

// Part number of a name, 0 if it is none.
static unsigned part_number(const char *name)
{
    for (unsigned number = 1; number <= CH_LIMIT_PARTS; number++) {
        char its_name[32];
        ch_part_name(number, its_name);
        if (strcmp(name, its_name) == 0)
            return number;
    }
    return 0;
}

static void take_part(struct verifier *v, const json_t *entry, struct listed *file)
{
    unsigned number = part_number(file->name);
    if (number == 0 || v->parts[number].fd >= 0) {
        problem(v, "session.json lists %s, which is no part of a session", file->name);
        close(file->fd);
        return;
    }
    struct part *part = &v->parts[number];
    part->fd = file->fd;
    part->damaged = file->damaged;
    part->listed_frames = file->frames;
    snprintf(part->name, sizeof part->name, "%s", file->name);
    int rc = ch_part_scan(part->fd, &part->shape, NULL);
    if (rc < 0)
        problem(v, "%s cannot be read (%s)", part->name, strerror(-rc));
    else if (part->shape.form != CH_PART_FINISHED && !part->damaged)
        problem(v, part->shape.form == CH_PART_UNREADABLE ? "%s has no whole init segment" : "%s is not finished",
                part->name);
    else if (json_integer_value(json_object_get(entry, "width")) != part->shape.init.width ||
             json_integer_value(json_object_get(entry, "height")) != part->shape.init.height)
        problem(v, "%s is %u by %u pixels, which is not what session.json says", part->name, part->shape.init.width,
                part->shape.init.height);
}

static const char *const raw_kinds[] = {"h264", "mjpeg"};

static void open_files(struct verifier *v)
{
    size_t i;
    json_t *entry;
    json_array_foreach (json_object_get(v->session, "files"), i, entry) {
        const char *kind = json_string_value(json_object_get(entry, "kind"));
        struct listed file;
        // A film is made from the pictures, and can be made again.
        if (!kind || strcmp(kind, "index") == 0 || strcmp(kind, "film") == 0)
            continue;
        bool there = open_listed(v, entry, &file);
        if (strcmp(kind, "mp4") == 0 && there) {
            take_part(v, entry, &file);
        } else if (strcmp(kind, raw_kinds[v->kind]) == 0 && v->raw_count < CH_LIMIT_PARTS) {
            v->raw[v->raw_count++] = file; // missing ones too: their messages must be passed over
            v->raw_total += file.frames;
        } else if (there) {
            close(file.fd);
        }
    }
}

// --- one message ---

// An H.264 camera's pictures may be in the MP4 alone.
static void check_no_message(struct verifier *v, const struct ch_record *record)
{
    if (v->kind == CH_SESSION_JPEG && !v->raw_missing)
        problem(v, FRAME " is in no stream.mjpeg", FRAME_ARGS(v, record));
    v->raw_missing = true;
}

static void check_message(struct verifier *v, const struct ch_record *record)
{
    while (v->raw_at < v->raw_count && v->raw_items == v->raw[v->raw_at].frames) {
        const struct listed *done = &v->raw[v->raw_at++];
        if (v->raw_offset != done->bytes)
            problem(v, "%s has %llu bytes, its messages %llu", done->name, (unsigned long long)done->bytes,
                    (unsigned long long)v->raw_offset);
        v->raw_offset = v->raw_items = 0;
    }
    if (v->raw_at == v->raw_count) {
        check_no_message(v, record);
        return;
    }
    const struct listed *file = &v->raw[v->raw_at];
    uint64_t offset = v->raw_offset;
    v->raw_offset += record->payload_bytes;
    v->raw_items++;
    if (file->fd < 0)
        return;
    int rc = ch_scratch_read(&v->scratch, file->fd, offset, record->payload_bytes);
    if (rc < 0)
        problem(v, "%s, " FRAME " cannot be read (%s)", file->name, FRAME_ARGS(v, record),
                rc == -ENODATA ? "the file is too short" : strerror(-rc));
    else if (ch_message_hash(record, v->scratch.data) != record->hash)
        problem(v, "%s, " FRAME " is not what was recorded", file->name, FRAME_ARGS(v, record));
}

static void check_sample(struct verifier *v, const struct ch_record *record)
{
    struct part *part = record->part <= CH_LIMIT_PARTS ? &v->parts[record->part] : NULL;
    if (!part || (part->fd < 0 && part->frames + part->audio_frames == 0))
        problem(v, FRAME " is said to be in MP4 part %u, which is not there", FRAME_ARGS(v, record), record->part);
    if (!part)
        return;
    *(record->flags & CH_FRAME_AUDIO ? &part->audio_frames : &part->frames) += 1;
    if (part->fd < 0)
        return;
    uint64_t hash;
    int rc = ch_scratch_read(&v->scratch, part->fd, record->sample_offset, record->sample_bytes);
    if (rc < 0)
        problem(v, "%s, " FRAME " cannot be read (%s)", part->name, FRAME_ARGS(v, record),
                rc == -ENODATA ? "the file is too short" : strerror(-rc));
    else if (!ch_record_sample_hash(record, v->scratch.data, &hash) || hash != record->hash)
        problem(v, "%s, " FRAME " is not what was recorded", part->name, FRAME_ARGS(v, record));
    if (part->broken || part->shape.form != CH_PART_FINISHED)
        return;
    rc = ch_part_tables_add(&part->tables, &part->shape.init.audio, record);
    part->broken = rc < 0;
    if (rc < 0)
        problem(v, "%s, " FRAME " has an impossible time", part->name, FRAME_ARGS(v, record));
}

static void check_record(struct verifier *v, struct ch_record *record)
{
    uint16_t flags = record->flags;
    record->flags &= (uint16_t) ~(CH_FRAME_DUPLICATE | CH_FRAME_REORDERED);
    ch_report_add(&v->report, record);
    if (record->flags != flags)
        problem(v, FRAME " is marked otherwise than its sequence number tells", FRAME_ARGS(v, record));
    if (!(record->flags & CH_FRAME_AUDIO)) {
        check_message(v, record);
        v->messages++;
    }
    if (record->part > 0)
        check_sample(v, record);
    v->record++;
}

// --- the index ---

static int hash_file(struct verifier *v, const struct listed *file, char out[65])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int rc = ch_scratch_reserve(&v->scratch, 1u << 16);
    if (rc < 0 || !EVP_DigestInit_ex(v->hash, EVP_sha256(), NULL))
        return -ENOMEM;
    int64_t got = 1;
    for (uint64_t at = 0; at < file->bytes && got > 0; at += (uint64_t)got) {
        uint64_t rest = file->bytes - at;
        got = ch_file_read_some(file->fd, v->scratch.data, rest < 1u << 16 ? (size_t)rest : 1u << 16, at);
        if (got < 0)
            return (int)got;
        EVP_DigestUpdate(v->hash, v->scratch.data, (size_t)got);
    }
    EVP_DigestFinal_ex(v->hash, digest, &size);
    ch_format_hex(digest, 32, out);
    return 0;
}

static int read_records(struct verifier *v, const struct listed *file)
{
    struct ch_index_reader *reader = malloc(sizeof *reader);
    if (!reader)
        return -ENOMEM;
    ch_index_reader_init(reader, file->fd, 0);
    struct ch_record record;
    int rc = 1;
    // A damaged index may have a tail that could not be cut; any other must end with its last record.
    while ((!file->damaged || reader->next < file->frames) && (rc = ch_index_reader_next(reader, &record)) == 1)
        check_record(v, &record);
    if (rc < 0)
        problem(v, "%s, record %llu %s", file->name, (unsigned long long)reader->next,
                rc == -EBADMSG ? "does not fit its own checksum" : "cannot be read");
    else if (reader->next != file->frames)
        problem(v, "%s has %llu records, session.json says %llu", file->name, (unsigned long long)reader->next,
                (unsigned long long)file->frames);
    free(reader);
    return 0;
}

static int check_index(struct verifier *v, const json_t *entry)
{
    struct listed file;
    if (!open_listed(v, entry, &file))
        return 0;
    uint8_t header[CH_INDEX_HEADER_BYTES];
    int64_t started_us;
    char hash[65];
    int rc = hash_file(v, &file, hash);
    const char *listed = json_string_value(json_object_get(entry, "sha256"));
    if (rc < 0)
        problem(v, "%s cannot be read (%s)", file.name, strerror(-rc));
    else if (!listed || strcmp(listed, hash) != 0)
        problem(v, "%s is not the one that session.json was written for (SHA-256)", file.name);
    if (ch_file_read_at(file.fd, header, sizeof header, 0) < 0 || ch_index_read_header(header, &started_us) < 0)
        problem(v, "%s has no valid header", file.name);
    rc = read_records(v, &file);
    close(file.fd);
    return rc;
}

static int check_indexes(struct verifier *v)
{
    size_t i;
    json_t *entry;
    const char *first = NULL;
    json_array_foreach (json_object_get(v->session, "files"), i, entry) {
        const char *kind = json_string_value(json_object_get(entry, "kind"));
        if (!kind || strcmp(kind, "index") != 0)
            continue;
        if (!first)
            first = json_string_value(json_object_get(entry, "sha256"));
        int rc = check_index(v, entry);
        if (rc < 0)
            return rc;
    }
    const char *named = json_string_value(json_object_get(json_object_get(v->session, "index"), "sha256"));
    if (!first || !named || strcmp(named, first) != 0)
        problem(v, "session.json does not name the hash of its index (SHA-256)");
    return 0;
}

// --- finished parts ---

// A track's tables differ: where? False if they do not.
static bool compare_samples(struct verifier *v, const struct part *part, const char *what, struct ch_mp4_moov was,
                            struct ch_mp4_moov is)
{
    struct ch_mp4_sample wanted, found;
    for (uint64_t i = 0; ch_mp4_moov_next(&was, &wanted); i++) {
        if (!ch_mp4_moov_next(&is, &found)) {
            problem(v, "%s has %llu %s, the index %llu", part->name, (unsigned long long)i, what,
                    (unsigned long long)was.samples);
            return true;
        }
        bool same = wanted.offset == found.offset && wanted.bytes == found.bytes && wanted.key == found.key &&
                    wanted.dts_ticks == found.dts_ticks && wanted.composition_ticks == found.composition_ticks;
        if (!same) {
            problem(v, "%s, %llu of the %s at %.3f s stands otherwise in its tables than in the index", part->name,
                    (unsigned long long)i, what, (double)wanted.dts_ticks / was.timescale);
            return true;
        }
    }
    return false;
}

// `wanted` is the moov by the index, which differs from the one in v->scratch.
static void tell_difference(struct verifier *v, const struct part *part, const uint8_t *wanted, size_t wanted_bytes,
                            struct ch_mp4_moov is)
{
    struct ch_mp4_moov was, sound_was, sound_is;
    if (ch_mp4_read_moov(wanted, wanted_bytes, &was) == 0 && compare_samples(v, part, "pictures", was, is))
        return;
    int wanted_rc = ch_mp4_read_moov_audio(wanted, wanted_bytes, &sound_was);
    int rc = ch_mp4_read_moov_audio(v->scratch.data, part->shape.moov_bytes, &sound_is);
    if (wanted_rc == 0 && rc == 0 && compare_samples(v, part, "AAC frames", sound_was, sound_is))
        return;
    if (rc != wanted_rc)
        problem(v,
                rc == 0          ? "%s has an audio track, the index no AAC frame of it"
                : rc == -ENODATA ? "%s has no audio track, the index has AAC frames of it"
                                 : "%s has a broken audio track",
                part->name);
    else
        problem(v, "%s has a moov that is not made from the index", part->name);
}

static uint32_t last_duration(struct ch_mp4_moov moov)
{
    struct ch_mp4_sample sample = {0};
    while (ch_mp4_moov_next(&moov, &sample))
        ;
    return sample.duration_ticks;
}

static int check_tables(struct verifier *v, struct part *part)
{
    int rc = ch_scratch_read(&v->scratch, part->fd, part->shape.moov_offset, part->shape.moov_bytes);
    struct ch_mp4_moov is;
    if (rc == -ENOMEM)
        return rc;
    if (rc < 0 || ch_mp4_read_moov(v->scratch.data, part->shape.moov_bytes, &is) < 0) {
        problem(v, "%s has broken sample tables", part->name);
        return 0;
    }
    uint8_t *moov;
    size_t bytes;
    rc = ch_mp4_tables_finish(&part->tables.pictures, &part->tables.audio, &part->shape.init, last_duration(is), &moov,
                              &bytes);
    if (rc < 0)
        return rc == -ENOMEM ? rc : 0;
    if (bytes != part->shape.moov_bytes || memcmp(moov, v->scratch.data, bytes) != 0)
        tell_difference(v, part, moov, bytes, is);
    free(moov);
    return 0;
}

static int check_parts(struct verifier *v)
{
    for (unsigned number = 1; number <= CH_LIMIT_PARTS; number++) {
        struct part *part = &v->parts[number];
        if (part->fd < 0)
            continue;
        if (part->frames != part->listed_frames)
            problem(v, "%s has %llu pictures by the index, %llu by session.json", part->name,
                    (unsigned long long)part->frames, (unsigned long long)part->listed_frames);
        if (part->shape.form != CH_PART_FINISHED || part->broken)
            continue;
        if (part->shape.moov_offset + part->shape.moov_bytes != part->shape.file_bytes)
            problem(v, "%s goes on behind its end", part->name);
        int rc = part->frames > 0 ? check_tables(v, part) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

// --- session.json ---

static void compare_counts(struct verifier *v, const json_t *fresh)
{
    const char *key;
    json_t *value;
    const json_t *counts = json_object_get(v->session, "counts");
    // For iteration only; jansson has no const form of it.
    json_t *wanted = json_object_get(fresh, "counts");
    json_object_foreach (wanted, key, value) {
        const json_t *listed = json_object_get(counts, key);
        bool unknown = !listed && strcmp(key, "audio_frames") == 0 && json_integer_value(value) == 0; // an older report
        if (!unknown && !json_equal(listed, value))
            problem(v, "counts.%s in session.json is not what the index gives", key);
    }
    static const char *const lists[] = {"missing", "lists_truncated"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        // Through text and back, as session.json has been: numbers lose their last digits there.
        json_t *list = json_object_get(fresh, lists[i]);
        char *text = json_dumps(list, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        json_t *again = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
        if (!json_equal(again, json_object_get(v->session, lists[i])))
            problem(v, "%s in session.json is not what the index gives", lists[i]);
        json_decref(again);
        free(text);
    }
}

// What `audio` says, against the first part that has AAC frames.
static int check_audio(struct verifier *v)
{
    const struct part *part = NULL;
    for (unsigned number = CH_LIMIT_PARTS; number > 0; number--)
        if (v->parts[number].audio_frames > 0)
            part = &v->parts[number];
    if (part && !part->shape.init.avcc)
        return 0; // it is gone or cannot be read, which has been told
    json_t *wanted = ch_session_json_audio(part ? &part->shape.init.audio : NULL, &v->report);
    if (!wanted)
        return -ENOMEM;
    const json_t *listed = json_object_get(v->session, "audio");
    if (listed ? !json_equal(wanted, listed) : !json_is_null(wanted)) // an older report does not say
        problem(v, "audio in session.json is not what index and MP4 give");
    json_decref(wanted);
    return 0;
}

static int check_report(struct verifier *v)
{
    json_t *fresh = json_object();
    int rc = fresh ? ch_report_to_json(&v->report, fresh) : -ENOMEM;
    if (rc == 0)
        compare_counts(v, fresh);
    json_decref(fresh);
    json_int_t records = json_integer_value(json_object_get(json_object_get(v->session, "index"), "records"));
    size_t i;
    json_t *entry;
    unsigned indexes = 0;
    json_array_foreach (json_object_get(v->session, "files"), i, entry) {
        indexes += json_object_get(entry, "sha256") != NULL;
    }
    if (indexes == 1 && // with several, `index` is the first of them
        (uint64_t)records != v->record)
        problem(v, "the index has %llu records, session.json says %lld", (unsigned long long)v->record,
                (long long)records);
    const json_t *numbered = json_object_get(v->session, "numbered");
    if (numbered && json_is_true(numbered) != (v->kind == CH_SESSION_H264))
        problem(v, "numbered in session.json does not fit the kind of camera");
    bool lossless = true;
    for (size_t n = 0; n < v->raw_count; n++)
        lossless &= !v->raw[n].damaged;
    if (v->raw_count > 0 && (lossless || v->kind == CH_SESSION_JPEG) && v->raw_total != v->messages)
        problem(v, "stream.%s has %llu messages by session.json, the index %llu", raw_kinds[v->kind],
                (unsigned long long)v->raw_total, (unsigned long long)v->messages);
    // The last file has not been passed by the walk.
    if (v->raw_at < v->raw_count && v->raw[v->raw_at].fd >= 0 && v->raw_offset != v->raw[v->raw_at].bytes)
        problem(v, "%s has %llu bytes, its messages %llu", v->raw[v->raw_at].name,
                (unsigned long long)v->raw[v->raw_at].bytes, (unsigned long long)v->raw_offset);
    return rc;
}

static enum ch_verdict verdict_of(const json_t *session)
{
    const char *name = json_string_value(json_object_get(session, "verdict"));
    for (enum ch_verdict verdict = CH_VERDICT_COMPLETE; name && verdict <= CH_VERDICT_DAMAGED; verdict++)
        if (strcmp(name, ch_verdict_name(verdict)) == 0)
            return verdict;
    return CH_VERDICT_DAMAGED;
}

// What session.json says, unless the walk found otherwise.
static void judge(struct verifier *v)
{
    struct ch_verification *out = v->out;
    const char *reason = json_string_value(json_object_get(v->session, "reason"));
    out->verdict = verdict_of(v->session);
    snprintf(out->reason, sizeof out->reason, "%s", reason ? reason : "session.json gives no reason");
    size_t problems = json_array_size(out->problems);
    if (problems > 0 && out->verdict != CH_VERDICT_DAMAGED) {
        out->verdict = CH_VERDICT_DAMAGED;
        const char *first = json_string_value(json_array_get(out->problems, 0));
        int used = snprintf(out->reason, sizeof out->reason, "%.200s", first ? first : "");
        if (problems > 1)
            snprintf(out->reason + used, sizeof out->reason - (size_t)used, " (and %zu more)", problems - 1);
    }
    out->frames = v->report.frames;
    out->missing = v->report.sequence.missing;
    out->bytes = v->report.bytes;
}

static int verify(struct verifier *v)
{
    open_files(v);
    int rc = check_indexes(v);
    if (rc == 0)
        rc = check_parts(v);
    if (rc == 0)
        rc = check_report(v);
    if (rc == 0)
        rc = check_audio(v);
    if (rc == 0)
        judge(v);
    return rc;
}

static void free_verifier(struct verifier *v)
{
    for (unsigned number = 1; number <= CH_LIMIT_PARTS; number++) {
        struct part *part = &v->parts[number];
        if (part->fd >= 0)
            close(part->fd);
        ch_part_shape_deinit(&part->shape);
        ch_part_tables_free(&part->tables);
    }
    for (size_t i = 0; i < v->raw_count; i++)
        if (v->raw[i].fd >= 0)
            close(v->raw[i].fd);
    ch_report_deinit(&v->report);
    ch_scratch_free(&v->scratch);
    EVP_MD_CTX_free(v->hash);
    json_decref(v->session);
    free(v);
}

static int say_unfinished(struct ch_verification *out, const char *reason)
{
    out->verdict = CH_VERDICT_DAMAGED;
    snprintf(out->reason, sizeof out->reason, "%s", reason);
    return json_array_append_new(out->problems, json_string(reason)) ? -ENOMEM : 0;
}

static bool holds_files(int dir)
{
    static const char *const names[] = {"frames.idx", "stream.mp4", "stream.h264", "stream.mjpeg"};
    struct stat st;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (fstatat(dir, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            return true;
    return false;
}

static int verify_folder(int dir, struct ch_verification *out)
{
    json_t *session = ch_session_json_read(dir);
    if (!session && !holds_files(dir))
        return -ENOENT;
    const char *state = json_string_value(json_object_get(session, "state"));
    if (!state || strcmp(state, "finished") != 0) {
        bool running = flock(dir, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK, readable = session != NULL;
        json_decref(session);
        return say_unfinished(out, running ? "it is being recorded"
                                   : readable
                                       ? "it was interrupted and never ended (camhub repair does it)"
                                       : "it has no session.json that can be read (camhub repair makes it anew)");
    }
    struct verifier *v = calloc(1, sizeof *v);
    if (!v) {
        json_decref(session);
        return -ENOMEM;
    }
    v->dir = dir;
    v->session = session;
    v->kind = ch_session_json_kind(session);
    v->out = out;
    for (unsigned number = 1; number <= CH_LIMIT_PARTS; number++)
        v->parts[number].fd = -1;
    ch_report_init(&v->report);
    v->hash = EVP_MD_CTX_new();
    int rc = v->hash ? verify(v) : -ENOMEM;
    free_verifier(v);
    return rc;
}

int ch_verify_session(const char *path, struct ch_verification *out)
{
    *out = (struct ch_verification){.problems = json_array()};
    if (!out->problems)
        return -ENOMEM;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    int rc = verify_folder(dir, out);
    close(dir);
    return rc;
}

void ch_verification_deinit(struct ch_verification *verification)
{
    json_decref(verification->problems);
    verification->problems = NULL;
}
