/* fsck: the blob files that frames name, and the frames that records refer to. */
#include "store/fsck_priv.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "store/emb.h"
#include "store/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOB_STEP (256u << 10)

/* --- blobs --- */

static int
blob_crc(struct fsck *f, int fd, uint64_t len, uint32_t *ret)
{
	char *p = xalloc(BLOB_STEP);
	uint32_t crc = 0;
	int r = 0;
	for (uint64_t off = 0; r == 0 && off < len;) {
		size_t n = MIN(len - off, (uint64_t)BLOB_STEP);
		r = pread_all(fd, p, n, off);
		if (r == 0)
			crc = crc32c(crc, p, n);
		off += n;
		f->report->bytes += n;
	}
	free(p);
	*ret = crc;
	return r;
}

struct wanted {
	uint64_t number;
	bool found;
};

/* By a merge that is not done. */
static bool
is_wanted(void *arg, struct str key, struct str value)
{
	struct wanted *x = arg;
	struct intent in;
	x->found = intent_get(value, &in) && in.n_views &&
	           (in.views.blob == x->number || in.ref.blob == x->number);
	return !x->found;
}

static bool
blob_is_used(struct fsck *f, uint64_t number)
{
	struct store_dom q = store_dom_queue(0);
	struct wanted x = { .number = number };
	MDB_txn *txn;
	if (!f->has_index || mdb_txn_begin(f->ix.env, NULL, MDB_RDONLY, &txn) != 0)
		return false;
	int used = index_blob_used(&f->ix, txn, number);
	if (used == 0)
		(void)index_scan(&f->ix, txn, &q, STR("q|"), STR("q}"), 0, false, is_wanted, &x);
	mdb_txn_abort(txn);
	errno = ENOENT;
	return used == 1 || x.found;
}

void
fsck_blob(struct fsck *f, uint64_t lsn, const struct blob_record *b)
{
	char name[BLOB_NAME_LEN];
	struct stat st;
	uint32_t crc;
	blob_name(name, b->number);
	int fd = openat(f->blob, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	/* Its letter may be gone. Without an index nobody knows. */
	if (fd < 0 && errno == ENOENT && !blob_is_used(f, b->number))
		return;
	if (fd < 0) {
		fsck_problem(f,
		    "blob/%s: %s, but the log names it (lsn %llu); restore it from a backup", name,
		    strerror(errno), (unsigned long long)lsn);
		return;
	}
	f->report->bodies_checked++;
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_size != b->len)
		fsck_problem(f,
		    "blob/%s: it has %lld octets and should have %llu; restore it from a backup",
		    name, (long long)st.st_size, (unsigned long long)b->len);
	else if (blob_crc(f, fd, b->len, &crc) < 0)
		fsck_problem(f, "blob/%s: cannot be read; check the disk", name);
	else if (crc != b->crc)
		fsck_problem(f, "blob/%s: wrong checksum; restore it from a backup", name);
	close(fd);
}

/* --- references --- */

static const char *
blob_ref(struct fsck *f, const struct frame *h, const struct store_ref *ref)
{
	struct str payload;
	struct blob_record b;
	if (logread_payload(&f->at, h, &payload) < 0 || !blob_record_get(payload, &b))
		return "its blob reference is damaged";
	uint32_t crc = crc32c_join(crc32c(0, b.trace.p, b.trace.len), b.crc, b.len);
	if (b.number != ref->blob || b.trace.len + b.len != ref->len || crc != ref->crc)
		return "its blob reference says otherwise";
	return NULL;
}

const char *
fsck_ref(struct fsck *f, const struct store_ref *ref, uint64_t letter)
{
	uint64_t seq = lsn_seq(ref->lsn);
	struct frame h;
	enum frame_state state;
	if (f->at.fd < 0 || f->at.head.seq != seq) {
		logread_close(&f->at);
		if (logread_open(&f->at, f->log, seq, 0) < 0)
			return "its segment cannot be read";
	}
	f->at.off = lsn_off(ref->lsn);
	if (f->at.off < SEG_HEAD || ref->lsn % FRAME_ALIGN != 0)
		return "its reference is damaged";
	if (logread_head(&f->at, &h, &state) < 0 || state != FRAME_OK)
		return "no body stands where it should";
	if (h.id != letter || h.type != (ref->blob ? FRAME_BLOB : FRAME_BODY))
		return "another frame stands where its body should";
	if (ref->blob)
		return blob_ref(f, &h, ref);
	return h.len == ref->len && h.crc == ref->crc ? NULL
	                                              : "its body has another length or checksum";
}
