// Maps a device's clock to wall clock from when frames were taken and when they arrived. Transport
// can only delay, so the truth runs along the lower edge of (arrival - device): the least-delayed
// arrival of each interval, and a line under those. Pure; constant memory for any length.
#ifndef CH_SINK_CLOCKMAP_H
#define CH_SINK_CLOCKMAP_H

#include <stdbool.h>
#include <stdint.h>

#define CH_CLOCKMAP_BUCKETS 256

struct ch_clockmap {
    uint64_t samples;
    int64_t first_device_us;
    int64_t bucket_us; // doubles when all buckets are used
    unsigned count;
    struct {
        int64_t device_us; // since the first sample
        int64_t delay_us;  // least arrival - device in the bucket
        bool used;
    } buckets[CH_CLOCKMAP_BUCKETS];
};

struct ch_clock_estimate {
    int64_t wall_minus_device_us; // at the first sample
    int64_t drift_ppb;            // how much faster wall clock runs than the device's; 0 if under 10 s are known
    int64_t uncertainty_us;       // how far least-delayed arrivals scatter above the line; at least the
                                  // 1 ms resolution of device times
};

void ch_clockmap_init(struct ch_clockmap *map);
void ch_clockmap_add(struct ch_clockmap *map, int64_t device_us, int64_t arrival_us);
// False without samples.
bool ch_clockmap_estimate(const struct ch_clockmap *map, struct ch_clock_estimate *out);

#endif
