// JSON with comments, as people write it by hand: `//` to the end of the line, and `/* */`. Nothing else is added to
// JSON (RFC 8259); a byte order mark in front is accepted. Duplicate keys are not, and nor is a nesting of more than
// CH_JSONC_DEPTH. Pure.
#ifndef CH_APP_CONFIG_JSONC_H
#define CH_APP_CONFIG_JSONC_H

#include <jansson.h>
#include <stddef.h>

#define CH_JSONC_DEPTH 32

// 0, and *out is the caller's; or -EINVAL, or -ENOMEM, and `fault` says where and what: "LINE:COLUMN: words". Lines and
// columns count from 1, columns in characters. Of the text itself `fault` holds nothing but a key that is there twice,
// if that is a plain word.
int ch_jsonc_parse(const char *text, size_t size, json_t **out, char *fault, size_t fault_bytes);

#endif
