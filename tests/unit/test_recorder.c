// The recorder with its threads, a real loop and real files: all that a stream is given ends up in the folder,
// however slow or broken the disk is, and its owner is told what it must know.
#include "jpeg_maker.h"
#include "session_maker.h"

#include "base/limits.h"
#include "sink/recorder.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>

struct studio {
    uv_loop_t loop;
    struct ch_disk *disk;
    struct place place;
    sem_t gate; // the disk threads wait here while the disk is `slow`
    unsigned blocked;
};

// One recorder and what it told.
struct owner {
    struct studio *studio;
    struct ch_recorder *recorder;
    char id[CH_SESSION_ID_BYTES];
    unsigned opened, failed, ended, over, caught_up;
    bool is_over, end_on_failure;
    int error;
    struct ch_session_summary summary;
};

static void set_up(struct studio *studio)
{
    studio->place = make_place();
    studio->blocked = 0;
    sem_init(&studio->gate, 0, 0);
    assert_int_equal(uv_loop_init(&studio->loop), 0);
    assert_int_equal(ch_disk_start(&studio->disk, &studio->loop, CH_DISK_LANES), 0);
}

static void tear_down(struct studio *studio)
{
    ch_disk_stop(&studio->disk);
    assert_int_equal(uv_run(&studio->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&studio->loop), 0);
    sem_destroy(&studio->gate);
    remove_place(&studio->place);
}

// --- a slow disk ---

struct stall {
    struct ch_disk_job job;
    sem_t *gate;
};

static void wait_at_gate(struct ch_disk_job *job)
{
    while (sem_wait(((struct stall *)job)->gate) != 0)
        ;
}

static void free_stall(struct ch_disk_job *job)
{
    free((struct stall *)job);
}

static void slow_down(struct studio *studio)
{
    for (unsigned lane = 0; lane < CH_DISK_LANES; lane++) {
        struct stall *stall = malloc(sizeof *stall);
        assert_non_null(stall);
        *stall = (struct stall){.job = {.run = wait_at_gate, .done = free_stall}, .gate = &studio->gate};
        ch_disk_submit(studio->disk, lane, &stall->job);
        studio->blocked++;
    }
}

static void speed_up(struct studio *studio)
{
    for (; studio->blocked > 0; studio->blocked--)
        sem_post(&studio->gate);
}

static void settle(struct studio *studio)
{
    while (ch_disk_pending(studio->disk) > 0)
        uv_run(&studio->loop, UV_RUN_ONCE);
}

// --- the owner ---

static void on_opened(void *context, const char *id)
{
    struct owner *owner = context;
    assert_int_equal(owner->opened++ + owner->ended, 0);
    snprintf(owner->id, sizeof owner->id, "%s", id);
}

static void on_failed(void *context, int error)
{
    struct owner *owner = context;
    assert_int_equal(owner->failed++ + owner->ended, 0);
    owner->error = error;
    if (owner->end_on_failure)
        ch_recorder_end(&owner->recorder, "damaged");
}

static void on_backlog(void *context, bool over)
{
    struct owner *owner = context;
    assert_int_equal(owner->ended, 0);
    assert_true(over != owner->is_over); // told once each time
    owner->is_over = over;
    owner->over += over;
    owner->caught_up += !over;
}

static void on_ended(void *context, const struct ch_session_summary *summary)
{
    struct owner *owner = context;
    assert_int_equal(owner->ended++, 0);
    assert_null(owner->recorder);
    owner->summary = *summary;
}

static const struct ch_recorder_ops ops = {
    .opened = on_opened,
    .failed = on_failed,
    .backlog = on_backlog,
    .ended = on_ended,
};

