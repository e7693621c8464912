#include "app/recovery.h"

#include "app/film.h"
#include "app/session.h"
#include "base/log.h"
#include "sink/recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct recovery {
    uv_work_t work;
    struct ch_hub *hub;
    int root;
    DIR *folder;      // read on by every piece of work
    bool found, film; // a session was finished; one lacks its film
    struct ch_session_summary summary;
};

static bool is_session_name(const char *name)
{
    return name[0] != '.' && strlen(name) < CH_SESSION_ID_BYTES;
}

static void recover(struct recovery *recovery, const char *id)
{
    if (!ch_recover_needed(recovery->root, id)) {
        recovery->film = ch_recover_film_missing(recovery->root, id);
        memcpy(recovery->summary.id, id, strlen(id) + 1); // is_session_name has seen to its length
        return;
    }
    int rc = ch_recover_session(recovery->root, id, &recovery->summary);
    if (rc == 0) {
        recovery->found = true;
        recovery->film = recovery->summary.kind == CH_SESSION_JPEG && recovery->summary.frames > 0;
        ch_log_info("session %s was interrupted and is finished now: %s (%s)", id,
                    ch_verdict_name(recovery->summary.verdict), recovery->summary.reason);
    } else if (rc != -EALREADY && rc != -ENOENT && rc != -EBUSY) {
        ch_log_error("session %s was interrupted and cannot be finished: %s", id, strerror(-rc));
    }
}

// Goes on through the folder until one session was recovered, or lacks its film, or the hub ends.
static void run_next(uv_work_t *work)
{
    struct recovery *recovery = work->data;
    recovery->found = recovery->film = false;
    for (struct dirent *entry; !recovery->found && !recovery->film && !atomic_load(&recovery->hub->ending) &&
                               (entry = readdir(recovery->folder));)
        if (is_session_name(entry->d_name))
            recover(recovery, entry->d_name);
}

static void on_next(uv_work_t *work, int status)
{
    struct recovery *recovery = work->data;
    struct ch_hub *hub = recovery->hub;
    if ((recovery->found || recovery->film) && status == 0 && !recovery->hub->stopping) {
        if (recovery->found)
            ch_session_add_finished(recovery->hub, &recovery->summary);
        if (recovery->film)
            ch_film_want(recovery->hub, recovery->summary.id);
        if (uv_queue_work(recovery->hub->loop, work, run_next, on_next) == 0)
            return;
    }
    closedir(recovery->folder); // and root with it
    free(recovery);
    hub->works--;
    ch_hub_check_stopped(hub);
}

void ch_recovery_start(struct ch_hub *hub)
{
    struct recovery *recovery = calloc(1, sizeof *recovery);
    if (!recovery)
        return;
    recovery->hub = hub;
    recovery->work.data = recovery;
    recovery->root = openat(hub->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    recovery->folder = recovery->root >= 0 ? fdopendir(recovery->root) : NULL;
    if (recovery->folder && uv_queue_work(hub->loop, &recovery->work, run_next, on_next) == 0) {
        hub->works++;
        return;
    }
    ch_log_error("recordings cannot be looked through for interrupted ones: %s", strerror(errno));
    if (recovery->folder)
        closedir(recovery->folder);
    else if (recovery->root >= 0)
        close(recovery->root);
    free(recovery);
}
