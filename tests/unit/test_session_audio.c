// Sessions with sound, from the stream's log to the disk and back: what is recorded, and what an interruption leaves of
// it. (What is found when something is wrong with it: test_verify.)
#include "audio_session.h"

#include <xxhash.h>

// --- what is recorded -----------------------------------------------------------------------------

// Every AAC frame that is said to be in the MP4 is there, byte for byte, and in its tables at its record's time.
static void assert_heard(const struct folder *folder, const struct show *show, size_t sounds)
{
    struct folder copy = *folder;
    const struct file *file = file_of(&copy, "stream.mp4");
    struct ch_record records[MAX_RECORDS];
    size_t count = records_of(folder, records, MAX_RECORDS), bytes, seen = 0, message = 0;
    const uint8_t *moov = moov_of(file, &bytes);
    struct ch_mp4_moov tables;
    struct ch_mp4_sample sample;
    assert_int_equal(ch_mp4_read_moov_audio(moov, bytes, &tables), 0);
    assert_int_equal(tables.samples, sounds);
    assert_int_equal(tables.timescale, RATE);
    int64_t begin = -1;
    for (size_t i = 0; i < count; i++) {
        const struct ch_record *record = &records[i];
        if (!is_sound(record))
            continue;
        while (!show->messages[message].sound)
            message++;
        const struct message *sent = &show->messages[message++];
        assert_int_equal(record->flags, CH_FRAME_AUDIO);
        assert_int_equal(record->payload_bytes, 0);
        assert_int_equal(record->composition_ticks, 0);
        assert_int_equal(record->device_ms, sent->device_ms);
        assert_int_equal(record->sequence, seen);
        assert_true(record->hash == XXH3_64bits(sent->data, sent->size));
        assert_true(ch_mp4_moov_next(&tables, &sample));
        assert_int_equal(sample.offset, record->sample_offset);
        assert_int_equal(sample.bytes, sent->size);
        assert_memory_equal(file->data + sample.offset, sent->data, sent->size);
        if (begin < 0)
            begin = ch_mp4_audio_samples((int64_t)tables.empty_ticks, RATE);
        int64_t exact = ch_mp4_audio_samples(record->pts_ticks, RATE);
        assert_in_range(begin + sample.dts_ticks - exact + 2, 0, 4);
        seen++;
    }
    assert_int_equal(seen, sounds);
}

static void test_recorded(void **state)
{
    (void)state;
    struct show *show = sound_show(), *silent = phone_show(20, 6, 60);
    size_t sounds = show->count - silent->count;
    assert_in_range(sounds, 20, 60);
    struct folder whole, quiet;
    for (int h264 = 0; h264 < 2; h264++) {
        record_show(&place, show, h264, NULL, &whole);
        record_show(&place, silent, h264, NULL, &quiet);
        write_folder(place.root, ID, &whole);
        assert_sound(ID, CH_VERDICT_COMPLETE);
        assert_heard(&whole, show, sounds);
        if (h264) {
            assert_int_equal(file_of(&whole, "stream.h264")->size, file_of(&quiet, "stream.h264")->size);
            assert_memory_equal(file_of(&whole, "stream.h264")->data, file_of(&quiet, "stream.h264")->data,
                                file_of(&quiet, "stream.h264")->size);
        }
        // All that the report says of pictures is what it says without sound.
        json_t *report = report_of(&whole), *other = report_of(&quiet);
        assert_int_equal(number_in(report, "counts", "audio_frames"), sounds);
        assert_int_equal(number_in(other, "counts", "audio_frames"), 0);
        assert_int_equal(number_in(report, "counts", "messages"), show->count);
        json_t *audio =
            json_pack("{s:s,s:i,s:i,s:i}", "codec", "mp4a.40.2", "rate", RATE, "channels", 1, "frames", (int)sounds);
        assert_true(json_equal(json_object_get(report, "audio"), audio));
        assert_true(json_is_null(json_object_get(other, "audio")));
        json_decref(audio);
        json_object_del(json_object_get(report, "counts"), "audio_frames");
        json_object_del(json_object_get(other, "counts"), "audio_frames");
        json_object_del(json_object_get(report, "counts"), "messages");
        json_object_del(json_object_get(other, "counts"), "messages");
        for (const char *const *key =
                 (const char *const[]){"counts", "missing", "gaps", "repairs", "clock", "duration", "frame_rate",
                                       "longest_gap", "ended", "verdict", "reason", NULL};
             *key; key++)
            if (!json_equal(json_object_get(report, *key), json_object_get(other, *key)))
                fail_msg("%s differs", *key);
        size_t i;
        json_t *file;
        json_array_foreach (json_object_get(report, "files"), i, file)
            if (strcmp(json_string_value(json_object_get(file, "kind")), "index") != 0)
                assert_true(json_equal(json_object_get(file, "frames"),
                                       json_object_get(json_array_get(json_object_get(other, "files"), i), "frames")));
        json_decref(report);
        json_decref(other);
        free_folder(&whole);
        free_folder(&quiet);
    }
    free(show);
    free(silent);
}

