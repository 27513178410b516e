#include "store/mailbox.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/record.h"
#include "store/resolve.h"

#include <errno.h>

/* --- records --- */

#define HEAD_VERSION 2 /* 1 had nothing behind bytes */

void
mailbox_head_put(struct buf *b, const struct mailbox_head *h)
{
	put_u8(b, h->uncounted ? 1 : HEAD_VERSION);
	put_u32(b, h->uidvalidity);
	put_u32(b, h->uidnext);
	put_u64(b, h->modseq);
	put_u64(b, h->messages);
	put_u64(b, h->bytes);
	if (h->uncounted)
		return;
	put_u32(b, h->unseen);
	put_u32(b, h->deleted);
	put_u64(b, h->deleted_bytes);
	put_u64(b, h->floor);
	put_u32(b, h->vanished);
}

bool
mailbox_head_get(struct str v, struct mailbox_head *ret)
{
	struct wire w = wire_of(v);
	struct mailbox_head h = { 0 };
	uint8_t version = get_u8(&w);
	h.uidvalidity = get_u32(&w);
	h.uidnext = get_u32(&w);
	h.modseq = get_u64(&w);
	h.messages = get_u64(&w);
	h.bytes = get_u64(&w);
	h.uncounted = version == 1;
	if (!h.uncounted) {
		h.unseen = get_u32(&w);
		h.deleted = get_u32(&w);
		h.deleted_bytes = get_u64(&w);
		h.floor = get_u64(&w);
		h.vanished = get_u32(&w);
	}
	if (!wire_done(&w) || version == 0 || version > HEAD_VERSION || h.uidvalidity == 0 ||
	    h.uidnext == 0)
		return false;
	h.modseq = MAX(h.modseq, (uint64_t)MAILBOX_MODSEQ_MIN);
	*ret = h;
	return true;
}

#define LETTER_MERGED_OLD 3 /* 1 had no place, 3 was of a merge */
#define LETTER_VERSION 4    /* has wide flags and the time it was saved */
#define LETTER_MERGED 5     /* the same, with pieces */

static uint32_t
keep_of(const struct mailbox_letter *l)
{
	return l->keep ? l->keep
	               : (uint32_t)MIN(body_frame_size(&l->ref, l->trace_len), UINT32_MAX);
}

void
mailbox_letter_put(struct buf *b, const struct mailbox_letter *l)
{
	struct store_place place = { l->trace_lsn, keep_of(l) };
	put_u8(b, l->merged ? LETTER_MERGED : LETTER_VERSION);
	put_u32(b, l->uid);
	put_u64(b, l->modseq);
	put_u64(b, l->time_ms);
	put_u64(b, l->size);
	put_u32(b, (uint32_t)l->flags);
	put_u64(b, l->letter);
	ref_put(b, &l->ref);
	put_u32(b, l->trace_len);
	put_u32(b, l->header_len);
	put_u8(b, l->insert_blank);
	place_put(b, &place);
	put_u32(b, (uint32_t)(l->flags >> 32));
	put_u64(b, l->saved_ms);
	put_str(b, l->prefix);
	if (!l->merged)
		return;
	put_u16(b, l->n_pieces);
	put_str(b, l->pieces);
}

/* Octets behind the trace header, without an inserted CRLF; false: it cannot be. */
static bool
text_size(const struct mailbox_letter *l, uint64_t *ret)
{
	uint64_t end;
	if (l->trace_len > l->ref.len)
		return false;
	if (l->merged)
		return pieces_measure(l->pieces, l->n_pieces, ret, &end) &&
		       end <= l->ref.len - l->trace_len;
	*ret = l->ref.len - l->trace_len;
	return true;
}

static bool
sizes_agree(const struct mailbox_letter *l)
{
	uint64_t text, size;
	return text_size(l, &text) && l->header_len <= text &&
	       !__builtin_add_overflow(text,
		   (uint64_t)l->trace_len + l->prefix.len + (l->insert_blank ? 2 : 0), &size) &&
	       size == l->size;
}

