/*
 * num: numbers from text, checked. Each parser takes the whole view or fails; out-parameters
 * stay untouched on failure.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits only, no sign, at most max. */
bool num_u64(struct str s, uint64_t max, uint64_t *ret);
bool num_hex(struct str s, uint64_t *ret); /* 1 to 16 hexadecimal digits */
/* A count of octets: digits and an optional K, M or G (powers of 1024). */
bool num_size(struct str s, uint64_t *ret);
/* Seconds: digits and an optional s, m, h, d. */
bool num_seconds(struct str s, uint64_t *ret);
