#include "smtp/session_priv.h"

#include "base/base64.h"
#include "base/date.h"
#include "base/utf8.h"

#include <stdio.h>

#define REPLY_MAX (64u << 10)
#define CHALLENGE_SHOWN_MAX 192

static bool
is_plain(struct str text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.p[i] < ' ' || text.p[i] > '~' || text.p[i] == '\\')
			return false;
	return true;
}

/* "+12ms ", by hand: there is one for every line of every conversation. */
static void
put_time(struct buf *h, int64_t ms)
{
	char text[32];
	size_t at = sizeof(text) - 3;
	memcpy(text + at, "ms ", 3);
	uint64_t v = ms > 0 ? (uint64_t)ms : 0;
	do
		text[--at] = (char)('0' + v % 10);
	while (v /= 10);
	text[--at] = '+';
	buf_put(h, text + at, sizeof(text) - at);
}

void
smtp_note(struct smtp_turn *t, const char *mark, struct str text)
{
	struct buf *h = t->s->history;
	if (!h || h->failed)
		return;
	size_t len = h->len;
	put_time(h, t->clock->now - t->s->opened);
	buf_putz(h, mark);
	if (is_plain(text))
		buf_puts(h, text);
	else
		utf8_escape(h, text);
	buf_putc(h, '\n');
	if (h->failed)
		buf_trunc(h, len);
}

void
smtp_notef(struct smtp_turn *t, const char *fmt, ...)
{
	char text[256];
	if (!t->s->history)
		return;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	check(n >= 0);
	smtp_note(t, "# ", str_n(text, MIN((size_t)n, sizeof(text) - 1)));
}

static struct str
number(char *dst, size_t n, uint64_t v)
{
	int len = snprintf(dst, n, "%llu", (unsigned long long)v);
	return str_n(dst, MIN((size_t)len, n - 1));
}

static struct str
upper(char *dst, size_t n, struct str s)
{
	s = str_first(s, n);
	for (size_t i = 0; i < s.len; i++)
		dst[i] = s.p[i] >= 'a' && s.p[i] <= 'z' ? (char)(s.p[i] - 0x20) : s.p[i];
	return str_n(dst, s.len);
}

static struct str
date_text(char *dst, size_t n, const struct smtp_clock *clock)
{
	struct buf b = BUF_INIT(n);
	date_rfc5322(&b, clock->wall, clock->zone);
	struct str s = str_first(buf_str(&b), n);
	if (s.len)
		memcpy(dst, s.p, s.len);
	buf_done(&b);
	return str_n(dst, s.len);
}

static struct str
either(struct str a, struct str b)
{
	return a.len ? a : b;
}

/* What has to be made: only for a text that may name it. */
static void
vars_made(const struct smtp_turn *t, struct str *v, struct smtp_scratch *x)
{
	const struct smtp_conf *conf = t->s->conf;
	v[SMTP_VAR_HOST] = upper(x->host, sizeof(x->host), conf->host);
	v[SMTP_VAR_errno] = number(x->err_no, sizeof(x->err_no), conf->err_no);
	v[SMTP_VAR_max_size] = number(x->max_size, sizeof(x->max_size),
	    conf->max_size == SMTP_LIMIT_OFF ? 0 : conf->max_size);
	v[SMTP_VAR_max_rcpt] = number(x->max_rcpt, sizeof(x->max_rcpt), conf->rcpts_per_msg);
	v[SMTP_VAR_limits] = smtp_limits_text(x->limits, sizeof(x->limits), conf);
	v[SMTP_VAR_hold_limits] = smtp_hold_text(x->hold, sizeof(x->hold), conf, t->clock->wall);
	v[SMTP_VAR_mechs] = smtp_mechs(t->s, x->mechs, sizeof(x->mechs));
	v[SMTP_VAR_verbs] = smtp_verbs(t->s, x->verbs, sizeof(x->verbs));
	v[SMTP_VAR_nmsgs] = number(x->nmsgs, sizeof(x->nmsgs), t->s->messages);
	v[SMTP_VAR_date] = date_text(x->date, sizeof(x->date), t->clock);
	v[SMTP_VAR_date_rfc5322] = v[SMTP_VAR_date];
}

