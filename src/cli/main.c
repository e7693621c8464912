// camhub: which command is meant.
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about; // NULL: not for people
} commands[] = {
    {"serve", ch_cli_serve, "the hub: receives cameras and records them"},
    {"push", ch_cli_push, "a camera: sends a test picture, a file or a device to a hub"},
    {"verify", ch_cli_verify, "checks finished recordings"},
    {"repair", ch_cli_repair, "finishes interrupted recordings"},
    {"check", ch_cli_check, "checks configuration files"},
    {"child-exec", ch_cli_child_exec, NULL},
    {"film-jpeg", ch_cli_film_jpeg, NULL},
    {"grab", ch_cli_grab, NULL},
};

static void print_usage(FILE *out)
{
    fputs("camhub - a camera hub\n\nusage: camhub COMMAND [ARGUMENTS]\n\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (commands[i].about)
            fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].about);
    fputs("\n`camhub COMMAND --help` tells more; `camhub --version` the version.\n", out);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return CH_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return CH_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("camhub " CH_VERSION);
        return CH_EXIT_OK;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "camhub: unknown command \"%s\"\n\n", argv[1]);
    print_usage(stderr);
    return CH_EXIT_USAGE;
}
