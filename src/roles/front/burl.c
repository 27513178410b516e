/*
 * burl: letters, or pieces of them, that are fetched from our own mailboxes (RFC 4468).
 *
 * A reader decides whether the URL is authorized, and gives its octets window by window; they are
 * fed to the session as a peer's chunk would be, so that all that is done with those is done with
 * these. One window is held at a time.
 */
#include "roles/front/smtp_priv.h"
#include "roles/front/visit_priv.h"

#include "imap/urlread.h"
#include "mail/imap_url.h"

#include <stdlib.h>

#define AT_HAND_MAX (2u << 20) /* a window; of header fields, all */
_Static_assert(sizeof("BURL  LAST") - 1 + IMAP_URL_MAX <= SMTP_BURL_MAX,
    "what GENURLAUTH gives fits into a line");

struct burl {
	struct visit visit;
	struct urlread *read; /* of the URL under way, or NULL */
	struct buf octets;    /* those at hand; the first `eaten` are with the session */
	size_t eaten;
};

static struct burl *
attach(struct conn *c)
{
	struct burl *b = c->smtp->burl;
	if (b)
		return b;
	b = c->smtp->burl = xalloc(sizeof(*b));
	visit_init(c, &b->visit);
	buf_init(&b->octets, AT_HAND_MAX);
	return b;
}

static void
release(struct conn *c, struct burl *b)
{
	letter_hold(c->front, 0, b->octets.len);
	buf_done(&b->octets);
	b->eaten = 0;
}

void
burl_drop(struct conn *c)
{
	struct burl *b = c->smtp->burl;
	if (!b)
		return;
	visit_closing(c);
	release(c, b);
	b->read = urlread_free(b->read);
}

struct burl *
burl_free(struct burl *b)
{
	if (b)
		visit_done(&b->visit);
	free(b);
	return NULL;
}

/* In pieces as large as a peer's may be: what takes them counts on that. */
struct str
burl_input(const struct conn *c)
{
	const struct burl *b = c->smtp->burl;
	return str_first(str_skip(buf_str(&b->octets), b->eaten), STREAM_IN_MAX);
}

void
burl_eat(struct conn *c, size_t n)
{
	struct burl *b = c->smtp->burl;
	b->eaten += n;
	if (b->eaten == b->octets.len)
		release(c, b);
}

bool
burl_ask(struct conn *c, struct smtp_answer *a)
{
	const struct smtp_session *s = &c->smtp->session;
	struct burl *b = attach(c);
	const char *why;
	if (b->visit.open)
		return false;
	if (!b->read)
		b->read = urlread_new(s->arg, str_of(s->user), true, c->front->charsets, &why);
	if (!b->read) {
		a->situation = SMTP_BURL_BADURL;
		a->reason = str_of(why);
		return true;
	}
	check(!visit_read(c, &b->read->ask));
	return false;
}

static void
say_no(const struct conn *c, const struct urlread *u, struct smtp_answer *a)
{
	bool late = c->front->clock.wall > u->expire;
	a->situation = SMTP_BURL_UNAVAILABLE;
	if (u->status == ACCESS_CANNOT) {
		a->situation = SMTP_BURL_TRUST;
	} else if (u->status == ACCESS_DENIED) {
		a->situation = SMTP_BURL_DENIED;
		a->reason = late ? STR("it has expired")
		                 : STR("token, mailbox and user do not fit together");
	} else if (u->status == ACCESS_NOT_FOUND) {
		a->situation = SMTP_BURL_MISSING;
		a->reason = STR("the letter is gone");
	}
}

static void
take(struct conn *c, struct burl *b, struct smtp_answer *a)
{
	const struct urlread *u = b->read;
	buf_puts(&b->octets, u->octets);
	letter_hold(c->front, b->octets.len, 0);
	a->octets = b->octets.len;
	a->size = u->size;
	if (u->size == 0) {
		a->situation = SMTP_BURL_MISSING;
		a->reason = STR("there are no octets");
	} else if (b->octets.failed) {
		a->situation = SMTP_BURL_UNAVAILABLE;
	}
}

void
burl_told(struct conn *c, enum access_status status, struct str octets)
{
	struct burl *b = c->smtp->burl;
	struct smtp_answer a = { .situation = SMTP_NONE };
	enum urlread_step step = urlread_take(b->read, status, octets);
	if (step == URLREAD_ASK) {
		check(!visit_read(c, &b->read->ask));
		return;
	}
	if (step == URLREAD_NO)
		say_no(c, b->read, &a);
	else
		take(c, b, &a);
	if (step == URLREAD_OCTETS && b->read->left == 0)
		b->read = urlread_free(b->read);
	answer_give(c, &a);
}
