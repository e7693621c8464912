// How a configuration is read: in drafts, one of each section, of which each knows what was set in it. Files,
// environment and flags fill in drafts of their own, which are laid over each other; what comes out is checked as a
// whole and built into a ch_config.
#ifndef CH_APP_CONFIG_INTERNAL_H
#define CH_APP_CONFIG_INTERNAL_H

#include "app/config.h"

// --- faults and places (config_fault.c) ---

// What a value is part of, from the inside to the outside; the outermost has the name of the file, of the environment
// variable, or of the flag.
struct ch_place {
    const struct ch_place *in; // NULL: the outermost
    const char *name;          // of the file (outermost) or of the key; NULL: an item of a list
    size_t index;              // of the item
    const char *folder;        // outermost: what relative paths begin in; NULL: paths stay as they are
    bool variable;             // outermost: a variable or a flag, of which the value is one text
};

struct ch_reader {
    char *error; // the caller's
    size_t error_bytes, error_used;
    unsigned faults, untold; // the latter did not fit
    char *warnings;          // owned; NULL: none so far
    unsigned warned;
    char **texts; // owned: all that drafts point at
    size_t text_count, text_room;
    bool no_memory;
};

void ch_config_fault(struct ch_reader *reader, const struct ch_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void ch_config_warning(struct ch_reader *reader, const struct ch_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// "did you mean X? allowed: A, B, C" or "allowed: A, B, C".
#define CH_WORDS_BYTES 1024
void ch_config_words(const struct ch_reader *reader, const char *word, const char *const *known, size_t count,
                     char out[CH_WORDS_BYTES]);
// A value as it may be shown: short, without control characters, URLs without their secrets.
#define CH_SHOWN_BYTES 128
void ch_config_show(const json_t *value, bool variable, char out[CH_SHOWN_BYTES]);
void ch_config_show_text(const char *text, char out[CH_SHOWN_BYTES]); // without quotation marks
// A copy that lives as long as the reader. "" without memory (then `no_memory` is set).
const char *ch_config_keep(struct ch_reader *reader, const char *text);
void *ch_config_keep_bytes(struct ch_reader *reader, size_t size); // zeroed; NULL without memory
void ch_reader_free(struct ch_reader *reader);

// --- drafts ---

// Each begins with `set`: a bit for each key of its section that was set, in the order of the section.
struct ch_region_draft {
    uint64_t set;
    int64_t x, y, width, height;
};

struct ch_hub_draft {
    uint64_t set;
    const char *host, *recordings;
    int64_t port, sync_us, max_message;
    bool h264, thumbnails, open;
};

struct ch_server_draft {
    uint64_t set;
    const char *host, *path;
    int64_t port, http_port;
};

struct ch_ffmpeg_draft {
    uint64_t set;
    int64_t video_codec, audio_codec, preset, tune; // indices of words
    const char *bitrate;
    int64_t framerate;
    bool always_encode;
};

// The words of source.type. The first ones are those of ch_source_type.
enum ch_type_word { CH_TYPE_WINDOW_REGION = CH_SOURCE_FFMPEG + 1, CH_TYPE_NONE };

struct ch_source_draft {
    uint64_t set;
    const char *name;
    int64_t type; // enum ch_source_type or ch_type_word
    int64_t display_index, transport, timeout_us, reconnect_us, attempts, width, height, record;
    const char *display, *window_title, *url, *device, *input_format, *path;
    const char *const *args, *const *audio_input; // end with NULL
    bool find_by_substring, draw_mouse, loop, audio;
    struct ch_region_draft region;
};

struct ch_process_draft {
    uint64_t set;
    int64_t crash_threshold, crash_window_us, shutdown_timeout_us, stall_timeout_us, nice, memory_mib;
};

struct ch_logging_draft {
    uint64_t set;
    int64_t level; // index of a word
    const char *file;
};

struct ch_output_draft {
    uint64_t set;
    const char *camera, *url, *name;
    int64_t format; // index of a word
};

// What the keys of one file, or the variables, say.
struct ch_drafts {
    struct ch_hub_draft hub;
    struct ch_server_draft server;
    struct ch_ffmpeg_draft ffmpeg;
    struct ch_source_draft source;
    struct ch_process_draft process;
    struct ch_logging_draft logging;
};

// --- keys (config_keys.c) ---

enum ch_key_kind {
    CH_KEY_BOOL,    // bool
    CH_KEY_INT,     // int64_t
    CH_KEY_SECONDS, // int64_t, microseconds
    CH_KEY_TEXT,    // const char *
    CH_KEY_WORD,    // int64_t, an index of `words`
    CH_KEY_LIST,    // const char *const *
    CH_KEY_SECTION, // a draft, of `section`
    CH_KEY_APART,   // known here, and read elsewhere
};

struct ch_key {
    const char *name;
    enum ch_key_kind kind;
    size_t offset; // in the draft
    int64_t min, max;
    bool zero;   // 0 is fine, too
    bool even;   // an odd one is rounded down, with a warning
    bool null;   // null and an empty text are fine: as if the key were not there
    bool secret; // the value is never shown
    bool path;   // of a file: relative to the folder of the configuration file
    const char *const *words;
    const char *(*wrong)(const char *text); // TEXT: NULL, or what is allowed
    const struct ch_section *section;
    unsigned types; // of source.*: a bit for each type that has a use for it; 0: all
};

struct ch_section {
    const char *name; // as a member of ch_drafts; NULL: none
    const struct ch_key *keys;
    size_t count;               // up to 64
    size_t draft_bytes, offset; // of its draft in ch_drafts
    bool by_type;               // keys may stand in an object that is named like the type: that of `type` counts
};

extern const struct ch_section ch_section_hub, ch_section_server, ch_section_ffmpeg, ch_section_source,
    ch_section_process, ch_section_logging;                                                  // in ch_drafts
extern const struct ch_section ch_section_region, ch_section_source_item, ch_section_output; // elsewhere
#define CH_SECTIONS 6
extern const struct ch_section *const ch_sections[CH_SECTIONS]; // those in ch_drafts
extern const struct ch_drafts ch_config_defaults;               // with nothing set
extern const char *const ch_type_words[],
    *const ch_video_codec_words[],
        *const ch_audio_codec_words[],
            *const ch_preset_words[], *const ch_tune_words[], *const ch_transport_words[],
                                                                  *const ch_record_words[],
                                                                      *const ch_level_words[],
                                                                          *const ch_format_words[]; // end with NULL

#define CH_KEY_LINE_BYTES 64
// "CAMHUB_FFMPEG_PRESET"
void ch_key_variable(const struct ch_section *section, const struct ch_key *key, const struct ch_key *inner,
                     char out[CH_KEY_LINE_BYTES]);
bool ch_key_is_set(const void *draft, const struct ch_section *section, const char *name);

// NULL, or what is wrong with the URL, in words that hold nothing of it. (config_url.c)
const char *ch_config_url_wrong(const char *url);
const char *ch_config_output_url_wrong(const char *url);
bool ch_config_url_is(const char *url, const char *scheme);

// --- reading and laying over (config_read.c) ---

// Faults are told; what is without fault is in the draft. A value is what a file says.
void ch_config_read(struct ch_reader *reader, const struct ch_place *place, const struct ch_section *section,
                    const json_t *object, void *draft);
// One value as the text of a variable or a flag.
void ch_config_read_text(struct ch_reader *reader, const struct ch_place *place, const struct ch_key *key,
                         const char *text, void *draft);
void ch_config_mark_set(const struct ch_section *section, const struct ch_key *key, void *draft);
// What is set in `over` replaces what `draft` has.
void ch_config_lay_over(const struct ch_section *section, void *draft, const void *over);
// The first key that is set in both and not the same, or NULL.
const struct ch_key *ch_config_contradiction(const struct ch_section *section, const void *a, const void *b);

// --- the environment (config_env.c) ---

// Variables and flags, each a fault or set in `out`. `instance` is the name of the first variable of server.* or
// source.*, or NULL.
void ch_config_read_environment(struct ch_reader *reader, char *const *environment, struct ch_drafts *out,
                                const char **instance);
void ch_config_read_flags(struct ch_reader *reader, const struct ch_config_flag *flags, size_t count,
                          struct ch_drafts *out);

// --- building (config_build.c) ---

struct ch_building {
    struct ch_reader *reader;
    struct ch_config *config;
    const char **source_files, **door_files, **output_files; // where each one comes from
};

void ch_config_build_options(struct ch_building *building, const struct ch_drafts *drafts, const char *ffmpeg);
// What a file, an item of `sources`, or an item of `outputs` describes. Faults are told; with faults, what is built is
// good for nothing but to be compared with the next one and freed.
void ch_config_build_instance(struct ch_building *building, const struct ch_place *place,
                              const struct ch_drafts *drafts);
void ch_config_build_source(struct ch_building *building, const struct ch_place *place, const struct ch_drafts *drafts);
void ch_config_build_output(struct ch_building *building, const struct ch_place *place,
                            const struct ch_output_draft *output, const struct ch_process_draft *process);
// Names, ports and paths that must differ; the default names of outputs.
void ch_config_check_whole(struct ch_building *building);
void ch_building_free(struct ch_building *building); // but not the configuration

#endif