/* What stands in front of the prefix. */
static uint8_t
fixed_get(struct wire *w, struct mailbox_letter *l)
{
	uint8_t version = get_u8(w);
	l->uid = get_u32(w);
	l->modseq = get_u64(w);
	l->time_ms = get_u64(w);
	l->size = get_u64(w);
	l->flags = get_u32(w);
	l->letter = get_u64(w);
	l->ref = ref_get(w);
	l->trace_len = get_u32(w);
	l->header_len = get_u32(w);
	l->insert_blank = get_bool(w);
	struct store_place place = { 0 };
	if (version != 1)
		place = place_get(w);
	l->trace_lsn = place.trace;
	l->keep = place.keep;
	l->keep = keep_of(l);
	l->saved_ms = l->time_ms;
	if (version >= LETTER_VERSION) {
		l->flags |= (uint64_t)get_u32(w) << 32;
		l->saved_ms = get_u64(w);
	}
	return version;
}

bool
mailbox_meta_get(struct str v, struct mailbox_letter *ret)
{
	struct wire w = wire_of(v);
	uint8_t version = fixed_get(&w, ret);
	return !w.bad && version > 0 && version <= LETTER_MERGED && ret->uid != 0;
}

bool
mailbox_letter_get(struct str v, struct mailbox_letter *ret)
{
	struct wire w = wire_of(v);
	struct mailbox_letter l = { 0 };
	uint8_t version = fixed_get(&w, &l);
	l.prefix = get_str(&w, RECORD_PREFIX_MAX);
	l.merged = version == LETTER_MERGED || version == LETTER_MERGED_OLD;
	if (l.merged) {
		l.n_pieces = get_u16(&w);
		l.pieces = get_str(&w, STORE_VIEW_MAX);
	}
	if (!wire_done(&w) || version == 0 || version > LETTER_MERGED || l.uid == 0 ||
	    !sizes_agree(&l))
		return false;
	*ret = l;
	return true;
}

/* --- reading --- */

static bool
count_letter(void *arg, struct str key, struct str value)
{
	struct mailbox_head *h = arg;
	struct mailbox_letter l;
	if (mailbox_meta_get(value, &l)) {
		h->unseen += !(l.flags & MAILBOX_SEEN);
		h->deleted += (l.flags & MAILBOX_DELETED) != 0;
		h->deleted_bytes += l.flags & MAILBOX_DELETED ? l.size : 0;
	}
	return true;
}

int
mailbox_head_read(struct store_snap *sn, struct mailbox_head *ret)
{
	struct str v;
	int r = store_get(sn, HEAD_KEY, &v);
	if (r < 0)
		return r;
	if (!mailbox_head_get(v, ret))
		return -EBADMSG;
	if (!ret->uncounted)
		return 0;
	ret->uncounted = false;
	ret->floor = ret->modseq;
	return store_scan(sn, STR("R|"), STR("R}"), 0, false, count_letter, ret);
}

struct each {
	mailbox_each_fn *fn;
	void *arg;
	int rc;
};

static bool
each_letter(void *arg, struct str key, struct str value)
{
	struct each *e = arg;
	struct mailbox_letter l;
	if (!mailbox_letter_get(value, &l)) {
		e->rc = -EBADMSG;
		return false;
	}
	return e->fn(e->arg, &l);
}

int
mailbox_each(struct store_snap *sn, uint32_t from_uid, mailbox_each_fn *fn, void *arg)
{
	char from[6];
	struct each e = { fn, arg, 0 };
	letter_key(from, from_uid);
	int r = store_scan(sn, str_n(from, sizeof(from)), STR("R}"), 0, false, each_letter, &e);
	return r < 0 ? r : e.rc;
}

int
mailbox_find(struct store_snap *sn, uint32_t uid, struct mailbox_letter *ret)
{
	char key[6];
	struct str v;
	letter_key(key, uid);
	int r = store_get(sn, str_n(key, sizeof(key)), &v);
	if (r < 0)
		return r;
	return mailbox_letter_get(v, ret) ? 0 : -EBADMSG;
}

/* What is read of a letter: octets from off on, as what stands there is passed. */
struct reading {
	struct store *s;
	const struct mailbox_letter *l;
	uint64_t off;
	char *dst;
	size_t n, done;
};

/* len octets of the letter come next; *ret: so many are wanted, from r->off of them on. */
static bool
wanted(struct reading *r, uint64_t len, size_t *ret)
{
	if (r->done == r->n || r->off >= len) {
		r->off -= MIN(r->off, len);
		return false;
	}
	*ret = (size_t)MIN((uint64_t)(r->n - r->done), len - r->off);
	return true;
}

