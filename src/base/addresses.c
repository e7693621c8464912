#include "base/addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

// Writes the address if others can use it to come here.
static bool take(const struct ifaddrs *one, int family, char out[CH_ADDRESS_BYTES])
{
    if (!one->ifa_addr || one->ifa_addr->sa_family != family || !(one->ifa_flags & IFF_UP) ||
        (one->ifa_flags & IFF_LOOPBACK))
        return false;
    if (family == AF_INET) {
        struct sockaddr_in address;
        memcpy(&address, one->ifa_addr, sizeof address);
        return inet_ntop(AF_INET, &address.sin_addr, out, CH_ADDRESS_BYTES) != NULL;
    }
    struct sockaddr_in6 address;
    memcpy(&address, one->ifa_addr, sizeof address);
    return !IN6_IS_ADDR_LINKLOCAL(&address.sin6_addr) &&
           inet_ntop(AF_INET6, &address.sin6_addr, out, CH_ADDRESS_BYTES) != NULL;
}

static size_t collect(const struct ifaddrs *all, int family, char out[CH_ADDRESSES_MAX][CH_ADDRESS_BYTES], size_t count)
{
    for (const struct ifaddrs *one = all; one && count < CH_ADDRESSES_MAX; one = one->ifa_next)
        count += take(one, family, out[count]);
    return count;
}

size_t ch_own_addresses(const char *host, char out[CH_ADDRESSES_MAX][CH_ADDRESS_BYTES])
{
    bool all_of_6 = strcmp(host, "::") == 0;
    size_t count = 0;
    if (!all_of_6 && strcmp(host, "0.0.0.0") != 0) {
        snprintf(out[0], CH_ADDRESS_BYTES, "%s", host);
        return 1;
    }
    struct ifaddrs *all;
    if (getifaddrs(&all) == 0) {
        count = collect(all, AF_INET, out, 0);
        if (all_of_6)
            count = collect(all, AF_INET6, out, count);
        freeifaddrs(all);
    }
    if (count == 0)
        snprintf(out[count++], CH_ADDRESS_BYTES, "127.0.0.1");
    return count;
}
