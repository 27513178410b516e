/* The header of a mailbox as changes find and leave it, and what they need beside it. */
#include "store/resolve.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/mail.h"

#include <errno.h>

/* --- keys --- */

size_t
outline_key(char out[6], uint32_t uid)
{
	out[0] = 'E', out[1] = '|';
	be32_put((unsigned char *)out + 2, uid);
	return 6;
}

bool
outline_is(const struct store_dom *d, struct str key)
{
	return d->b[0] == 'B' && key.len == 6 && str_starts(key, STR("E|"));
}

size_t
vanished_key(char out[10], uint64_t modseq)
{
	out[0] = 'V', out[1] = '|';
	be64_put((unsigned char *)out + 2, modseq);
	return 10;
}

size_t
number_key(char out[6], char kind, uint32_t mailbox)
{
	out[0] = kind, out[1] = '|';
	be32_put((unsigned char *)out + 2, mailbox);
	return 6;
}

/* --- UIDs --- */

int
uid_walk_begin(struct uid_walk *w, const struct view *v, const struct store_dom *d,
    uint32_t uidnext)
{
	struct mailbox_head was;
	struct str key, value;
	*w = (struct uid_walk){ .v = v, .d = d, .applied = 1, .uidnext = uidnext };
	int r = v->next(v->arg, d, HEAD_KEY, STR("I"), &key, &value);
	if (r == 1 && str_eq(key, HEAD_KEY)) {
		if (!mailbox_head_get(value, &was))
			return -EBADMSG;
		w->applied = was.uidnext;
	}
	return r < 0 ? r : 0;
}

/* The letter's record is there. 1, 0 or -errno. */
static int
is_there(const struct uid_walk *w, uint32_t uid)
{
	char key[6];
	struct str value;
	return w->v->get(w->v->arg, w->d, str_n(key, letter_key(key, uid)), &value);
}

/* Among those that next() shows. */
static int
next_applied(struct uid_walk *w, uint32_t from, uint32_t to, uint32_t *ret)
{
	char low[6], high[6];
	struct str key, value;
	letter_key(high, to);
	while (from <= to) {
		letter_key(low, from);
		int r =
		    w->v->next(w->v->arg, w->d, str_n(low, sizeof(low)), STR("R}"), &key, &value);
		if (r != 1 || key.len != 6 || str_cmp(key, str_n(high, sizeof(high))) > 0)
			return r < 0 ? r : 0;
		uint32_t uid = be32_get((const unsigned char *)key.p + 2);
		r = is_there(w, uid);
		if (r != 0) {
			*ret = uid;
			return r;
		}
		if (uid == UINT32_MAX)
			break;
		from = uid + 1;
	}
	return 0;
}

int
uid_walk_next(struct uid_walk *w, uint32_t from, uint32_t to, uint32_t *ret)
{
	int r = 0;
	to = MIN(to, w->uidnext - 1);
	from = MAX(from, 1u);
	if (from < w->applied)
		r = next_applied(w, from, MIN(to, w->applied - 1), ret);
	for (uint32_t uid = MAX(from, w->applied); r == 0 && uid <= to; uid++) {
		r = is_there(w, uid);
		*ret = uid;
	}
	return r;
}

/* --- the header --- */

void
head_count(struct mailbox_head *h, const struct mailbox_letter *l, bool there)
{
	uint32_t unseen = !(l->flags & MAILBOX_SEEN), deleted = (l->flags & MAILBOX_DELETED) != 0;
	if (there) {
		h->messages++;
		h->bytes += l->size;
		h->unseen += unseen;
		h->deleted += deleted;
		h->deleted_bytes += deleted ? l->size : 0;
	} else {
		h->messages -= MIN(h->messages, (uint64_t)1);
		h->bytes -= MIN(h->bytes, l->size);
		h->unseen -= MIN(h->unseen, unseen);
		h->deleted -= MIN(h->deleted, deleted);
		h->deleted_bytes -= deleted ? MIN(h->deleted_bytes, l->size) : 0;
	}
}

void
head_put(struct buf *out, const struct mailbox_head *h)
{
	size_t at = batch_record_put_begin(out, HEAD_KEY);
	mailbox_head_put(out, h);
	batch_record_put_end(out, at);
}

/* Once for each mailbox that an older program has made: everything is looked at. */
static int
count_all(const struct view *v, const struct store_dom *d, struct mailbox_head *h)
{
	struct uid_walk w;
	uint32_t uid = 0;
	int r = uid_walk_begin(&w, v, d, h->uidnext);
	while (r == 0 && (r = uid_walk_next(&w, uid + 1, UINT32_MAX - 1, &uid)) == 1) {
		char key[6];
		struct str value;
		struct mailbox_letter l;
		r = v->get(v->arg, d, str_n(key, letter_key(key, uid)), &value);
		if (r == 1 && !mailbox_meta_get(value, &l))
			r = -EBADMSG;
		if (r != 1)
			break;
		h->unseen += !(l.flags & MAILBOX_SEEN);
		h->deleted += (l.flags & MAILBOX_DELETED) != 0;
		h->deleted_bytes += l.flags & MAILBOX_DELETED ? l.size : 0;
		r = 0;
	}
	return r;
}