static bool
names_made(struct str text)
{
	static const struct str names[] = { { "{HOST", 5 }, { "{errno", 6 }, { "{max_", 5 },
		{ "{limits", 7 }, { "{hold_", 6 }, { "{mechs", 6 }, { "{verbs", 6 },
		{ "{nmsgs", 6 }, { "{date", 5 } };
	for (size_t at; (at = str_find(text, '$')) < text.len;) {
		text = str_skip(text, at + 1);
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			if (str_starts(text, names[i]))
				return true;
	}
	return false;
}

static void
vars_session(const struct smtp_turn *t, struct str *v)
{
	const struct smtp_session *s = t->s;
	const struct smtp_conf *conf = s->conf;
	v[SMTP_VAR_host] = conf->host;
	v[SMTP_VAR_ehlo_host] = either(conf->ehlo_host, conf->host);
	v[SMTP_VAR_hub_host] = either(conf->hub_host, conf->host);
	v[SMTP_VAR_client_ip] = str_of(s->peer.ip);
	v[SMTP_VAR_client_name] = str_of(s->peer.name);
	v[SMTP_VAR_helo] = str_of(s->helo);
	v[SMTP_VAR_reason] = conf->disabled;
	v[SMTP_VAR_user] = str_of(s->user);
	v[SMTP_VAR_deliverby_min] = STR("1");
	v[SMTP_VAR_sp] = STR(" ");
	v[SMTP_VAR_classes] = s->conf->no_soliciting;
	if (s->txn) {
		v[SMTP_VAR_from] = s->txn->from.whole;
		v[SMTP_VAR_from_as_given] = s->txn->from_as_given;
		v[SMTP_VAR_from_domain] = s->txn->from.domain;
	}
}

/* text: the template, or STR_NULL for all that an EHLO list may name. */
void
smtp_vars_fill(const struct smtp_turn *t, struct str text, struct smtp_vars *vars,
    struct smtp_scratch *x, const struct smtp_vars *extra)
{
	*vars = (struct smtp_vars){ 0 };
	vars_session(t, vars->v);
	if (!text.p || names_made(text))
		vars_made(t, vars->v, x);
	for (size_t i = 0; extra && i < SMTP_VAR_COUNT; i++)
		if (extra->v[i].p)
			vars->v[i] = extra->v[i];
}

void
smtp_note_replies(struct smtp_turn *t, size_t from)
{
	if (!t->s->history || t->out->failed)
		return;
	struct str text = str_skip(buf_str(t->out), from);
	while (text.len)
		smtp_note(t, "s: ", str_rtrim(str_cut(&text, '\n')));
}

static void
account(struct smtp_turn *t, enum smtp_situation s)
{
	int code = smtp_reply_code(t->s->conf->wording, s);
	if (code >= 400)
		t->s->refused++;
	if (smtp_situation_closes(s) || code == 421)
		smtp_close(t);
}

/* What is worded differently where LMTP is spoken. */
static enum smtp_situation
lmtp_situation(enum smtp_situation s)
{
	static const struct {
		enum smtp_situation smtp, lmtp;
	} rows[] = {
		{ SMTP_GREETING, SMTP_GREETING_LMTP },
		{ SMTP_GREETING_REJECT, SMTP_GREETING_LMTP_REJECT },
		{ SMTP_EHLO_NOARG, SMTP_LHLO_NOARG },
		{ SMTP_EHLO_BADARG, SMTP_LHLO_BADARG },
		{ SMTP_MAIL_NOHELO, SMTP_MAIL_NOLHLO },
		{ SMTP_DATA_NORCPT_VALID, SMTP_DATA_NORCPT }, /* RFC 2033 4.2: 503 */
		{ SMTP_DATA_OK, SMTP_DATA_OK_LMTP },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].smtp == s)
			return rows[i].lmtp;
	return s;
}

static void
render(struct smtp_turn *t, struct buf *out, enum smtp_situation s, const struct smtp_vars *extra)
{
	const struct smtp_wording *w = t->s->conf->wording;
	if (str_find(w->reply[s], '$') == w->reply[s].len) {
		smtp_reply_put(out, w, s, NULL);
	} else {
		struct smtp_vars vars;
		struct smtp_scratch x;
		smtp_vars_fill(t, w->reply[s], &vars, &x, extra);
		smtp_reply_put(out, w, s, &vars);
	}
}