// Pictures out of order: the file's zero is the first picture's presentation, not its decoding.
static void test_b_frames(void **state)
{
    (void)state;
    struct show *show = with_sound(b_frame_show(6), RATE, 0, 30);
    size_t sounds = 0;
    for (size_t i = 0; i < show->count; i++)
        sounds += show->messages[i].sound;
    struct folder whole;
    record_show(&place, show, true, NULL, &whole);
    write_folder(place.root, ID, &whole);
    assert_sound(ID, CH_VERDICT_COMPLETE);
    assert_heard(&whole, show, sounds);
    size_t bytes;
    const uint8_t *moov = moov_of(file_of(&whole, "stream.mp4"), &bytes);
    struct ch_mp4_moov pictures, audio;
    assert_int_equal(ch_mp4_read_moov(moov, bytes, &pictures), 0);
    assert_int_equal(ch_mp4_read_moov_audio(moov, bytes, &audio), 0);
    assert_true(pictures.media_time_ticks > 0);
    assert_in_range(audio.empty_ticks, 0, 90); // it began with the first picture, to the millisecond
    free_folder(&whole);
    free(show);
}

// Frames that the log may hold around the key frame at which a session or a part begins; made by hand.
static struct ch_frame *hand_made(const struct ch_frame *key, int64_t pts_ticks, uint32_t sequence)
{
    struct ch_frame *frame = ch_frame_new(40);
    assert_non_null(frame);
    memset(frame->message, 0x21, 40);
    frame->flags = CH_FRAME_AUDIO;
    frame->sequence = sequence;
    frame->payload_bytes = frame->sample_bytes = 40;
    frame->sample = frame->message;
    frame->hash = XXH3_64bits(frame->message, 40);
    frame->params = ch_params_ref(key->params);
    frame->pts_ticks = frame->dts_ticks = pts_ticks;
    frame->arrival_wall_us = STARTED_US + 1000;
    return frame;
}

static void write_frames(struct taping *taping, struct ch_frame **frames, size_t count)
{
    assert_int_equal(ch_writer_write(taping->writer, frames, count, 0), 0);
}

