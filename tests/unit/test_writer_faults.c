// The writer on a disk that fails: the n-th write, sync, open, rename or cut fails, alone or from then on, for
// every n. Nothing crashes or leaks, what the session reports as written is there, and what could not be
// reported can be recovered.
//
// The calls are replaced by the linker (--wrap), in both of the names that they have with 64-bit file offsets.
#include "jpeg_session.h"

// --- calls that fail ------------------------------------------------------------------------------

enum call { PWRITEV, FDATASYNC, FSYNC, OPENAT, RENAMEAT, FTRUNCATE, CALLS };
static const char *const call_names[] = {"pwritev", "fdatasync", "fsync", "openat", "renameat", "ftruncate"};

static struct {
    bool armed, hit;
    enum call call;
    unsigned countdown; // calls until it fails; 0: this one
    bool for_ever;
    bool half;   // a write that fails has written half of what it should have
    bool no_cut; // from then on nothing can be cut either
    int error;
} fault;

static bool fails(enum call call)
{
    if (!fault.armed || call != fault.call)
        return false;
    if (fault.countdown > 0) {
        fault.countdown--;
        return false;
    }
    bool now = !fault.hit || fault.for_ever;
    fault.hit = true;
    if (now)
        errno = fault.error;
    return now;
}

#define WRAP_PWRITEV(name)                                                                                             \
    ssize_t __real_##name(int fd, const struct iovec *iov, int count, off_t offset);                                   \
    ssize_t __wrap_##name(int fd, const struct iovec *iov, int count, off_t offset);                                   \
    ssize_t __wrap_##name(int fd, const struct iovec *iov, int count, off_t offset)                                    \
    {                                                                                                                  \
        if (!fails(PWRITEV))                                                                                           \
            return __real_##name(fd, iov, count, offset);                                                              \
        if (fault.half) {                                                                                              \
            fault.half = false;                                                                                        \
            struct iovec half = {.iov_base = iov[0].iov_base, .iov_len = iov[0].iov_len / 2 + 1};                      \
            fault.hit = false;                                                                                         \
            return __real_##name(fd, &half, 1, offset);                                                                \
        }                                                                                                              \
        return -1;                                                                                                     \
    }
WRAP_PWRITEV(pwritev)
WRAP_PWRITEV(pwritev64)

#define WRAP_SYNC(name, call)                                                                                          \
    int __real_##name(int fd);                                                                                         \
    int __wrap_##name(int fd);                                                                                         \
    int __wrap_##name(int fd)                                                                                          \
    {                                                                                                                  \
        return fails(call) ? -1 : __real_##name(fd);                                                                   \
    }
WRAP_SYNC(fdatasync, FDATASYNC)
WRAP_SYNC(fsync, FSYNC)

#define WRAP_OPENAT(name)                                                                                              \
    int __real_##name(int dir, const char *path, int flags, ...);                                                      \
    int __wrap_##name(int dir, const char *path, int flags, ...);                                                      \
    int __wrap_##name(int dir, const char *path, int flags, ...)                                                       \
    {                                                                                                                  \
        va_list args;                                                                                                  \
        va_start(args, flags);                                                                                         \
        unsigned mode = flags & O_CREAT ? va_arg(args, unsigned) : 0;                                                  \
        va_end(args);                                                                                                  \
        return fails(OPENAT) ? -1 : __real_##name(dir, path, flags, mode);                                             \
    }
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)

int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return fails(RENAMEAT) ? -1 : __real_renameat(from_dir, from, to_dir, to);
}

#define WRAP_FTRUNCATE(name)                                                                                           \
    int __real_##name(int fd, off_t size);                                                                             \
    int __wrap_##name(int fd, off_t size);                                                                             \
    int __wrap_##name(int fd, off_t size)                                                                              \
    {                                                                                                                  \
        if (fault.armed && fault.hit && fault.no_cut)                                                                  \
            errno = EIO;                                                                                               \
        else if (!fails(FTRUNCATE))                                                                                    \
            return __real_##name(fd, size);                                                                            \
        return -1;                                                                                                     \
    }
WRAP_FTRUNCATE(ftruncate)
WRAP_FTRUNCATE(ftruncate64)

// --- a session under them -------------------------------------------------------------------------

// What is recorded.
struct material {
    const struct show *show;   // of a phone, or
    const struct album *album; // of a JPEG camera
    bool h264;                 // keep stream.h264
    size_t bytes;
};

struct outcome {
    bool opened;
    int error;
    struct ch_session_summary summary;
    char id[CH_SESSION_ID_BYTES];
};

