/*
 * smtp_kit: a host in memory for the session's tests: it feeds octets in any pieces, answers
 * questions by simple rules and keeps what came of it. Every step sees its input in a block of
 * its own, so that a sanitizer notices an octet read too far.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "dialect/dialect.h"
#include "smtp/merge.h"
#include "smtp/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rfc dialect under kit_conf(). */
#define HI "EHLO c.example.org\r\n"
#define HI_OK "250-|250-|250-|250-|250-|250-|250-|250-|250-|250-|250 HELP|"
#define MAIL "MAIL FROM:<a@example.org>\r\n"
#define RCPT "RCPT TO:<b@example.com>\r\n"
#define TXN HI MAIL RCPT
#define TXN_OK "220 |" HI_OK "250 2.1.0|250 2.1.5|"

struct kit {
	struct smtp_conf conf;
	struct smtp_wording *wording;
	struct smtp_session s;
	struct smtp_clock clock;
	struct buf in, out, history;
	struct buf body;     /* of the letter under way */
	struct buf letters;  /* every committed letter, each followed by "--\n" */
	unsigned drops, commits, asked;
	bool turned;         /* it ended in an ATRN that was granted */
	bool ended, hold;    /* hold: leave questions open */
	bool user_known;     /* of LOGIN */
	enum smtp_situation say_mail, say_data, say_commit, say_tls, say_xclient;
	unsigned handshakes;
	bool mark_host_data; /* set txn->host_data and see that it comes back in a drop */
	size_t window;       /* octets of a URL that come at once; 0: all */
	struct str fetched;  /* those at hand, which the session is fed with in PHASE_BURL */
	size_t fetched_all;  /* that came of this URL */
};

static inline struct smtp_conf
kit_conf(const struct smtp_wording *w)
{
	return (struct smtp_conf){
		.wording = w, .host = STR("mx.example.com"), .max_size = 10000, .ehlo = true,
		.require_helo = true, .line_editing = true, .bare_lf = BARE_LF_SESSION,
		.bad_commands = 4, .command_line = 4096, .msgs_per_session = SMTP_LIMIT_OFF,
		.rcpts_per_msg = 3, .hops = 3, .header_lines = 20, .header_bytes = 4000,
		.conn_seconds = SMTP_LIMIT_OFF, .inject_seconds = SMTP_LIMIT_OFF,
		.idle_seconds = 300, .data_seconds = 600, .data_rate = 500,
	};
}

static inline struct smtp_wording *
kit_wording(const char *name)
{
	struct buf err = BUF_INIT(1u << 16);
	struct smtp_wording *w = dialect_load(str_of(name), dialect_find_builtin, NULL, &err);
	if (!w)
		fail_msg("%s", buf_cstr(&err));
	buf_done(&err);
	return w;
}

/* The wording stays the caller's. */
static inline void
kit_open(struct kit *k, const struct smtp_wording *w)
{
	*k = (struct kit){ .say_mail = SMTP_NONE, .say_data = SMTP_NONE, .say_commit = SMTP_NONE,
		.say_tls = SMTP_NONE, .say_xclient = SMTP_NONE };
	k->conf = kit_conf(w);
	k->clock = (struct smtp_clock){ .now = 1000, .wall = 1253881668, .zone = 120 };
	buf_init(&k->in, 1u << 24);
	buf_init(&k->out, 1u << 24);
	buf_init(&k->body, 1u << 24);
	buf_init(&k->letters, 1u << 24);
	buf_init(&k->history, 1u << 20);
}

static inline void
kit_greet(struct kit *k)
{
	static const struct smtp_peer peer = { "192.0.2.7", "client.example.net" };
	smtp_session_init(&k->s, &k->conf, &peer, &k->clock);
	k->s.history = &k->history;
	smtp_session_greet(&k->s, SMTP_NONE, &k->clock, &k->out);
}

static inline void
kit_close(struct kit *k)
{
	if (k->s.txn)
		k->s.txn->host_data = NULL;
	smtp_session_done(&k->s);
	buf_done(&k->in);
	buf_done(&k->out);
	buf_done(&k->body);
	buf_done(&k->letters);
	buf_done(&k->history);
}

/* The letters of a mail merge, or false: it is refused, with that. */
static inline bool
kit_merge(struct kit *k, enum smtp_situation *ret)
{
	static struct merge_letter letter;
	for (const struct merge_rcpt *r = k->s.txn->merge->first; r; r = r->next) {
		*ret = smtp_merge_letter(k->s.txn->merge, r, &letter);
		if (*ret != SMTP_NONE)
			return false;
		for (size_t i = 0; i < letter.n; i++) {
			const struct merge_piece *p = &letter.piece[i];
			assert_true(p->literal || (p->off <= k->body.len &&
						      p->len <= k->body.len - p->off));
			buf_puts(&k->letters,
			    p->literal ? p->text : str_n(k->body.p + p->off, (size_t)p->len));
		}
		buf_putz(&k->letters, "--\n");
	}
	return true;
}

