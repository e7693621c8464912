// Parameter sets by id. Each is one allocation that holds the parsed form and the bytes, made on
// first need: most streams have one SPS and one PPS, few have more, and 32 + 256 slots cost 2 kB.
#include "codec/h264_sets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SET_BYTES 4096u

struct set {
    size_t size;
    union {
        struct ch_h264_sps sps;
        struct ch_h264_pps pps;
    };
    uint8_t data[];
};

struct ch_h264_sets {
    struct set *sps[CH_H264_MAX_SPS];
    struct set *pps[CH_H264_MAX_PPS];
};

struct ch_h264_sets *ch_h264_sets_new(void)
{
    return calloc(1, sizeof(struct ch_h264_sets));
}

void ch_h264_sets_free(struct ch_h264_sets *sets)
{
    if (!sets)
        return;
    for (size_t i = 0; i < CH_H264_MAX_SPS; i++)
        free(sets->sps[i]);
    for (size_t i = 0; i < CH_H264_MAX_PPS; i++)
        free(sets->pps[i]);
    free(sets);
}

static bool is_same(const struct set *set, const uint8_t *nal, size_t size)
{
    return set && set->size == size && memcmp(set->data, nal, size) == 0;
}

static struct set *new_set(const uint8_t *nal, size_t size)
{
    struct set *set = malloc(sizeof *set + size);
    if (!set)
        return NULL;
    set->size = size;
    memcpy(set->data, nal, size);
    return set;
}

// Takes `set`.
static int put_in_slot(struct set **slot, struct set *set)
{
    int change = *slot ? CH_SETS_CHANGED : CH_SETS_NEW;
    free(*slot);
    *slot = set;
    return change;
}

static int put_sps(struct ch_h264_sets *sets, const uint8_t *nal, size_t size)
{
    struct ch_h264_sps sps;
    int err = ch_h264_parse_sps(nal, size, &sps);
    if (err)
        return err;
    if (is_same(sets->sps[sps.id], nal, size))
        return CH_SETS_SAME;
    struct set *set = new_set(nal, size);
    if (!set)
        return -ENOMEM;
    set->sps = sps;
    return put_in_slot(&sets->sps[sps.id], set);
}

static int put_pps(struct ch_h264_sets *sets, const uint8_t *nal, size_t size)
{
    struct ch_h264_pps pps;
    int err = ch_h264_parse_pps(nal, size, &pps);
    if (err)
        return err;
    if (is_same(sets->pps[pps.id], nal, size))
        return CH_SETS_SAME;
    struct set *set = new_set(nal, size);
    if (!set)
        return -ENOMEM;
    set->pps = pps;
    return put_in_slot(&sets->pps[pps.id], set);
}

int ch_h264_sets_put(struct ch_h264_sets *sets, const uint8_t *nal, size_t size)
{
    if (size == 0)
        return -EINVAL;
    unsigned type = ch_nal_type(nal);
    if (type != CH_NAL_SPS && type != CH_NAL_PPS)
        return -EINVAL;
    if (size > MAX_SET_BYTES)
        return -E2BIG;
    return type == CH_NAL_SPS ? put_sps(sets, nal, size) : put_pps(sets, nal, size);
}

const struct ch_h264_sps *ch_h264_sets_sps(const struct ch_h264_sets *sets, unsigned id)
{
    return id < CH_H264_MAX_SPS && sets->sps[id] ? &sets->sps[id]->sps : NULL;
}

const struct ch_h264_pps *ch_h264_sets_pps(const struct ch_h264_sets *sets, unsigned id)
{
    return id < CH_H264_MAX_PPS && sets->pps[id] ? &sets->pps[id]->pps : NULL;
}

int ch_h264_sets_slice(const struct ch_h264_sets *sets, const uint8_t *nal, size_t size, struct ch_h264_slice *out,
                       const struct ch_h264_sps **sps)
{
    int pps_id = ch_h264_slice_pps_id(nal, size);
    if (pps_id < 0)
        return pps_id;
    const struct ch_h264_pps *pps = ch_h264_sets_pps(sets, (unsigned)pps_id);
    const struct ch_h264_sps *its_sps = pps ? ch_h264_sets_sps(sets, pps->sps_id) : NULL;
    if (!its_sps)
        return -ENOENT;
    if (sps)
        *sps = its_sps;
    return ch_h264_parse_slice(nal, size, its_sps, pps, out);
}

size_t ch_h264_sets_avcc(const struct ch_h264_sets *sets, unsigned id, uint8_t *out, size_t capacity)
{
    if (!ch_h264_sets_sps(sets, id))
        return 0;
    struct ch_h264_bytes sps[CH_H264_MAX_SPS], pps[CH_H264_MAX_PPS];
    size_t sps_count = 0, pps_count = 0;
    sps[sps_count++] = (struct ch_h264_bytes){sets->sps[id]->data, sets->sps[id]->size};
    for (unsigned i = 0; i < CH_H264_MAX_SPS; i++) {
        if (i != id && sets->sps[i])
            sps[sps_count++] = (struct ch_h264_bytes){sets->sps[i]->data, sets->sps[i]->size};
    }
    for (unsigned i = 0; i < CH_H264_MAX_PPS; i++) {
        if (sets->pps[i] && sets->sps[sets->pps[i]->pps.sps_id])
            pps[pps_count++] = (struct ch_h264_bytes){sets->pps[i]->data, sets->pps[i]->size};
    }
    return ch_h264_write_avcc(&sets->sps[id]->sps, sps, sps_count, pps, pps_count, out, capacity);
}
