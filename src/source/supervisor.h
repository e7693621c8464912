// Runs a child as long as somebody needs it: started by the first user, stopped when the last one has been gone for a
// while, started again after a crash with growing pauses, and given up when it crashes too often, until another user
// comes. Sources and outputs (ffmpeg) are run this way.
//
// - Users are counted by the owner, who says how many there are whenever that changes. More than before means that
//   somebody new has come: what was given up or had ended is tried again, at once, and as if it had not crashed before.
//   Without any user it is STOPPED, also if it was waiting, given up or had ended.
// - A child that makes no progress for `stall_us` is stopped and counts as crashed. What progress is, its owner says
//   (ch_supervisor_progress); the start of a run counts. While the owner does not read (ch_child_pause of `child`), and
//   while nobody needs it, there is no stall.
// - A crash is a run that ended without being told to, unless the owner says otherwise. `crash_threshold` of them
//   inside `crash_window_us` and it is given up. A run that made progress, and for `crash_window_us` from then on did
//   not crash, begins the pauses anew.
// - Users that come while a run is being stopped, because there were none, get a new run as soon as that one has ended.
// - What a run still says once it was told to end (its output) is dropped.
//
// Callbacks: every call is allowed from `started`, `output`, `fed` and `ended`; from all of them those that ask, and
// ch_supervisor_close; from `prepare` also ch_supervisor_set_users.
//
// Thread: all calls and callbacks on the loop's thread.
#ifndef CH_SOURCE_SUPERVISOR_H
#define CH_SOURCE_SUPERVISOR_H

#include "source/child.h"

enum ch_supervisor_state {
    CH_SUPERVISOR_STOPPED,  // nobody needs it
    CH_SUPERVISOR_STARTING, // runs; no progress yet
    CH_SUPERVISOR_RUNNING,
    CH_SUPERVISOR_LINGERING, // runs, but nobody needs it any more
    CH_SUPERVISOR_STOPPING,  // was told to end, and has not yet
    CH_SUPERVISOR_WAITING,   // crashed; will be started again
    CH_SUPERVISOR_GIVEN_UP,  // crashed too often; until a new user comes
    CH_SUPERVISOR_ENDED,     // ended by itself, as it should; until a new user comes
};
// "stopped", "starting", "running", "lingering", "stopping", "waiting", "given_up", "ended"
const char *ch_supervisor_state_name(enum ch_supervisor_state state);

struct ch_supervisor_policy {
    unsigned crash_threshold; // 1 or more
    int64_t crash_window_us;
    int64_t linger_us;
    int64_t stall_us;                         // 0: never
    int64_t first_pause_us, longest_pause_us; // each pause is twice the one before
};

enum ch_run_end {
    CH_RUN_CRASHED,
    CH_RUN_HOPELESS, // a crash, and behind it it is given up
    CH_RUN_ENDED,    // is over, and nothing is wrong: not started again for those who are there
    // To be started again at once, in another way; counts for nothing. But behind CH_SUPERVISOR_AGAIN of them in a row,
    // none of which made progress and lasted for `first_pause_us`, the next one is a crash.
    CH_RUN_AGAIN,
};

struct ch_supervisor_ops {
    // A run is to begin: fills in what ch_child_start takes. What it points at is used during the call of
    // ch_child_start only. 0 or a negative errno (then it counts as a crash).
    int (*prepare)(void *owner, struct ch_child_options *options);
    // The run has begun: its stdin may be fed. May be NULL.
    void (*started)(void *owner);
    void (*output)(void *owner, const uint8_t *data, size_t size);
    void (*fed)(void *owner); // may be NULL
    // A run is over. What is the verdict? Not asked for if it was `told` to end, as nobody needed it any more; nor of
    // one that could not begin (prepare or ch_child_start failed: status 127 if there is no such program, else 126),
    // which is a crash.
    enum ch_run_end (*ended)(void *owner, const struct ch_child_exit *how);
    // The state has changed, or another run began in the same one. May be NULL.
    void (*changed)(void *owner);
};

#define CH_SUPERVISOR_CRASHES 32 // remembered; a threshold is no larger
#define CH_SUPERVISOR_AGAIN 5    // CH_RUN_AGAIN in a row

// For reading; of it the owner changes nothing. `child` takes what feeds it, and ch_child_pause and _resume.
struct ch_supervisor {
    struct ch_child child;
    uv_timer_t timer; // linger, pause, or stall
    struct ch_supervisor_policy policy;
    const struct ch_supervisor_ops *ops;
    void *owner;
    void (*closed)(struct ch_supervisor *supervisor);
    enum ch_supervisor_state state;
    int64_t since_us; // in this state, wall clock
    unsigned users;
    bool run;              // there is one: from its start until `ended` is called
    bool stalled, failed;  // of the newest run: stopped as it made no progress; as ch_supervisor_fail was called
    bool told;             // of the newest run: stopped as nobody needed it
    bool more;             // somebody new has come and was not yet considered
    bool busy;             // in a callback behind which users are considered
    bool doubt;            // the time for a stall is over; what has come meanwhile is still read
    bool retry;            // WAITING because of a crash
    bool closing, killing; // ch_supervisor_close was called; the child is being closed
    unsigned again;        // CH_RUN_AGAIN in a row
    unsigned handles;      // that still have to be closed
    int64_t begun_us;      // the newest run, monotonic
    int64_t running_us;    // its first progress, monotonic; 0: none yet
    int64_t progress_us;   // its newest progress or its start, monotonic
    int64_t due_us;        // monotonic: the next run begins (WAITING), or this one is stopped (LINGERING)
    int64_t pause_us;      // the newest pause; 0: the next one is the first
    int64_t crashes_us[CH_SUPERVISOR_CRASHES]; // monotonic, a ring
    uint64_t runs, restarts, crashes;          // so far: attempts, those after the pause behind a crash, and crashes
    uint64_t forgiven;                         // crashes so far that count no more for giving it up
    struct ch_child_exit last;                 // how the newest run ended
};

// policy and ops: the former is copied, the latter borrowed. 0 or a negative errno.
int ch_supervisor_init(struct ch_supervisor *supervisor, uv_loop_t *loop, const struct ch_supervisor_policy *policy,
                       const struct ch_supervisor_ops *ops, void *owner);
// How many need it now.
void ch_supervisor_set_users(struct ch_supervisor *supervisor, unsigned users);
// The run has brought something of use: it is RUNNING, and the time for a stall begins anew. Cheap. No effect without a
// run, or if it is being stopped; nor has ch_supervisor_fail.
void ch_supervisor_progress(struct ch_supervisor *supervisor);
// The run is of no use (garbage came out of it): it is stopped and counts as `ended` says.
void ch_supervisor_fail(struct ch_supervisor *supervisor);
// Crashes inside the window, now.
unsigned ch_supervisor_recent_crashes(const struct ch_supervisor *supervisor);
// Until the next run begins; 0 unless WAITING.
int64_t ch_supervisor_wait_us(const struct ch_supervisor *supervisor);
// Kills a run (SIGTERM first, if `gently`: within the child's grace) and calls `closed`, never from within this call.
// No other callback comes any more. The memory must stay valid until then. A second call, not gently, kills at once
// what the first is waiting for; its `closed` is not used.
void ch_supervisor_close(struct ch_supervisor *supervisor, bool gently,
                         void (*closed)(struct ch_supervisor *supervisor));

#endif
