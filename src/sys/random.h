/* random: octets from the kernel; never fails after the start (check()ed). */
#pragma once

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *p, size_t n);
uint64_t random_u64(void);