static void test_around_key_frames(void **state)
{
    (void)state;
    struct show *show = new_show();
    struct recipe wide = BASELINE, high = BASELINE;
    high.width_mbs = 15;
    add_sets(show, &wide);
    show->messages[0].rate = RATE;
    for (size_t i = 0; i < 4; i++)
        add_picture(show, &wide, i == 0, 50, 40);
    add_sets(show, &high);
    for (size_t i = 0; i < 4; i++)
        add_picture(show, &high, i == 0, 50, 40);
    struct taping taping;
    assert_int_equal(begin_taping(&taping, &place, "made", true), 0);
    for (size_t i = 0; i < show->count; i++)
        tape_message(&taping, &show->messages[i], i);
    ch_stream_flush(taping.stream, INT64_MAX / 2, 0);
    struct ch_frame *log[16], *sounds[8], *batch[32];
    size_t count = 0, all = 0;
    while ((log[count] = ch_cursor_next(&taping.cursor)))
        count++;
    assert_int_equal(count, 10);
    const struct ch_frame *first = log[1], *second = log[6];
    assert_true(first->flags & second->flags & CH_FRAME_KEY);
    assert_ptr_not_equal(first->params, second->params);
    struct ch_frame *before = hand_made(first, first->pts_ticks - 4180, 0); // in the log before the key frame
    sounds[0] = hand_made(first, first->pts_ticks - 2090, 1);               // and behind it, but earlier
    sounds[1] = hand_made(first, first->pts_ticks, 2);
    sounds[2] = hand_made(second, first->pts_ticks + 4180, 3); // of other parameters
    sounds[3] = hand_made(first, first->pts_ticks + 4180, 4);
    sounds[4] = hand_made(first, second->pts_ticks + 10, 5); // behind the second key frame, of the first one's
    sounds[5] = hand_made(second, second->pts_ticks - 1, 6); // before its time
    sounds[6] = hand_made(second, second->pts_ticks + 2090, 7);
    sounds[7] = hand_made(first, second->pts_ticks + 18000, 8);
    batch[all++] = log[0];
    batch[all++] = before;
    batch[all++] = log[1];
    for (size_t i = 0; i < 4; i++)
        batch[all++] = sounds[i];
    for (size_t i = 2; i < 7; i++)
        batch[all++] = log[i];
    for (size_t i = 4; i < 7; i++)
        batch[all++] = sounds[i];
    for (size_t i = 7; i < 10; i++)
        batch[all++] = log[i];
    batch[all++] = sounds[7];
    write_frames(&taping, batch, all);
    for (size_t i = 0; i < all; i++)
        ch_frame_unref(batch[i]);
    char id[CH_SESSION_ID_BYTES];
    strcpy(id, ch_writer_id(taping.writer));
    struct folder cut = read_folder(place.root, id);
    struct ch_session_summary summary = end_taping(&taping);
    assert_int_equal(summary.frames, 8);
    assert_sound(id, CH_VERDICT_COMPLETE);
    struct folder folder = read_folder(place.root, id);
    struct ch_record records[MAX_RECORDS];
    assert_int_equal(records_of(&folder, records, MAX_RECORDS), all);
    static const struct {
        uint16_t part;
        int64_t ticks;
    } wanted[] = {{0, 0}, {0, -2090}, {1, 0}, {0, 4180}, {1, 4180}, {0, 18010}, {0, 17999}, {2, 20090}, {0, 36000}};
    size_t seen = 0;
    for (size_t i = 0; i < all; i++)
        if (is_sound(&records[i])) {
            assert_int_equal(records[i].part, wanted[seen].part);
            assert_int_equal(records[i].pts_ticks, wanted[seen].ticks);
            assert_int_equal(records[i].sample_bytes, wanted[seen].part ? 40 : 0);
            seen++;
        }
    assert_int_equal(seen, 9);
    json_t *report = report_of(&folder);
    assert_int_equal(number_in(report, "counts", "audio_frames"), 3);
    assert_int_equal(number_in(report, "audio", "frames"), 3);
    json_decref(report);
    remove_folder_at(place.root, id);
    // Recovery leaves it all as it is; and frames that were in no MP4 are not taken for what follows a lost picture.
    recover_sound(&cut, 8, 8);
    assert_same_files(&folder);
    drop_file(&cut, "stream.h264");
    file_of(&cut, "stream_2.mp4")->size -= 5;
    recover_sound(&cut, 7, 7);
    free_folder(&cut);
    free_folder(&folder);
    free(show);
}

