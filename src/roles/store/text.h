/* text: numbers as the fields of rows. */
#pragma once

#include "base/str.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_NUM 24

static inline struct str
text_u64(char buf[TEXT_NUM], uint64_t v)
{
	int n = snprintf(buf, TEXT_NUM, "%" PRIu64, v);
	return str_n(buf, (size_t)n);
}
