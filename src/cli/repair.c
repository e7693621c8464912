// camhub repair: finishes interrupted sessions, as the hub does it at its start, and makes missing films of JPEG cameras.
#include "cli/cli.h"
#include "cli/film.h"
#include "cli/folders.h"
#include "cli/push_ffmpeg.h"
#include "sink/recover.h"
#include "source/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: camhub repair [--json] DIR...\n"
    "\n"
    "Finishes recordings that were interrupted by a crash, a power cut or a full disk: torn ends are cut,\n"
    "stream.mp4 becomes seekable, what stream.mp4 or stream.h264 lost is taken from the other one, the\n"
    "report is written. Where only stream.h264 is left, stream.mp4 is made from it. The hub does all this\n"
    "by itself when it starts. Of JPEG cameras, stream.mp4 is made by ffmpeg where it is missing; FFMPEG_BIN\n"
    "names the program. A session that needs nothing is not touched.\n"
    "\n"
    "  DIR      a session's folder, or a recordings folder: then all sessions in it\n"
    "  --json   an array of objects with id, path, result (repaired, nothing, busy, failed), verdict,\n"
    "           reason, frames, missing, bytes\n"
    "  --help   this text\n"
    "\n"
    "One line for each session: its verdict now (or - where nothing was to be done), its name, and why.\n"
    "Exit status: 0 all done, 1 something failed or is damaged, 2 wrong usage.\n";

struct outcome {
    const char *result, *verdict, *reason; // verdict NULL: none
    int code;
    char text[512]; // what `reason` may point at
};

static void set_outcome(struct outcome *outcome, const char *result, const char *reason, int code)
{
    *outcome = (struct outcome){.result = result, .reason = reason, .code = code};
}

static void judge(int rc, const struct ch_session_summary *summary, struct outcome *outcome)
{
    switch (rc) {
    case 0:
        set_outcome(outcome, "repaired", summary->reason,
                    summary->verdict == CH_VERDICT_DAMAGED ? CH_EXIT_FAILED : CH_EXIT_OK);
        outcome->verdict = ch_verdict_name(summary->verdict);
        return;
    case -EALREADY: set_outcome(outcome, "nothing", "nothing to repair", CH_EXIT_OK); return;
    case -ENOENT: set_outcome(outcome, "nothing", "not a session of this program", CH_EXIT_OK); return;
    case -EBUSY: set_outcome(outcome, "busy", "it is being recorded, or its film is being made", CH_EXIT_OK); return;
    default: set_outcome(outcome, "failed", strerror(-rc), CH_EXIT_FAILED);
    }
}

// Makes the film of a JPEG camera's session where it is missing, and adds to the outcome what came of it. False if the
// program is to end.
static bool make_film(const char *path, struct outcome *outcome)
{
    const struct ch_film_options options = {.ffmpeg = ch_push_ffmpeg_name(), .helper = CH_CHILD_HELPER};
    struct ch_film film;
    int rc = ch_film_make(path, &options, &film);
    bool no_pictures = (rc == -ENOENT || rc == -ENODATA) && film.pictures == 0;
    if (rc == -EALREADY || rc == -EBUSY || no_pictures)
        return true;
    const char *before = outcome->verdict ? outcome->reason : NULL;
    if (rc < 0)
        snprintf(outcome->text, sizeof outcome->text, "%s%sno film: %s", before ? before : "", before ? "; " : "",
                 film.reason);
    else
        snprintf(outcome->text, sizeof outcome->text, "%s%sthe film was made: %llu of %llu pictures",
                 before ? before : "", before ? "; " : "", (unsigned long long)film.frames,
                 (unsigned long long)film.pictures);
    outcome->reason = outcome->text;
    outcome->result = rc < 0 ? "failed" : "repaired";
    outcome->code = rc < 0 ? CH_EXIT_FAILED : outcome->code;
    return rc != -ECANCELED;
}

static void tell(const char *id, const char *path, const struct outcome *outcome,
                 const struct ch_session_summary *summary, json_t *list)
{
    if (list)
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s?,s:s,s:I,s:I,s:I}", "id", id, "path", path, "result",
                                              outcome->result, "verdict", outcome->verdict, "reason", outcome->reason,
                                              "frames", (json_int_t)summary->frames, "missing",
                                              (json_int_t)summary->missing, "bytes", (json_int_t)summary->bytes));
    else
        printf("%-9s  %s  %s\n",
               outcome->verdict ? outcome->verdict
               : outcome->code  ? outcome->result
                                : "-",
               id, outcome->reason);
    fflush(stdout);
}

static int repair_one(char *path, json_t *list)
{
    struct ch_session_summary summary = {0};
    const char *id = ch_folder_id(path);
    char *above = strndup(path, id > path ? (size_t)(id - path) : 0);
    int root = above ? open(above[0] ? above : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = root < 0 ? -errno : ch_recover_session(root, id, &summary);
    if (root >= 0)
        close(root);
    free(above);
    struct outcome outcome;
    judge(rc, &summary, &outcome);
    bool go_on = (rc != 0 && rc != -EALREADY) || make_film(path, &outcome);
    tell(id, path, &outcome, &summary, list);
    if (!go_on)
        exit(CH_EXIT_FAILED);
    return outcome.code;
}

int ch_cli_repair(int argc, char **argv)
{
    return ch_folders_command(argc, argv, help, repair_one);
}
