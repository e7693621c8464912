// What phones speak (wire protocol 1.1 to 1.3): the 16 bytes before every encoder buffer, the JSON
// texts both ways. Pure; JSON by jansson.
#ifndef CH_PROTO_CAMERA_H264_H
#define CH_PROTO_CAMERA_H264_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proto/command.h"

#define CH_CAMERA_HEADER_BYTES 16u

struct ch_camera_header {
    uint64_t device_ms; // encoder presentation time
    uint32_t sequence;
    uint32_t payload_bytes;
};

// 0, -EMSGSIZE (message shorter than 16 bytes), or -EBADMSG (payload length differs from the bytes
// that follow; *out is filled all the same, for the log line).
int ch_camera_parse_header(const uint8_t *message, size_t size, struct ch_camera_header *out);
void ch_camera_write_header(const struct ch_camera_header *header, uint8_t out[CH_CAMERA_HEADER_BYTES]);

enum ch_camera_text_kind {
    CH_CAMERA_OTHER, // JSON or not: logged, otherwise ignored
    CH_CAMERA_READY,
    CH_CAMERA_CAPABILITIES,
    CH_CAMERA_CAPTURE_STARTED,
    CH_CAMERA_CAPTURE_STOPPED,
    CH_CAMERA_ERROR,
};
struct ch_camera_text {
    enum ch_camera_text_kind kind;
    char message[512];      // the `message` of a status, cut at a character, control characters
                            // replaced by blanks; empty if none
    char device_model[128]; // of capabilities, likewise
    char *capabilities;     // of capabilities: the whole object as sent, but without the blanks
                            // between tokens, owned; NULL if that takes more than 64 KiB, or if a
                            // string has an escaped zero (jansson would not load it again); of
                            // other kinds NULL
};
// Understands any bytes; a field of the wrong type counts as absent. Nesting over 32 levels or not
// UTF-8 counts as CH_CAMERA_OTHER. 0 or -ENOMEM; deinit in either case.
int ch_camera_parse_text(const char *text, size_t size, struct ch_camera_text *out);
void ch_camera_text_deinit(struct ch_camera_text *text);

// {"command":"start_capture","payload":{...}} or {"command":"stop_capture"} for a command of kind
// start or stop, in exactly the original's order of keys. Length without the zero.
#define CH_CAMERA_COMMAND_BYTES 256
size_t ch_camera_write_command(const struct ch_command *command, char out[CH_CAMERA_COMMAND_BYTES]);

// The other direction, for a program that plays a camera. Kind start or stop; -EBADMSG if it is no
// such command (a start without a payload is none), -ENOMEM. Fields of the payload that are absent
// or bad get the defaults (4, 10, no aspect ratio); bad ones are noted in bad_*.
int ch_camera_parse_command(const char *text, size_t size, struct ch_command *out);

#endif
