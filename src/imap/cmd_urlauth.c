/* URLs that authorize (RFC 4467): RESETKEY, GENURLAUTH, URLFETCH. */
#include "imap/fetch_priv.h"

#include "base/check.h"
#include "imap/urlread.h"
#include "mail/imap_url.h"

#define URLS_MAX 1000 /* of one command */
#define MECHANISM STR("INTERNAL")

struct urls {
	struct str *url;
	size_t n, at;
	struct urlread *read; /* of URLFETCH */
	bool said;            /* ... of which a literal was announced */
};

static struct urls *
urls_of(struct imap_session *s)
{
	return s->cmd->data;
}

static void
drop(struct imap_session *s)
{
	struct urls *u = urls_of(s);
	u->read = urlread_free(u->read);
}

static struct urls *
urls_new(struct imap_session *s)
{
	struct urls *u = arena_alloc(&s->cmd->arena, sizeof(*u));
	if (u)
		u->url = arena_alloc(&s->cmd->arena, URLS_MAX * sizeof(u->url[0]));
	if (!u || !u->url)
		return NULL;
	s->cmd->data = u;
	s->cmd->drop = drop;
	return u;
}

/* The next argument; false: bad, or there are too many. */
static bool
url_parse(struct imap_session *s, struct urls *u)
{
	struct imap_lex *x = &s->cmd->lex;
	struct str url;
	(void)imap_lex_sp(x);
	url = imap_lex_astring(x, &s->cmd->arena);
	if (!x->bad && u->n == URLS_MAX)
		(void)imap_lex_fail(x, "too many URLs");
	if (!x->bad)
		u->url[u->n++] = url;
	return !x->bad;
}

/* --- RESETKEY --- */

static enum imap_run
key_reset(struct imap_session *s, const struct imap_answer *a)
{
	if (a->status != ACCESS_OK)
		return imap_refuse(s, a->status, false);
	return imap_ok(s, s->change.mode == ACCESS_REPLACE ? "URLMECH INTERNAL" : NULL, NULL);
}

enum imap_run
imap_cmd_resetkey(struct imap_session *s)
{
	struct imap_lex *x = &s->cmd->lex;
	struct str name = STR_NULL;
	bool known = true;
	enum imap_run run;
	if (x->rest.len) {
		(void)imap_lex_sp(x);
		name = imap_lex_astring(x, &s->cmd->arena);
	}
	while (imap_lex_try(x, ' '))
		known = str_ieq(imap_lex_atom(x), MECHANISM) && known;
	if (!imap_lex_end(x))
		return imap_bad(s, "RESETKEY [mailbox [mechanism...]]: %s", x->why);
	if (!known)
		return imap_no(s, "CANNOT", "there is no mechanism but INTERNAL");
	s->change = (struct access_change){
		.kind = ACCESS_KEY,
		.mode = name.p ? ACCESS_REPLACE : ACCESS_REMOVE,
		.unchanged_since = UINT64_MAX,
	};
	if (name.p && !imap_name(s, name, &s->change.name, &run))
		return run;
	return imap_change(s, key_reset);
}

/* --- GENURLAUTH --- */

static enum imap_run next_token(struct imap_session *s);

static enum imap_run
tokens_said(struct imap_session *s)
{
	const struct urls *u = urls_of(s);
	buf_putz(s->cmd->out, "* GENURLAUTH");
	for (size_t i = 0; i < u->n; i++) {
		buf_putc(s->cmd->out, ' ');
		imap_put_string(s->cmd->out, u->url[i], false);
	}
	buf_putz(s->cmd->out, "\r\n");
	return imap_ok(s, NULL, NULL);
}

static enum imap_run
key_made(struct imap_session *s, const struct imap_answer *a)
{
	return a->status == ACCESS_OK ? next_token(s) : imap_refuse(s, a->status, false);
}

/* RFC 4467, GENURLAUTH: a URL that is not the user's to give is BAD. */
static enum imap_run
token_refused(struct imap_session *s, enum access_status status)
{
	if (status == ACCESS_CANNOT)
		return imap_bad(s, "the URL names another server");
	if (status == ACCESS_DENIED)
		return imap_bad(s, "the URL is not one of your mailboxes");
	if (status == ACCESS_NOT_FOUND)
		return imap_bad(s, "the URL names no mailbox that there is");
	return imap_refuse(s, status, false);
}

static enum imap_run
token_told(struct imap_session *s, const struct imap_answer *a)
{
	struct urls *u = urls_of(s);
	struct wire w;
	struct access_head head;
	struct access_token t;
	if (!imap_answer_get(a, &w, &head) || !access_token_get(&w, &t))
		return token_refused(s, imap_answer_status(a));
	if (t.token.len == 0) {
		s->change = (struct access_change){
			.kind = ACCESS_KEY,
			.mode = ACCESS_ADD,
			.mailbox = t.mailbox,
			.unchanged_since = UINT64_MAX,
		};
		return imap_change(s, key_made);
	}
	struct buf whole = BUF_INIT(2 * IMAP_URL_MAX);
	buf_puts(&whole, u->url[u->at]);
	buf_putz(&whole, ":internal:");
	buf_puts(&whole, t.token);
	u->url[u->at++] = arena_str(&s->cmd->arena, buf_str(&whole));
	buf_done(&whole);
	return s->cmd->arena.failed ? imap_no(s, "LIMIT", "too many URLs") : next_token(s);
}

