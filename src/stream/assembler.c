#include "stream/assembler.h"

#include "base/limits.h"
#include "codec/h264_sets.h"
#include "proto/camera_h264.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INBAND 16 // PPSs that differ from the configuration's; with more, the next IDR makes a new one
#define DEFAULT_STEP_TICKS (CH_MP4_TIMESCALE / 30)

// A PPS that decoders do not have from the init segment.
struct inband {
    unsigned id;
    bool fresh; // no picture has carried it yet
    bool here;  // in the message at hand
    size_t size;
    uint8_t *data;
};

struct ch_assembler {
    struct ch_h264_sets *sets;
    struct ch_params *params;   // in force; NULL before the first key frame
    struct ch_aac_config audio; // of the next key frame's
    struct ch_h264_poc poc;
    bool sps_dirty[CH_H264_MAX_SPS]; // differs from the configuration's
    bool renew;                      // too many in-band sets: make a new configuration
    struct inband inband[MAX_INBAND];
    size_t inband_count;
    // Scratch for one message.
    struct ch_nal *nals;
    bool *in_sample;
    size_t nal_capacity;
};

struct ch_assembler *ch_assembler_new(void)
{
    struct ch_assembler *assembler = calloc(1, sizeof *assembler);
    if (assembler)
        assembler->sets = ch_h264_sets_new();
    if (assembler && !assembler->sets) {
        free(assembler);
        return NULL;
    }
    return assembler;
}

static void forget_inband(struct ch_assembler *assembler)
{
    for (size_t i = 0; i < assembler->inband_count; i++)
        free(assembler->inband[i].data);
    assembler->inband_count = 0;
}

void ch_assembler_free(struct ch_assembler *assembler)
{
    if (!assembler)
        return;
    forget_inband(assembler);
    ch_params_unref(assembler->params);
    ch_h264_sets_free(assembler->sets);
    free(assembler->nals);
    free(assembler->in_sample);
    free(assembler);
}

static int grow_scratch(struct ch_assembler *assembler)
{
    size_t capacity = assembler->nal_capacity ? assembler->nal_capacity * 4 : 16;
    struct ch_nal *nals = realloc(assembler->nals, capacity * sizeof *nals);
    if (!nals)
        return -ENOMEM;
    assembler->nals = nals;
    bool *in_sample = realloc(assembler->in_sample, capacity * sizeof *in_sample);
    if (!in_sample)
        return -ENOMEM;
    assembler->in_sample = in_sample;
    assembler->nal_capacity = capacity;
    return 0;
}

// All NAL units of the payload into the scratch. Their number, 0 also if there are too many, or -ENOMEM.
static int find_nals(struct ch_assembler *assembler, const uint8_t *payload, size_t size)
{
    size_t count = 0, at = 0;
    struct ch_nal nal;
    while (ch_annexb_next(payload, size, &at, &nal)) {
        if (count == CH_LIMIT_NALS)
            return 0;
        if (count == assembler->nal_capacity && grow_scratch(assembler) < 0)
            return -ENOMEM;
        assembler->nals[count++] = nal;
    }
    return (int)count;
}

static struct inband *find_inband(struct ch_assembler *assembler, unsigned id)
{
    for (size_t i = 0; i < assembler->inband_count; i++)
        if (assembler->inband[i].id == id)
            return &assembler->inband[i];
    return NULL;
}

// Notes a PPS that must travel in the samples. True if it does.
static bool note_pps(struct ch_assembler *assembler, const uint8_t *nal, size_t size)
{
    struct ch_h264_pps pps;
    if (!assembler->params || ch_h264_parse_pps(nal, size, &pps) < 0)
        return false;
    struct inband *entry = find_inband(assembler, pps.id);
    if (!entry && ch_params_has_set(assembler->params, nal, size))
        return false;
    if (!entry && assembler->inband_count == MAX_INBAND) {
        assembler->renew = true;
        return true;
    }
    uint8_t *copy = malloc(size);
    if (!copy)
        return true;
    memcpy(copy, nal, size);
    if (!entry)
        entry = &assembler->inband[assembler->inband_count++];
    else
        free(entry->data);
    *entry = (struct inband){.id = pps.id, .fresh = true, .here = true, .size = size, .data = copy};
    return true;
}

