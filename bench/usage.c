// Figures from the kernel, see usage.h. A process's CPU time comes from its CPU clock: the sum that
// /proc/PID/stat shows as utime and stime, in nanoseconds instead of ticks of 10 ms.
#include "usage.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t bench_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

// proc_stat(5): user nice system idle iowait. Idle time is measured by the kernel, busy time only sampled
// at ticks, which short bursts of work slip through; so what is not idle counts as busy.
static int read_core_idle(int core, int64_t *idle_ns)
{
    char line[512], name[16];
    uint64_t idle, iowait;
    int result = -ENOENT;
    FILE *file = fopen("/proc/stat", "re");
    if (!file)
        return -errno;
    while (result < 0 && fgets(line, sizeof line, file)) {
        int n = sscanf(line, "%15s %*u %*u %*u %" SCNu64 " %" SCNu64, name, &idle, &iowait);
        if (n != 3 || strncmp(name, "cpu", 3) != 0 || name[3] == 0 || atoi(name + 3) != core)
            continue;
        *idle_ns = (int64_t)(idle + iowait) * (1000000000 / sysconf(_SC_CLK_TCK));
        result = 0;
    }
    fclose(file);
    return result;
}

int bench_usage_read(struct bench_usage *usage, pid_t server, int server_core, int client_core)
{
    *usage = (struct bench_usage){0};
    int err = 0;
    if (server_core >= 0)
        err = read_core_idle(server_core, &usage->server_core_idle_ns);
    if (err == 0 && client_core >= 0)
        err = read_core_idle(client_core, &usage->client_core_idle_ns);
    if (err == 0 && server > 0) {
        clockid_t clock;
        err = -clock_getcpuclockid(server, &clock);
        if (err == 0)
            usage->server_cpu_ns = clock_ns(clock);
    }
    usage->client_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    usage->time_ns = bench_now_ns();
    return err;
}

uint64_t bench_unread_bytes(unsigned port)
{
    char line[512];
    uint64_t sum = 0;
    FILE *file = fopen("/proc/net/tcp", "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file)) {
        unsigned local_port, state, unsent, unread;
        // sl local_address rem_address st tx_queue:rx_queue; state 1 is established
        if (sscanf(line, " %*u: %*8x:%4x %*8x:%*4x %2x %8x:%8x", &local_port, &state, &unsent, &unread) == 4 &&
            local_port == port && state == 1)
            sum += unread;
    }
    fclose(file);
    return sum;
}

uint64_t bench_resident_kb(pid_t pid)
{
    char path[64], line[256];
    uint64_t kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (kb == 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %" SCNu64, &kb) != 1)
            kb = 0;
    fclose(file);
    return kb;
}

uint64_t bench_tcp_bytes(void)
{
    char line[256];
    uint64_t pages = 0;
    FILE *file = fopen("/proc/net/sockstat", "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file)) {
        const char *mem = strncmp(line, "TCP:", 4) == 0 ? strstr(line, " mem ") : NULL;
        if (mem)
            pages = strtoull(mem + 5, NULL, 10);
    }
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

// What is charged to the socket beyond its queue (SK_MEMINFO_FWD_ALLOC) is memory taken for it as well.
uint64_t bench_receive_buffer_bytes(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof info;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size) < 0)
        return 0;
    return (uint64_t)info[SK_MEMINFO_RMEM_ALLOC] + info[SK_MEMINFO_FWD_ALLOC];
}

void bench_samples_add(struct bench_samples *samples, int64_t ns)
{
    if (samples->count == samples->capacity) {
        size_t capacity = samples->capacity ? samples->capacity * 2 : 4096;
        uint32_t *us = realloc(samples->us, capacity * sizeof *us);
        if (!us)
            return;
        samples->us = us;
        samples->capacity = capacity;
    }
    int64_t us = ns < 0 ? 0 : ns / 1000;
    samples->us[samples->count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

void bench_samples_print(struct bench_samples *samples)
{
    size_t n = samples->count;
    if (n == 0) {
        printf("{\"count\":0}");
        return;
    }
    qsort(samples->us, n, sizeof *samples->us, compare);
    printf("{\"count\":%zu,\"p50\":%" PRIu32 ",\"p99\":%" PRIu32 ",\"max\":%" PRIu32 "}", n, samples->us[(n - 1) / 2],
           samples->us[(n - 1) * 99 / 100], samples->us[n - 1]);
}

void bench_samples_deinit(struct bench_samples *samples)
{
    free(samples->us);
    *samples = (struct bench_samples){0};
}
