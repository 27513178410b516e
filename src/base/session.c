#include "base/session.h"

bool
session_is_http(struct str line)
{
	struct str method = str_word(&line);
	for (size_t i = 0; i < method.len; i++)
		if (method.p[i] < 'A' || method.p[i] > 'Z')
			return false;
	return method.len && str_word(&line).len && str_starts(str_word(&line), STR("HTTP/"));
}

int64_t
session_deadline(int64_t start, uint64_t seconds)
{
	uint64_t ms;
	int64_t at;
	if (seconds == UINT64_MAX || __builtin_mul_overflow(seconds, 1000u, &ms) ||
	    __builtin_add_overflow(start, ms, &at))
		return INT64_MAX;
	return at;
}
