/* Copying octets of files with their checksums, in pieces. */
#include "ctl/backup_priv.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "crypt/crypt.h"
#include "store/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (256u << 10)
/* A disk takes so much in one go that no sync keeps the server waiting for a sign of life. */
#define SYNC_EACH (32u << 20)

void
summing_begin(struct summing *s)
{
	crypt_init();
	*s = (struct summing){ .sha = crypt_sum_new(CRYPT_SHA256) };
}

void
summing_add(struct summing *s, const void *p, size_t n)
{
	crypt_sum_add(s->sha, str_n(p, n));
	s->crc = crc32c(s->crc, p, n);
	s->size += n;
}

void
summing_end(struct summing *s, struct manifest_file *ret)
{
	unsigned char sha[CRYPT_DIGEST_MAX];
	crypt_sum_end(s->sha, ret ? sha : NULL);
	if (ret) {
		for (size_t i = 0; i < crypt_hash_size(CRYPT_SHA256); i++)
			snprintf(ret->sha + 2 * i, 3, "%02x", sha[i]);
		ret->crc = s->crc;
		ret->size = s->size;
	}
	*s = (struct summing){ 0 };
}

int
copy_octets(int from, int to, uint64_t off, uint64_t n, struct summing *s, copy_step_fn *step,
    void *arg, enum copy_side *ret_side)
{
	char *piece = xalloc(PIECE);
	uint64_t unsynced = 0;
	int rc = 0;
	while (rc == 0 && n) {
		size_t part = (size_t)MIN(n, (uint64_t)PIECE);
		*ret_side = COPY_FROM;
		rc = pread_all(from, piece, part, off);
		if (rc < 0)
			break;
		summing_add(s, piece, part);
		*ret_side = COPY_TO;
		if (to >= 0)
			rc = pwrite_all(to, piece, part, off);
		unsynced += part;
		if (rc == 0 && to >= 0 && unsynced >= SYNC_EACH) {
			rc = fdatasync(to) < 0 ? -errno : 0;
			unsynced = 0;
		}
		if (rc == 0 && step)
			rc = step(arg, part);
		off += part;
		n -= part;
	}
	free(piece);
	return rc;
}

int
copy_same(int a, int b, uint64_t off, uint64_t n)
{
	char *p = xalloc(2 * (size_t)PIECE);
	int rc = 1;
	while (rc == 1 && n) {
		size_t part = (size_t)MIN(n, (uint64_t)PIECE);
		int r = pread_all(a, p, part, off);
		if (r == 0)
			r = pread_all(b, p + PIECE, part, off);
		rc = r < 0 ? r : memcmp(p, p + PIECE, part) == 0;
		off += part;
		n -= part;
	}
	free(p);
	return rc;
}
