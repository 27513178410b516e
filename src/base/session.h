/* session: what the servers of all our protocols share. Pure. */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Is it the first line of a request of HTTP? Whoever says that was led here by somebody else (R-HTTP). */
bool session_is_http(struct str line);
/* So many seconds behind start (ms); INT64_MAX: never, because they are UINT64_MAX or too many. */
int64_t session_deadline(int64_t start, uint64_t seconds);
