#include "policy/shared.h"

#include "base/check.h"

#define ALIGN 64

static size_t
rate_at(void)
{
	return (tally_size() + ALIGN - 1) / ALIGN * ALIGN;
}

size_t
policy_shared_size(void)
{
	return rate_at() + rate_size();
}

struct tally_table *
policy_tally(void *map, size_t len)
{
	check(len >= policy_shared_size());
	return map;
}

struct rate_table *
policy_rate(void *map, size_t len)
{
	check(len >= policy_shared_size());
	return (struct rate_table *)((char *)map + rate_at());
}

const struct tally_table *
policy_tally_in(const void *map, size_t len)
{
	check(len >= policy_shared_size());
	return map;
}

const struct rate_table *
policy_rate_in(const void *map, size_t len)
{
	check(len >= policy_shared_size());
	return (const struct rate_table *)((const char *)map + rate_at());
}
