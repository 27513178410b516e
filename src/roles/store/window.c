#include "roles/store/window.h"

#include "base/check.h"
#include "ipc/msg.h"
#include "log/log.h"

#include <errno.h>

#define HEAD_LEN 25 /* of a head without a name */
#define FIRST_UNSEEN_MAX 1000

_Static_assert(ACCESS_WINDOW == READ_SLOT_SIZE, "a window is what a slot holds");
_Static_assert(ACCESS_ASK_MAX == MSG_ASK_MAX && ACCESS_CHANGE_MAX == MSG_CHANGE_MAX,
    "the messages hold what is asked");
_Static_assert(ACCESS_STATUS_COUNT == MSG_ACCESS_STATUS_MAX, "and what it came to");

int
window_snap(const struct window *w, struct store_snap **ret)
{
	const struct store_dom dom = store_dom_mailbox(w->at.account, w->at.mailbox);
	return store_snap_open(w->store, &dom, ret, NULL);
}

int
window_head(struct window *w, struct store_snap *sn, struct mailbox_head *ret)
{
	int rc = mailbox_head_read(sn, ret);
	if (rc == -ENOENT) { /* nothing ever came */
		*ret = (struct mailbox_head){ .uidvalidity = 1, .uidnext = 1 };
		rc = 0;
	}
	if (rc == 0)
		w->head.modseq = ret->modseq;
	return rc;
}

void
window_put_mailbox(struct window *w, const struct mailbox_head *h, struct str name, unsigned attrs,
    uint32_t first_unseen)
{
	const struct access_mailbox m = {
		.mailbox = w->at.mailbox,
		.name = name,
		.attrs = attrs,
		.uidvalidity = h->uidvalidity,
		.uidnext = h->uidnext,
		.modseq = h->modseq,
		.messages = h->messages,
		.unseen = h->unseen,
		.deleted = h->deleted,
		.bytes = h->bytes,
		.deleted_bytes = h->deleted_bytes,
		.first_unseen = first_unseen,
	};
	access_mailbox_put(&w->out, &m);
}

static bool
keep_keyword(void *arg, unsigned bit, struct str name)
{
	struct access_keywords *k = arg;
	if (k->n < ACCESS_KEYWORDS && bit == (unsigned)ACCESS_KEYWORD_BIT + k->n)
		k->name[k->n++] = name;
	return true;
}

int
window_put_keywords(struct window *w, struct store_snap *sn)
{
	struct access_keywords k = { 0 };
	int rc = mail_each_keyword(sn, keep_keyword, &k);
	if (rc == 0)
		access_keywords_put(&w->out, &k);
	return rc;
}

bool
window_undo(struct window *w, size_t mark)
{
	if (!w->out.failed)
		return false;
	w->out.failed = false;
	buf_trunc(&w->out, mark);
	return true;
}

void
window_more(struct window *w, uint32_t uid, uint64_t n)
{
	w->head.more = true;
	w->head.next = (struct access_from){ .uid = uid, .n = n };
}

/* --- OPEN --- */

struct seeing {
	uint32_t seq, first;
};

static bool
is_seen(void *arg, const struct mail_meta *m)
{
	struct seeing *s = arg;
	s->seq++;
	if (!(m->flags & MAILBOX_SEEN))
		s->first = s->seq;
	return s->first == 0;
}

static int
open_mailbox(struct window *w)
{
	struct store_snap *sn;
	struct mailbox_head h;
	struct seeing seeing = { 0 };
	int rc = window_snap(w, &sn);
	if (rc < 0)
		return rc;
	rc = window_head(w, sn, &h);
	if (rc == 0 && h.unseen && h.messages <= FIRST_UNSEEN_MAX)
		rc = mail_each_meta(sn, 1, UINT32_MAX, is_seen, &seeing);
	if (rc == 0) {
		window_put_mailbox(w, &h, w->ask->name, 0, seeing.first);
		rc = window_put_keywords(w, sn);
	}
	store_snap_close(sn);
	return rc;
}

/* --- QUOTA --- */