static void start(struct owner *owner, struct studio *studio, struct ch_stream *stream, const char *client)
{
    *owner = (struct owner){.studio = studio};
    struct ch_writer_options options = writer_options(&studio->place, client, true);
    owner->recorder =
        ch_recorder_start(studio->disk, &options, stream, ch_stream_session_start(stream, 1000000), &ops, owner);
    assert_non_null(owner->recorder);
    assert_string_equal(ch_recorder_id(owner->recorder), "");
    assert_true(ch_recorder_started_us(owner->recorder) == STARTED_US);
}

static void end(struct owner *owner)
{
    ch_recorder_end(&owner->recorder, "capture_stopped");
    assert_null(owner->recorder);
}

static void wait_for_end(struct owner *owner)
{
    while (!owner->ended)
        uv_run(&owner->studio->loop, UV_RUN_ONCE);
}

// --- the camera ---

static void send_one(struct ch_stream *stream, const struct message *message, size_t number)
{
    struct taping taping = {.stream = stream};
    tape_message(&taping, message, number);
}

static void send_all(struct ch_stream *stream, const struct show *show, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        send_one(stream, &show->messages[i], i);
}

// A picture of that many bytes more, in zeros behind it.
static void send_large(struct ch_stream *stream, struct show *show, size_t padding)
{
    struct recipe recipe = BASELINE;
    show->count = 0;
    const struct message *message = add_picture(show, &recipe, false, 33, 20);
    struct ch_frame *frame = ch_frame_new(CH_CAMERA_HEADER_BYTES + message->size + padding);
    assert_non_null(frame);
    struct ch_camera_header header = {.device_ms = message->device_ms,
                                      .sequence = message->sequence,
                                      .payload_bytes = (uint32_t)(message->size + padding)};
    ch_camera_write_header(&header, frame->message);
    memcpy(frame->message + CH_CAMERA_HEADER_BYTES, message->data, message->size);
    memset(frame->message + CH_CAMERA_HEADER_BYTES + message->size, 0, padding);
    uint32_t declared;
    assert_int_equal(ch_stream_append(stream, &frame, CH_CAMERA_HEADER_BYTES + message->size + padding, STARTED_US,
                                      2000000, &declared),
                     0);
}

// --- what lies in the folder ---

static void assert_sound(const struct studio *studio, const char *id)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", studio->place.path, id);
    struct ch_verification verification;
    assert_int_equal(ch_verify_session(path, &verification), 0);
    assert_int_equal(json_array_size(verification.problems), 0);
    ch_verification_deinit(&verification);
}

// Messages [from, to) of the show, byte for byte and in order, with their records.
static void assert_recorded(struct studio *studio, const struct owner *owner, const struct show *show, size_t from,
                            size_t to)
{
    assert_string_equal(owner->id, owner->summary.id);
    assert_sound(studio, owner->id);
    struct folder folder = read_folder(studio->place.root, owner->id);
    const struct file *h264 = file_of(&folder, "stream.h264");
    static struct ch_record records[2 * MAX_MESSAGES];
    assert_int_equal(records_of(&folder, records, 2 * MAX_MESSAGES), to - from);
    size_t at = 0;
    for (size_t i = from; i < to; i++) {
        const struct message *message = &show->messages[i];
        assert_true(at + message->size <= h264->size);
        assert_memory_equal(h264->data + at, message->data, message->size);
        assert_int_equal(records[i - from].sequence, message->sequence);
        assert_int_equal(records[i - from].payload_bytes, message->size);
        at += message->size;
    }
    assert_int_equal(h264->size, at);
    free_folder(&folder);
}

// --- tests ----------------------------------------------------------------------------------------------

