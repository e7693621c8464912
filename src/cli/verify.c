// camhub verify: checks finished sessions and says what it found.
#include "cli/cli.h"
#include "cli/folders.h"
#include "sink/verify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: camhub verify [--json] DIR...\n"
    "\n"
    "Checks recorded sessions against themselves: every picture against its checksum in frames.idx, the\n"
    "index against session.json, all sizes and counts. Reads everything, changes nothing.\n"
    "\n"
    "  DIR      a session's folder, or a recordings folder: then all sessions in it\n"
    "  --json   an array of objects with id, path, verdict, reason, frames, missing, bytes, problems\n"
    "  --help   this text\n"
    "\n"
    "One line for each session: its verdict, its name, and why.\n"
    "  complete    every frame is there that the camera sent\n"
    "  gaps        frames are missing that never arrived; what arrived is intact\n"
    "  recovered   the recording was interrupted and finished afterwards; what was written is intact\n"
    "  damaged     something is not as it was recorded, or a disk error ended a file\n"
    "Exit status: 0 if no session is damaged, 1 otherwise, 2 wrong usage.\n";

static json_t *to_json(const char *id, const char *path, const struct ch_verification *result)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:O}", "id", id, "path", path, "verdict",
                     ch_verdict_name(result->verdict), "reason", result->reason, "frames", (json_int_t)result->frames,
                     "missing", (json_int_t)result->missing, "bytes", (json_int_t)result->bytes, "problems",
                     result->problems);
}

static int verify_one(char *path, json_t *list)
{
    struct ch_verification result;
    const char *id = ch_folder_id(path);
    int rc = ch_verify_session(path, &result);
    if (rc < 0) {
        result.verdict = CH_VERDICT_DAMAGED;
        snprintf(result.reason, sizeof result.reason, "cannot be checked (%s)", strerror(-rc));
    }
    if (list)
        json_array_append_new(list, to_json(id, path, &result));
    else
        printf("%-9s  %s  %s\n", ch_verdict_name(result.verdict), id, result.reason);
    fflush(stdout);
    int code = result.verdict == CH_VERDICT_DAMAGED ? CH_EXIT_FAILED : CH_EXIT_OK;
    ch_verification_deinit(&result);
    return code;
}

int ch_cli_verify(int argc, char **argv)
{
    return ch_folders_command(argc, argv, help, verify_one);
}