static void
pass_octets(struct reading *r, struct str octets)
{
	size_t part;
	if (!wanted(r, octets.len, &part))
		return;
	memcpy(r->dst + r->done, octets.p + r->off, part);
	r->done += part;
	r->off = 0;
}

static int
pass_body(struct reading *r, uint64_t at, uint64_t len)
{
	size_t part;
	if (!wanted(r, len, &part))
		return 0;
	ssize_t got = store_read(r->s, &r->l->ref, at + r->off, r->dst + r->done, part);
	if (got < 0)
		return (int)got;
	if ((size_t)got != part)
		return -EBADMSG;
	r->done += part;
	r->off = 0;
	return 0;
}

/* The octets from `from` to `to` of what the pieces come to. */
static int
pass_pieces(struct reading *r, uint64_t from, uint64_t to)
{
	const struct mailbox_letter *l = r->l;
	struct wire w = wire_of(l->pieces);
	struct store_piece p;
	uint64_t at = 0;
	int rc = 0;
	for (uint16_t i = 0; rc == 0 && at < to && r->done < r->n && i < l->n_pieces; i++) {
		if (!store_piece_get(&w, &p))
			return -EBADMSG;
		uint64_t len = p.literal ? p.text.len : p.len;
		uint64_t skip = at < from ? MIN(from - at, len) : 0;
		uint64_t take = MIN(len - skip, to - MIN(at + skip, to));
		if (p.literal)
			pass_octets(r, str_first(str_skip(p.text, skip), take));
		else
			rc = pass_body(r, l->trace_len + p.off + skip, take);
		at += len;
	}
	return rc;
}

/* What stands in front of an inserted CRLF, and what behind it. */
static int
pass_head(struct reading *r)
{
	const struct mailbox_letter *l = r->l;
	if (!l->merged)
		return pass_body(r, 0, (uint64_t)l->trace_len + l->header_len);
	int rc = pass_body(r, 0, l->trace_len);
	return rc < 0 ? rc : pass_pieces(r, 0, l->header_len);
}

static int
pass_rest(struct reading *r, uint64_t text)
{
	const struct mailbox_letter *l = r->l;
	return l->merged
	           ? pass_pieces(r, l->header_len, text)
	           : pass_body(r, (uint64_t)l->trace_len + l->header_len, text - l->header_len);
}

ssize_t
mailbox_letter_read(struct store *s, const struct mailbox_letter *l, uint64_t off, void *dst,
    size_t n)
{
	struct reading r = { .s = s, .l = l, .off = off, .dst = dst, .n = n };
	uint64_t text;
	int rc;
	if (!text_size(l, &text) || l->header_len > text)
		return -EBADMSG;
	pass_octets(&r, l->prefix);
	if (!l->merged && !l->insert_blank) {
		rc = pass_body(&r, 0, l->ref.len);
	} else {
		rc = pass_head(&r);
		if (rc == 0 && l->insert_blank)
			pass_octets(&r, STR("\r\n"));
		if (rc == 0)
			rc = pass_rest(&r, text);
	}
	return rc < 0 ? rc : (ssize_t)r.done;
}

/* --- lists --- */

struct listing {
	mailbox_list_fn *fn;
	void *arg;
	bool stopped, bad;
};

static bool
list_name(void *arg, struct str key, struct str value)
{
	struct listing *l = arg;
	struct str name = str_skip(key, 2);
	if (value.len != 4) {
		l->bad = true;
		return false;
	}
	uint32_t mailbox = be32_get((const unsigned char *)value.p);
	if (mailbox == MAILBOX_INBOX || mailbox == 0) /* 0: a name that cannot be selected */
		return true;
	l->stopped = !l->fn(l->arg, mailbox, name);
	return !l->stopped;
}

int
mailbox_list(struct store_snap *account, mailbox_list_fn *fn, void *arg)
{
	struct listing l = { .fn = fn, .arg = arg };
	/* An account has its INBOX from the moment it is in the directory, whatever is written yet.
	 */
	if (!fn(arg, MAILBOX_INBOX, STR("INBOX")))
		return 0;
	int r = store_scan(account, STR("N|"), STR("N}"), 0, false, list_name, &l);
	return r < 0 ? r : l.bad ? -EBADMSG : 0;
}
