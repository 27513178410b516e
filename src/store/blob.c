/* Blob files: DIR/blob/NNNNNNNNNNNNNNNN, a large body's octets as received and nothing else. */
#include "store/emb.h"

#include "base/check.h"
#include "base/num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
blob_name(char out[BLOB_NAME_LEN], uint64_t number)
{
	snprintf(out, BLOB_NAME_LEN, "%016llx", (unsigned long long)number);
}

bool
blob_number(const char *name, uint64_t *ret)
{
	struct str s = str_of(name);
	return s.len == 16 && num_hex(s, ret) && *ret != 0;
}

int
emb_blob_new(struct store *s, uint64_t *ret_number, int *ret_fd)
{
	struct emb *e = s->impl;
	char name[BLOB_NAME_LEN];
	if (e->o.read_only)
		return -EROFS;
	blob_name(name, e->next_blob);
	int fd = openat(e->blob, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	*ret_number = e->next_blob++;
	*ret_fd = fd;
	return 0;
}

void
emb_blob_drop(struct store *s, uint64_t number)
{
	struct emb *e = s->impl;
	char name[BLOB_NAME_LEN];
	blob_name(name, number);
	unlinkat(e->blob, name, 0);
}

/* Blobs of letters that are named, not done: no record refers to them yet. */
struct open_blobs {
	uint64_t *p;
	size_t n;
};

static bool
take_open(void *arg, struct str key, struct str value)
{
	struct open_blobs *o = arg;
	struct intent in;
	if (!intent_get(value, &in))
		return true;
	const uint64_t blobs[] = { in.ref.blob, in.views.blob };
	for (size_t i = 0; i < ARRAY_LEN(blobs); i++) {
		if (!blobs[i])
			continue;
		o->p = xrealloc(o->p, (o->n + 1) * sizeof(*o->p));
		o->p[o->n++] = blobs[i];
	}
	return true;
}

static int
sweep_one(struct emb *e, MDB_txn *txn, const struct open_blobs *o, const char *name)
{
	uint64_t number;
	if (!blob_number(name, &number))
		return 0;
	if (number >= e->next_blob)
		e->next_blob = number + 1;
	for (size_t i = 0; i < o->n; i++)
		if (o->p[i] == number)
			return 0;
	int used = index_blob_used(&e->ix, txn, number);
	if (used != 0)
		return used < 0 ? used : 0;
	return unlinkat(e->blob, name, 0) < 0 ? -errno : 0;
}

int
blobs_sweep(struct emb *e)
{
	MDB_txn *txn = NULL;
	int fd = openat(e->blob, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int failed = -errno;
		if (fd >= 0)
			close(fd);
		return failed;
	}
	e->next_blob = e->ix.max_blob + 1;
	int r = index_errno(mdb_txn_begin(e->ix.env, NULL, MDB_RDONLY, &txn));
	struct open_blobs o = { 0 };
	struct store_dom q = store_dom_queue(0);
	if (r == 0)
		r = index_scan(&e->ix, txn, &q, STR("q|"), STR("q}"), 0, false, take_open, &o);
	struct dirent *entry;
	while (r == 0 && (errno = 0, (entry = readdir(d)) != NULL))
		r = sweep_one(e, txn, &o, entry->d_name);
	if (r == 0)
		r = -errno;
	if (txn)
		mdb_txn_abort(txn);
	closedir(d);
	free(o.p);
	return r;
}

/*
 * The checksum of two pieces from the checksums of each: crc(AB) = crc(A) * x^(8 |B|) + crc(B),
 * polynomials over GF(2) modulo the CRC's, bits reflected.
 */
#define POLY 0x82f63b78u

static uint32_t
gf_mul(uint32_t a, uint32_t b)
{
	uint32_t product = 0;
	for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = b & 1 ? b >> 1 ^ POLY : b >> 1;
	}
	return product;
}

uint32_t
crc32c_join(uint32_t a, uint32_t b, uint64_t b_len)
{
	uint32_t shift = 1u << 31, power = 1u << 23; /* 1 and x^8 */
	for (; b_len; b_len >>= 1) {
		if (b_len & 1)
			shift = gf_mul(shift, power);
		power = gf_mul(power, power);
	}
	return gf_mul(a, shift) ^ b;
}