static void test_all_is_there(void **state)
{
    (void)state;
    struct show *shows[] = {phone_show(200, 25, 800), b_frame_show(20), odd_show()};
    for (size_t n = 0; n < 3; n++) {
        struct studio studio;
        struct owner owner;
        struct show *show = shows[n];
        set_up(&studio);
        struct ch_stream *stream = ch_stream_new();
        start(&owner, &studio, stream, "phone");
        for (size_t i = 0; i < show->count; i++) {
            send_one(stream, &show->messages[i], i);
            if (i % 11 == 0)
                ch_recorder_tick(owner.recorder);
            if (i % 3 == 0)
                uv_run(&studio.loop, UV_RUN_NOWAIT);
        }
        ch_stream_flush(stream, INT64_MAX / 2, 0);
        end(&owner);
        wait_for_end(&owner);
        assert_int_equal(owner.opened, 1);
        assert_int_equal(owner.failed + owner.over, 0);
        assert_recorded(&studio, &owner, show, 0, show->count);
        assert_true(owner.summary.has_video);
        assert_string_equal(owner.summary.first_part, "stream.mp4");
        ch_stream_free(stream); // no cursor is left on it
        tear_down(&studio);
        free(show);
    }
}

// The end comes before the folder is even made; then while batches wait for the disk.
static void test_end_in_flight(void **state)
{
    (void)state;
    struct show *show = phone_show(100, 10, 3000);
    for (size_t sent = 0; sent <= show->count; sent += 20) {
        struct studio studio;
        struct owner owner;
        set_up(&studio);
        struct ch_stream *stream = ch_stream_new();
        slow_down(&studio);
        start(&owner, &studio, stream, "hasty");
        send_all(stream, show, 0, sent);
        ch_recorder_tick(owner.recorder);
        end(&owner);
        ch_stream_free(stream); // the frames are the batches' own by now
        uv_run(&studio.loop, UV_RUN_NOWAIT);
        assert_int_equal(owner.opened + owner.ended, 0);
        speed_up(&studio);
        wait_for_end(&owner);
        assert_int_equal(owner.opened, 1);
        assert_recorded(&studio, &owner, show, 0, sent);
        tear_down(&studio);
    }
    free(show);
}

// The hub's own end: the disk is stopped with everything still under way.
static void test_stop_in_flight(void **state)
{
    (void)state;
    struct show *show = phone_show(100, 10, 3000);
    struct studio studio;
    struct owner owner;
    set_up(&studio);
    struct ch_stream *stream = ch_stream_new();
    start(&owner, &studio, stream, "late");
    send_all(stream, show, 0, show->count);
    ch_recorder_tick(owner.recorder);
    end(&owner);
    ch_disk_stop(&studio.disk);
    assert_int_equal(owner.ended, 1);
    assert_recorded(&studio, &owner, show, 0, show->count);
    ch_stream_free(stream);
    tear_down(&studio);
    free(show);
}

// Parameter sets from long before the session stand in front of it.
static void test_sets_from_before(void **state)
{
    (void)state;
    struct show *show = phone_show(100, 10, 100);
    struct studio studio;
    struct owner first, second;
    set_up(&studio);
    struct ch_stream *stream = ch_stream_new();
    send_all(stream, show, 0, 31);           // sets, three GOPs
    start(&first, &studio, stream, "first"); // at 21
    send_all(stream, show, 31, 41);
    end(&first);
    ch_stream_fence(stream);
    start(&second, &studio, stream, "second"); // at 41
    send_all(stream, show, 41, 61);
    end(&second);
    wait_for_end(&first);
    wait_for_end(&second);
    struct show *expected = calloc(1, sizeof *expected);
    expected->messages[0] = show->messages[0];
    memcpy(expected->messages + 1, show->messages + 21, 20 * sizeof show->messages[0]);
    assert_recorded(&studio, &first, expected, 0, 21);
    memcpy(expected->messages + 1, show->messages + 41, 20 * sizeof show->messages[0]);
    assert_recorded(&studio, &second, expected, 0, 21);
    ch_stream_free(stream);
    tear_down(&studio);
    free(expected);
    free(show);
}