/* PLAIN in one step or two; LOGIN by prompts; SCRAM-SHA-1, of which only the order is looked at
 * ("first", then "final", then its last word). joe's password is "secret"; those of temp and weak
 * go wrong in their own ways. */
static inline void
kit_auth(struct kit *k, struct smtp_answer *a)
{
	const struct smtp_auth *auth = k->s.auth;
	struct str got = auth->octets, mech = str_of(auth->mech);
	bool first = auth->begin && !auth->has_initial;
	assert_true(auth->begin ? auth->steps == 0 : auth->steps > 0);
	a->situation = SMTP_AUTH_FAIL;
	if (str_eq(mech, STR("PLAIN"))) {
		if (first)
			a->situation = SMTP_NONE;
		else if (str_eq(got, str_n("\0joe\0secret", 11)))
			a->situation = SMTP_AUTH_OK;
		else if (str_eq(got, str_n("\0temp\0secret", 12)))
			a->situation = SMTP_AUTH_TEMPFAIL;
		else if (str_eq(got, str_n("\0weak\0secret", 12)))
			a->situation = SMTP_AUTH_WEAK;
		else if (str_eq(got, str_n("\0gone\0secret", 12)))
			a->situation = SMTP_SHUTDOWN;
	} else if (str_eq(mech, STR("LOGIN"))) {
		a->challenge = first ? STR("Username:") : STR("Password:");
		if (first || (auth->begin ? auth->has_initial : auth->steps == 1 && !k->user_known))
			a->situation = SMTP_NONE;
		else if (str_eq(got, STR("secret")))
			a->situation = SMTP_AUTH_OK;
		k->user_known = a->situation == SMTP_NONE && !first;
		if (a->situation != SMTP_NONE)
			a->challenge = STR_NULL;
	} else if (str_eq(mech, STR("SCRAM-SHA-1"))) {
		if (str_eq(got, STR("first")))
			a->situation = SMTP_NONE;
		else if (str_eq(got, STR("final")))
			a->situation = SMTP_AUTH_OK;
		a->challenge = a->situation == SMTP_NONE ? STR("r=1") : STR("v=1");
	} else {
		a->situation = SMTP_NONE; /* goes on for ever */
		a->challenge = STR("more");
	}
	if (a->situation == SMTP_AUTH_OK)
		a->user = STR("joe@example.com");
}

/* What imap://h/WORD means: WORD and a line end, but for some that go wrong. */
static inline void
kit_burl(struct kit *k, struct smtp_answer *a)
{
	static char octets[256];
	struct str word = str_skip(k->s.arg, sizeof("imap://h/") - 1);
	assert_int_equal(k->fetched.len, 0);
	if (!str_starts(k->s.arg, STR("imap://h/")))
		a->situation = SMTP_BURL_TRUST;
	else if (str_eq(word, STR("denied")))
		a->situation = SMTP_BURL_DENIED;
	else if (str_eq(word, STR("lost")) && k->fetched_all > 0)
		a->situation = SMTP_BURL_UNAVAILABLE;
	else if (str_eq(word, STR("gone")))
		a->situation = SMTP_SHUTDOWN;
	a->reason = STR("of a reason");
	if (a->situation != SMTP_NONE) {
		k->fetched_all = 0;
		return;
	}
	snprintf(octets, sizeof(octets), STR_FMT "\r\n", STR_ARG(word));
	struct str all = str_of(octets);
	if (str_eq(word, STR("bare")))
		all = STR("a\nb");
	a->size = str_eq(word, STR("large")) ? 10001 : all.len;
	k->fetched = str_skip(all, k->fetched_all);
	if (k->window || str_eq(word, STR("lost")))
		k->fetched = str_first(k->fetched, k->window ? k->window : 1);
	a->octets = a->size > all.len ? a->size : k->fetched.len;
	k->fetched_all += k->fetched.len;
	if (k->fetched_all == all.len)
		k->fetched_all = 0;
}

