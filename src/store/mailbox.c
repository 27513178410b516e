#include "store/mailbox.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/record.h"
#include "store/resolve.h"

#include <errno.h>

/* --- records --- */

void
mailbox_head_put(struct buf *b, const struct mailbox_head *h)
{
	put_u8(b, RECORD_VERSION);
	put_u32(b, h->uidvalidity);
	put_u32(b, h->uidnext);
	put_u64(b, h->modseq);
	put_u64(b, h->messages);
	put_u64(b, h->bytes);
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
	if (!wire_done(&w) || version != RECORD_VERSION || h.uidvalidity == 0 || h.uidnext == 0)
		return false;
	*ret = h;
	return true;
}

#define LETTER_VERSION 2 /* 1 had no place */

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
	put_u8(b, LETTER_VERSION);
	put_u32(b, l->uid);
	put_u64(b, l->modseq);
	put_u64(b, l->time_ms);
	put_u64(b, l->size);
	put_u32(b, l->flags);
	put_u64(b, l->letter);
	ref_put(b, &l->ref);
	put_u32(b, l->trace_len);
	put_u32(b, l->header_len);
	put_u8(b, l->insert_blank);
	place_put(b, &place);
	put_str(b, l->prefix);
}

bool
mailbox_letter_get(struct str v, struct mailbox_letter *ret)
{
	struct wire w = wire_of(v);
	struct mailbox_letter l = { 0 };
	uint8_t version = get_u8(&w);
	l.uid = get_u32(&w);
	l.modseq = get_u64(&w);
	l.time_ms = get_u64(&w);
	l.size = get_u64(&w);
	l.flags = get_u32(&w);
	l.letter = get_u64(&w);
	l.ref = ref_get(&w);
	l.trace_len = get_u32(&w);
	l.header_len = get_u32(&w);
	l.insert_blank = get_bool(&w);
	struct store_place place = { 0 };
	if (version == LETTER_VERSION)
		place = place_get(&w);
	l.trace_lsn = place.trace;
	l.keep = place.keep;
	l.keep = keep_of(&l);
	l.prefix = get_str(&w, RECORD_PREFIX_MAX);
	uint64_t size;
	if (!wire_done(&w) || (version != 1 && version != LETTER_VERSION) || l.uid == 0 ||
	    (uint64_t)l.trace_len + l.header_len > l.ref.len ||
	    __builtin_add_overflow(l.ref.len, l.prefix.len + (l.insert_blank ? 2 : 0), &size) ||
	    size != l.size)
		return false;
	*ret = l;
	return true;
}

/* --- reading --- */

int
mailbox_head_read(struct store_snap *sn, struct mailbox_head *ret)
{
	struct str v;
	int r = store_get(sn, HEAD_KEY, &v);
	if (r < 0)
		return r;
	return mailbox_head_get(v, ret) ? 0 : -EBADMSG;
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

/* A letter as its readers see it: four pieces, the second and last from the body. */
struct piece {
	const char *p; /* NULL: from the body, at `at` */
	uint64_t at, len;
};

ssize_t
mailbox_letter_read(struct store *s, const struct mailbox_letter *l, uint64_t off, void *dst,
    size_t n)
{
	uint64_t head = (uint64_t)l->trace_len + l->header_len;
	const struct piece pieces[] = {
		{ l->prefix.p ? l->prefix.p : "", 0, l->prefix.len },
		{ NULL, 0, l->insert_blank ? head : l->ref.len },
		{ "\r\n", 0, l->insert_blank ? 2 : 0 },
		{ NULL, head, l->insert_blank ? l->ref.len - head : 0 },
	};
	size_t done = 0;
	for (size_t i = 0; i < ARRAY_LEN(pieces) && done < n; i++) {
		const struct piece *p = &pieces[i];
		if (off >= p->len) {
			off -= p->len;
			continue;
		}
		size_t part = MIN(n - done, p->len - off);
		if (p->p) {
			memcpy((char *)dst + done, p->p + off, part);
		} else {
			ssize_t got = store_read(s, &l->ref, p->at + off, (char *)dst + done, part);
			if (got < 0)
				return got;
			if ((size_t)got != part)
				return -EBADMSG;
		}
		done += part;
		off = 0;
	}
	return (ssize_t)done;
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
	if (mailbox == MAILBOX_INBOX)
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
