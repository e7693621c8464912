// Every function that makes a transition ends with enter() or begin(), so that whatever the owner does in a callback
// finds a supervisor that is whole. Users who come and go in the midst of one (`busy`) are only noted, and considered
// when it is made.
#include "source/supervisor.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

static void on_timer(uv_timer_t *timer);

const char *ch_supervisor_state_name(enum ch_supervisor_state state)
{
    static const char *const names[] = {
        [CH_SUPERVISOR_STOPPED] = "stopped",   [CH_SUPERVISOR_STARTING] = "starting",
        [CH_SUPERVISOR_RUNNING] = "running",   [CH_SUPERVISOR_LINGERING] = "lingering",
        [CH_SUPERVISOR_STOPPING] = "stopping", [CH_SUPERVISOR_WAITING] = "waiting",
        [CH_SUPERVISOR_GIVEN_UP] = "given_up", [CH_SUPERVISOR_ENDED] = "ended",
    };
    return names[state];
}

// --- time -------------------------------------------------------------------------------------

static bool wanted_run(const struct ch_supervisor *supervisor)
{
    return supervisor->state == CH_SUPERVISOR_STARTING || supervisor->state == CH_SUPERVISOR_RUNNING;
}

static int64_t stall_due_us(const struct ch_supervisor *supervisor)
{
    int64_t from_us = supervisor->progress_us, resumed_us = ch_child_resumed_us(&supervisor->child);
    return (resumed_us > from_us ? resumed_us : from_us) + supervisor->policy.stall_us;
}

// When something happens by itself, monotonic; 0: nothing will.
static int64_t next_due_us(const struct ch_supervisor *supervisor)
{
    if (supervisor->state == CH_SUPERVISOR_LINGERING || supervisor->state == CH_SUPERVISOR_WAITING)
        return supervisor->due_us;
    return wanted_run(supervisor) && supervisor->policy.stall_us > 0 ? stall_due_us(supervisor) : 0;
}

// Never 0 ms: the loop is to read what has come before a timer that was set in a timer is over.
static void arm(struct ch_supervisor *supervisor)
{
    int64_t due_us = next_due_us(supervisor);
    if (due_us == 0) {
        uv_timer_stop(&supervisor->timer);
        return;
    }
    int64_t left_us = due_us - ch_clock_mono_us();
    uv_timer_start(&supervisor->timer, on_timer, left_us <= 1000 ? 1 : (uint64_t)(left_us + 999) / 1000, 0);
}

// --- transitions ------------------------------------------------------------------------------

static void begin(struct ch_supervisor *supervisor);

// The owner may do anything in `changed`: nothing is done behind it.
static void enter(struct ch_supervisor *supervisor, enum ch_supervisor_state state)
{
    supervisor->state = state;
    supervisor->since_us = ch_clock_wall_us();
    supervisor->doubt = false;
    arm(supervisor);
    if (supervisor->ops->changed)
        supervisor->ops->changed(supervisor->owner);
}

static void wait_for(struct ch_supervisor *supervisor, int64_t us)
{
    supervisor->due_us = ch_clock_mono_us() + us;
    enter(supervisor, CH_SUPERVISOR_WAITING);
}

static void stop(struct ch_supervisor *supervisor)
{
    ch_child_stop(&supervisor->child);
    enter(supervisor, CH_SUPERVISOR_STOPPING);
}

static void forgive(struct ch_supervisor *supervisor)
{
    supervisor->forgiven = supervisor->crashes;
    supervisor->pause_us = 0;
    supervisor->again = 0;
}

// Given up, or ended.
static void leave_idle(struct ch_supervisor *supervisor)
{
    if (supervisor->users > 0 && !supervisor->more)
        return;
    forgive(supervisor);
    if (supervisor->users > 0)
        begin(supervisor);
    else
        enter(supervisor, CH_SUPERVISOR_STOPPED);
}