static void test_two_of_one_stream(void **state)
{
    (void)state;
    struct show *show = phone_show(200, 20, 500);
    struct studio studio;
    struct owner left, right;
    set_up(&studio);
    struct ch_stream *stream = ch_stream_new();
    start(&left, &studio, stream, "left");
    send_all(stream, show, 0, 41);           // sets, two GOPs
    start(&right, &studio, stream, "right"); // at 21, with the sets
    for (size_t i = 41; i < 150; i++) {
        send_one(stream, &show->messages[i], i);
        ch_recorder_tick(i % 2 ? left.recorder : right.recorder);
        uv_run(&studio.loop, UV_RUN_NOWAIT);
    }
    end(&left);
    send_all(stream, show, 150, show->count);
    end(&right);
    wait_for_end(&left);
    wait_for_end(&right);
    assert_recorded(&studio, &left, show, 0, 150);
    memmove(show->messages + 1, show->messages + 21, (show->count - 21) * sizeof show->messages[0]);
    assert_recorded(&studio, &right, show, 0, show->count - 20);
    ch_stream_free(stream);
    tear_down(&studio);
    free(show);
}

// --- backlog ---

// Sends until the owner is told to wait; returns the bytes sent.
static size_t send_until_over(struct owner *owner, struct ch_stream *stream, struct show *show, size_t step)
{
    size_t sent = 0;
    for (unsigned told = owner->over; owner->over == told; sent += step)
        send_large(stream, show, step);
    return sent;
}

static void test_backlog(void **state)
{
    (void)state;
    struct show *show = phone_show(1, 1, 100);
    struct studio studio;
    struct owner owner;
    set_up(&studio);
    struct ch_stream *stream = ch_stream_new();
    start(&owner, &studio, stream, "slow");
    send_all(stream, show, 0, show->count);
    settle(&studio);
    slow_down(&studio);
    size_t sent = send_until_over(&owner, stream, show, 100 << 10);
    assert_in_range(sent, CH_BACKLOG_SOFT_BYTES, CH_BACKLOG_SOFT_BYTES + (200 << 10));
    ch_recorder_tick(owner.recorder); // a tick to breathe, and one more
    assert_true(owner.is_over);
    ch_recorder_tick(owner.recorder);
    assert_false(owner.is_over); // a disk that takes longer has memory up to the hard limit
    sent += send_until_over(&owner, stream, show, 4 << 20);
    assert_in_range(sent, CH_LIMIT_BACKLOG_BYTES, CH_LIMIT_BACKLOG_BYTES + (5 << 20));
    for (unsigned i = 0; i < 20; i++)
        ch_recorder_tick(owner.recorder);
    assert_true(owner.is_over); // that one does not lift by itself
    assert_true(ch_recorder_backlog(owner.recorder) >= sent);
    speed_up(&studio);
    while (owner.is_over)
        uv_run(&studio.loop, UV_RUN_ONCE);
    while (ch_recorder_backlog(owner.recorder) > 0) {
        ch_recorder_tick(owner.recorder);
        settle(&studio);
    }
    assert_int_equal(owner.over, 2);
    assert_int_equal(owner.caught_up, 2);
    slow_down(&studio); // and the soft limit counts again
    send_until_over(&owner, stream, show, 100 << 10);
    speed_up(&studio);
    settle(&studio);
    end(&owner);
    wait_for_end(&owner);
    assert_int_equal(owner.failed, 0);
    assert_sound(&studio, owner.id);
    assert_true(owner.summary.bytes > sent);
    ch_stream_free(stream);
    tear_down(&studio);
    free(show);
}

// Ended while it is over: not a word about the backlog afterwards, it is the owner's to read on.
static void test_end_while_over(void **state)
{
    (void)state;
    struct show *show = phone_show(1, 1, 100);
    struct studio studio;
    struct owner owner;
    set_up(&studio);
    struct ch_stream *stream = ch_stream_new();
    start(&owner, &studio, stream, "over");
    send_all(stream, show, 0, show->count);
    slow_down(&studio);
    send_until_over(&owner, stream, show, 300 << 10);
    end(&owner);
    speed_up(&studio);
    wait_for_end(&owner);
    assert_int_equal(owner.over, 1);
    assert_int_equal(owner.caught_up, 0);
    assert_sound(&studio, owner.id);
    ch_stream_free(stream);
    tear_down(&studio);
    free(show);
}

