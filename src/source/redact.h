// Keeps credentials out of what people read: logs, the API, error messages.
//
// A URL's secrets are its user name and password, the values of its query, its fragment, values in its path that are
// named as a secret ("/user=admin&password=x/"), and of rtmp(s) the last segment of the path, which names the stream.
// Its host and port are none. Pure but for memory.
#ifndef CH_SOURCE_REDACT_H
#define CH_SOURCE_REDACT_H

#include <stddef.h>

// A URL (or several: "[f=flv]rtmp://a/app/KEY|[f=flv]rtmp://b/app/KEY") with "***" in place of its secrets; also
// "user:password@host/..." without a scheme. What is no URL comes out as it is. NULL without memory; the caller owns
// the text.
char *ch_redact_url(const char *url);

// The secrets of a set of texts (URLs, or arguments with URLs in them), to be found again in what a child says: as
// they are, percent-encoded or -decoded, and a user with a password also in base64. Pieces of under 3 bytes are left
// alone; those of under 8 are found only where they stand as a word, and those that protect nothing ("live", "tcp",
// a short number) only behind '/' or '=', or a log would become unreadable.
struct ch_redactor {
    char **secrets; // owned
    size_t count;
};
int ch_redactor_add(struct ch_redactor *redactor, const char *text); // 0 or -ENOMEM. Zero-initialise first
// All words of a command line; what follows an option that takes a secret (-headers, -passphrase, ...) is one as a
// whole. Ends with NULL. 0 or -ENOMEM.
int ch_redactor_add_args(struct ch_redactor *redactor, const char *const *args);
void ch_redactor_free(struct ch_redactor *redactor); // it is empty then, and may be used again
// Replaces every secret in the text, and whatever ch_redact_url would hide in what looks like a URL, by "***", in
// place: the text may grow up to `capacity` - 1 bytes and is cut there. Give it whole lines: half a secret is not
// recognised, so what is to be shortened is shortened afterwards. Without memory the text becomes "***".
void ch_redactor_apply(const struct ch_redactor *redactor, char *text, size_t capacity);

#endif
