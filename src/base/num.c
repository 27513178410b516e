#include "base/num.h"

bool
num_u64(struct str s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	}
	if (v > max)
		return false;
	*ret = v;
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
num_hex(struct str s, uint64_t *ret)
{
	uint64_t v = 0;
	if (s.len == 0 || s.len > 16)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		int d = hex_digit(s.p[i]);
		if (d < 0)
			return false;
		v = v << 4 | (uint64_t)d;
	}
	*ret = v;
	return true;
}

struct unit {
	char name;
	uint64_t factor;
};

static bool
with_unit(struct str s, const struct unit *units, size_t n, uint64_t *ret)
{
	uint64_t factor = 1, v;
	for (size_t i = 0; i < n && s.len; i++) {
		if ((s.p[s.len - 1] | 0x20) == units[i].name) {
			factor = units[i].factor;
			s.len--;
			break;
		}
	}
	if (!num_u64(s, UINT64_MAX, &v) || __builtin_mul_overflow(v, factor, &v))
		return false;
	*ret = v;
	return true;
}

bool
num_size(struct str s, uint64_t *ret)
{
	static const struct unit units[] = { { 'k', 1u << 10 }, { 'm', 1u << 20 },
		{ 'g', 1u << 30 } };
	return with_unit(s, units, 3, ret);
}

bool
num_seconds(struct str s, uint64_t *ret)
{
	static const struct unit units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 },
		{ 'd', 86400 } };
	return with_unit(s, units, 4, ret);
}