// In one batch: time that stands still, runs back, and leaps by more than a step can say. Everything must be finished.
static void test_wild_times(void **state)
{
    (void)state;
    struct show *show = phone_show(3, 3, 40);
    show->messages[0].rate = 48000;
    struct taping taping;
    assert_int_equal(begin_taping(&taping, &place, "made", true), 0);
    for (size_t i = 0; i < show->count; i++)
        tape_message(&taping, &show->messages[i], i);
    struct ch_frame *batch[32];
    size_t count = 0, heard = 0;
    while ((batch[count] = ch_cursor_next(&taping.cursor)))
        count++;
    const struct ch_frame *key = batch[1];
    assert_true(key->flags & CH_FRAME_KEY);
    static const struct {
        int64_t ticks;
        bool heard;
    } wild[] = {{0, true},
                {0, true},
                {1, true},
                {-1, false},
                {INT64_C(90000) * 3600, true},
                {5, true},
                {INT64_C(90000) * 3600 * 48, false}, // 2^32 samples are 25 hours
                {INT64_C(90000) * 3600 * 24, true},
                {INT64_C(90000) * 3600 * 48, true},
                {INT64_MAX / 8, false}};
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++, heard += wild[i - 1].heard)
        batch[count++] = hand_made(key, key->pts_ticks + wild[i].ticks, (uint32_t)i);
    write_frames(&taping, batch, count);
    while (count > 0)
        ch_frame_unref(batch[--count]);
    char id[CH_SESSION_ID_BYTES];
    strcpy(id, ch_writer_id(taping.writer));
    end_taping(&taping);
    assert_sound(id, CH_VERDICT_COMPLETE);
    struct folder folder = read_folder(place.root, id);
    assert_int_equal(count_of(&folder, is_heard), heard);
    assert_int_equal(count_of(&folder, is_sound), sizeof wild / sizeof wild[0]);
    json_t *report = report_of(&folder);
    assert_true(json_real_value(json_object_get(report, "duration")) < 1); // the pictures'
    json_decref(report);
    free_folder(&folder);
    remove_folder_at(place.root, id);
    free(show);
}

// --- what recovery makes of it --------------------------------------------------------------------

#define NONE SIZE_MAX

// The AAC frames on disk are the first ones of `all` but for record `without`; a rebuilt record's time is right to a tick.
static size_t assert_heard_but(const struct folder *all, size_t without)
{
    struct ch_record wanted[MAX_RECORDS], found[MAX_RECORDS];
    struct folder folder = read_folder(place.root, ID);
    size_t wanted_count = records_of(all, wanted, MAX_RECORDS), found_count = records_of(&folder, found, MAX_RECORDS);
    size_t at = 0, sounds = 0;
    for (size_t i = 0; i < found_count; i++) {
        if (!is_heard(&found[i]))
            continue;
        while (at < wanted_count && (!is_heard(&wanted[at]) || at == without))
            at++;
        assert_true(at < wanted_count);
        assert_int_equal(found[i].hash, wanted[at].hash);
        assert_int_equal(found[i].sample_bytes, wanted[at].sample_bytes);
        assert_int_equal(found[i].payload_bytes, 0);
        assert_int_equal(found[i].flags & ~CH_FRAME_REBUILT, CH_FRAME_AUDIO);
        assert_in_range(found[i].pts_ticks - wanted[at].pts_ticks + 2, 0, 4);
        at++;
        sounds++;
    }
    json_t *report = report_of(&folder);
    assert_int_equal(number_in(report, "counts", "audio_frames"), sounds);
    if (sounds > 0)
        assert_int_equal(number_in(report, "audio", "frames"), sounds);
    else
        assert_true(json_is_null(json_object_get(report, "audio")));
    json_decref(report);
    free_folder(&folder);
    return sounds;
}

static size_t assert_heard_prefix(const struct folder *all)
{
    return assert_heard_but(all, NONE);
}

static size_t samples_before(const struct folder *whole, size_t size, bool (*what)(const struct ch_record *))
{
    struct ch_record records[MAX_RECORDS];
    size_t count = records_of(whole, records, MAX_RECORDS), samples = 0;
    for (size_t i = 0; i < count; i++)
        samples += what(&records[i]) && records[i].sample_offset + records[i].sample_bytes <= size;
    return samples;
}

// The folder as it lay after `count` messages, without an end.
static struct folder folder_after(const struct show *show, bool h264, size_t count)
{
    struct taping taping;
    assert_int_equal(begin_taping(&taping, &place, "made", h264), 0);
    tape(&taping, show, 0, count, count);
    char id[CH_SESSION_ID_BYTES];
    strcpy(id, ch_writer_id(taping.writer));
    struct folder folder = read_folder(place.root, id);
    end_taping(&taping);
    remove_folder_at(place.root, id);
    return folder;
}

static void put_file(struct folder *folder, const char *name, const struct folder *from)
{
    struct folder copy = *from;
    struct file *its = file_of(folder, name), *other = file_of(&copy, name);
    assert_true(its && other);
    its->data = realloc(its->data, other->size + 1);
    memcpy(its->data, other->data, other->size);
    its->size = other->size;
}

