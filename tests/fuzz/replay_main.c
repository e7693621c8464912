// Replays a corpus through a fuzz target, in any build: every file of the folders named, and of
// each a fixed number of seeded mutations, so that a plain test run looks a little further too.
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUTATIONS 200
#define INPUT_MAX_BYTES (1u << 20)

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

// The exact size on the heap, so that a sanitizer sees the first byte read too far.
static void run_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void mutate(uint8_t *data, size_t *size, uint32_t *random)
{
    for (uint32_t n = 1 + next_random(random) % 4; n > 0 && *size > 0; n--) {
        size_t at = next_random(random) % *size;
        switch (next_random(random) % 4) {
        case 0: data[at] ^= (uint8_t)(1u << next_random(random) % 8); break;
        case 1: data[at] = (uint8_t[]){0, 1, 3, 127, 128, 255}[next_random(random) % 6]; break;
        case 2: *size = at; break;
        default:
            memmove(data + at, data + at + 1, *size - at - 1);
            --*size;
            break;
        }
    }
}

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    uint8_t *data = malloc(INPUT_MAX_BYTES), *work = malloc(INPUT_MAX_BYTES);
    if (!data || !work)
        abort();
    size_t size = fread(data, 1, INPUT_MAX_BYTES, file);
    fclose(file);
    run_copy(data, size);
    uint32_t random = (uint32_t)size + 1;
    int mutations = size > 65536 ? MUTATIONS / 20 : MUTATIONS;
    for (int i = 0; i < mutations; i++) {
        size_t cut = size;
        memcpy(work, data, size);
        mutate(work, &cut, &random);
        run_copy(work, cut);
    }
    free(data);
    free(work);
    return 0;
}

int main(int argc, char **argv)
{
    int files = 0;
    run_copy((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (!dir) {
            fprintf(stderr, "no corpus at %s\n", argv[i]);
            return 1;
        }
        for (struct dirent *entry; (entry = readdir(dir));) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (entry->d_name[0] != '.' && replay_file(path) == 0)
                files++;
        }
        closedir(dir);
    }
    printf("replayed %d files and their mutations\n", files);
    return files > 0 ? 0 : 1;
}