// --- broken disks ---

// The folder for recordings is gone.
static void test_cannot_open(void **state)
{
    (void)state;
    struct show *show = phone_show(30, 10, 100);
    for (unsigned how = 0; how < 2; how++) { // ended by its owner when told, or by and by
        struct studio studio;
        struct owner owner = {0};
        set_up(&studio);
        struct ch_stream *stream = ch_stream_new();
        assert_int_equal(mkdirat(studio.place.root, "gone", 0755), 0);
        struct ch_writer_options options = writer_options(&studio.place, "x", true);
        options.root = openat(studio.place.root, "gone", O_RDONLY | O_DIRECTORY);
        assert_int_equal(unlinkat(studio.place.root, "gone", AT_REMOVEDIR), 0);
        owner = (struct owner){.studio = &studio, .end_on_failure = how == 0};
        owner.recorder = ch_recorder_start(studio.disk, &options, stream, 0, &ops, &owner);
        send_all(stream, show, 0, 15);
        while (!owner.failed)
            uv_run(&studio.loop, UV_RUN_ONCE);
        assert_int_equal(owner.error, -ENOENT);
        send_all(stream, show, 15, 31); // the camera does not know
        if (how == 1) {
            assert_int_equal(ch_recorder_backlog(owner.recorder), 0);
            ch_recorder_tick(owner.recorder);
            end(&owner);
        }
        wait_for_end(&owner);
        assert_int_equal(owner.opened, 0);
        assert_string_equal(owner.summary.id, "");
        ch_stream_free(stream);
        close(options.root);
        tear_down(&studio);
    }
    free(show);
}