// kill -9: the MP4 is ahead of the rest by part of a batch, cut at any byte. Every fragment that is whole stays, the sound's
// too.
static void test_killed_in_mp4(void **state)
{
    (void)state;
    struct show *show = sound_show();
    struct folder whole;
    record_show(&place, show, true, NULL, &whole);
    for (int h264 = 0; h264 < 2; h264++) {
        struct folder early = folder_after(show, h264, 30), late = folder_after(show, h264, 36);
        size_t from = file_of(&early, "stream.mp4")->size, to = file_of(&late, "stream.mp4")->size;
        assert_true(to > from + 500);
        put_file(&early, "stream.mp4", &late);
        struct folder zeros = copy_folder(&early); // the same after a power cut: zeros where nothing was written
        for (size_t size = to; size-- > from;) {
            file_of(&zeros, "stream.mp4")->data[size] = 0;
            size_t pictures = samples_before(&whole, size, is_picture), most = samples_before(&whole, size, is_heard);
            recover_sound(&zeros, pictures, pictures + 1);
            assert_prefix(&whole, pictures);
            assert_in_range(assert_heard_prefix(&whole) + 1, most, most + 2); // which would tell a torn one by its hash
        }
        free_folder(&zeros);
        for (size_t size = from; size <= to; size++) {
            file_of(&early, "stream.mp4")->size = size;
            size_t pictures = samples_before(&whole, size, is_picture);
            recover_sound(&early, pictures, pictures);
            assert_prefix(&whole, pictures);
            // The very last one is only believed if it does not end in zero.
            size_t sounds = assert_heard_prefix(&whole), most = samples_before(&whole, size, is_heard);
            assert_true(sounds == most || (sounds + 1 == most && early.files[0].data != NULL &&
                                           file_of(&early, "stream.mp4")->data[size - 1] == 0));
        }
        free_folder(&early);
        free_folder(&late);
    }
    free_folder(&whole);
    free(show);
}

// The same, with the batch in MP4 and stream.h264, and the index cut at any byte.
static void test_killed_in_index(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        bool h264 = kind > 0; // the third one with pictures out of order
        struct show *show = kind < 2 ? sound_show() : with_sound(b_frame_show(4), RATE, 10, 30);
        struct folder whole, cut;
        record_show(&place, show, h264, &cut, &whole);
        struct file *index = file_of(&cut, "frames.idx");
        size_t full = index->size, sounds = count_of(&whole, is_heard);
        for (size_t size = 0; size <= full; size += size < full - 400 ? 331 : 1) {
            index->size = size;
            recover_sound(&cut, show->pictures, show->pictures);
            assert_prefix(&whole, show->pictures);
            assert_int_equal(assert_heard_prefix(&whole), sounds);
            // Rebuilt from nothing but the fragments: the tables are the same, to the byte.
            struct folder after = read_folder(place.root, ID);
            const struct file *its = file_of(&after, "stream.mp4"), *wanted = file_of(&whole, "stream.mp4");
            assert_int_equal(its->size, wanted->size);
            assert_memory_equal(its->data, wanted->data, wanted->size);
            if (h264)
                assert_memory_equal(file_of(&after, "stream.h264")->data, file_of(&whole, "stream.h264")->data,
                                    file_of(&whole, "stream.h264")->size);
            free_folder(&after);
        }
        free_folder(&cut);
        free_folder(&whole);
        free(show);
    }
}

