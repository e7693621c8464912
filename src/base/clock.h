// Clocks and how they are written. Times are int64_t microseconds.
#ifndef CH_BASE_CLOCK_H
#define CH_BASE_CLOCK_H

#include <stdint.h>

#define CH_US_PER_S INT64_C(1000000)

int64_t ch_clock_mono_us(void); // CLOCK_MONOTONIC: for intervals
int64_t ch_clock_wall_us(void); // since the Unix epoch

// "2026-11-21T03:44:15.123Z", RFC 3339 in UTC; 25 bytes with the zero.
#define CH_RFC3339_BYTES 25
void ch_format_rfc3339(int64_t wall_us, char out[CH_RFC3339_BYTES]);
// "20261121_034415" in local time; 16 bytes with the zero.
#define CH_STAMP_BYTES 16
void ch_format_stamp(int64_t wall_us, char out[CH_STAMP_BYTES]);
// "2026-11-21 03:44:15.123" in local time; 24 bytes with the zero.
#define CH_LOG_TIME_BYTES 24
void ch_format_log_time(int64_t wall_us, char out[CH_LOG_TIME_BYTES]);

#endif
