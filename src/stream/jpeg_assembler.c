#include "stream/jpeg_assembler.h"

#include "codec/jpeg.h"
#include "stream/timeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_STEP_TICKS (CH_MP4_TIMESCALE / 10)

void ch_jpeg_assembler_deinit(struct ch_jpeg_assembler *assembler)
{
    ch_params_unref(assembler->params);
    assembler->params = NULL;
}

static struct ch_params *make_params(const struct ch_jpeg *jpeg)
{
    struct ch_params *params = malloc(sizeof *params);
    if (!params)
        return NULL;
    *params = (struct ch_params){
        .codec = "jpeg",
        .width = jpeg->width,
        .height = jpeg->height,
        .sar_width = 1,
        .sar_height = 1,
        .nominal_step_ticks = DEFAULT_STEP_TICKS,
    };
    atomic_init(&params->refs, 1);
    return params;
}

// One object for all pictures of a size in a row.
static int set_params(struct ch_jpeg_assembler *assembler, struct ch_frame *frame, const struct ch_jpeg *jpeg)
{
    const struct ch_params *old = assembler->params;
    if (!old || old->width != jpeg->width || old->height != jpeg->height) {
        struct ch_params *params = make_params(jpeg);
        if (!params)
            return -ENOMEM;
        ch_params_unref(assembler->params);
        assembler->params = params;
    }
    frame->params = ch_params_ref(assembler->params);
    return 0;
}

// The arrival in ticks, one behind the last picture at the least: two may come in one read.
static int64_t next_ticks(struct ch_jpeg_assembler *assembler, int64_t mono_us)
{
    if (!assembler->started) {
        assembler->started = true;
        assembler->first_us = mono_us;
        return assembler->last_ticks = CH_TIMELINE_ORIGIN;
    }
    int64_t ticks = CH_TIMELINE_ORIGIN + (mono_us - assembler->first_us) * 9 / 100;
    return assembler->last_ticks = ticks > assembler->last_ticks ? ticks : assembler->last_ticks + 1;
}

int ch_jpeg_assembler_take(struct ch_jpeg_assembler *assembler, struct ch_frame *frame, size_t message_size)
{
    struct ch_jpeg jpeg;
    if (message_size > UINT32_MAX || ch_jpeg_parse(frame->message, message_size, &jpeg) < 0)
        return -EBADMSG;
    int rc = set_params(assembler, frame, &jpeg);
    if (rc < 0)
        return rc;
    ch_frame_pack_whole(frame, message_size);
    frame->flags |= CH_FRAME_KEY | CH_FRAME_PICTURE | CH_FRAME_JPEG;
    frame->sequence = assembler->sequence++;
    frame->device_ms = (uint64_t)(frame->arrival_mono_us / 1000);
    frame->pts_ticks = frame->dts_ticks = next_ticks(assembler, frame->arrival_mono_us);
    return 0;
}