static enum imap_run
next_token(struct imap_session *s)
{
	const struct urls *u = urls_of(s);
	if (u->at == u->n)
		return tokens_said(s);
	s->read = (struct access_ask){ .kind = ACCESS_TOKEN, .fresh = true, .url = u->url[u->at] };
	return imap_read(s, token_told);
}

static const char *
wrong_rump(struct imap_session *s, struct str text)
{
	struct imap_url url;
	struct fetch_item item = { 0 };
	const char *why = imap_url_parse(text, &url);
	if (why)
		return why;
	if (url.user.len == 0)
		return "whose mailbox it is stands not in it";
	if (url.access == IMAP_URL_NO_ACCESS)
		return "who may use it (URLAUTH) stands not in it";
	if (url.token.len)
		return "it has a token";
	if (text.len + sizeof(":internal:") + IMAP_URL_TOKEN_LEN > IMAP_URL_MAX)
		return "it is too long";
	return fetch_section_of_url(url.section, &s->cmd->arena, &item) ? NULL
	                                                                : "its section is not one";
}

enum imap_run
imap_cmd_genurlauth(struct imap_session *s)
{
	struct imap_lex *x = &s->cmd->lex;
	struct urls *u = urls_new(s);
	bool known = true;
	if (!u)
		return imap_no(s, "LIMIT", "out of memory");
	do {
		if (!url_parse(s, u))
			break;
		(void)imap_lex_sp(x);
		known = str_ieq(imap_lex_atom(x), MECHANISM) && known;
	} while (imap_lex_peek(x, ' '));
	if (!imap_lex_end(x))
		return imap_bad(s, "GENURLAUTH url mechanism...: %s", x->why);
	if (!known)
		return imap_no(s, "CANNOT", "there is no mechanism but INTERNAL");
	for (size_t i = 0; i < u->n; i++) {
		const char *why = wrong_rump(s, u->url[i]);
		if (why)
			return imap_bad(s, "a URL that cannot be authorized: %s", why);
	}
	return next_token(s);
}

/* --- URLFETCH --- */

static enum imap_run next_url(struct imap_session *s, const struct imap_answer *a);
static enum imap_run url_told(struct imap_session *s, const struct imap_answer *a);

static enum imap_run
url_ask(struct imap_session *s, const struct imap_answer *a)
{
	s->read = urls_of(s)->read->ask;
	if (s->cmd->out->len < IMAP_OUT_HIGH)
		return imap_read(s, url_told);
	s->cmd->resume = url_ask;
	return RUN_FLUSH;
}

static void
url_head(struct imap_session *s, struct urls *u)
{
	buf_putz(s->cmd->out, "* URLFETCH ");
	imap_put_string(s->cmd->out, u->url[u->at], false);
	buf_putc(s->cmd->out, ' ');
}

/* RFC 4467, URLFETCH: NIL says that it is not to be had, whatever the reason. */
static void
url_nil(struct imap_session *s, struct urls *u)
{
	url_head(s, u);
	buf_putz(s->cmd->out, "NIL\r\n");
	u->at++;
}

static enum imap_run
url_told(struct imap_session *s, const struct imap_answer *a)
{
	struct urls *u = urls_of(s);
	enum urlread_step step = urlread_take(u->read, a->status, a->octets);
	if (step == URLREAD_ASK)
		return url_ask(s, NULL);
	if (step == URLREAD_NO && u->said)
		return fetch_lost(s);
	if (step == URLREAD_NO && u->read->status == ACCESS_FAILED)
		return imap_refuse(s, ACCESS_FAILED, false);
	if (step == URLREAD_NO) {
		url_nil(s, u);
		return next_url(s, NULL);
	}
	if (!u->said) {
		url_head(s, u);
		buf_putf(s->cmd->out, "{%llu}\r\n", (unsigned long long)u->read->size);
	}
	u->said = u->read->left > 0;
	fetch_octets_put(s->cmd->out, u->read->octets, false);
	if (u->said)
		return url_ask(s, NULL);
	buf_putz(s->cmd->out, "\r\n");
	u->at++;
	return next_url(s, NULL);
}

static enum imap_run
next_url(struct imap_session *s, const struct imap_answer *a)
{
	struct urls *u = urls_of(s);
	const char *why;
	u->read = urlread_free(u->read);
	while (u->at < u->n) {
		if (imap_is_full(s)) {
			s->cmd->resume = next_url;
			return RUN_FLUSH;
		}
		u->read =
		    urlread_new(u->url[u->at], str_of(s->user), false, s->conf->charsets, &why);
		if (u->read)
			return url_ask(s, NULL);
		url_nil(s, u);
	}
	return imap_ok(s, NULL, NULL);
}

enum imap_run
imap_cmd_urlfetch(struct imap_session *s)
{
	struct imap_lex *x = &s->cmd->lex;
	struct urls *u = urls_new(s);
	if (!u)
		return imap_no(s, "LIMIT", "out of memory");
	while (url_parse(s, u) && imap_lex_peek(x, ' '))
		;
	if (!imap_lex_end(x))
		return imap_bad(s, "URLFETCH url...: %s", x->why);
	return next_url(s, NULL);
}
