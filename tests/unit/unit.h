// What unit tests share: cmocka in its required include order, and memory that ends at a guard page.
#ifndef CH_TESTS_UNIT_H
#define CH_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// A copy of data whose last byte lies right before a page that must not be touched; reading one
// byte too far faults. Release with guard_free.
struct guard {
    uint8_t *map, *data;
    size_t map_bytes;
};

static inline struct guard guard_copy(const void *data, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (size + page - 1) / page * page;
    struct guard guard = {.map_bytes = room + page};
    guard.map = mmap(NULL, guard.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(guard.map != MAP_FAILED);
    assert_int_equal(mprotect(guard.map + room, page, PROT_NONE), 0);
    guard.data = guard.map + room - size;
    if (size > 0)
        memcpy(guard.data, data, size);
    return guard;
}

static inline void guard_free(struct guard *guard)
{
    munmap(guard->map, guard->map_bytes);
    guard->map = NULL;
}

#endif
