#include "sink/clockmap.h"

#include <string.h>

#define FIRST_BUCKET_US INT64_C(1000000)
#define DRIFT_NEEDS_US INT64_C(10000000)
#define RESOLUTION_US 1000

void ch_clockmap_init(struct ch_clockmap *map)
{
    memset(map, 0, sizeof *map);
    map->bucket_us = FIRST_BUCKET_US;
}

static void merge_pairs(struct ch_clockmap *map)
{
    for (unsigned i = 0; i < CH_CLOCKMAP_BUCKETS; i += 2) {
        unsigned pick = i;
        if (map->buckets[i + 1].used &&
            (!map->buckets[i].used || map->buckets[i + 1].delay_us < map->buckets[i].delay_us))
            pick = i + 1;
        map->buckets[i / 2] = map->buckets[pick];
    }
    memset(map->buckets + CH_CLOCKMAP_BUCKETS / 2, 0, sizeof map->buckets / 2);
    map->count = (map->count + 1) / 2;
    map->bucket_us *= 2;
}

void ch_clockmap_add(struct ch_clockmap *map, int64_t device_us, int64_t arrival_us)
{
    if (map->samples == 0)
        map->first_device_us = device_us;
    int64_t since = device_us - map->first_device_us;
    if (since < 0)
        since = 0;
    while (since / map->bucket_us >= CH_CLOCKMAP_BUCKETS)
        merge_pairs(map);
    unsigned at = (unsigned)(since / map->bucket_us);
    int64_t delay = arrival_us - device_us;
    if (!map->buckets[at].used || delay < map->buckets[at].delay_us) {
        map->buckets[at].used = true;
        map->buckets[at].device_us = since;
        map->buckets[at].delay_us = delay;
    }
    if (at >= map->count)
        map->count = at + 1;
    map->samples++;
}

// Slope of the least-squares line through the buckets' least delays. A ratio, so floating point.
static double slope(const struct ch_clockmap *map, int64_t base)
{
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (unsigned i = 0; i < map->count; i++) {
        if (!map->buckets[i].used)
            continue;
        double x = (double)map->buckets[i].device_us, y = (double)(map->buckets[i].delay_us - base);
        n++;
        sx += x;
        sy += y;
        sxx += x * x;
        sxy += x * y;
    }
    double spread = n * sxx - sx * sx;
    return spread > 0 ? (n * sxy - sx * sy) / spread : 0;
}

bool ch_clockmap_estimate(const struct ch_clockmap *map, struct ch_clock_estimate *out)
{
    if (map->samples == 0)
        return false;
    *out = (struct ch_clock_estimate){0};
    int64_t base = map->buckets[0].delay_us, last = 0;
    for (unsigned i = 0; i < map->count; i++)
        if (map->buckets[i].used)
            last = map->buckets[i].device_us;
    double drift = last >= DRIFT_NEEDS_US ? slope(map, base) : 0;
    out->drift_ppb = (int64_t)(drift * 1e9);
    // The line is pushed down until it lies under every bucket; how high they lie above it is the doubt.
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (unsigned i = 0; i < map->count; i++) {
        if (!map->buckets[i].used)
            continue;
        int64_t above = map->buckets[i].delay_us - (int64_t)(drift * (double)map->buckets[i].device_us);
        least = above < least ? above : least;
        most = above > most ? above : most;
    }
    out->wall_minus_device_us = least;
    out->uncertainty_us = most - least > RESOLUTION_US ? most - least : RESOLUTION_US;
    return true;
}