static inline void
kit_answer(struct kit *k)
{
	struct smtp_session *s = &k->s;
	struct smtp_answer a = { .situation = SMTP_NONE, .qid = STR("QID1"), .counter = STR("1"),
		.uuid = STR("uuid"), .counter8 = STR("00000001"), .rand7 = STR("abcdefg") };
	k->asked++;
	if (s->ask == SMTP_ASK_MAIL) {
		a.situation = k->say_mail;
		if (k->mark_host_data)
			s->txn->host_data = k;
	} else if (s->ask == SMTP_ASK_RCPT) {
		if (str_eq(s->rcpt_asked->addr.local, STR("nobody")))
			a.situation = SMTP_RCPT_UNKNOWN;
		else if (str_eq(s->rcpt_asked->addr.local, STR("gone")))
			a.situation = SMTP_SHUTDOWN;
	} else if (s->ask == SMTP_ASK_DATA) {
		a.situation = k->say_data;
	} else if (s->ask == SMTP_ASK_COMMIT) {
		a.situation = k->say_commit;
		if (a.situation == SMTP_NONE && s->txn->merge) {
			k->commits += kit_merge(k, &a.situation);
		} else if (a.situation == SMTP_NONE) {
			buf_puts(&k->letters, buf_str(&k->body));
			buf_putz(&k->letters, "--\n");
			k->commits++;
		}
		list_each(n, &s->txn->rcpts)
		{
			struct smtp_rcpt *r = list_entry(n, struct smtp_rcpt, node);
			if (str_eq(r->addr.local, STR("full")))
				r->outcome = SMTP_RCPT_FULL;
		}
		s->txn->host_data = NULL;
		buf_reset(&k->body);
	} else if (s->ask == SMTP_ASK_VRFY) {
		a.situation = str_starts(s->arg, STR("joe")) ? SMTP_VRFY_OK : SMTP_VRFY_UNKNOWN;
		a.fullname = STR("Joe");
		a.to = STR("joe@example.com");
	} else if (s->ask == SMTP_ASK_EXPN) {
		a.lines[a.n_lines++] = STR("ann@example.com");
		a.lines[a.n_lines++] = STR("bob@example.com");
	} else if (s->ask == SMTP_ASK_ETRN) {
		a.situation = str_starts(s->arg, STR("#"))              ? SMTP_ETRN_DENIED
		              : str_eq(s->arg, STR("none.example.net")) ? SMTP_ETRN_NONE
		              : str_starts(s->arg, STR("@"))            ? SMTP_ETRN_PENDING
		                                                        : SMTP_ETRN_COUNT;
	} else if (s->ask == SMTP_ASK_TURN) {
		a.situation = str_starts(s->arg, STR("foreign"))  ? SMTP_ATRN_DENIED
		              : str_starts(s->arg, STR("empty")) ? SMTP_ATRN_NONE
		              : str_starts(s->arg, STR("busy"))  ? SMTP_ATRN_BUSY
		                                                  : SMTP_NONE;
	} else if (s->ask == SMTP_ASK_BURL) {
		kit_burl(k, &a);
	} else if (s->ask == SMTP_ASK_AUTH) {
		kit_auth(k, &a);
	} else if (s->ask == SMTP_ASK_TLS) {
		a.situation = k->say_tls;
	} else if (s->ask == SMTP_ASK_XCLIENT) {
		a.situation = k->say_xclient;
		a.user = str_of(s->asked->login);
	}
	assert_false(smtp_session_answer(s, s->ask_no + 1, &a, &k->clock, &k->out));
	assert_true(smtp_session_answer(s, s->ask_no, &a, &k->clock, &k->out));
}

static inline enum smtp_step
kit_step(struct kit *k)
{
	bool fetched = k->s.phase == PHASE_BURL;
	struct str in = fetched ? k->fetched : buf_str(&k->in);
	char *block = in.len ? xmemdup(in.p, in.len) : NULL;
	struct str rest = { block, in.len };
	enum smtp_step step = smtp_session_step(&k->s, &rest, &k->clock, &k->out);
	if (step == SMTP_BODY)
		buf_puts(&k->body, k->s.chunk);
	if (fetched)
		k->fetched = str_skip(k->fetched, in.len - rest.len);
	else
		buf_drop(&k->in, in.len - rest.len);
	free(block);
	return step;
}

static inline void
kit_run(struct kit *k)
{
	while (!k->ended) {
		enum smtp_phase was = k->s.phase;
		enum smtp_step step = kit_step(k);
		if (step == SMTP_MORE && was == PHASE_BURL)
			continue;
		if (step == SMTP_MORE) {
			assert_int_equal(k->in.len, 0);
			return;
		}
		if (step == SMTP_ASK && k->hold)
			return;
		if (step == SMTP_ASK)
			kit_answer(k);
		if (step == SMTP_DROP) {
			assert_non_null(k->s.txn);
			k->s.txn->host_data = NULL;
			buf_reset(&k->body);
			k->drops++;
			if (k->s.phase != PHASE_BURL)
				k->fetched = STR_NULL;
		}
		if (step == SMTP_UPGRADE) {
			assert_int_equal(k->in.len, 0);
			assert_int_equal(kit_step(k), SMTP_UPGRADE);
			smtp_session_secured(&k->s, STR("TLSv1.3 X"), &k->clock);
			k->handshakes++;
		}
		k->turned = step == SMTP_TURN;
		k->ended = step == SMTP_END || k->turned;
	}
}

static inline void
kit_push(struct kit *k, struct str piece)
{
	if (k->ended)
		return;
	buf_puts(&k->in, piece);
	kit_run(k);
}

static inline void
kit_say(struct kit *k, const char *text)
{
	kit_push(k, str_of(text));
}

/* Every reply line must begin with its part of want ("220 |250-mx"), and there is no other. */
static inline void
kit_expect_lines(const char *name, struct str out, const char *want)
{
	struct str w = str_of(want), o = out;
	while (w.len || o.len) {
		struct str prefix = str_cut(&w, '|');
		struct str line = str_cut(&o, '\n');
		if (!str_starts(line, prefix) || line.len == 0 || prefix.len == 0)
			fail_msg("%s: want \"" STR_FMT "\" in\n" STR_FMT, name, STR_ARG(prefix),
			    STR_ARG(out));
	}
}
