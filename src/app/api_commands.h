// Commands for cameras from the network: POST /api/v1/commands (docs/openapi.json), and lines typed into a developer
// console.
// One thread: the loop's.
#ifndef CH_APP_API_COMMANDS_H
#define CH_APP_API_COMMANDS_H

#include "app/camera.h"
#include "app/peer.h"

// Answers the request; the body is borrowed.
void ch_api_command(struct ch_peer *peer, const struct ch_http_request *request, const char *body, size_t body_bytes);

// A line of text in the languages of both kinds of cameras: JPEG cameras get it as it is; H.264 cameras get start and
// stop as their commands, a JSON object as it is, everything else as {"command":"raw","payload":{"text":...}}.
struct ch_command_texts {
    struct ch_camera_message message; // points to the texts
    char *for_h264, *for_jpeg;        // owned
};
// Blanks around the line are taken off, control characters become blanks. 0, -EINVAL (nothing is left, or not UTF-8)
// or -ENOMEM. Deinit on success only.
int ch_command_message_from_text(const char *text, size_t size, struct ch_command_texts *out);
void ch_command_texts_deinit(struct ch_command_texts *texts);
// Sends such a line to all that are connected. The number it was sent to. Logs nothing but failures.
unsigned ch_command_text_to_all(struct ch_hub *hub, const char *text, size_t size);

#endif