// A power cut: the MP4 lost what the others have. Without stream.h264 the end of everything is missing; with it the
// pictures come back, and silence is told.
static void test_mp4_behind(void **state)
{
    (void)state;
    struct show *show = sound_show();
    struct folder whole, cut;
    for (int h264 = 0; h264 < 2; h264++) {
        record_show(&place, show, h264, &cut, &whole);
        struct file *mp4 = file_of(&cut, "stream.mp4");
        size_t full = mp4->size;
        struct ch_record records[MAX_RECORDS];
        size_t count = records_of(&whole, records, MAX_RECORDS);
        size_t init_end = (size_t)records[1].sample_offset - CH_MP4_FRAGMENT_HEADER_BYTES;
        for (int zeros = 0; zeros < 2; zeros++)
            for (size_t size = init_end; size < full; size += size < full - 700 ? 97 : 1) {
                struct folder copy = copy_folder(&cut);
                mp4 = file_of(&copy, "stream.mp4");
                if (zeros)
                    memset(mp4->data + size, 0, full - size);
                else
                    mp4->size = size;
                struct ch_session_summary summary;
                write_folder(place.root, ID, &copy);
                assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
                size_t pictures = samples_before(&whole, size, is_picture),
                       heard = samples_before(&whole, size, is_heard);
                // Lost sound with a picture behind it that is there again.
                bool silent = false;
                size_t last_picture = 0;
                for (size_t i = 0; i < count; i++)
                    if (is_picture(&records[i]))
                        last_picture = i;
                for (size_t i = 0; i < last_picture; i++)
                    silent |= is_heard(&records[i]) && records[i].sample_offset + records[i].sample_bytes > size;
                // Zeros may be what a frame ends with: one more or less is as whole.
                size_t sounds = assert_heard_prefix(&whole);
                if (!zeros)
                    assert_int_equal(sounds, heard);
                else
                    assert_in_range(sounds, heard, heard + 1);
                if (h264) {
                    assert_int_equal(summary.frames, show->pictures);
                    if (!zeros)
                        assert_string_equal(ch_verdict_name(summary.verdict), silent ? "damaged" : "recovered");
                } else {
                    assert_in_range(summary.frames, pictures, pictures + zeros);
                    assert_string_equal(ch_verdict_name(summary.verdict), "recovered");
                }
                if (pictures > 0)
                    assert_sound(ID, summary.verdict);
                assert_prefix(&whole, pictures);
                assert_int_equal(ch_recover_session(place.root, ID, &summary), -EALREADY);
                free_folder(&copy);
            }
        free_folder(&cut);
        free_folder(&whole);
    }
    free(show);
}

// A finished session that lost its index: the fragments lie in the MP4 still.
static void test_index_lost_later(void **state)
{
    (void)state;
    for (size_t more = 0; more < 3; more++) { // the last AAC frame ends in a zero byte, or does not
        struct show *show = sound_show();
        for (size_t i = 0; i < more; i++)
            add_sound(show, show->messages[show->count - 1].device_ms + 47, 50);
        struct folder whole, after;
        record_show(&place, show, true, NULL, &whole);
        after = copy_folder(&whole);
        drop_file(&after, "frames.idx");
        struct ch_session_summary summary;
        write_folder(place.root, ID, &after);
        assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
        assert_sound(ID, CH_VERDICT_RECOVERED);
        assert_int_equal(assert_heard_prefix(&whole), count_of(&whole, is_heard));
        free_folder(&after);
        free_folder(&whole);
        free(show);
    }
}

// A bit of a new AAC frame never reached the disk: that frame is lost and told, and nothing else.
static void test_spoilt_frame(void **state)
{
    (void)state;
    struct show *show = sound_show();
    struct folder whole, cut;
    struct ch_record records[MAX_RECORDS];
    for (int h264 = 0; h264 < 2; h264++) {
        record_show(&place, show, h264, &cut, &whole);
        size_t count = records_of(&whole, records, MAX_RECORDS), heard = count_of(&whole, is_heard), last = 0;
        for (size_t i = 0; i < count; i++)
            if (records[i].part > 0)
                last = i;
        for (size_t i = 0; i < count; i++) {
            if (!is_heard(&records[i]))
                continue;
            struct folder copy = copy_folder(&cut);
            struct file *mp4 = file_of(&copy, "stream.mp4");
            mp4->data[records[i].sample_offset + i % records[i].sample_bytes] ^= 0x10;
            struct ch_session_summary summary;
            write_folder(place.root, ID, &copy);
            assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
            assert_sound(ID, summary.verdict);
            assert_string_equal(ch_verdict_name(summary.verdict), i == last ? "recovered" : "damaged");
            if (i < last)
                assert_string_equal(summary.reason, "sound in the midst of stream.mp4 is lost");
            assert_int_equal(summary.frames, show->pictures);
            assert_int_equal(assert_heard_but(&whole, i), heard - 1);
            // Cut off before the index was written,
            memset(mp4->data + records[i].sample_offset - CH_MP4_FRAGMENT_HEADER_BYTES + 88, 0, 4); // as it leaves it
            write_folder(place.root, ID, &copy);
            assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
            assert_sound(ID, i == last ? CH_VERDICT_RECOVERED : CH_VERDICT_DAMAGED);
            assert_int_equal(assert_heard_but(&whole, i), heard - 1);
            // or between index and MP4: the second run must not take the spoilt frame for a new one.
            struct folder after = read_folder(place.root, ID);
            put_file(&copy, "frames.idx", &after);
            write_folder(place.root, ID, &copy);
            assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
            assert_sound(ID, i == last ? CH_VERDICT_RECOVERED : CH_VERDICT_DAMAGED);
            assert_int_equal(assert_heard_but(&whole, i), heard - 1);
            assert_same_files(&after);
            free_folder(&after);
            free_folder(&copy);
        }
        free_folder(&cut);
        free_folder(&whole);
    }
    free(show);
}

