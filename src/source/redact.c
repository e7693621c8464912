#include "source/redact.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LEAST_BYTES 3   // shorter secrets are left alone
#define LOOSE_BYTES 8   // shorter ones must stand as a word
#define PLAIN_DIGITS 6  // a number shorter than this is plain
#define LONGEST_NAME 16 // of a value in a path
#define DEEPEST 3       // URLs inside the values of URLs
#define HIDDEN "***"

// --- the pieces of a URL ----------------------------------------------------------------------

// Told of each secret piece of a text, from left to right; none is empty.
struct search {
    void (*found)(void *context, const char *from, const char *to, bool user);
    void *context;
    bool prose; // URLs are parts of sentences and end at a blank; else they are written by somebody and may hold any
                // character
};

static void found(const struct search *search, const char *from, const char *to, bool user)
{
    if (from < to)
        search->found(search->context, from, to, user);
}

static const char *find_byte(const char *from, const char *to, char byte)
{
    const char *at = from < to ? memchr(from, byte, (size_t)(to - from)) : NULL;
    return at ? at : to;
}

static const char *find_last(const char *from, const char *to, char byte)
{
    return from < to ? memrchr(from, byte, (size_t)(to - from)) : NULL;
}

static bool one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c);
}

static const char *find_any(const char *from, const char *to, const char *set)
{
    while (from < to && !one_of(*from, set))
        from++;
    return from;
}

static bool blank(char c)
{
    return (unsigned char)c <= ' ' || c == 127;
}

// The next "://" with a scheme in front of it; its scheme begins at *scheme. NULL if there is none.
static const char *find_scheme(const char *from, const char *to, const char **scheme)
{
    for (const char *at = from; (at = memmem(at, (size_t)(to - at), "://", 3)) != NULL; at += 3) {
        const char *start = at;
        while (start > from && (isalnum((unsigned char)start[-1]) || one_of(start[-1], "+-.")))
            start--;
        while (start < at && !isalpha((unsigned char)*start))
            start++;
        if (start < at) {
            *scheme = start;
            return at;
        }
    }
    return NULL;
}

// Where a URL in a sentence ends: the colon in "rtmp://host/app/KEY: Input/output error" is none of it.
static const char *prose_end(const char *from, const char *to)
{
    const char *end = from;
    while (end < to && !blank(*end) && !one_of(*end, "\"'<>|"))
        end++;
    while (end > from && one_of(end[-1], ":.,;)"))
        end--;
    return end;
}

// Where a URL that was written by somebody ends: where a list ("|", ",", ";", blank, "[options]") goes on to the next.
static const char *written_end(const char *from, const char *to)
{
    const char *scheme, *at = from;
    while ((at = find_scheme(at, to, &scheme)) != NULL) {
        while (scheme > from && scheme[-1] == ':') { // "cache:http://"
            const char *before = scheme - 1;
            while (before > from && isalnum((unsigned char)before[-1]))
                before--;
            if (before == scheme - 1)
                break;
            scheme = before;
        }
        const char *end = scheme;
        if (end > from && end[-1] == ']') {
            const char *open = find_last(from, end, '[');
            if (open && open > from && open[-1] == '|')
                return open - 1;
        }
        if (end > from && (blank(end[-1]) || one_of(end[-1], "|,;\"'")))
            return end - 1;
        at += 3;
    }
    return to;
}

// "host:port" whose port is none: what was meant as a password has a '/', '?' or '#' in it.
static bool bad_port(const char *from, const char *to)
{
    const char *colon = find_last(from, to, ':'), *bracket = find_last(from, to, ']');
    if (!colon || (bracket && bracket > colon))
        return false;
    for (colon++; colon < to; colon++)
        if (!isdigit((unsigned char)*colon))
            return true;
    return false;
}

