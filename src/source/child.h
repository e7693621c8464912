// A child process on a loop: foreign work (ffmpeg) that may crash, hang, flood or eat memory without
// taking the program along.
//
// - A run ends in bounded time: by itself, by its time limit, or by ch_child_stop. The latter two send
//   SIGTERM and, when the grace is over, SIGKILL, to the whole process group: every child leads a
//   session of its own, and what is left of it when its leader ends is killed too.
// - `exited` comes last, when all output has been delivered and every handle of the run is closed, so
//   the next run may be started from it.
// - stderr is always read, so a chatty child never blocks on it; only its end is kept, for messages. A
//   child that floods it is slowed down, not the loop.
// - A child must not outlive us when we are killed. The kernel offers PR_SET_PDEATHSIG, which a process
//   can only ask for itself, and not through uv_spawn. So the program starts itself (`helper`), which
//   asks for that, closes inherited descriptors, takes on the limits and becomes the command
//   (ch_child_exec). Without a helper, limits are set from outside right after the start, and the
//   other two promises are not made.
// - That promise is for the child itself. What it starts in turn goes with it only if it asked for the same,
//   as our own program does when it is the child; other grandchildren outlive our violent end. ffmpeg
//   starts no process, so of it nothing stays.
// - Words that hold secrets are seen in the title of the command itself, and in no title of ours: the helper
//   gets them in a file without a name. CAMHUB_* and FFMPEG_BIN are left out of the environment. No core is
//   dumped. No signal is ignored or blocked in the child.
//
// Thread: all calls and callbacks on the loop's thread. That thread must live as long as the child:
// the kernel's "parent" is the thread that forked. SIGPIPE must be ignored by the program.
#ifndef CH_SOURCE_CHILD_H
#define CH_SOURCE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct ch_redactor;

#define CH_CHILD_NICE 5                    // what foreign work usually runs at
#define CH_CHILD_GRACE_US INT64_C(5000000) // from SIGTERM to SIGKILL
#define CH_CHILD_ERRORS_BYTES 4096         // of stderr kept
#define CH_CHILD_ERROR_LINES 20            // of them shown
#define CH_CHILD_HELPER "/proc/self/exe"   // `helper` for a program whose main() routes CH_CHILD_HELPER_WORD
#define CH_CHILD_HELPER_WORD "child-exec"  // first argument of the helper

struct ch_child_options {
    const char *const *argv;      // one or more, ends with NULL; argv[0] is searched in PATH
    const char *helper;           // this program's own path; NULL: started directly
    int64_t time_limit_us;        // 0: none
    int64_t grace_us;             // 0: CH_CHILD_GRACE_US
    int nice;                     // raised to this
    uint64_t address_space_bytes; // 0: unlimited
    uint64_t open_files;          // 0: as ours
    bool feed;                    // stdin is fed by ch_child_write; else it is empty
};

struct ch_child_exit {
    int status;     // of exit(), if signal is 0
    int signal;     // that ended it, or 0
    bool stopped;   // ch_child_stop was called
    bool timed_out; // the time limit was over
};

struct ch_child_events {
    // Bytes of stdout, borrowed for the call. NULL: they are dropped.
    void (*output)(void *context, const uint8_t *data, size_t size);
    // All that was written has been taken by the child's stdin. May be NULL.
    void (*fed)(void *context);
    // The run is over. ch_child_start and ch_child_close are allowed in here.
    void (*exited)(void *context, const struct ch_child_exit *how);
};

struct ch_child {
    void (*closed)(struct ch_child *child);
    uv_loop_t *loop;
    const struct ch_child_events *events;
    void *context;

    uv_process_t process;
    uv_pipe_t in, out, err;
    uv_timer_t timer;    // time limit, then grace, then the wait for the end of the output
    uv_timer_t throttle; // of stderr
    int state;
    unsigned handles; // that still have to be closed
    int64_t grace_us;
    int64_t resumed_us; // monotonic: ch_child_resume had an effect, of this run
    bool has_in, start_failed, paused, closing, out_ended, err_ended, err_held, in_failed;
    size_t err_window_bytes; // read since the throttle's last tick
    size_t unwritten_bytes;
    struct ch_child_exit how;

    size_t errors_used;
    bool errors_cut; // they begin in the middle of a line
    char errors[CH_CHILD_ERRORS_BYTES];
    char buffer[65536]; // libuv reads into it and calls back at once
};

// events and loop are borrowed until closed. 0 or a negative errno.
int ch_child_init(struct ch_child *child, uv_loop_t *loop, const struct ch_child_events *events, void *context);

// Starts a run; options and what they name are used during the call only. 0; -EBUSY while a run is not
// over; -ENOENT, -EACCES, ... if the command cannot be run (with a helper this shows as exit status
// 127 or 126 and a line on stderr instead). After a failure there is no `exited`, but -EBUSY for the
// rest of the loop's iteration.
__attribute__((warn_unused_result)) int ch_child_start(struct ch_child *child, const struct ch_child_options *options);

// SIGTERM, later SIGKILL. `exited` follows. No effect without a run. A paused output goes on.
void ch_child_stop(struct ch_child *child);

// SIGKILL if there is a run (and no `exited` for it). The memory must stay valid until `closed`, which
// is called once, never from within this call.
void ch_child_close(struct ch_child *child, void (*closed)(struct ch_child *child));

bool ch_child_running(const struct ch_child *child); // from start until `exited`
bool ch_child_ready(const struct ch_child *child);   // ch_child_start would not be -EBUSY
int ch_child_pid(const struct ch_child *child);      // 0 without a run

// Stops and continues the reading of stdout: the child blocks when its pipe is full.
void ch_child_pause(struct ch_child *child);
void ch_child_resume(struct ch_child *child);
bool ch_child_paused(const struct ch_child *child);        // false without a run
int64_t ch_child_resumed_us(const struct ch_child *child); // when it was continued last, monotonic; 0: not in this run

// Feeds stdin (copied). 0, -ENOMEM, or -EPIPE: no run, not fed, or the child closed it.
int ch_child_write(struct ch_child *child, const void *data, size_t size);
size_t ch_child_unwritten(const struct ch_child *child); // bytes not yet taken
void ch_child_end_input(struct ch_child *child);         // end of file behind what was written

// The last `lines` (1 or more) that are not empty of the newest run's stderr, control characters as blanks,
// '\n' between them; secrets hidden (`redactor` NULL: not, for children that know none). A line whose beginning
// is not kept any more is left out. Length without the zero; cut at the front if it does not fit, after the
// secrets were hidden: who hides them later would not recognise one that was cut in half.
size_t ch_child_said(const struct ch_child *child, const struct ch_redactor *redactor, unsigned lines, char *out,
                     size_t room);
// The last of them; nothing is hidden.
size_t ch_child_last_error(const struct ch_child *child, char *out, size_t room);
void ch_child_forget_errors(struct ch_child *child);

// The helper: takes on what the arguments say and becomes the command that it finds in the inherited descriptor that
// they name. argv[0] is CH_CHILD_HELPER_WORD. Returns an exit status, and only on failure: 2 (bad arguments), 126, 127.
int ch_child_exec(int argc, char **argv);

#endif
