// camhub verify: checks finished sessions and says what it found.
#include "cli/cli.h"
#include "cli/folders.h"
#include "sink/verify.h"

#include <errno.h>
#include <getopt.h>
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

static int verify_all(char **args, bool json)
{
    struct ch_folders folders = {0};
    int code = CH_EXIT_OK;
    for (; *args; args++) {
        int found = ch_folders_add(&folders, *args);
        if (found > 0)
            continue;
        fprintf(stderr, "camhub verify: %s: %s\n", *args, found < 0 ? strerror(-found) : "no session is there");
        code = CH_EXIT_FAILED;
    }
    json_t *list = json ? json_array() : NULL;
    for (size_t i = 0; i < folders.count; i++)
        if (verify_one(folders.paths[i], list) != CH_EXIT_OK)
            code = CH_EXIT_FAILED;
    if (list) {
        json_dumpf(list, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(list);
    }
    ch_folders_deinit(&folders);
    return code;
}

int ch_cli_verify(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    bool json = false;
    optind = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(help, stdout);
            return CH_EXIT_OK;
        }
        if (option != 'j') {
            fprintf(stderr, "camhub verify: unknown option %s\nTry 'camhub verify --help'.\n", argv[optind - 1]);
            return CH_EXIT_USAGE;
        }
        json = true;
    }
    if (optind == argc) {
        fputs("camhub verify: no folder is named\nTry 'camhub verify --help'.\n", stderr);
        return CH_EXIT_USAGE;
    }
    return verify_all(argv + optind, json);
}