static bool secret_name(const char *from, const char *to)
{
    static const char *const names[] = {"user",  "usr",    "username", "password", "passwd", "pwd",     "pass",
                                        "token", "secret", "key",      "auth",     "apikey", "session", "sid"};
    char name[LONGEST_NAME];
    size_t size = (size_t)(to - from);
    if (size == 0 || size >= sizeof name)
        return false;
    memcpy(name, from, size);
    name[size] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

// The end of a value in a path, which may also be followed by "_name=".
static const char *value_end(const char *from, const char *to)
{
    const char *end = find_any(from, to, "/&;,");
    for (const char *bar = from; (bar = find_byte(bar, end, '_')) < end; bar++) {
        const char *name = bar + 1;
        while (name < end && isalpha((unsigned char)*name))
            name++;
        if (name > bar + 1 && name < end && *name == '=')
            return bar;
    }
    return end;
}

static void search_path(const struct search *search, const char *from, const char *to, bool named)
{
    if (named) {
        while (to > from && to[-1] == '/')
            to--;
        const char *slash = find_last(from, to, '/');
        found(search, slash ? slash + 1 : from, to, false);
        return;
    }
    for (const char *equal = from; (equal = find_byte(equal, to, '=')) < to; equal++) {
        const char *name = equal;
        while (name > from && isalpha((unsigned char)name[-1]))
            name--;
        if (!secret_name(name, equal))
            continue;
        const char *end = value_end(equal + 1, to);
        found(search, equal + 1, end, false);
    }
}

static void search_query(const struct search *search, const char *from, const char *to)
{
    while (from < to) {
        const char *end = find_any(from, to, "&;"), *equal = find_byte(from, end, '=');
        found(search, equal < end ? equal + 1 : from, end, false);
        from = end + 1;
    }
}

// One URL: [scheme, at) is its scheme, "://" is at `at`. Where to look for the next one.
static const char *search_url(const struct search *search, const char *scheme, const char *at, const char *limit)
{
    const char *host = at + 3;
    const char *end = search->prose ? prose_end(host, limit) : written_end(host, limit);
    const char *path = find_any(host, end, "/?#"), *user_end = find_last(host, path, '@');
    if (!user_end && bad_port(host, path))
        user_end = find_last(host, end, '@');
    if (user_end) {
        found(search, host, user_end, true);
        host = user_end + 1;
        path = find_any(host, end, "/?#");
    }
    const char *query = find_any(path, end, "?#"), *nested;
    bool named = at - scheme >= 4 && strncasecmp(scheme, "rtmp", 4) == 0;
    if (find_scheme(host, query, &nested)) {
        search_path(search, path, nested, false);
        return nested;
    }
    search_path(search, path, query, named);
    const char *hash = find_byte(query, end, '#');
    if (query < hash)
        search_query(search, query + 1, hash);
    if (hash < end)
        found(search, hash + 1, end, false);
    return end;
}

// "user:password@host", without a scheme.
static void search_bare(const struct search *search, const char *from, const char *to)
{
    if (to - from > 2 && from[0] == '/' && from[1] == '/')
        from += 2;
    const char *path = find_any(from, to, "/?#"), *at = find_last(from, path, '@');
    if (!at || at + 1 >= to || !(isalnum((unsigned char)at[1]) || at[1] == '['))
        return;
    const char *colon = find_byte(from, at, ':');
    if (colon > from && colon < at)
        found(search, from, at, true);
}

static void search_text(const struct search *search, const char *text, size_t size)
{
    const char *from = text, *to = text + size, *scheme, *at;
    if (!search->prose && !find_scheme(from, to, &scheme))
        search_bare(search, from, to);
    while ((at = find_scheme(from, to, &scheme)) != NULL)
        from = search_url(search, scheme, at, to);
}

// --- hiding -----------------------------------------------------------------------------------

// What of a text is hidden: one mark per byte.
struct marks {
    const char *text;
    size_t size;
    uint8_t *marks;
};

static void mark(void *context, const char *from, const char *to, bool user)
{
    struct marks *marks = context;
    (void)user;
    memset(marks->marks + (from - marks->text), 1, (size_t)(to - from));
}

// Writes the text with every run of marked bytes as "***", zero-terminated and cut to fit. Its length.
static size_t write_marked(const struct marks *marks, char *out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < marks->size && n + 1 < room; i++) {
        if (!marks->marks[i]) {
            out[n++] = marks->text[i];
        } else if (i == 0 || !marks->marks[i - 1]) {
            for (const char *p = HIDDEN; *p && n + 1 < room; p++)
                out[n++] = *p;
        }
    }
    out[n] = '\0';
    return n;
}