// A fragment's header is broken, the index knows the frame: the header is made anew, as it was.
static void test_broken_header(void **state)
{
    (void)state;
    struct show *show = sound_show();
    struct folder whole, cut;
    struct ch_record records[MAX_RECORDS];
    record_show(&place, show, true, &cut, &whole);
    size_t count = records_of(&whole, records, MAX_RECORDS), heard = count_of(&whole, is_heard);
    for (size_t i = 0; i < count; i++) {
        if (!is_heard(&records[i]))
            continue;
        struct folder copy = copy_folder(&cut);
        memset(file_of(&copy, "stream.mp4")->data + records[i].sample_offset - CH_MP4_FRAGMENT_HEADER_BYTES, 0,
               CH_MP4_FRAGMENT_HEADER_BYTES);
        recover_sound(&copy, show->pictures, show->pictures);
        assert_int_equal(assert_heard_prefix(&whole), heard);
        struct folder after = read_folder(place.root, ID);
        assert_memory_equal(file_of(&after, "stream.mp4")->data, file_of(&whole, "stream.mp4")->data,
                            file_of(&whole, "stream.mp4")->size);
        free_folder(&after);
        free_folder(&copy);
    }
    free_folder(&cut);
    free_folder(&whole);
    free(show);
}

// What is left without the MP4 has no sound, and says so.
static void test_mp4_lost(void **state)
{
    (void)state;
    struct show *show = sound_show();
    struct folder cut;
    record_show(&place, show, true, &cut, NULL);
    struct file *mp4 = file_of(&cut, "stream.mp4");
    for (int gone = 0; gone < 2; gone++) {
        if (gone)
            drop_file(&cut, "stream.mp4");
        else
            memset(mp4->data, 0x55, 300);
        struct ch_session_summary summary;
        write_folder(place.root, ID, &cut);
        assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
        assert_int_equal(summary.verdict, CH_VERDICT_DAMAGED);
        assert_string_equal(summary.reason, "sound in the midst of stream.mp4 is lost");
        assert_int_equal(summary.frames, show->pictures);
        assert_sound(ID, CH_VERDICT_DAMAGED);
        struct folder after = read_folder(place.root, ID);
        assert_int_equal(count_of(&after, is_sound), 0);
        assert_null(memmem(file_of(&after, "stream.mp4")->data, file_of(&after, "stream.mp4")->size, "mp4a", 4));
        json_t *report = report_of(&after);
        assert_true(json_is_null(json_object_get(report, "audio")));
        json_decref(report);
        free_folder(&after);
    }
    struct ch_session_summary summary;
    file_of(&cut, "frames.idx")->size = 64 + 64 * 12; // most of it is gone, but that there was sound
    write_folder(place.root, ID, &cut);
    assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
    assert_sound(ID, CH_VERDICT_DAMAGED);
    assert_string_equal(summary.reason, "the sound was in stream.mp4 and is lost");
    assert_int_equal(summary.frames, show->pictures);
    drop_file(&cut, "frames.idx"); // nothing knows of sound any more
    write_folder(place.root, ID, &cut);
    assert_int_equal(ch_recover_session(place.root, ID, &summary), 0);
    assert_sound(ID, CH_VERDICT_RECOVERED);
    assert_int_equal(summary.frames, show->pictures);
    free_folder(&cut);
    free(show);
}