// No file may grow any more: the session fails, what was written before is there and says so.
static void test_disk_fails(void **state)
{
    (void)state;
    struct show *show = phone_show(200, 20, 3000);
    struct studio studio;
    struct owner owner;
    struct rlimit old, tight = {.rlim_cur = 150000, .rlim_max = RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    set_up(&studio);
    struct ch_stream *stream = ch_stream_new();
    start(&owner, &studio, stream, "full");
    send_all(stream, show, 0, 41);
    ch_recorder_tick(owner.recorder);
    settle(&studio);
    ch_recorder_tick(owner.recorder);
    settle(&studio);
    assert_int_equal(owner.failed, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    for (size_t i = 41; i < show->count && !owner.failed; i += 70) { // a batch that no new file would take either
        send_all(stream, show, i, i + 70 < show->count ? i + 70 : show->count);
        ch_recorder_tick(owner.recorder);
        settle(&studio);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(owner.failed, 1);
    assert_int_equal(owner.error, -EFBIG);
    assert_int_equal(ch_recorder_backlog(owner.recorder), 0);
    end(&owner);
    wait_for_end(&owner);
    assert_int_equal(owner.summary.verdict, CH_VERDICT_DAMAGED);
    assert_true(owner.summary.frames >= 40);
    struct folder folder = read_folder(studio.place.root, owner.id);
    assert_non_null(file_of(&folder, "session.json"));
    assert_non_null(strstr((const char *)file_of(&folder, "session.json")->data, "\"damaged\""));
    const struct file *h264 = file_of(&folder, "stream.h264");
    for (size_t i = 0, at = 0; i < 41; at += show->messages[i++].size) {
        assert_true(at + show->messages[i].size <= h264->size);
        assert_memory_equal(h264->data + at, show->messages[i].data, show->messages[i].size);
    }
    free_folder(&folder);
    ch_stream_free(stream);
    tear_down(&studio);
    free(show);
}

// A camera that fell silent: what it sent last is synced all the same, by one batch without frames.
static void test_silence(void **state)
{
    (void)state;
    struct show *show = phone_show(10, 10, 100);
    struct studio studio;
    struct owner owner;
    set_up(&studio);
    struct ch_stream *stream = ch_stream_new();
    start(&owner, &studio, stream, "silent");
    settle(&studio);
    send_all(stream, show, 0, show->count);
    ch_recorder_tick(owner.recorder);
    settle(&studio);
    ch_recorder_tick(owner.recorder);
    assert_int_equal(ch_disk_pending(studio.disk), 0); // too early
    usleep(250000);                                    // the options say 0.2 s
    ch_recorder_tick(owner.recorder);
    assert_int_equal(ch_disk_pending(studio.disk), 1);
    settle(&studio);
    usleep(250000);
    ch_recorder_tick(owner.recorder);
    assert_int_equal(ch_disk_pending(studio.disk), 0); // nothing new
    end(&owner);
    wait_for_end(&owner);
    assert_recorded(&studio, &owner, show, 0, show->count);
    ch_stream_free(stream);
    tear_down(&studio);
    free(show);
}

// A JPEG camera's pictures, in batches as they come: byte for byte in stream.mjpeg.
static void test_jpeg_camera(void **state)
{
    (void)state;
    struct studio studio;
    struct owner owner = {.studio = &studio};
    struct picture sent = {0};
    set_up(&studio);
    struct ch_stream *stream = ch_stream_new();
    struct ch_writer_options options = writer_options(&studio.place, "esp", false);
    options.kind = CH_SESSION_JPEG;
    for (unsigned i = 0; i < 120; i++) {
        struct picture picture = make_picture(160, 120, i, 3000 + i);
        struct ch_frame *frame = ch_frame_new(picture.size);
        assert_non_null(frame);
        memcpy(frame->message, picture.data, picture.size);
        int64_t time_us = 100000 * (int64_t)i;
        assert_int_equal(ch_stream_append_jpeg(stream, &frame, picture.size, STARTED_US + time_us, 1000 + time_us), 0);
        if (i == 0) // as the hub does it: begin with the picture that has just come
            owner.recorder =
                ch_recorder_start(studio.disk, &options, stream, ch_stream_session_start(stream, 1000), &ops, &owner);
        assert_non_null(owner.recorder);
        if (i % 13 == 0)
            ch_recorder_tick(owner.recorder);
        if (i % 4 == 0)
            uv_run(&studio.loop, UV_RUN_NOWAIT);
        add_bytes(&sent, picture.data, picture.size);
        free_picture(&picture);
    }
    end(&owner);
    wait_for_end(&owner);
    assert_int_equal(owner.failed, 0);
    assert_int_equal(owner.summary.kind, CH_SESSION_JPEG);
    assert_int_equal(owner.summary.frames, 120);
    assert_int_equal(owner.summary.verdict, CH_VERDICT_COMPLETE);
    assert_sound(&studio, owner.id);
    struct folder folder = read_folder(studio.place.root, owner.id);
    const struct file *mjpeg = file_of(&folder, "stream.mjpeg");
    assert_int_equal(mjpeg->size, sent.size);
    assert_memory_equal(mjpeg->data, sent.data, sent.size);
    assert_null(file_of(&folder, "stream.mp4"));
    free_folder(&folder);
    free_picture(&sent);
    ch_stream_free(stream);
    tear_down(&studio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_there),      cmocka_unit_test(test_end_in_flight),
        cmocka_unit_test(test_stop_in_flight),    cmocka_unit_test(test_sets_from_before),
        cmocka_unit_test(test_two_of_one_stream), cmocka_unit_test(test_backlog),
        cmocka_unit_test(test_end_while_over),    cmocka_unit_test(test_cannot_open),
        cmocka_unit_test(test_disk_fails),        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_jpeg_camera),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
