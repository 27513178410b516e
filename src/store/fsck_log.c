/* fsck, first pass: every frame of every segment. */
#include "store/fsck_priv.h"

#include "base/check.h"
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

static const char *const type_name[] = {
	[FRAME_BODY] = "body",
	[FRAME_BLOB] = "blob reference",
	[FRAME_TRACE] = "history",
	[FRAME_INTENT] = "intent",
	[FRAME_BATCH] = "batch",
	[FRAME_DONE] = "done mark",
	[FRAME_END] = "end",
	[FRAME_SNAP] = "snapshot",
	[FRAME_CHECKPOINT] = "checkpoint",
};

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

/* What a snapshot says of its domain's version. */
static bool
snap_ok(struct fsck *f, const struct frame *h, struct str payload)
{
	struct snap_record r;
	if (!snap_record_get(payload, &r))
		return false;
	struct str key = str_n(r.dom.b, sizeof(r.dom.b));
	struct fsck_ver *ver = map_get(&f->vers, key);
	if (r.ver == 0)
		return true;
	if (!ver) {
		ver = xalloc(sizeof(*ver));
		map_put(&f->vers, key, ver);
		ver->last = r.ver;
	}
	if (r.ver != ver->last)
		fsck_problem(f,
		    "log: a snapshot of version %llu of a %c domain follows version %llu (lsn "
		    "%llu); part of the log is missing",
		    (unsigned long long)r.ver, r.dom.b[0], (unsigned long long)ver->last,
		    (unsigned long long)h->lsn);
	ver->last = r.ver;
	if (h->lsn < f->applied)
		ver->applied = r.ver;
	return true;
}

static bool
checkpoint_ok(struct fsck *f, const struct frame *h, struct str payload)
{
	struct checkpoint_record r;
	if (!checkpoint_record_get(payload, &r) || r.begin > h->lsn)
		return false;
	f->cp = (struct checkpoint){ r.begin, h->lsn, r.octets };
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
		fsck_blob(f, h->lsn, &b);
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
	case FRAME_SNAP:
		return snap_ok(f, h, payload);
	case FRAME_CHECKPOINT:
		return checkpoint_ok(f, h, payload);
	case FRAME_TYPES:
		break;
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

/* Has it been freed since we began to look at it? */
static bool
is_gone(struct fsck *f, uint64_t seq)
{
	char name[SEG_NAME_LEN];
	struct stat st;
	seg_name(name, seq);
	return fstatat(f->log, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

static int
check_one(struct fsck *f, uint64_t seq)
{
	struct logread r;
	f->report->segments++;
	int rc = open_segment(f, &r, seq);
	if (rc != 0)
		return rc < 0 && rc != -ENOENT ? rc : 0;
	uint64_t start = f->done;
	if (!f->at_end)
		rc = check_segment(f, &r);
	fsck_step(f, r.head.size - MIN(r.head.size, f->done - start));
	logread_close(&r);
	return rc;
}

/* Freed segments leave gaps below the last checkpoint; any other is a loss. */
static void
check_gaps(struct fsck *f, const uint64_t *seqs, size_t n)
{
	uint64_t first = f->cp.lsn ? lsn_seq(f->cp.begin) : 1, last = 0;
	struct checkpoint cp;
	/* There may be a newer one behind what we have read. */
	if (f->has_index && fsck_checkpoint_noted(f, &cp) == 0)
		first = MAX(first, lsn_seq(cp.begin));
	for (size_t i = 0; i < n; i++) {
		if (seqs[i] == 0)
			continue;
		if (seqs[i] != last + 1 && seqs[i] > first)
			fsck_problem(f, "log/%08llx.seg: it is missing; restore it from a backup",
			    (unsigned long long)seqs[i] - 1);
		last = seqs[i];
	}
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
	uint64_t last = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		uint64_t problems = f->report->problems;
		size_t text = f->report->text.len;
		/* Versions follow one another only where the log is whole. */
		if (seqs[i] != last + 1)
			fsck_forget_versions(f);
		r = check_one(f, seqs[i]);
		last = seqs[i];
		if (!is_gone(f, seqs[i]))
			continue;
		/* What was found in it may have been another one already. */
		f->report->problems = problems;
		if (!f->report->text.failed)
			buf_trunc(&f->report->text, text);
		r = r == -EIO ? 0 : r;
		last = 0;
		seqs[i] = 0;
	}
	if (r == 0)
		check_gaps(f, seqs, n);
	free(seqs);
	return r;
}