/* In a mail merge some replies are not wanted; what ends the session is said all the same. */
static bool
is_quiet(const struct smtp_session *s, enum smtp_situation say)
{
	return (s->flags & F_QUIET) && !smtp_situation_closes(say) &&
	       smtp_reply_code(s->conf->wording, say) != 421;
}

void
smtp_reply(struct smtp_turn *t, enum smtp_situation s, const struct smtp_vars *extra)
{
	size_t from = t->out->len;
	if (t->s->conf->lmtp)
		s = lmtp_situation(s);
	if (is_quiet(t->s, s)) {
		struct buf text = BUF_INIT(REPLY_MAX);
		render(t, &text, s, extra);
		smtp_merging_quiet(t, s, buf_str(&text));
		buf_done(&text);
		return;
	}
	render(t, t->out, s, extra);
	smtp_note_replies(t, from);
	account(t, s);
}

void
smtp_reply_challenge(struct smtp_turn *t, struct str octets)
{
	size_t from = t->out->len;
	buf_putz(t->out, "334 ");
	base64_enc(t->out, octets);
	buf_putz(t->out, "\r\n");
	if (octets.len <= CHALLENGE_SHOWN_MAX)
		smtp_note_replies(t, from);
	else
		smtp_notef(t, "a challenge of %zu octets", octets.len);
}

void
smtp_reply_arg(struct smtp_turn *t, enum smtp_situation s, struct str arg)
{
	struct smtp_vars extra = { .v = { [SMTP_VAR_arg] = arg } };
	smtp_reply(t, s, &extra);
}

/* RFC 2033 4.2, 4.3; draft-hall-prdr-00 4.5. What ends the session is said once. */
void
smtp_reply_letter(struct smtp_turn *t, enum smtp_situation s, const struct smtp_vars *vars)
{
	struct smtp_txn *txn = t->s->txn;
	bool prdr = txn && txn->prdr && txn->n_rcpt > 1 && s == SMTP_DATA_OK;
	if ((!t->s->conf->lmtp && !prdr) || !txn || txn->n_rcpt == 0) {
		smtp_reply(t, s, vars);
		return;
	}
	if (prdr)
		smtp_reply(t, SMTP_PRDR_GO, vars);
	struct smtp_vars each = vars ? *vars : (struct smtp_vars){ 0 };
	enum smtp_situation good = prdr ? SMTP_PRDR_OK : s;
	bool all = true;
	list_each(n, &txn->rcpts)
	{
		const struct smtp_rcpt *r = list_entry(n, struct smtp_rcpt, node);
		bool own = s == SMTP_DATA_OK && r->outcome != SMTP_NONE;
		each.v[SMTP_VAR_to] = r->addr.whole;
		each.v[SMTP_VAR_to_as_given] = r->as_given;
		all &= !own;
		smtp_reply(t, own ? r->outcome : good, &each);
		/* The transaction, and the list with it, may be gone behind a 421. */
		if (t->s->phase == PHASE_CLOSED)
			return;
	}
	if (prdr)
		smtp_reply(t, all ? SMTP_DATA_OK : SMTP_PRDR_PART, vars);
}

struct smtp_vars
smtp_answer_vars(const struct smtp_answer *a)
{
	return (struct smtp_vars){ .v = {
				       [SMTP_VAR_qid] = a->qid,
				       [SMTP_VAR_uuid] = a->uuid,
				       [SMTP_VAR_counter] = a->counter,
				       [SMTP_VAR_counter8] = a->counter8,
				       [SMTP_VAR_rand7] = a->rand7,
				       [SMTP_VAR_reason] = a->reason,
				       [SMTP_VAR_to] = a->to,
				       [SMTP_VAR_fullname] = a->fullname,
				   } };
}

void
smtp_reply_answer(struct smtp_turn *t, enum smtp_situation s, const struct smtp_answer *a)
{
	struct smtp_vars extra = smtp_answer_vars(a);
	smtp_reply(t, s, &extra);
}
