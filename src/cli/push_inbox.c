#include "cli/push_inbox.h"

#include "base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES 4096u

void ch_push_inbox_clear(struct ch_push_inbox *inbox)
{
    free(inbox->in);
    free(inbox->message);
    *inbox = (struct ch_push_inbox){0};
}

uint8_t *ch_push_inbox_room(struct ch_push_inbox *inbox, size_t *size)
{
    if (inbox->at > 0) {
        memmove(inbox->in, inbox->in + inbox->at, inbox->used - inbox->at);
        inbox->used -= inbox->at;
        inbox->at = 0;
    }
    size_t wanted = inbox->has_head ? (size_t)inbox->head.length : 0; // bounded by ch_ws_order_next
    wanted = (wanted > inbox->used ? wanted : inbox->used) + READ_BYTES;
    if (wanted > inbox->room) {
        uint8_t *grown = realloc(inbox->in, wanted);
        if (!grown)
            return NULL;
        inbox->in = grown;
        inbox->room = wanted;
    }
    *size = inbox->room - inbox->used;
    return inbox->in + inbox->used;
}

void ch_push_inbox_added(struct ch_push_inbox *inbox, size_t size)
{
    inbox->used += size;
}

static int fault(struct ch_push_received *out, int code, const char *why)
{
    *out = (struct ch_push_received){.kind = CH_PUSH_GOT_FAULT, .code = code, .why = why};
    return 1;
}

static int take_close(const uint8_t *payload, size_t size, struct ch_push_received *out)
{
    const char *reason;
    int wrong = ch_ws_parse_close(payload, size, &out->code, &reason, &out->size);
    if (wrong)
        return fault(out, wrong, "bad close frame");
    out->kind = CH_PUSH_GOT_CLOSE;
    out->data = out->size > 0 ? payload + size - out->size : NULL; // the reason ends the payload
    return 1;
}

// A frame of a text or binary message. A hub has nothing binary for a camera; that is forgotten.
static int take_data(struct ch_push_inbox *inbox, const uint8_t *data, size_t size, struct ch_push_received *out)
{
    const struct ch_ws_head *head = &inbox->head;
    if (head->opcode != CH_WS_CONTINUATION) {
        inbox->message_opcode = head->opcode;
        inbox->message_used = 0;
    }
    if (inbox->message_opcode != CH_WS_TEXT)
        return 0;
    if (!head->fin || head->opcode == CH_WS_CONTINUATION) {
        uint8_t *grown = realloc(inbox->message, inbox->message_used + size + 1);
        if (!grown)
            return -ENOMEM;
        inbox->message = grown;
        memcpy(grown + inbox->message_used, data, size);
        inbox->message_used += size;
        data = grown;
        size = inbox->message_used;
    }
    if (!head->fin)
        return 0;
    if (!ch_utf8_valid(data, size))
        return fault(out, CH_WS_INVALID_DATA, "text is not UTF-8");
    *out = (struct ch_push_received){.kind = CH_PUSH_GOT_TEXT, .data = data, .size = size};
    return 1;
}

// 1 if the frame completes something, else 0 or -ENOMEM.
static int take_frame(struct ch_push_inbox *inbox, const uint8_t *payload, size_t size, struct ch_push_received *out)
{
    switch (inbox->head.opcode) {
    case CH_WS_CLOSE: return take_close(payload, size, out);
    case CH_WS_PING:
        *out = (struct ch_push_received){.kind = CH_PUSH_GOT_PING, .data = payload, .size = size};
        return 1;
    case CH_WS_PONG: return 0;
    default: return take_data(inbox, payload, size, out);
    }
}

int ch_push_inbox_next(struct ch_push_inbox *inbox, struct ch_push_received *out)
{
    for (;;) {
        const uint8_t *data = inbox->in + inbox->at;
        size_t size = inbox->used - inbox->at;
        if (!inbox->has_head) {
            int n = size > 0 ? ch_ws_parse_head(data, size, &inbox->head) : 0;
            if (n == 0)
                return 0;
            int code = n < 0 ? CH_WS_PROTOCOL_ERROR
                             : ch_ws_order_next(&inbox->order, &inbox->head, false, CH_LIMIT_TEXT_BYTES);
            if (code)
                return fault(out, code, code == CH_WS_TOO_BIG ? "message too big" : "bad frame");
            inbox->has_head = true;
            inbox->at += (size_t)n;
            continue;
        }
        size_t length = (size_t)inbox->head.length;
        if (size < length)
            return 0;
        inbox->has_head = false;
        inbox->at += length;
        int rc = take_frame(inbox, data, length, out);
        if (rc != 0)
            return rc;
    }
}
