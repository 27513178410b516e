/* The drop: what a login loads, and what QUIT takes out of it. */
#include "pop3/session_priv.h"

#include <stdlib.h>

#define INBOX STR("INBOX")
#define FIRST_MAX 65536 /* letters to make room for before they are seen */
#define TRIES_MAX 8     /* windows without a letter: it would go on like this for ever */

void
pop3_drop_free(struct pop3_private *p)
{
	free(p->letters);
	p->letters = NULL;
	p->n = p->cap = 0;
	buf_done(&p->uids);
	pop3_window_free(&p->window);
}

/* --- loading --- */

void
pop3_drop_load(struct pop3_turn *t)
{
	t->s->read = (struct access_ask){ .kind = ACCESS_OPEN, .fresh = true, .name = INBOX };
	pop3_ask(t, POP3_ASK_READ);
}

/* RFC 1939 4: a drop that cannot be opened is the end. */
static void
load_failed(struct pop3_turn *t, enum access_status status)
{
	bool lasting = status == ACCESS_NOT_FOUND || status == ACCESS_DENIED;
	pop3_err(t, lasting ? "SYS/PERM" : "SYS/TEMP", "the mailbox cannot be opened");
	pop3_close(t);
}

static bool
drop_grow(struct pop3_private *p, uint64_t want)
{
	if (want <= p->cap)
		return true;
	uint64_t cap = MIN(MAX(want, (uint64_t)p->cap * 2), (uint64_t)POP3_LETTERS_MAX);
	struct pop3_letter *l = realloc(p->letters, cap * sizeof(*l));
	if (!l)
		return false;
	p->letters = l;
	p->cap = (uint32_t)cap;
	return true;
}

static void
load_more(struct pop3_turn *t, const struct access_from *from)
{
	struct pop3_session *s = t->s;
	s->read = (struct access_ask){ .kind = ACCESS_LETTERS,
		.mailbox = s->priv->mailbox,
		.what = ACCESS_META,
		.len = UINT64_MAX };
	if (from)
		s->read.from = (struct access_from){ .uid = from->uid, .n = from->n };
	pop3_ask(t, POP3_ASK_READ);
}

static void
loaded(struct pop3_turn *t)
{
	struct pop3_private *p = t->s->priv;
	struct pop3_letter *fits = p->n ? realloc(p->letters, p->n * sizeof(*fits)) : NULL;
	if (fits) {
		p->letters = fits;
		p->cap = p->n;
	}
	t->s->state = POP3_TRANSACTION;
	pop3_ok(t, p->login, NULL);
}

static void
opened(struct pop3_turn *t, struct wire *w)
{
	struct pop3_private *p = t->s->priv;
	struct access_mailbox m;
	if (!access_mailbox_get(w, &m) || m.mailbox == 0) {
		load_failed(t, ACCESS_FAILED);
		return;
	}
	p->mailbox = m.mailbox;
	p->uidvalidity = m.uidvalidity;
	if (m.messages == 0)
		loaded(t);
	else if (!drop_grow(p, MIN(m.messages, (uint64_t)FIRST_MAX)))
		load_failed(t, ACCESS_FAILED);
	else
		load_more(t, NULL);
}

/* False: the rows are not what they should be, or there is no memory. */
static bool
take_letters(struct pop3_private *p, struct wire *w)
{
	struct access_letter l;
	while (w->left && p->n < POP3_LETTERS_MAX) {
		if (!access_letter_get(w, &l) || !drop_grow(p, (uint64_t)p->n + 1))
			return false;
		if (p->n && l.uid <= p->letters[p->n - 1].uid)
			return false;
		p->letters[p->n++] = (struct pop3_letter){ l.size, l.uid, 0 };
		p->n_left++;
		p->size_left += l.size;
	}
	return true;
}

static void
load_answer(struct pop3_turn *t, const struct pop3_answer *a)
{
	struct pop3_private *p = t->s->priv;
	struct wire w = wire_of(a->octets);
	struct access_head head;
	if (a->status != ACCESS_OK || !access_head_get(&w, &head)) {
		load_failed(t, a->status == ACCESS_OK ? ACCESS_FAILED : a->status);
		return;
	}
	if (t->s->read.kind == ACCESS_OPEN) {
		opened(t, &w);
		return;
	}
	uint32_t had = p->n;
	bool taken = take_letters(p, &w);
	p->tries = p->n > had ? 0 : p->tries + 1;
	if (!taken || (head.more && p->tries > TRIES_MAX))
		load_failed(t, ACCESS_FAILED);
	else if (head.more && p->n < POP3_LETTERS_MAX)
		load_more(t, &head.next);
	else
		loaded(t);
}

void
pop3_answer_read(struct pop3_turn *t, const struct pop3_answer *a)
{
	if (t->s->state == POP3_STRANGER)
		load_answer(t, a);
	else
		pop3_letter_answer(t, a);
}

/* --- QUIT --- */

static void
last_words(struct pop3_turn *t)
{
	/* RFC 1939 6 */
	if (t->s->priv && t->s->priv->failed)
		pop3_err(t, "SYS/TEMP", "some deleted messages not removed");
	else
		pop3_says(t, true, POP3_SAYS_QUIT, NULL);
	pop3_close(t);
}

/* Those from p->at on that are to go, as far as one change holds them. Between two letters that
 * stand side by side in the drop there never is another: UIDs only grow. */
static void
collect(struct pop3_private *p)
{
	struct uidset set = { 0 };
	while (p->at < p->n && set.n < ACCESS_RANGES_MAX) {
		uint32_t first = p->at;
		while (p->at < p->n && p->letters[p->at].deleted)
			p->at++;
		if (p->at > first)
			uidset_add(&set, p->letters[first].uid, p->letters[p->at - 1].uid);
		else
			p->at++;
	}
	buf_reset(&p->uids);
	uidset_put(&p->uids, &set);
	p->failed = p->failed || set.failed || p->uids.failed;
	uidset_done(&set);
}

static void
expunge(struct pop3_turn *t)
{
	struct pop3_session *s = t->s;
	struct pop3_private *p = s->priv;
	collect(p);
	/* None named would be all. */
	if (p->uids.failed || p->uids.len == 0) {
		last_words(t);
		return;
	}
	s->change = (struct access_change){ .kind = ACCESS_EXPUNGE,
		.mailbox = p->mailbox,
		.uids = buf_str(&p->uids),
		.unchanged_since = UINT64_MAX };
	pop3_ask(t, POP3_ASK_CHANGE);
}

void
pop3_answer_change(struct pop3_turn *t, const struct pop3_answer *a)
{
	struct pop3_private *p = t->s->priv;
	p->failed = p->failed || a->status != ACCESS_OK;
	expunge(t);
}

void
pop3_quit(struct pop3_turn *t, struct str args)
{
	struct pop3_session *s = t->s;
	if (!pop3_no_args(t, args))
		return;
	if (s->state != POP3_TRANSACTION || s->priv->n_left == s->priv->n) {
		last_words(t);
		return;
	}
	s->state = POP3_UPDATE;
	s->priv->at = 0;
	pop3_window_free(&s->priv->window);
	expunge(t);
}
