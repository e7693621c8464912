// What the processes and cores have spent, read from the kernel at one moment, and what a socket's
// other end has not read yet; and a bag of durations for percentiles.
#ifndef CH_BENCH_USAGE_H
#define CH_BENCH_USAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bench_usage {
    int64_t time_ns;
    int64_t server_cpu_ns, client_cpu_ns; // user and system time of all threads, ended ones included
    int64_t server_core_idle_ns, client_core_idle_ns;
};

int64_t bench_now_ns(void); // CLOCK_MONOTONIC
// Server figures stay 0 without a server (pid 0), core figures with a core of -1. 0 or a negative errno.
int bench_usage_read(struct bench_usage *usage, pid_t server, int server_core, int client_core);

// Bytes that the kernel holds for the process behind the local TCP port and that it has not read.
uint64_t bench_unread_bytes(unsigned port);

// A process's VmRSS in kB; 0 if it cannot be read.
uint64_t bench_resident_kb(pid_t pid);
// Bytes of memory that TCP's buffers hold on this machine, both ends of loopback (/proc/net/sockstat).
uint64_t bench_tcp_bytes(void);
// Of these, what one socket's receive buffer holds (SO_MEMINFO).
uint64_t bench_receive_buffer_bytes(int fd);

struct bench_samples {
    uint32_t *us; // owned; grows, and stops growing without memory
    size_t count, capacity;
};
void bench_samples_add(struct bench_samples *samples, int64_t ns);
// Prints {"count":..,"p50":..,"p99":..,"max":..}, in microseconds. Sorts the samples.
void bench_samples_print(struct bench_samples *samples);
void bench_samples_deinit(struct bench_samples *samples);

#endif