int
resolve_head(const struct view *v, const struct store_dom *d, struct mailbox_head *ret)
{
	struct str value;
	int r = v->get(v->arg, d, HEAD_KEY, &value);
	if (r != 1)
		return r < 0 ? r : -ENOENT;
	if (!mailbox_head_get(value, ret))
		return -EBADMSG;
	if (!ret->uncounted)
		return 0;
	ret->uncounted = false;
	ret->floor = ret->modseq;
	return ret->messages ? count_all(v, d, ret) : 0;
}

/* RFC 9051 2.3.1.1: never 0, and larger when a name comes back or goes to another mailbox, even
 * within a second. Numbers rise with time, so no two mailboxes of an account have the same. */
struct mailbox_head
head_new(uint32_t mailbox, uint64_t time_ms)
{
	uint64_t sec = time_ms / 1000 + mailbox;
	return (struct mailbox_head){ .uidvalidity = sec && sec <= UINT32_MAX ? (uint32_t)sec : 1,
		.uidnext = 1,
		.modseq = MAILBOX_MODSEQ_MIN };
}

int
resolve_head_of(const struct view *v, uint64_t account, uint32_t mailbox, uint64_t time_ms,
    struct mailbox_head *ret)
{
	struct store_dom d = store_dom_mailbox(account, mailbox), a = store_dom_account(account);
	char key[6];
	struct str value;
	int r = 0;
	/* One that was deleted has its header until that is wiped. */
	if (mailbox != MAILBOX_INBOX)
		r = v->get(v->arg, &a, str_n(key, number_key(key, 'w', mailbox)), &value);
	if (r == 0)
		r = resolve_head(v, &d, ret);
	else
		return r < 0 ? r : -ENOENT;
	if (r != -ENOENT)
		return r;
	if (mailbox != MAILBOX_INBOX) {
		r = v->get(v->arg, &a, str_n(key, number_key(key, 'M', mailbox)), &value);
		if (r != 1)
			return r < 0 ? r : -ENOENT;
	}
	*ret = head_new(mailbox, time_ms);
	return 0;
}

/* --- what vanished --- */

/* The oldest V record that is still there; 1, 0 or -errno. *at: where to look, and where it is. */
static int
oldest_vanished(const struct view *v, const struct store_dom *d, uint64_t *at, uint32_t *ret_n)
{
	char low[10];
	struct str key, value;
	for (;;) {
		vanished_key(low, *at);
		int r = v->next(v->arg, d, str_n(low, sizeof(low)), STR("V}"), &key, &value);
		if (r != 1)
			return r;
		if (key.len != 10)
			return -EBADMSG;
		*at = be64_get((const unsigned char *)key.p + 2);
		vanished_key(low, *at);
		r = v->get(v->arg, d, str_n(low, sizeof(low)), &value);
		if (r == 1)
			*ret_n = (uint32_t)(value.len / 8);
		if (r != 0 || *at == UINT64_MAX)
			return r;
		*at += 1;
	}
}

int
resolve_vanished(const struct view *v, const struct store_dom *d, struct mailbox_head *h,
    const struct mail_range *gone, size_t n, struct buf *out, uint32_t *n_ops)
{
	char key[10];
	uint64_t at = 0;
	uint32_t had;
	int r = 1;
	/* Before out grows: what is evicted stands in the view. A record has a range at least, so
	 * as many as come are enough. */
	for (size_t i = 0; i < n && h->vanished && h->vanished + n > VANISHED_MAX; i++) {
		r = oldest_vanished(v, d, &at, &had);
		if (r != 1)
			break;
		batch_record_del(out, str_n(key, vanished_key(key, at)));
		*n_ops += 1;
		h->vanished -= MIN(h->vanished, had);
		h->floor = MAX(h->floor, at);
		at++;
	}
	if (r < 0)
		return r;
	if (n > VANISHED_MAX) {
		h->floor = h->modseq;
		return 0;
	}
	size_t begin = batch_record_put_begin(out, str_n(key, vanished_key(key, h->modseq)));
	for (size_t i = 0; i < n; i++) {
		put_u32(out, gone[i].first);
		put_u32(out, gone[i].last);
	}
	batch_record_put_end(out, begin);
	*n_ops += 1;
	h->vanished += (uint32_t)n;
	return 0;
}
