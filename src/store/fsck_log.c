/* fsck, first pass: every frame of every segment, and the blob files they name. */
#include "store/fsck_priv.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/wire.h"
#include "log/log.h"
#include "store/emb.h"
#include "store/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOB_STEP (256u << 10)

static const char *const type_name[] = {
	[FRAME_BODY] = "body",
	[FRAME_BLOB] = "blob reference",
	[FRAME_TRACE] = "history",
	[FRAME_INTENT] = "intent",
	[FRAME_BATCH] = "batch",
	[FRAME_DONE] = "done mark",
	[FRAME_END] = "end",
};

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

static void
check_blob(struct fsck *f, uint64_t lsn, const struct blob_record *b)
{
	char name[BLOB_NAME_LEN];
	struct stat st;
	uint32_t crc;
	blob_name(name, b->number);
	int fd = openat(f->blob, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
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

/* --- payloads --- */

static bool
batch_ok(struct fsck *f, const struct frame *h, struct str payload)
{
	struct batch_record r;
	if (!batch_record_get(payload, &r))
		return false;
	struct str key = str_n(r.dom.b, sizeof(r.dom.b));
	struct fsck_ver *ver = map_get(&f->vers, key);
	if (!ver) {
		ver = xalloc(sizeof(*ver));
		map_put(&f->vers, key, ver);
		ver->last = r.ver - 1;
	}
	if (r.ver != ver->last + 1)
		fsck_problem(f,
		    "log: version %llu of a %c domain follows version %llu (lsn %llu); "
		    "part of the log is missing",
		    (unsigned long long)r.ver, r.dom.b[0], (unsigned long long)ver->last,
		    (unsigned long long)h->lsn);
	ver->last = r.ver;
	if (h->lsn < f->applied)
		ver->applied = r.ver;
	return true;
}

static bool
payload_ok(struct fsck *f, const struct frame *h, struct str payload)
{
	struct intent in;
	struct trace_payload t;
	struct blob_record b;
	uint64_t letter, time_ms;
	switch (h->type) {
	case FRAME_BODY:
		f->report->bodies_checked++;
		return true;
	case FRAME_BLOB:
		if (!blob_record_get(payload, &b))
			return false;
		check_blob(f, h->lsn, &b);
		return true;
	case FRAME_TRACE:
		return trace_payload_get(payload, &t) && t.letter == h->id;
	case FRAME_INTENT:
		return intent_get(payload, &in) && in.letter == h->id;
	case FRAME_BATCH:
		return batch_ok(f, h, payload);
	case FRAME_DONE:
		return done_get(payload, &letter, &time_ms) && letter == h->id;
	case FRAME_END:
		return payload.len == 0;
	}
	return false;
}

/* --- segments --- */

/* From an invalid frame to the next valid header. */
static int
resync(struct logread *r, struct frame *ret, bool *ret_found)
{
	enum frame_state state;
	*ret_found = false;
	for (r->off += FRAME_ALIGN; r->off + FRAME_HEAD <= r->head.size; r->off += FRAME_ALIGN) {
		int rc = logread_head(r, ret, &state);
		if (rc < 0)
			return rc;
		if (state == FRAME_OK) {
			*ret_found = true;
			return 0;
		}
	}
	return 0;
}

/* What stands at r->off is no frame. The end of the log, a write under way, or damage? True:
 * go on where r stands now. */
static int
not_a_frame(struct fsck *f, struct logread *r, bool *ret_go_on)
{
	struct frame h;
	enum frame_state state;
	bool found;
	uint64_t at = r->off;
	*ret_go_on = false;
	int rc = resync(r, &h, &found);
	if (rc < 0)
		return rc;
	uint64_t next = r->off;
	r->off = at;
	if (lsn_of(r->head.seq, at) >= f->applied && !(found && h.group > at))
		return 0;
	fsck_moment();
	buf_reset(&r->buf);
	rc = logread_head(r, &h, &state);
	if (rc < 0)
		return rc;
	*ret_go_on = state == FRAME_OK || found;
	if (state == FRAME_OK)
		return 0; /* it was being written */
	fsck_problem(f, "log/%08llx.seg: damaged at octet %llu; restore it from a backup",
	    (unsigned long long)r->head.seq, (unsigned long long)at);
	r->off = next;
	return 0;
}

/* Was this frame synced? A frame of a later group behind it, or the index, says so. */
static int
was_synced(struct fsck *f, struct logread *r, const struct frame *h, bool *ret)
{
	struct frame next = *h;
	enum frame_state state = FRAME_OK;
	uint64_t at = r->off;
	int rc = 0;
	*ret = h->lsn < f->applied;
	while (!*ret && rc == 0 && state == FRAME_OK && next.type != FRAME_END) {
		logread_next(r, &next);
		rc = logread_head(r, &next, &state);
		*ret = rc == 0 && state == FRAME_OK && (next.group > at || next.type == FRAME_END);
	}
	r->off = at;
	return rc;
}

static int
check_payload(struct fsck *f, struct logread *r, const struct frame *h)
{
	struct str payload;
	bool synced = true;
	int rc = logread_payload(r, h, &payload);
	if (rc == -EBADMSG) {
		fsck_moment();
		buf_reset(&r->buf);
		rc = logread_payload(r, h, &payload);
	}
	f->report->frames++;
	f->report->bytes += frame_size(h->len);
	if (rc == 0 && !payload_ok(f, h, payload))
		rc = -EPROTO;
	if (rc != -EBADMSG && rc != -EPROTO)
		return rc;
	int bad = rc;
	rc = was_synced(f, r, h, &synced);
	/* A torn tail is no damage: nobody was told that it is safe. */
	if (rc < 0 || !synced)
		return rc;
	char id[14];
	id_format(id, h->id);
	fsck_problem(f,
	    "log/%08llx.seg: the %s at octet %llu (letter %s) %s; restore it from a backup",
	    (unsigned long long)r->head.seq, type_name[h->type], (unsigned long long)r->off, id,
	    bad == -EBADMSG ? "has a wrong checksum" : "does not decode");
	return 0;
}

enum goes_on { LOG_ENDS, GOES_ON_HERE, GOES_ON_NEXT };

/* Nothing valid stands at r->off. That is the log's end, unless the next segment is written:
 * then the rest of this one has been written meanwhile, or is lost. */
static int
what_follows(struct fsck *f, struct logread *r, enum goes_on *ret)
{
	struct logread next;
	struct frame h;
	enum frame_state state = FRAME_NONE;
	*ret = LOG_ENDS;
	int rc = logread_open(&next, f->log, r->head.seq + 1, 0);
	if (rc == 0)
		rc = logread_head(&next, &h, &state);
	logread_close(&next);
	/* That it is damaged or not there is said where it is checked. */
	if (rc < 0 || state != FRAME_OK)
		return rc == -EIO ? rc : 0;
	buf_reset(&r->buf);
	rc = logread_head(r, &h, &state);
	*ret = state == FRAME_OK ? GOES_ON_HERE : GOES_ON_NEXT;
	if (rc == 0 && state != FRAME_OK)
		fsck_problem(f,
		    "log/%08llx.seg: the log breaks off at octet %llu, but the next segment is "
		    "written; restore it from a backup",
		    (unsigned long long)r->head.seq, (unsigned long long)r->off);
	return rc;
}

static int
check_segment(struct fsck *f, struct logread *r)
{
	for (;;) {
		struct frame h;
		enum frame_state state;
		bool go_on;
		uint64_t was = r->off;
		int rc = logread_head(r, &h, &state);
		if (rc == 0 && state != FRAME_OK) {
			rc = not_a_frame(f, r, &go_on);
			if (rc == 0 && !go_on) {
				enum goes_on next;
				rc = what_follows(f, r, &next);
				f->at_end = next == LOG_ENDS;
				go_on = next == GOES_ON_HERE;
			}
			if (rc < 0 || !go_on)
				return rc;
			continue;
		}
		if (rc == 0)
			rc = check_payload(f, r, &h);
		if (rc < 0)
			return rc;
		if (h.type == FRAME_END)
			return 0;
		logread_next(r, &h);
		fsck_step(f, r->off - was);
	}
}

static int
open_segment(struct fsck *f, struct logread *r, uint64_t seq)
{
	int rc = logread_open(r, f->log, seq, 0);
	if (rc == -EBADMSG || rc == -EPROTONOSUPPORT) {
		fsck_problem(f, "log/%08llx.seg: %s", (unsigned long long)seq,
		    rc == -EBADMSG ? "its header is damaged; restore it from a backup"
				   : "a newer version wrote it; use that version");
		return 1;
	}
	if (rc < 0)
		return rc;
	if (!f->has_id) {
		memcpy(f->id, r->head.id, STORE_ID_LEN);
		f->has_id = true;
	}
	if (memcmp(f->id, r->head.id, STORE_ID_LEN) != 0) {
		fsck_problem(f, "log/%08llx.seg: it belongs to another store",
		    (unsigned long long)seq);
		logread_close(r);
		return 1;
	}
	return 0;
}

static int
check_one(struct fsck *f, uint64_t seq)
{
	struct logread r;
	f->report->segments++;
	int rc = open_segment(f, &r, seq);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	uint64_t start = f->done;
	if (!f->at_end)
		rc = check_segment(f, &r);
	fsck_step(f, r.head.size - MIN(r.head.size, f->done - start));
	logread_close(&r);
	return rc;
}

int
fsck_log(struct fsck *f)
{
	uint64_t *seqs = NULL;
	size_t n = 0;
	int r = seg_list(f->log, &seqs, &n);
	struct stat st;
	for (size_t i = 0; i < n && r == 0; i++) {
		char name[SEG_NAME_LEN];
		seg_name(name, seqs[i]);
		if (fstatat(f->log, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			f->all += (uint64_t)st.st_size;
	}
	if (r == 0 && n == 0)
		fsck_problem(f, "log: there is no segment; restore the log from a backup");
	for (size_t i = 0; i < n && r == 0; i++) {
		if (i > 0 && seqs[i] != seqs[i - 1] + 1)
			fsck_problem(f, "log/%08llx.seg: it is missing; restore it from a backup",
			    (unsigned long long)seqs[i - 1] + 1);
		r = check_one(f, seqs[i]);
	}
	free(seqs);
	return r;
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