// The users have changed.
static void consider(struct ch_supervisor *supervisor)
{
    switch (supervisor->state) {
    case CH_SUPERVISOR_STOPPED:
        if (supervisor->users > 0)
            begin(supervisor);
        break;
    case CH_SUPERVISOR_STARTING:
    case CH_SUPERVISOR_RUNNING:
        supervisor->more = false;
        if (supervisor->users > 0)
            break;
        supervisor->due_us = ch_clock_mono_us() + supervisor->policy.linger_us;
        enter(supervisor, CH_SUPERVISOR_LINGERING);
        break;
    case CH_SUPERVISOR_LINGERING:
        supervisor->more = false;
        if (supervisor->users > 0)
            enter(supervisor, supervisor->running_us ? CH_SUPERVISOR_RUNNING : CH_SUPERVISOR_STARTING);
        break;
    case CH_SUPERVISOR_STOPPING: break; // when it has ended
    case CH_SUPERVISOR_WAITING:
        supervisor->more = false;
        if (supervisor->users == 0)
            enter(supervisor, CH_SUPERVISOR_STOPPED);
        break;
    case CH_SUPERVISOR_GIVEN_UP:
    case CH_SUPERVISOR_ENDED: leave_idle(supervisor); break;
    }
}

void ch_supervisor_set_users(struct ch_supervisor *supervisor, unsigned users)
{
    if (supervisor->closing || users == supervisor->users)
        return;
    supervisor->more |= users > supervisor->users;
    supervisor->users = users;
    if (!supervisor->busy)
        consider(supervisor);
}

void ch_supervisor_progress(struct ch_supervisor *supervisor)
{
    if (!supervisor->run || supervisor->closing || supervisor->state == CH_SUPERVISOR_STOPPING)
        return;
    supervisor->progress_us = ch_clock_mono_us();
    if (!supervisor->running_us)
        supervisor->running_us = supervisor->progress_us;
    if (supervisor->state == CH_SUPERVISOR_STARTING)
        enter(supervisor, CH_SUPERVISOR_RUNNING);
}

void ch_supervisor_fail(struct ch_supervisor *supervisor)
{
    if (!supervisor->run || supervisor->closing || supervisor->state == CH_SUPERVISOR_STOPPING)
        return;
    supervisor->failed = true;
    stop(supervisor);
}

