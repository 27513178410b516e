#include "sys/random.h"

#include "base/check.h"

#include <unistd.h>
#if __has_include(<sys/random.h>)
#include <sys/random.h> /* getentropy() of some systems is there */
#endif

#define ENTROPY_MAX 256 /* of one getentropy(3) */

void
random_bytes(void *p, size_t n)
{
	unsigned char *at = p;
	while (n) {
		size_t part = MIN(n, (size_t)ENTROPY_MAX);
		check(getentropy(at, part) == 0);
		at += part;
		n -= part;
	}
}

uint64_t
random_u64(void)
{
	uint64_t v;
	random_bytes(&v, sizeof(v));
	return v;
}
