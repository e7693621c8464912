#include "source/complaint.h"

#include <stdio.h>
#include <string.h>

static bool says(const char *lines, const char *text)
{
    return strcasestr(lines, text) != NULL;
}

// A line in which both stand, in this order.
static bool says_both(const char *lines, const char *first, const char *second)
{
    for (const char *at = lines; (at = strcasestr(at, first)) != NULL; at++) {
        const char *found = strcasestr(at, second), *end = strchr(at, '\n');
        if (found && (!end || found < end))
            return true;
    }
    return false;
}

// --- remedies -------------------------------------------------------------------------------------

static bool set(bool *flag)
{
    bool was = *flag;
    *flag = true;
    return !was;
}

static bool drop(struct ch_ffmpeg_way *way, enum ch_copy what)
{
    bool was = way->copy & what;
    way->copy = (enum ch_copy)(way->copy & ~(unsigned)what);
    return was;
}

// The container takes no such codec.
static bool refused(const char *lines, bool nothing_came, struct ch_ffmpeg_way *way)
{
    if ((says_both(lines, "Video codec", "not compatible with FLV") ||
         says_both(lines, "Codec", "not supported in the official FLV specification")) &&
        drop(way, CH_COPY_VIDEO)) {
        way->wallclock = says(lines, "mjpeg"); // over HTTP it has no times but made-up ones
        return true;
    }
    if ((says_both(lines, "Audio codec", "not compatible with FLV") ||
         says_both(lines, "FLV does not support", "sample rate") || says(lines, "Malformed AAC bitstream")) &&
        drop(way, CH_COPY_AUDIO))
        return true;
    return nothing_came &&
           (says(lines, "Could not write header") || says(lines, "incompatible with output codec") ||
            says(lines, "not currently supported in container")) &&
           (drop(way, CH_COPY_AUDIO) || drop(way, CH_COPY_VIDEO));
}

bool ch_complaint_remedy(const char *lines, bool nothing_came, bool network, struct ch_ffmpeg_way *way)
{
    // What an ffmpeg 4 says that was told to listen (source/ffmpeg_args.c).
    if (network && says(lines, "Unable to open RTSP for listening") && set(&way->old))
        return true;
    bool unknown = says(lines, "dimensions not set") || says(lines, "sample rate not set") ||
                   says(lines, "unspecified size") || says(lines, "unspecified number of channels");
    if (nothing_came && network && !way->patient && (unknown || says_both(lines, "0:V:0", "matches no streams")))
        return set(&way->patient);
    if (nothing_came && unknown)
        return false;
    if ((way->copy & CH_COPY_VIDEO) && (says(lines, "missing PTS") || says(lines, "unknown timestamp")))
        return set(&way->skip_probed) || drop(way, CH_COPY_VIDEO);
    return refused(lines, nothing_came, way);
}

// --- words ----------------------------------------------------------------------------------------

// Lines that say that something went wrong, and not what.
static bool says_nothing(const char *line, size_t size)
{
    static const char *const empty[] = {
        "Conversion failed!",
        "To ignore this, add",
        "Error opening input file",
        "Error opening output file",
        "Error initializing output stream",
        "Error while opening encoder",
        "Task finished with error code",
        "Terminating thread with return code",
        "Nothing was written into output file",
        "Output file is empty",
        "Exiting normally",
        "Failed to set value",
        "Error parsing options",
        "Error while processing the decoded data",
        "Error reinitializing filters",
        "Error configuring filter",
        "Failed to configure input pad",
        "Failed to inject frame",
        "Error writing trailer",
        "Error splitting the argument list",
    };
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
        if (size >= strlen(empty[i]) && strncasecmp(line, empty[i], strlen(empty[i])) == 0)
            return true;
    return size == 0;
}

struct line {
    const char *text; // behind what is in brackets
    size_t size;
    bool mild; // no error
};

static struct line strip(const char *line, size_t size)
{
    struct line out = {line, size, false};
    static const char ours[] = "camhub: ";
    if (size >= sizeof ours - 1 && memcmp(line, ours, sizeof ours - 1) == 0)
        return (struct line){line + sizeof ours - 1, size - (sizeof ours - 1), false};
    static const char *const mild[] = {"[warning]", "[info]", "[verbose]", "[debug]"};
    while (out.size > 0 && *out.text == '[') {
        const char *end = memchr(out.text, ']', out.size);
        if (!end)
            break;
        size_t n = (size_t)(end + 1 - out.text);
        for (size_t i = 0; i < sizeof mild / sizeof *mild; i++)
            out.mild |= n == strlen(mild[i]) && memcmp(out.text, mild[i], n) == 0;
        n += n < out.size && out.text[n] == ' ';
        out.text += n;
        out.size -= n;
    }
    return out;
}

// The last that is an error, else the last.
static struct line choose(const char *lines)
{
    struct line chosen = {"", 0, true};
    for (const char *at = lines; *at;) {
        size_t size = strcspn(at, "\n");
        struct line line = strip(at, size);
        if (!says_nothing(line.text, line.size) && (!line.mild || chosen.mild))
            chosen = line;
        at += size + (at[size] == '\n');
    }
    return chosen;
}

static void put(char *out, size_t room, const char *before, const struct line *line)
{
    size_t used = strlen(before), n = line->size;
    if (n > room - 1 - used) {
        n = room - 1 - used;
        while (n > 0 && ((unsigned char)line->text[n] & 0xC0) == 0x80) // not in the midst of a character
            n--;
    }
    snprintf(out, room, "%s%.*s", before, (int)n, line->text);
}

void ch_complaint_words(const char *lines, enum ch_source_type type, char *out, size_t room)
{
    struct line line = choose(lines);
    if (says_both(lines, "0:V:0", "matches no streams"))
        snprintf(out, room, "it has no video");
    else if (says_both(lines, "1:a:0", "matches no streams"))
        snprintf(out, room, "audio_args bring no sound");
    else if (says(lines, "Cannot get the image data") || says(lines, "Failed to query xcb pointer"))
        snprintf(out, room, "%s",
                 type == CH_SOURCE_WINDOW ? "the window was closed, hidden, made smaller, or moved off the screen"
                                          : "the screen has changed its size, or cannot be read any more");
    else if (says(lines, "Unrecognized option") || says_both(lines, "Option ", "not found"))
        put(out, room, "this ffmpeg is too old, or an option is misspelt: ", &line);
    else if (says(lines, "Unknown encoder"))
        put(out, room, "this ffmpeg was built without what is needed: ", &line);
    else if (type == CH_SOURCE_NETWORK && says(lines, "Invalid data found when processing input"))
        put(out, room, "it does not answer, or not as expected: ", &line);
    else
        put(out, room, "", &line);
}
