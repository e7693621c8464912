// By which addresses other machines reach this one.
#ifndef CH_BASE_ADDRESSES_H
#define CH_BASE_ADDRESSES_H

#include <stddef.h>

#define CH_ADDRESS_BYTES 254 // an address or a name of a machine, and a zero
#define CH_ADDRESSES_MAX 16

// The addresses of a server that listens on `host`: of all interfaces that are up if it listens on all (IPv4 for
// "0.0.0.0"; for "::" also IPv6), without loopback and link-local ones, unless nothing else is left; of a server
// on one address, that one. Their number, 1 or more. Asks the kernel, but never waits for the network.
size_t ch_own_addresses(const char *host, char out[CH_ADDRESSES_MAX][CH_ADDRESS_BYTES]);

#endif
