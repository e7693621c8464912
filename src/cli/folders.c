#include "cli/folders.h"

#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_session(const char *path)
{
    static const char *const names[] = {"session.json", "frames.idx", "stream.mp4", "stream.h264", "stream.mjpeg"};
    char file[4096];
    struct stat st;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((size_t)snprintf(file, sizeof file, "%s/%s", path, names[i]) < sizeof file && lstat(file, &st) == 0 &&
            S_ISREG(st.st_mode))
            return true;
    return false;
}

static int add(struct ch_folders *folders, const char *path)
{
    char **paths = realloc(folders->paths, (folders->count + 1) * sizeof *paths);
    if (!paths)
        return -ENOMEM;
    folders->paths = paths;
    paths[folders->count] = strdup(path);
    if (!paths[folders->count])
        return -ENOMEM;
    folders->count++;
    return 0;
}

static int add_all(struct ch_folders *folders, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort), added = 0, rc = 0;
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        char child[4096];
        struct stat st;
        if (rc == 0 && entries[i]->d_name[0] != '.' &&
            (size_t)snprintf(child, sizeof child, "%s/%s", path, entries[i]->d_name) < sizeof child &&
            lstat(child, &st) == 0 && S_ISDIR(st.st_mode) && is_session(child)) {
            rc = add(folders, child);
            added += rc == 0;
        }
        free(entries[i]);
    }
    free(entries);
    return rc < 0 ? rc : added;
}

int ch_folders_add(struct ch_folders *folders, const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    if (!is_session(path))
        return add_all(folders, path);
    char whole[PATH_MAX]; // so that "." has a name, too
    int rc = add(folders, realpath(path, whole) ? whole : path);
    return rc < 0 ? rc : 1;
}

void ch_folders_deinit(struct ch_folders *folders)
{
    for (size_t i = 0; i < folders->count; i++)
        free(folders->paths[i]);
    free(folders->paths);
    *folders = (struct ch_folders){0};
}

const char *ch_folder_id(char *path)
{
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        path[--size] = '\0';
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static int run_all(char **args, const char *word, bool json, int (*each)(char *path, json_t *list))
{
    struct ch_folders folders = {0};
    int code = CH_EXIT_OK;
    for (; *args; args++) {
        int found = ch_folders_add(&folders, *args);
        if (found > 0)
            continue;
        fprintf(stderr, "camhub %s: %s: %s\n", word, *args, found < 0 ? strerror(-found) : "no session is there");
        code = CH_EXIT_FAILED;
    }
    json_t *list = json ? json_array() : NULL;
    for (size_t i = 0; i < folders.count; i++)
        if (each(folders.paths[i], list) != CH_EXIT_OK)
            code = CH_EXIT_FAILED;
    if (list) {
        json_dumpf(list, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(list);
    }
    ch_folders_deinit(&folders);
    return code;
}

int ch_folders_command(int argc, char **argv, const char *help, int (*each)(char *path, json_t *list))
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *word = argv[0];
    bool json = false;
    optind = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(help, stdout);
            return CH_EXIT_OK;
        }
        if (option != 'j') {
            fprintf(stderr, "camhub %s: unknown option %s\nTry 'camhub %s --help'.\n", word, argv[optind - 1], word);
            return CH_EXIT_USAGE;
        }
        json = true;
    }
    if (optind == argc) {
        fprintf(stderr, "camhub %s: no folder is named\nTry 'camhub %s --help'.\n", word, word);
        return CH_EXIT_USAGE;
    }
    return run_all(argv + optind, word, json, each);
}