char *ch_redact_url(const char *url)
{
    size_t size = strlen(url),
           room = 2 * size + sizeof HIDDEN; // a piece of one byte becomes three, behind another byte
    char *out = malloc(room);
    uint8_t *bytes = calloc(1, size + 1);
    if (out && bytes) {
        struct marks marks = {.text = url, .size = size, .marks = bytes};
        search_text(&(struct search){.found = mark, .context = &marks}, url, size);
        write_marked(&marks, out, room);
    } else {
        free(out);
        out = NULL;
    }
    free(bytes);
    return out;
}

// --- collecting secrets -----------------------------------------------------------------------

// The byte that "%XX" at `at` stands for, or -1.
static int percent_byte(const char *at, const char *to)
{
    if (to - at < 3 || at[0] != '%' || ch_hex_digit(at[1]) < 0 || ch_hex_digit(at[2]) < 0)
        return -1;
    return ch_hex_digit(at[1]) * 16 + ch_hex_digit(at[2]);
}

static size_t percent_decode(const char *from, const char *to, char *out)
{
    size_t n = 0;
    while (from < to) {
        int byte = percent_byte(from, to);
        out[n++] = byte > 0 ? (char)byte : *from;
        from += byte > 0 ? 3 : 1;
    }
    out[n] = '\0';
    return n;
}

// Takes the secret if it is new.
static int keep(struct ch_redactor *redactor, const char *secret, size_t size)
{
    if (size < LEAST_BYTES)
        return 0;
    for (size_t i = 0; i < redactor->count; i++)
        if (strlen(redactor->secrets[i]) == size && memcmp(redactor->secrets[i], secret, size) == 0)
            return 0;
    char *copy = strndup(secret, size);
    char **grown = copy ? realloc(redactor->secrets, (redactor->count + 1) * sizeof *grown) : NULL;
    if (grown) {
        redactor->secrets = grown;
        grown[redactor->count++] = copy;
        return 0;
    }
    free(copy);
    return -ENOMEM;
}

// As the Authorization header of HTTP and RTSP has it, RFC 7617 2; RFC 4648 4.
static int keep_base64(struct ch_redactor *redactor, const char *text, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = malloc(size / 3 * 4 + 5);
    if (!out)
        return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (i + k < size ? (unsigned char)text[i + k] : 0u);
        for (size_t k = 0; k < 4; k++)
            if (i + k <= size) // the padding is not needed to recognise it
                out[n++] = digits[bits >> (18 - 6 * k) & 63];
    }
    out[n] = '\0';
    int rc = keep(redactor, out, n);
    free(out);
    return rc;
}

struct collecting {
    struct ch_redactor *redactor;
    unsigned depth;
    int rc;
};

static void collect(void *context, const char *from, const char *to, bool user);

// A piece as it is and decoded, and what is secret in a URL inside it.
static int keep_piece(struct collecting *collecting, const char *from, const char *to, bool whole_user)
{
    char *decoded = malloc((size_t)(to - from) + 1);
    if (!decoded)
        return -ENOMEM;
    size_t size = percent_decode(from, to, decoded);
    int rc = 0;
    if (whole_user) {
        rc = keep_base64(collecting->redactor, from, (size_t)(to - from));
        rc = rc < 0 ? rc : keep_base64(collecting->redactor, decoded, size);
    } else {
        rc = keep(collecting->redactor, from, (size_t)(to - from));
        rc = rc < 0 ? rc : keep(collecting->redactor, decoded, size);
        if (rc == 0 && collecting->depth < DEEPEST) {
            struct collecting inner = {.redactor = collecting->redactor, .depth = collecting->depth + 1};
            search_text(&(struct search){.found = collect, .context = &inner}, decoded, size);
            rc = inner.rc;
        }
    }
    free(decoded);
    return rc;
}