static void check_stall(struct ch_supervisor *supervisor)
{
    if (ch_child_paused(&supervisor->child)) {
        supervisor->progress_us = ch_clock_mono_us();
        arm(supervisor);
    } else if (!supervisor->doubt) {
        // If this process did not get to run, what the child gave meanwhile has not been read.
        supervisor->doubt = true;
        arm(supervisor);
    } else {
        supervisor->stalled = true;
        stop(supervisor);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct ch_supervisor *supervisor = timer->data;
    if (next_due_us(supervisor) > ch_clock_mono_us()) {
        supervisor->doubt = false;
        arm(supervisor); // there has been progress, or the loop's clock was behind
    } else if (supervisor->state == CH_SUPERVISOR_WAITING) {
        supervisor->restarts += supervisor->retry;
        begin(supervisor);
    } else if (supervisor->state == CH_SUPERVISOR_LINGERING) {
        supervisor->told = true;
        stop(supervisor);
    } else if (wanted_run(supervisor)) {
        check_stall(supervisor);
    }
}

// --- the end of a run -------------------------------------------------------------------------

// Inside the window, and behind the first `forgiven` of all.
static unsigned count_crashes(const struct ch_supervisor *supervisor, uint64_t forgiven)
{
    int64_t since_us = ch_clock_mono_us() - supervisor->policy.crash_window_us;
    uint64_t i = supervisor->crashes > CH_SUPERVISOR_CRASHES ? supervisor->crashes - CH_SUPERVISOR_CRASHES : 0;
    unsigned count = 0;
    for (i = i < forgiven ? forgiven : i; i < supervisor->crashes; i++)
        count += supervisor->crashes_us[i % CH_SUPERVISOR_CRASHES] > since_us;
    return count;
}

unsigned ch_supervisor_recent_crashes(const struct ch_supervisor *supervisor)
{
    return count_crashes(supervisor, 0);
}

static int64_t next_pause_us(struct ch_supervisor *supervisor)
{
    const struct ch_supervisor_policy *policy = &supervisor->policy;
    supervisor->pause_us = supervisor->pause_us ? 2 * supervisor->pause_us : policy->first_pause_us;
    if (supervisor->pause_us > policy->longest_pause_us)
        supervisor->pause_us = policy->longest_pause_us;
    return supervisor->pause_us;
}

static void after_crash(struct ch_supervisor *supervisor, bool hopeless)
{
    supervisor->crashes_us[supervisor->crashes++ % CH_SUPERVISOR_CRASHES] = ch_clock_mono_us();
    int64_t pause_us = next_pause_us(supervisor);
    supervisor->retry = true;
    if (supervisor->users == 0) {
        enter(supervisor, CH_SUPERVISOR_STOPPED);
    } else if (!hopeless && count_crashes(supervisor, supervisor->forgiven) < supervisor->policy.crash_threshold) {
        wait_for(supervisor, pause_us);
    } else if (supervisor->more) {
        // Somebody new came while it ended. Not at once: this may be the end of a run that could not begin.
        forgive(supervisor);
        wait_for(supervisor, next_pause_us(supervisor));
    } else {
        enter(supervisor, CH_SUPERVISOR_GIVEN_UP);
    }
}

// Asks the owner. False if he closed.
static bool tell_end(struct ch_supervisor *supervisor, const struct ch_child_exit *how, enum ch_run_end *verdict)
{
    supervisor->run = false;
    supervisor->last = *how;
    supervisor->busy = true;
    *verdict = supervisor->ops->ended(supervisor->owner, how);
    supervisor->busy = false;
    return !supervisor->closing;
}

// What the length and the use of the run that is over say about the next ones.
static void judge_run(struct ch_supervisor *supervisor)
{
    int64_t now_us = ch_clock_mono_us();
    if (!supervisor->running_us)
        return;
    if (now_us - supervisor->running_us >= supervisor->policy.crash_window_us)
        supervisor->pause_us = 0;
    if (now_us - supervisor->begun_us >= supervisor->policy.first_pause_us)
        supervisor->again = 0;
}

// CH_RUN_AGAIN without end is a crash.
static enum ch_run_end limit_again(struct ch_supervisor *supervisor, enum ch_run_end verdict)
{
    if (verdict == CH_RUN_AGAIN && ++supervisor->again <= CH_SUPERVISOR_AGAIN)
        return CH_RUN_AGAIN;
    supervisor->again = 0;
    return verdict == CH_RUN_AGAIN ? CH_RUN_CRASHED : verdict;
}

static void run_over(struct ch_supervisor *supervisor, const struct ch_child_exit *how)
{
    enum ch_run_end verdict;
    if (!tell_end(supervisor, how, &verdict))
        return;
    judge_run(supervisor);
    if (supervisor->told) {
        if (supervisor->users > 0)
            begin(supervisor);
        else
            enter(supervisor, CH_SUPERVISOR_STOPPED);
        return;
    }
    verdict = limit_again(supervisor, verdict);
    if (verdict == CH_RUN_CRASHED || verdict == CH_RUN_HOPELESS)
        after_crash(supervisor, verdict == CH_RUN_HOPELESS);
    else if (supervisor->users == 0)
        enter(supervisor, CH_SUPERVISOR_STOPPED);
    else if (verdict == CH_RUN_AGAIN || supervisor->more)
        begin(supervisor);
    else
        enter(supervisor, CH_SUPERVISOR_ENDED);
}

// --- the start of a run -----------------------------------------------------------------------

static int prepare_and_start(struct ch_supervisor *supervisor)
{
    struct ch_child_options options = {0};
    supervisor->busy = true;
    int rc = supervisor->ops->prepare(supervisor->owner, &options);
    supervisor->busy = false;
    if (rc < 0 || supervisor->closing)
        return rc;
    return ch_child_start(&supervisor->child, &options);
}

static void could_not_begin(struct ch_supervisor *supervisor, int error)
{
    enum ch_run_end verdict;
    if (tell_end(supervisor, &(struct ch_child_exit){.status = error == -ENOENT ? 127 : 126}, &verdict))
        after_crash(supervisor, false);
}

static void has_begun(struct ch_supervisor *supervisor)
{
    uint64_t run = supervisor->runs;
    supervisor->run = true;
    enter(supervisor, CH_SUPERVISOR_STARTING);
    if (supervisor->ops->started && supervisor->run && supervisor->runs == run && !supervisor->closing &&
        supervisor->state != CH_SUPERVISOR_STOPPING)
        supervisor->ops->started(supervisor->owner);
    if (!supervisor->closing && supervisor->users == 0 && wanted_run(supervisor))
        consider(supervisor); // they left while it was prepared
}

static void begin(struct ch_supervisor *supervisor)
{
    supervisor->more = false;
    if (!ch_child_ready(&supervisor->child)) { // the handles of a start that failed are still being closed
        supervisor->retry = false;
        wait_for(supervisor, 1000);
        return;
    }
    supervisor->stalled = supervisor->failed = supervisor->told = false;
    supervisor->runs++;
    supervisor->running_us = 0;
    supervisor->begun_us = supervisor->progress_us = ch_clock_mono_us();
    ch_child_forget_errors(&supervisor->child);
    int rc = prepare_and_start(supervisor);
    if (supervisor->closing)
        return;
    if (rc < 0)
        could_not_begin(supervisor, rc);
    else
        has_begun(supervisor);
}

// --- the child's calls ------------------------------------------------------------------------

static bool listens(const struct ch_supervisor *supervisor)
{
    return !supervisor->closing && supervisor->state != CH_SUPERVISOR_STOPPING;
}

static void on_output(void *context, const uint8_t *data, size_t size)
{
    struct ch_supervisor *supervisor = context;
    if (listens(supervisor) && supervisor->ops->output)
        supervisor->ops->output(supervisor->owner, data, size);
}

static void on_fed(void *context)
{
    struct ch_supervisor *supervisor = context;
    if (listens(supervisor) && supervisor->run && supervisor->ops->fed)
        supervisor->ops->fed(supervisor->owner);
}

static void kill_child(struct ch_supervisor *supervisor);

static void on_exited(void *context, const struct ch_child_exit *how)
{
    struct ch_supervisor *supervisor = context;
    if (supervisor->closing)
        kill_child(supervisor);
    else
        run_over(supervisor, how);
}

static const struct ch_child_events child_events = {.output = on_output, .fed = on_fed, .exited = on_exited};

// --- life -------------------------------------------------------------------------------------

int ch_supervisor_init(struct ch_supervisor *supervisor, uv_loop_t *loop, const struct ch_supervisor_policy *policy,
                       const struct ch_supervisor_ops *ops, void *owner)
{
    memset(supervisor, 0, sizeof *supervisor);
    supervisor->policy = *policy;
    if (supervisor->policy.crash_threshold < 1)
        supervisor->policy.crash_threshold = 1;
    if (supervisor->policy.crash_threshold > CH_SUPERVISOR_CRASHES)
        supervisor->policy.crash_threshold = CH_SUPERVISOR_CRASHES;
    supervisor->ops = ops;
    supervisor->owner = owner;
    supervisor->since_us = ch_clock_wall_us();
    int rc = uv_timer_init(loop, &supervisor->timer);
    if (rc < 0)
        return rc;
    supervisor->timer.data = supervisor;
    return ch_child_init(&supervisor->child, loop, &child_events, supervisor);
}

int64_t ch_supervisor_wait_us(const struct ch_supervisor *supervisor)
{
    int64_t left_us = supervisor->state == CH_SUPERVISOR_WAITING ? supervisor->due_us - ch_clock_mono_us() : 0;
    return left_us > 0 ? left_us : 0;
}

static void one_closed(struct ch_supervisor *supervisor)
{
    if (--supervisor->handles == 0)
        supervisor->closed(supervisor);
}

static void on_timer_closed(uv_handle_t *handle)
{
    one_closed(handle->data);
}

static void on_child_closed(struct ch_child *child)
{
    one_closed(child->context);
}

static void kill_child(struct ch_supervisor *supervisor)
{
    supervisor->killing = true;
    ch_child_close(&supervisor->child, on_child_closed);
}

void ch_supervisor_close(struct ch_supervisor *supervisor, bool gently,
                         void (*closed)(struct ch_supervisor *supervisor))
{
    if (!supervisor->closing) {
        supervisor->closing = true;
        supervisor->closed = closed;
        supervisor->handles = 2;
        uv_close((uv_handle_t *)&supervisor->timer, on_timer_closed);
    }
    if (supervisor->killing)
        return;
    if (gently && ch_child_running(&supervisor->child))
        ch_child_stop(&supervisor->child);
    else
        kill_child(supervisor);
}