static struct outcome record_under_fault(const struct material *material)
{
    struct outcome outcome = {0};
    struct taping taping;
    fault.armed = true;
    int rc = material->album ? begin_album(&taping, &place, "fault")
                             : begin_taping(&taping, &place, "fault", material->h264);
    if (rc == 0) {
        outcome.opened = true;
        strcpy(outcome.id, ch_writer_id(taping.writer));
        if (material->album)
            tape_album(&taping, material->album, 0, material->album->count, 5);
        else
            tape(&taping, material->show, 0, material->show->count, 5);
        outcome.summary = end_taping(&taping);
        outcome.error = taping.error;
    } else {
        assert_int_equal(rc, -fault.error);
    }
    fault.armed = false;
    return outcome;
}

static void assert_verifies(const char *id, enum ch_verdict verdict, const char *when)
{
    struct ch_verification result = verify(id);
    if (result.verdict != verdict || json_array_size(result.problems) > 0) {
        char *text = json_dumps(result.problems, JSON_INDENT(1));
        fail_msg("%s: %s (%s), expected %s\n%s", when, ch_verdict_name(result.verdict), result.reason,
                 ch_verdict_name(verdict), text);
    }
    ch_verification_deinit(&result);
}

static bool is_finished(const char *id)
{
    struct folder folder = read_folder(place.root, id);
    const struct file *file = file_of(&folder, "session.json");
    bool finished = file && strstr((const char *)file->data, "\"state\": \"finished\"");
    free_folder(&folder);
    return finished;
}

// Distinct pictures of the session that are in some MP4 or stream.mjpeg.
static size_t pictures_on_disk(const char *id)
{
    struct ch_verification result = verify(id);
    size_t frames = (size_t)result.frames;
    ch_verification_deinit(&result);
    return frames;
}

static void check_outcome(const struct outcome *outcome, size_t bytes, const char *when)
{
    if (!outcome->opened) { // nothing is left of it
        assert_int_equal(faccessat(place.root, "fault_20260101_000000", F_OK, 0), -1);
        return;
    }
    bool finished = is_finished(outcome->id);
    if (finished) {
        assert_verifies(outcome->id, outcome->summary.verdict, when);
        assert_int_equal(pictures_on_disk(outcome->id), outcome->summary.frames);
    }
    // One failure costs one file, and no message.
    if (!fault.for_ever && outcome->summary.bytes != bytes)
        fail_msg("%s: %llu bytes of %zu are in the index", when, (unsigned long long)outcome->summary.bytes, bytes);
    if (!fault.for_ever)
        assert_int_equal(outcome->error, 0);
    struct ch_session_summary summary;
    int rc = ch_recover_session(place.root, outcome->id, &summary);
    if (rc != 0 && (rc != -EALREADY || !finished))
        fail_msg("%s: recovery fails with %s", when, strerror(-rc));
    if (rc == 0) {
        assert_verifies(outcome->id, summary.verdict, when);
        if (summary.frames < outcome->summary.frames)
            fail_msg("%s: %llu frames were reported, %llu recovered", when, (unsigned long long)outcome->summary.frames,
                     (unsigned long long)summary.frames);
        assert_int_equal(ch_recover_session(place.root, outcome->id, &summary), -EALREADY);
    }
    remove_folder_at(place.root, outcome->id);
}

// Fails the n-th call as `how` says, for n from 0 on, until none is left to fail.
static void sweep(const struct material *material, typeof(fault) how)
{
    unsigned n = 0;
    do {
        assert_true(n < 1000);
        fault = how;
        fault.countdown = n;
        char when[96];
        snprintf(when, sizeof when, "%s: %s fails at call %u%s%s%s", material->album ? "JPEG" : "H.264",
                 call_names[how.call], n, how.for_ever ? " and after" : "", how.half ? ", half done" : "",
                 how.no_cut ? ", uncut" : "");
        struct outcome outcome = record_under_fault(material);
        check_outcome(&outcome, material->bytes, when);
        n++;
    } while (fault.hit);
    assert_true(n > 1 || how.call == FTRUNCATE); // something did fail
}

static void sweep_all(const struct material *material, enum call call)
{
    sweep(material, (typeof(fault)){.call = call, .error = EIO});
    sweep(material, (typeof(fault)){.call = call, .error = ENOSPC, .for_ever = true});
    if (call != PWRITEV)
        return;
    for (int no_cut = 0; no_cut < 2; no_cut++) {
        typeof(fault) how = {.call = call, .error = ENOSPC, .for_ever = true, .half = true, .no_cut = no_cut};
        sweep(material, how);
        how = (typeof(fault)){.call = call, .error = EIO, .half = true, .no_cut = no_cut};
        sweep(material, how);
    }
}

static struct show *the_show(void)
{
    struct show *show = new_show();
    struct recipe wide = BASELINE, high = BASELINE;
    high.width_mbs = 15;
    high.height_units = 20;
    add_sets(show, &wide);
    for (size_t i = 0; i < 14; i++)
        add_picture(show, &wide, i % 4 == 0, 50, 40 + i);
    add_sets(show, &high);
    for (size_t i = 0; i < 14; i++)
        add_picture(show, &high, i % 4 == 0, 50, 40 + i);
    return show;
}