// Stores a parameter set; true if it stays in the sample.
static bool take_set(struct ch_assembler *assembler, const uint8_t *nal, size_t size)
{
    if (ch_h264_sets_put(assembler->sets, nal, size) < 0)
        return false;
    if (ch_nal_type(nal) == CH_NAL_PPS)
        return note_pps(assembler, nal, size);
    struct ch_h264_sps sps;
    if (ch_h264_parse_sps(nal, size, &sps) == 0)
        assembler->sps_dirty[sps.id] = !assembler->params || !ch_params_has_set(assembler->params, nal, size);
    return false;
}

struct facts {
    bool picture, idr;
    const uint8_t *slice; // the first coded slice
    size_t slice_size;
};

// Looks at each NAL unit: what the sample holds, what kind of message it is.
static struct facts look(struct ch_assembler *assembler, const uint8_t *payload, size_t count)
{
    struct facts facts = {0};
    for (size_t i = 0; i < assembler->inband_count; i++)
        assembler->inband[i].here = false;
    for (size_t i = 0; i < count; i++) {
        const struct ch_nal *nal = &assembler->nals[i];
        const uint8_t *data = payload + nal->offset;
        unsigned type = ch_nal_type(data);
        assembler->in_sample[i] = ch_nal_in_sample(type);
        if (type == CH_NAL_SPS || type == CH_NAL_PPS)
            assembler->in_sample[i] = take_set(assembler, data, nal->size);
        if (type < CH_NAL_SLICE || type > CH_NAL_IDR)
            continue;
        facts.picture = true;
        if (type == CH_NAL_IDR)
            facts.idr = true;
        if (!facts.slice && type != 3 && type != 4) {
            facts.slice = data;
            facts.slice_size = nal->size;
        }
    }
    return facts;
}

static struct ch_params *make_params(const struct ch_h264_sets *sets, const struct ch_h264_sps *sps,
                                     const struct ch_aac_config *audio)
{
    size_t bytes = ch_h264_sets_avcc(sets, sps->id, NULL, 0);
    struct ch_params *params = bytes ? malloc(sizeof *params + bytes) : NULL;
    if (!params)
        return NULL;
    *params = (struct ch_params){
        .width = sps->width,
        .height = sps->height,
        .sar_width = sps->sar_width,
        .sar_height = sps->sar_height,
        .reorder_depth = ch_h264_reorder_depth(sps),
        .nominal_step_ticks = DEFAULT_STEP_TICKS,
        .audio = *audio,
        .avcc_bytes = bytes,
    };
    atomic_init(&params->refs, 1);
    // A frame lasts two ticks of the VUI's clock, ITU-T H.264 E.2.1.
    if (sps->num_units_in_tick > 0 && sps->time_scale > 0) {
        uint64_t step = (uint64_t)sps->num_units_in_tick * 2 * CH_MP4_TIMESCALE / sps->time_scale;
        if (step >= CH_MP4_TIMESCALE / 240 && step <= CH_MP4_TIMESCALE)
            params->nominal_step_ticks = (uint32_t)step;
    }
    ch_h264_codec_string(sps, params->codec);
    ch_h264_sets_avcc(sets, sps->id, params->avcc, bytes);
    return params;
}

// At an IDR picture: a new configuration if the SPS in force, or the audio, is not that of the old one.
static void renew_params(struct ch_assembler *assembler, const struct ch_h264_sps *sps)
{
    const struct ch_params *old = assembler->params;
    if (old && !assembler->renew && !assembler->sps_dirty[sps->id] && old->width == sps->width &&
        old->height == sps->height && old->reorder_depth == ch_h264_reorder_depth(sps) &&
        ch_aac_same(&old->audio, &assembler->audio))
        return;
    struct ch_params *params = make_params(assembler->sets, sps, &assembler->audio);
    if (!params)
        return;
    ch_params_unref(assembler->params);
    assembler->params = params;
    assembler->renew = false;
    memset(assembler->sps_dirty, 0, sizeof assembler->sps_dirty);
    forget_inband(assembler);
}