// The parts of a piece that are said alone: of a fragment, which in truth may be the rest of a query ("?streamid=#!::u=
// NAME,r=NAME&passphrase=SECRET"), and of a list.
static void collect_parts(struct collecting *collecting, const char *from, const char *to, const char *set)
{
    if (find_any(from, to, set) == to)
        return;
    while (from < to && collecting->rc == 0) {
        const char *end = find_any(from, to, set), *equal = find_byte(from, end, '=');
        collecting->rc = keep_piece(collecting, from, end, false);
        if (collecting->rc == 0 && equal < end)
            collecting->rc = keep_piece(collecting, equal + 1, end, false);
        from = end + 1;
    }
}

static void collect(void *context, const char *from, const char *to, bool user)
{
    struct collecting *collecting = context;
    const char *colon = user ? find_byte(from, to, ':') : to;
    if (collecting->rc == 0)
        collecting->rc = keep_piece(collecting, from, colon, false);
    if (!user) {
        collect_parts(collecting, from, to, "&");
        collect_parts(collecting, from, to, "&,");
    }
    if (collecting->rc == 0 && colon < to)
        collecting->rc = keep_piece(collecting, colon + 1, to, false);
    if (collecting->rc == 0 && colon < to)
        collecting->rc = keep_piece(collecting, from, to, true);
}

int ch_redactor_add(struct ch_redactor *redactor, const char *text)
{
    struct collecting collecting = {.redactor = redactor};
    search_text(&(struct search){.found = collect, .context = &collecting}, text, strlen(text));
    return collecting.rc;
}

// The values of HTTP headers, each in a line: as a whole, its last word ("Authorization: Bearer TOKEN"), and what is
// behind an '=' ("Cookie: a=SECRET; b=SECRET").
static int keep_headers(struct ch_redactor *redactor, const char *text)
{
    int rc = 0;
    while (*text && rc == 0) {
        const char *end = text + strcspn(text, "\r\n"), *word = find_byte(text, end, ':');
        word += strspn(word, ": \t");
        if (word < end)
            rc = keep(redactor, word, (size_t)(end - word));
        while (word < end && rc == 0) {
            const char *next = find_any(word, end, " \t;,"), *equal = find_byte(word, next, '=');
            if (equal < next)
                rc = keep(redactor, equal + 1, (size_t)(next - equal - 1));
            if (rc == 0 && next == end)
                rc = keep(redactor, word, (size_t)(next - word));
            word = next + (next < end);
        }
        text = end + strspn(end, "\r\n");
    }
    return rc;
}

static bool secret_option(const char *word)
{
    static const char *const names[] = {"-passphrase",     "-password",         "-streamid",      "-srt_streamid",
                                        "-smkey",          "-cookies",          "-cryptokey",     "-decryption_key",
                                        "-encryption_key", "-hls_key_info",     "-rtmp_playpath", "-rtmp_conn",
                                        "-rtmp_subscribe", "-tls_key_password", "-authorization"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(word, names[i]) == 0)
            return true;
    return false;
}

int ch_redactor_add_args(struct ch_redactor *redactor, const char *const *args)
{
    int rc = 0;
    for (size_t i = 0; args[i] && rc == 0; i++) {
        rc = ch_redactor_add(redactor, args[i]);
        if (rc == 0 && i > 0 && secret_option(args[i - 1])) {
            struct collecting collecting = {.redactor = redactor};
            rc = keep_piece(&collecting, args[i], args[i] + strlen(args[i]), false);
        } else if (rc == 0 && i > 0 && strcmp(args[i - 1], "-headers") == 0) {
            rc = keep_headers(redactor, args[i]);
        }
    }
    return rc;
}

void ch_redactor_free(struct ch_redactor *redactor)
{
    for (size_t i = 0; i < redactor->count; i++)
        free(redactor->secrets[i]);
    free(redactor->secrets);
    *redactor = (struct ch_redactor){0};
}

