// The session folders that a command is given: one each, or all in a recordings folder.
#ifndef CH_CLI_FOLDERS_H
#define CH_CLI_FOLDERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct ch_folders {
    char **paths;
    size_t count;
};

// Adds `path` if it is a session's folder, else the sessions' folders in it, by name. The number added (0: there is
// none), or a negative errno.
int ch_folders_add(struct ch_folders *folders, const char *path);
void ch_folders_deinit(struct ch_folders *folders);

// A whole command over folders: reads its options (--json, --help), calls `each` for every session's folder with the
// list to add to (NULL: it prints lines), prints the list. The exit code; failed if one of them failed.
int ch_folders_command(int argc, char **argv, const char *help, int (*each)(char *path, json_t *list));

// The folder's own name: borrowed from `path`, which loses slashes at its end.
const char *ch_folder_id(char *path);

#endif