static int
quota(struct window *w)
{
	const struct store_dom dom = store_dom_directory();
	struct store_snap *sn;
	struct mail_options o;
	struct access_quota q = { 0 };
	int rc = store_snap_open(w->store, &dom, &sn, NULL);
	if (rc < 0)
		return rc;
	rc = mail_get_options(sn, w->account, &o);
	store_snap_close(sn);
	if (rc == 0)
		rc = mail_usage(w->store, w->account, &q.used, &q.messages);
	q.limit = rc == 0 && o.quota ? o.quota : w->conf->quota;
	if (q.limit == UINT64_MAX)
		q.limit = 0;
	access_quota_put(&w->out, &q);
	return rc;
}

/* --- all --- */

enum door { DOOR_NONE, DOOR_NAME, DOOR_NUMBER, DOOR_URL };

static const struct kind {
	int (*fill)(struct window *w);
	enum door door;
} kinds[ACCESS_KIND_COUNT] = {
	[ACCESS_MAILBOXES] = { window_mailboxes, DOOR_NONE },
	[ACCESS_OPEN] = { open_mailbox, DOOR_NAME },
	[ACCESS_UIDS] = { window_uids, DOOR_NUMBER },
	[ACCESS_LETTERS] = { window_letters, DOOR_NUMBER },
	[ACCESS_CHANGES] = { window_changes, DOOR_NUMBER },
	[ACCESS_QUOTA] = { quota, DOOR_NONE },
	[ACCESS_TOKEN] = { window_token, DOOR_URL },
	[ACCESS_URL] = { window_url, DOOR_URL },
};

static enum access_status
enter(struct window *w, enum door door)
{
	const struct access_ask *a = w->ask;
	if (door == DOOR_URL)
		return window_url_enter(w);
	int rc = entry_account(w->store, w->account);
	if (rc < 0)
		return rc == -ENOENT ? ACCESS_DENIED : ACCESS_FAILED;
	if (door == DOOR_NAME)
		return entry_by_name(w->store, NULL, w->account, a->name, ENTRY_READ, &w->at);
	if (door == DOOR_NUMBER)
		return entry_by_number(w->store, NULL, w->account, a->mailbox, ENTRY_READ, &w->at);
	return ACCESS_OK;
}

/* The head stands in front of the rows, which were put behind room for one without a name. */
static bool
put_head(struct window *w)
{
	char octets[HEAD_LEN + ACCESS_NAME_MAX];
	struct buf b = { .p = octets, .cap = sizeof(octets), .max = sizeof(octets) };
	access_head_put(&b, &w->head);
	size_t more = b.len - HEAD_LEN;
	if (b.failed || w->out.failed || !buf_reserve(&w->out, more))
		return false;
	memmove(w->out.p + b.len, w->out.p + HEAD_LEN, w->out.len - HEAD_LEN);
	memcpy(w->out.p, b.p, b.len);
	w->out.len += more;
	return true;
}

enum access_status
window_fill(struct window *w, unsigned char *slot, uint32_t *ret_len)
{
	const struct kind *k = &kinds[w->ask->kind];
	/* All there is is given to it: it neither grows nor is it freed. */
	w->out = (struct buf){
		.p = (char *)slot, .len = HEAD_LEN, .cap = ACCESS_WINDOW, .max = ACCESS_WINDOW
	};
	w->head = (struct access_head){ 0 };
	enum access_status status = enter(w, k->door);
	if (status != ACCESS_OK)
		return status;
	int rc = k->fill(w);
	if (rc == -EINVAL)
		return ACCESS_BAD;
	if (rc < 0 || !put_head(w)) {
		LOG(LOG_ERROR, 0, "mail-not-read", LOGN("account", w->account),
		    LOGN("mailbox", w->at.mailbox), LOGN("ask", w->ask->kind),
		    LOGZ("error", rc < 0 ? strerror(-rc) : "no room"));
		return ACCESS_FAILED;
	}
	*ret_len = (uint32_t)w->out.len;
	return ACCESS_OK;
}