// --- finding them again -----------------------------------------------------------------------

// What a '+' in a query, and a control character in a log, look like.
static int plain_byte(char c)
{
    return blank(c) || c == '+' ? ' ' : (unsigned char)c;
}

// How many bytes at `at` are the secret, in whatever way each of its bytes is written; 0: they are not.
static size_t match(const char *secret, const char *at, const char *to)
{
    const char *p = at;
    for (; *secret; secret++) {
        int byte = percent_byte(p, to), want = plain_byte(*secret);
        if (byte >= 0 && plain_byte((char)byte) == want) {
            // "%25" is a '%', or the first byte of "%25".
            size_t rest = want == '%' && secret[1] ? match(secret + 1, p + 1, to) : 0;
            if (rest > 0)
                return (size_t)(p - at) + 1 + rest;
            p += 3;
        } else if (p < to && plain_byte(*p) == want) {
            p++;
        } else {
            return 0;
        }
    }
    return (size_t)(p - at);
}

static bool word_byte(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

// Words that a log is full of, and that nobody who wants to keep a secret would choose.
static bool plain_secret(const char *secret)
{
    static const char *const words[] = {
        "aac",   "app",  "audio", "auto",  "cam",   "camera", "caller", "channel", "default", "error",    "failed",
        "false", "file", "flv",   "frame", "h264",  "h265",   "hevc",   "high",    "host",    "http",     "https",
        "input", "live", "low",   "main",  "media", "mjpeg",  "mpegts", "opus",    "output",  "password", "port",
        "push",  "rtmp", "rtmps", "rtp",   "rtsp",  "server", "srt",    "stream",  "sub",     "tcp",      "test",
        "true",  "udp",  "url",   "user",  "video", "with",   "from",   "for",     "the",     "not",      "and"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(secret, words[i]) == 0)
            return true;
    return strlen(secret) < PLAIN_DIGITS && strspn(secret, "0123456789") == strlen(secret);
}

// Is [at, at + size) where a short secret may be hidden?
static bool stands_alone(const char *text, const char *at, size_t size, const char *to, bool plain)
{
    bool encoded = at - text >= 3 && percent_byte(at - 3, at) >= 0;
    if (at > text && !encoded && word_byte(at[-1]))
        return false;
    if (at + size < to && word_byte(at[size]))
        return false;
    return !plain || (at > text && (encoded || one_of(at[-1], "/=")));
}

static void mark_secret(struct marks *marks, const char *secret)
{
    bool shorter = strlen(secret) < LOOSE_BYTES, plain = plain_secret(secret);
    const char *to = marks->text + marks->size;
    for (const char *at = marks->text; at < to; at++) {
        size_t size = match(secret, at, to);
        if (size > 0 && (!(shorter || plain) || stands_alone(marks->text, at, size, to, plain)))
            memset(marks->marks + (at - marks->text), 1, size);
    }
}

void ch_redactor_apply(const struct ch_redactor *redactor, char *text, size_t capacity)
{
    if (capacity == 0)
        return;
    size_t size = strnlen(text, capacity - 1);
    char *between = malloc(size + 1);
    uint8_t *bytes = calloc(1, size + 1);
    if (between && bytes) {
        // Secrets first: a blank in one would end the URL around it. None is shorter than what stands for it.
        struct marks marks = {.text = text, .size = size, .marks = bytes};
        for (size_t i = 0; i < redactor->count; i++)
            mark_secret(&marks, redactor->secrets[i]);
        marks.size = write_marked(&marks, between, size + 1);
        marks.text = between;
        memset(bytes, 0, size);
        search_text(&(struct search){.found = mark, .context = &marks, .prose = true}, between, marks.size);
        write_marked(&marks, text, capacity);
    } else {
        struct marks all = {.text = "x", .size = 1, .marks = (uint8_t[]){1}};
        write_marked(&all, text, capacity);
    }
    free(between);
    free(bytes);
}