// Sound that runs far ahead of the pictures does not make those old: their newest ones are looked at all the same.
static void test_sound_ahead(void **state)
{
    (void)state;
    struct show *show = phone_show(6, 3, 60);
    show->messages[0].rate = RATE;
    struct taping taping;
    assert_int_equal(begin_taping(&taping, &place, "made", true), 0);
    for (size_t i = 0; i < show->count; i++)
        tape_message(&taping, &show->messages[i], i);
    struct ch_frame *batch[32];
    size_t count = 0;
    while ((batch[count] = ch_cursor_next(&taping.cursor)))
        count++;
    batch[count] = hand_made(batch[1], batch[1]->pts_ticks + 20 * 90000, 0);
    count++;
    write_frames(&taping, batch, count);
    while (count > 0)
        ch_frame_unref(batch[--count]);
    char id[CH_SESSION_ID_BYTES];
    strcpy(id, ch_writer_id(taping.writer));
    struct folder cut = read_folder(place.root, id), whole;
    end_taping(&taping);
    whole = read_folder(place.root, id);
    remove_folder_at(place.root, id);
    struct ch_record records[MAX_RECORDS];
    assert_int_equal(records_of(&cut, records, MAX_RECORDS), show->count + 1);
    file_of(&cut, "stream.mp4")->data[records[3].sample_offset + 20] ^= 0x11;
    recover_sound(&cut, 6, 6); // made good from stream.h264
    assert_same_files(&whole);
    free_folder(&cut);
    free_folder(&whole);
    free(show);
}

// The parts' own times, and frames that are in none, through a recovery.
static void test_parts(void **state)
{
    (void)state;
    struct show *show = new_show();
    struct recipe wide = BASELINE, high = BASELINE;
    high.width_mbs = 15;
    add_sets(show, &wide);
    for (size_t i = 0; i < 8; i++)
        add_picture(show, &wide, i % 4 == 0, 90, 40);
    add_sets(show, &high);
    for (size_t i = 0; i < 8; i++)
        add_picture(show, &high, i % 4 == 0, 90, 40);
    show = with_sound(show, RATE, 0, 20);
    struct folder whole, cut;
    record_show(&place, show, true, &cut, &whole);
    write_folder(place.root, ID, &whole);
    assert_sound(ID, CH_VERDICT_COMPLETE);
    struct ch_record records[MAX_RECORDS];
    size_t count = records_of(&whole, records, MAX_RECORDS), heard = count_of(&whole, is_heard), of_second = 0;
    for (size_t i = 0; i < count; i++)
        of_second += is_heard(&records[i]) && records[i].part == 2;
    assert_true(of_second > 3 && of_second < heard - 3);
    for (int index = 0; index < 2; index++) {
        recover_sound(&cut, 16, 16);
        assert_prefix(&whole, 16);
        assert_int_equal(assert_heard_prefix(&whole), heard);
        struct folder after = read_folder(place.root, ID);
        for (int part = 1; part <= 2; part++) {
            const char *name = part == 1 ? "stream.mp4" : "stream_2.mp4";
            assert_int_equal(file_of(&after, name)->size, file_of(&whole, name)->size);
            // Which picture a lost index's second part begins with in the session is a guess; in the file it is not.
            assert_memory_equal(file_of(&after, name)->data, file_of(&whole, name)->data, file_of(&whole, name)->size);
        }
        free_folder(&after);
        if (index == 0)
            drop_file(&cut, "frames.idx");
    }
    free_folder(&cut);
    free_folder(&whole);
    free(show);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_b_frames),
        cmocka_unit_test(test_around_key_frames),
        cmocka_unit_test(test_wild_times),
        cmocka_unit_test(test_killed_in_mp4),
        cmocka_unit_test(test_killed_in_index),
        cmocka_unit_test(test_mp4_behind),
        cmocka_unit_test(test_index_lost_later),
        cmocka_unit_test(test_spoilt_frame),
        cmocka_unit_test(test_broken_header),
        cmocka_unit_test(test_mp4_lost),
        cmocka_unit_test(test_sound_ahead),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
