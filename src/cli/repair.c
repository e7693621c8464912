// camhub repair: finishes interrupted sessions, as the hub does it at its start.
#include "cli/cli.h"
#include "cli/folders.h"
#include "sink/recover.h"

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
    "by itself when it starts. A session that needs nothing is not touched.\n"
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
};

static struct outcome outcome_of(int rc, const struct ch_session_summary *summary)
{
    switch (rc) {
    case 0:
        return (struct outcome){"repaired", ch_verdict_name(summary->verdict), summary->reason,
                                summary->verdict == CH_VERDICT_DAMAGED ? CH_EXIT_FAILED : CH_EXIT_OK};
    case -EALREADY: return (struct outcome){"nothing", NULL, "nothing to repair", CH_EXIT_OK};
    case -ENOENT: return (struct outcome){"nothing", NULL, "not a session of this program", CH_EXIT_OK};
    case -EBUSY: return (struct outcome){"busy", NULL, "it is being recorded", CH_EXIT_OK};
    default: return (struct outcome){"failed", NULL, strerror(-rc), CH_EXIT_FAILED};
    }
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
    struct outcome outcome = outcome_of(rc, &summary);
    tell(id, path, &outcome, &summary, list);
    return outcome.code;
}

int ch_cli_repair(int argc, char **argv)
{
    return ch_folders_command(argc, argv, help, repair_one);
}
