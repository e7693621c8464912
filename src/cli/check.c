// camhub check: what `camhub serve` would say of configuration files, without starting anything.
#include "app/config.h"
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: camhub check [--effective] FILE...\n"
    "\n"
    "Checks configuration files, together, as `camhub serve --config FILE` (once for each) takes them, with the\n"
    "environment (CAMHUB_<SECTION>_<KEY>). Faults and warnings go to standard error, one per line.\n"
    "\n"
    "  --effective   prints the whole as JSON, with all defaults; passwords and the like are shown as ***: secrets of\n"
    "                URLs, and arguments of ffmpeg that may be one\n"
    "  --help\n"
    "\n"
    "Exit: 0 all is well, 1 there are faults, 2 wrong usage.\n";

static const struct option long_options[] = {
    {"effective", no_argument, NULL, 'e'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static int print_effective(const struct ch_config *config)
{
    json_t *json = ch_config_to_json(config);
    int rc = json ? json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : -1;
    json_decref(json);
    putchar('\n');
    return rc < 0 || fflush(stdout) != 0 ? -EIO : 0;
}

static void print_warnings(const char *lines)
{
    while (lines && *lines) {
        size_t size = strcspn(lines, "\n");
        fprintf(stderr, "warning: %.*s\n", (int)size, lines);
        lines += size + (lines[size] == '\n');
    }
}

static int check(const char *const *files, bool effective)
{
    char error[CH_CONFIG_ERROR_BYTES];
    struct ch_config *config;
    struct ch_config_from from = {.files = files, .environment = environ};
    int rc = ch_config_load(&from, &config, error, sizeof error);
    if (rc < 0) {
        fprintf(stderr, "%s\n", error);
        return CH_EXIT_FAILED;
    }
    print_warnings(config->warnings);
    if (effective)
        rc = print_effective(config);
    for (size_t i = 0; !effective && files[i]; i++)
        printf("%s: ok\n", files[i]);
    ch_config_free(config);
    return rc == 0 ? CH_EXIT_OK : CH_EXIT_FAILED;
}

int ch_cli_check(int argc, char **argv)
{
    bool effective = false;
    for (int option; (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
        switch (option) {
        case 'e': effective = true; break;
        case 'h': fputs(usage, stdout); return CH_EXIT_OK;
        default: fputs("`camhub check --help` lists the options\n", stderr); return CH_EXIT_USAGE;
        }
    }
    if (optind == argc) {
        fputs("camhub check: which file?\n`camhub check --help` tells more\n", stderr);
        return CH_EXIT_USAGE;
    }
    return check((const char *const *)(argv + optind), effective);
}
