// The configuration: defaults < files < environment < flags (docs/configuration.md). Everything in it has been
// checked; whoever uses it need not.
#ifndef CH_APP_CONFIG_H
#define CH_APP_CONFIG_H

#include "app/options.h"
#include "base/log.h"
#include "source/source_config.h"

#include <jansson.h>

// The screen streamer's own address of a source: WebSocket-FLV at `path`, HTTP-FLV at /live.flv (and, as several may
// share a port, at PATH.flv and PATH/live.flv), on `port` and on `http_port` (0: not).
struct ch_door_config {
    char *host;
    uint16_t port, http_port;
    char *path;
    char *source; // name
};

// Where a camera's pictures are pushed to.
struct ch_output_config {
    char *name;   // unique; by default CAMERA-N
    char *camera; // its name; it need not exist
    char *url;    // with its secrets
    char *format; // ffmpeg's; NULL: by the URL
    struct ch_source_process process;
};

struct ch_config {
    struct ch_options options; // hub.*; its texts are owned by the configuration
    enum ch_log_level log_level;
    char *log_file; // NULL: none
    struct ch_source_config **sources;
    size_t source_count;
    struct ch_door_config *doors;
    size_t door_count;
    struct ch_output_config *outputs;
    size_t output_count;
    char **owned; // texts of `options`
    size_t owned_count;
    char *warnings; // what is accepted, but means something else here; a line each, without secrets. NULL: none
};

// A flag of the command line, and the key that it sets: {"--port", "hub.port", "8000"}.
struct ch_config_flag {
    const char *flag, *key, *value;
};

// A file that has been read already.
struct ch_config_text {
    const char *name; // its path
    const char *text;
    size_t size;
};

// Where a configuration comes from; each later kind overrides the ones before it. All is borrowed for the call.
struct ch_config_from {
    const char *const *files; // paths; ends with NULL; NULL: none
    char *const *environment; // as `environ`; NULL: none
    const struct ch_config_flag *flags;
    size_t flag_count;
};

// Reads files and puts everything together; touches nothing that is running, and may be called at any time (it reads
// from the disk). 0, and *out is the caller's; or -EINVAL, -ENOENT, ... (of a file), -ENOMEM, with what is wrong in
// `error`, one fault per line: file, path of the key, what was found (never a secret), what is allowed, and what may
// have been meant.
int ch_config_load(const struct ch_config_from *from, struct ch_config **out, char *error, size_t error_bytes);
// The same of texts, in place of from->files. Reads nothing.
int ch_config_load_texts(const struct ch_config_text *texts, size_t count, const struct ch_config_from *from,
                         struct ch_config **out, char *error, size_t error_bytes);
#define CH_CONFIG_ERROR_BYTES 16384                  // room for the faults of an ordinary bad day
void ch_config_warn(const struct ch_config *config); // its warnings into the log
void ch_config_free(struct ch_config *config);       // NULL is fine
// With all defaults, as `camhub check --effective` prints it; secrets are left out of it. NULL without memory.
json_t *ch_config_to_json(const struct ch_config *config);
bool ch_output_config_same(const struct ch_output_config *a, const struct ch_output_config *b);

#endif
