#include "log/log.h"

static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

#define ID_LEN 13

void
id_format(char out[14], uint64_t id)
{
	for (int i = ID_LEN - 1; i >= 0; i--, id >>= 5)
		out[i] = digits[id & 31];
	out[ID_LEN] = '\0';
}

bool
id_parse(struct str s, uint64_t *ret)
{
	uint64_t v = 0;
	if (s.len != ID_LEN || s.p[0] > 'f') /* 13 digits hold 65 bits */
		return false;
	for (size_t i = 0; i < ID_LEN; i++) {
		const char *at = s.p[i] ? strchr(digits, s.p[i]) : NULL;
		if (!at)
			return false;
		v = v << 5 | (uint64_t)(at - digits);
	}
	*ret = v;
	return true;
}