// Sets that this picture's sample must bring along and its message does not hold.
static size_t missing_sets(struct ch_assembler *assembler, bool key, struct ch_frame_extra out[MAX_INBAND])
{
    size_t count = 0;
    for (size_t i = 0; i < assembler->inband_count; i++) {
        struct inband *entry = &assembler->inband[i];
        if (!entry->here && (entry->fresh || key))
            out[count++] = (struct ch_frame_extra){.data = entry->data, .size = entry->size};
        entry->fresh = false;
    }
    return count;
}

// After a new configuration its own sets need not be in the sample.
static void drop_known_sets(struct ch_assembler *assembler, const uint8_t *payload, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct ch_nal *nal = &assembler->nals[i];
        unsigned type = ch_nal_type(payload + nal->offset);
        if (type == CH_NAL_PPS && ch_params_has_set(assembler->params, payload + nal->offset, nal->size))
            assembler->in_sample[i] = false;
    }
}

int ch_assembler_take(struct ch_assembler *assembler, struct ch_frame *frame)
{
    const uint8_t *payload = frame->message + CH_CAMERA_HEADER_BYTES;
    int found = find_nals(assembler, payload, frame->payload_bytes);
    if (found < 0)
        return found;
    size_t count = (size_t)found;
    struct facts facts = look(assembler, payload, count);
    frame->flags |= facts.picture ? CH_FRAME_PICTURE : count > 0 ? CH_FRAME_PARAMETERS : CH_FRAME_JUNK;

    const struct ch_h264_sps *sps = NULL;
    struct ch_h264_slice slice;
    bool known = facts.slice && ch_h264_sets_slice(assembler->sets, facts.slice, facts.slice_size, &slice, &sps) == 0;
    if (facts.idr && known) {
        struct ch_params *before = assembler->params;
        renew_params(assembler, sps);
        if (assembler->params != before)
            drop_known_sets(assembler, payload, count);
        if (assembler->params) // there is none if the camera's sets do not fit into an avcC
            frame->flags |= CH_FRAME_KEY;
    }
    if (facts.picture && !assembler->params)
        frame->flags |= CH_FRAME_BEFORE_KEY;
    bool with_sample = facts.picture && assembler->params;
    if (with_sample && known && assembler->params->reorder_depth > 0) {
        frame->poc = ch_h264_poc_next(&assembler->poc, sps, &slice);
        frame->has_poc = true;
    }
    struct ch_frame_extra extra[MAX_INBAND];
    size_t extra_count = with_sample ? missing_sets(assembler, frame->flags & CH_FRAME_KEY, extra) : 0;
    if (with_sample)
        frame->params = ch_params_ref(assembler->params);
    return ch_frame_pack(frame, assembler->nals, assembler->in_sample, count, with_sample, extra, extra_count);
}

void ch_assembler_set_audio(struct ch_assembler *assembler, const struct ch_aac_config *audio)
{
    assembler->audio = audio ? *audio : (struct ch_aac_config){0};
}

int ch_assembler_take_audio(struct ch_assembler *assembler, struct ch_frame *frame, size_t size)
{
    struct ch_params *params = assembler->params;
    if (size == 0 || size > CH_AAC_FRAME_MAX)
        return -EINVAL;
    if (!params || params->audio.rate == 0 || !ch_aac_same(&params->audio, &assembler->audio))
        return -EAGAIN;
    ch_frame_pack_audio(frame, size);
    frame->flags |= CH_FRAME_AUDIO;
    frame->params = ch_params_ref(params);
    return 0;
}
