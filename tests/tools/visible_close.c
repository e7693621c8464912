// For LD_PRELOAD under ThreadSanitizer. libuv closes descriptors by syscall(SYS_close, fd), which the sanitizer does
// not see; when the disk thread's next file gets the same number, its use looks like a race with whatever the loop
// did with the old one. Here that call becomes close(fd), which the sanitizer knows.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_close)
        return close((int)arguments[0]);
    if (!real)
        real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
