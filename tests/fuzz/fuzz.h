// What a fuzz target is: one function that takes any bytes. Built twice, under libFuzzer (./dev fuzz)
// and with replay_main.c (every ./dev test).
#ifndef CH_TESTS_FUZZ_H
#define CH_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