// Bytes of the messages that stream.h264 has.
static size_t bytes_of(const struct show *show)
{
    size_t bytes = 0;
    for (size_t i = 0; i < show->count; i++)
        bytes += show->messages[i].sound ? 0 : show->messages[i].size;
    return bytes;
}

static void run(enum call call)
{
    struct show *show = the_show(), *loud = with_sound(the_show(), 8000, 0, 30);
    struct album *album = make_album(24, 30);
    size_t bytes = bytes_of(show), jpeg_bytes = 0;
    for (size_t i = 0; i < album->count; i++)
        jpeg_bytes += album->pictures[i].size;
    sweep_all(&(struct material){.show = show, .h264 = true, .bytes = bytes}, call);
    sweep_all(&(struct material){.show = show, .h264 = false, .bytes = bytes}, call);
    sweep_all(&(struct material){.show = loud, .h264 = true, .bytes = bytes_of(loud)}, call);
    sweep_all(&(struct material){.show = loud, .h264 = false, .bytes = bytes_of(loud)}, call);
    sweep_all(&(struct material){.album = album, .bytes = jpeg_bytes}, call);
    free_album(album);
    free(loud);
    free(show);
}

static void test_write(void **state)
{
    (void)state;
    run(PWRITEV);
}

static void test_fdatasync(void **state)
{
    (void)state;
    run(FDATASYNC);
}

static void test_fsync(void **state)
{
    (void)state;
    run(FSYNC);
}

static void test_open(void **state)
{
    (void)state;
    run(OPENAT);
}

static void test_rename(void **state)
{
    (void)state;
    run(RENAMEAT);
}

static void test_truncate(void **state)
{
    (void)state;
    run(FTRUNCATE);
}

// The recovery itself under the same faults: a later run, on a disk that works again, makes good.
static void sweep_recovery(const struct folder *cut, size_t least)
{
    for (enum call call = 0; call < CALLS; call++)
        for (unsigned n = 0, more = 1; more; n++) {
            struct ch_session_summary summary;
            write_folder(place.root, "cut_20260101_000000", cut);
            fault = (typeof(fault)){.armed = true, .call = call, .countdown = n, .error = EIO};
            int rc = ch_recover_session(place.root, "cut_20260101_000000", &summary);
            fault.armed = false;
            more = fault.hit;
            if (rc < 0 || summary.verdict == CH_VERDICT_DAMAGED)
                rc = ch_recover_session(place.root, "cut_20260101_000000", &summary);
            if (rc != 0 && rc != -EALREADY)
                fail_msg("%s at call %u: %s", call_names[call], n, strerror(-rc));
            struct ch_verification result = verify("cut_20260101_000000");
            if (json_array_size(result.problems) > 0 || result.frames < least) {
                char *text = json_dumps(result.problems, JSON_INDENT(1));
                fail_msg("%s fails at call %u: %d frames, %s\n%s", call_names[call], n, (int)result.frames,
                         result.reason, text);
            }
            ch_verification_deinit(&result);
        }
}

static void test_recovery_under_faults(void **state)
{
    (void)state;
    struct show *show = the_show();
    struct album *album = make_album(24, 30);
    struct folder cut;
    record_show(&place, show, true, &cut, NULL);
    file_of(&cut, "stream_2.mp4")->size -= 200;
    file_of(&cut, "stream.h264")->size -= 300;
    file_of(&cut, "frames.idx")->size -= 100;
    sweep_recovery(&cut, 26);
    free_folder(&cut);
    free(show);
    show = with_sound(the_show(), 8000, 0, 30);
    record_show(&place, show, true, &cut, NULL);
    struct ch_record records[MAX_RECORDS]; // the newest AAC frame but one is spoilt, too
    size_t at = records_of(&cut, records, MAX_RECORDS);
    for (int sounds = 0; sounds < 2; sounds += (records[at].flags & CH_FRAME_AUDIO) != 0)
        at--;
    assert_int_equal(records[at].part, 2);
    file_of(&cut, "stream_2.mp4")->data[records[at].sample_offset] ^= 1;
    file_of(&cut, "stream.h264")->size -= 300;
    file_of(&cut, "frames.idx")->size -= 100;
    sweep_recovery(&cut, 28);
    free_folder(&cut);
    record_album(album, &cut, NULL);
    file_of(&cut, "stream.mjpeg")->size -= 100;
    file_of(&cut, "frames.idx")->size -= 300;
    sweep_recovery(&cut, 23);
    free_folder(&cut);
    free_album(album);
    free(show);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_fdatasync),
        cmocka_unit_test(test_fsync),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_rename),
        cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_recovery_under_faults),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
