#include "talk/player.h"

#include "base/check.h"
#include "base/map.h"
#include "base/utf8.h"
#include "talk/conn.h"
#include "talk/expand.h"
#include "talk/match.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define LINE_SHOWN 300u
#define UNREAD_SHOWN 20
#define WAIT_SLICE_MS 100
#define KEYSTROKE_NS 500000

struct named_conn {
	struct str name;
	struct conn conn;
	bool gone; /* E: has seen it close, or X: closed it */
};

struct player {
	const struct conv *conv;
	const struct player_options *o;
	struct play_report *r;
	struct named_conn conns[PLAYER_CONNS_MAX];
	size_t n_conns;
	struct named_conn *now;
	struct map vars; /* name -> char *, ours */
};

void
play_report_init(struct play_report *r)
{
	*r = (struct play_report){ .step = BUF_INIT(65536),
		.expected = BUF_INIT(65536),
		.got = BUF_INIT(65536),
		.transcript = BUF_INIT(TRANSCRIPT_MAX) };
}

void
play_report_done(struct play_report *r)
{
	buf_done(&r->step);
	buf_done(&r->expected);
	buf_done(&r->got);
	buf_done(&r->transcript);
}

/* Text of the file as it stands there, backslashes and all; only what would disturb a terminal
 * is escaped. */
static void
put_source(struct buf *out, struct str text)
{
	while (text.p) {
		struct str part = str_cut(&text, '\\');
		utf8_escape(out, part);
		if (text.p)
			buf_putc(out, '\\');
	}
}

bool
play_report_fail(struct play_report *r, enum play_result result, struct str expected,
    const char *got, ...)
{
	va_list ap;

	r->result = result;
	buf_reset(&r->expected);
	buf_reset(&r->got);
	put_source(&r->expected, str_first(expected, LINE_SHOWN * 4));
	va_start(ap, got);
	buf_vputf(&r->got, got, ap);
	va_end(ap);
	return false;
}

/* Octets as they are shown in a message: escaped, cut. */
static const char *
shown(struct buf *b, struct str octets)
{
	buf_reset(b);
	utf8_escape(b, str_first(octets, LINE_SHOWN));
	if (octets.len > LINE_SHOWN)
		buf_putf(b, "... (%zu octets)", octets.len);
	return buf_cstr(b) ? b->p : "";
}

static void
note(struct player *p, char who, struct str octets)
{
	struct buf line = BUF_INIT(TRANSCRIPT_LINE_MAX * 5);

	if (p->n_conns > 1)
		buf_putf(&line, STR_FMT " ", STR_ARG(p->now->name));
	buf_putf(&line, "%c: ", who);
	utf8_escape(&line, str_first(octets, TRANSCRIPT_LINE_MAX));
	if (octets.len > TRANSCRIPT_LINE_MAX)
		buf_putf(&line, "... (%zu octets)", octets.len);
	buf_putc(&line, '\n');
	buf_puts(&p->r->transcript, buf_str(&line));
	if (p->o->live) {
		fwrite(line.p, 1, line.len, p->o->live);
		fflush(p->o->live);
	}
	buf_done(&line);
}

static bool
stopped(const struct player *p)
{
	return p->o->stop && *p->o->stop;
}

/* --- the server's lines --------------------------------------------------- */

/* The next line without its line end; *raw is what conn_take() takes. False, with the failure
 * noted, when there is none; where it may lack, *ret is then STR_NULL and all is well. */
static bool
next_line(struct player *p, const struct conv_step *s, bool may_lack, struct str *ret,
    struct str *raw)
{
	const char *got = NULL;

	*ret = STR_NULL;
	switch (conn_peek(&p->now->conn, p->o->timeout_ms, raw)) {
	case CONN_LINE:
		*ret = *raw;
		if (str_ends(*ret, STR("\r\n")))
			ret->len -= 2;
		else
			got = "a line that does not end in CRLF";
		break;
	case CONN_TIMEOUT:
		got = may_lack ? NULL : stopped(p) ? "the run was stopped" : "nothing";
		break;
	case CONN_END:
		got = may_lack ? NULL : "the end of the connection";
		break;
	case CONN_FLOOD:
		got = "16 MiB without a line end";
		break;
	}
	return !got || play_report_fail(p->r, PLAY_FAILED, s->ere, "%s", got);
}

static bool
mismatch(struct player *p, const struct conv_step *s, struct str line)
{
	struct buf got = BUF_INIT(LINE_SHOWN * 5);

	play_report_fail(p->r, PLAY_FAILED, s->ere, "%s", shown(&got, line));
	buf_done(&got);
	return false;
}

static void
store_var(struct player *p, struct str name, struct str value)
{
	free(map_put(&p->vars, name, str_dup(value)));
}

static bool
play_expect(struct player *p, const struct conv_step *s)
{
	struct str line, raw, group;

	if (!next_line(p, s, false, &line, &raw))
		return false;
	if (match_whole(s->ere, line, &group) != MATCH_YES)
		return mismatch(p, s, line);
	note(p, 's', line);
	if (s->name.len)
		store_var(p, s->name, group);
	conn_take(&p->now->conn, raw);
	return true;
}

static bool
play_maybe(struct player *p, const struct conv_step *s)
{
	struct str line, raw;

	if (!next_line(p, s, true, &line, &raw))
		return false;
	if (!line.p || match_whole(s->ere, line, NULL) != MATCH_YES)
		return true;
	note(p, 's', line);
	conn_take(&p->now->conn, raw);
	return true;
}

static bool
play_many(struct player *p, const struct conv_step *s)
{
	struct str line, raw;

	for (;;) {
		if (!next_line(p, s, true, &line, &raw))
			return false;
		if (!line.p || match_whole(s->ere, line, NULL) != MATCH_YES)
			return true;
		note(p, 's', line);
		conn_take(&p->now->conn, raw);
	}
}

/* What is waiting to be read, for a message; false when nothing is. */
static bool
waiting(struct player *p, struct str *ret)
{
	*ret = buf_str(&p->now->conn.in);
	ret->len = MIN(ret->len, str_find(*ret, '\n'));
	if (str_ends(*ret, STR("\r")))
		ret->len--;
	return p->now->conn.in.len > 0;
}

static bool
play_silent(struct player *p, const struct conv_step *s)
{
	struct buf text = BUF_INIT(LINE_SHOWN * 5);
	struct str line;

	enum conn_line got = conn_peek(&p->now->conn, (int64_t)s->number, &line);
	bool ok = got == CONN_TIMEOUT && !waiting(p, &line);
	if (got == CONN_END)
		play_report_fail(p->r, PLAY_FAILED, STR("silence"), "the end of the connection");
	else if (!ok)
		play_report_fail(p->r, PLAY_FAILED, STR("silence"), "%s",
		    waiting(p, &line) ? shown(&text, line) : "");
	buf_done(&text);
	return ok;
}

static bool
play_closed(struct player *p, const struct conv_step *s)
{
	struct buf text = BUF_INIT(LINE_SHOWN * 5);
	struct str line;
	bool ok = false;

	enum conn_line got = conn_peek(&p->now->conn, p->o->timeout_ms, &line);
	if (waiting(p, &line))
		play_report_fail(p->r, PLAY_FAILED, STR("the end of the connection"), "%s",
		    shown(&text, line));
	else if (got == CONN_END)
		ok = true;
	else
		play_report_fail(p->r, PLAY_FAILED, STR("the end of the connection"), "nothing");
	buf_done(&text);
	if (ok) {
		note(p, '#', STR("the server closed the connection"));
		conn_close(&p->now->conn);
		p->now->gone = true;
	}
	return ok;
}

/* --- our side -------------------------------------------------------------- */

/* A server that has already closed is no failure here: what it said before is still to be
 * read, and the step that looks for more will tell. */
static bool
send_octets(struct player *p, struct str octets)
{
	int error = conn_send(&p->now->conn, octets, p->o->timeout_ms);

	if (error == 0 || error == -EPIPE)
		return true;
	return play_report_fail(p->r, PLAY_FAILED, STR("the server to take what we send"), "%s",
	    error == -ETIMEDOUT ? "it does not read" : strerror(-error));
}

static bool
type_octets(struct player *p, struct str octets)
{
	for (size_t i = 0; i < octets.len; i++) {
		if (!send_octets(p, str_n(octets.p + i, 1)))
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = KEYSTROKE_NS }, NULL);
	}
	return true;
}

static bool
play_send(struct player *p, const struct conv_step *s)
{
	struct buf octets = BUF_INIT(EXPAND_MAX + 2);
	const char *why;

	bool ok = expand(s->text, &p->vars, &octets, &why);
	if (!ok) {
		play_report_fail(p->r, PLAY_FAILED, STR("a line to send"), "%s", why);
	} else {
		note(p, 'c', buf_str(&octets));
		buf_putz(&octets, p->conv->input == CONV_LF ? "\n" : "\r\n");
		ok = p->conv->input == CONV_KEYSTROKE ? type_octets(p, buf_str(&octets))
		                                      : send_octets(p, buf_str(&octets));
	}
	buf_done(&octets);
	return ok;
}

static bool
play_raw(struct player *p, const struct conv_step *s)
{
	struct buf octets = BUF_INIT(CONV_TEXT_MAX);
	const char *why;

	bool ok = unescape(s->text, &octets, &why);
	if (!ok)
		play_report_fail(p->r, PLAY_FAILED, STR("octets to send"), "%s", why);
	else
		note(p, 'c', buf_str(&octets));
	ok = ok && send_octets(p, buf_str(&octets));
	buf_done(&octets);
	return ok;
}

static bool
play_wait(struct player *p, const struct conv_step *s)
{
	for (uint64_t left = s->number; left > 0 && !stopped(p);) {
		uint64_t slice = MIN(left, (uint64_t)WAIT_SLICE_MS);
		conn_wait(&p->now->conn, (int64_t)slice);
		left -= slice;
	}
	return true;
}

static bool
play_close(struct player *p, const struct conv_step *s)
{
	note(p, '#', STR("we close the connection"));
	conn_close(&p->now->conn);
	p->now->gone = true;
	return true;
}

/* The handshake of the connection at hand; what came of it is a line of the transcript. */
static bool
secure(struct player *p)
{
	/* SMTP has no name of its own in IANA's list. */
	static const char *const alpn[] = {
		[CONV_SMTP] = NULL, [CONV_LMTP] = NULL, [CONV_IMAP] = "imap", [CONV_POP3] = "pop3"
	};
	struct buf why = BUF_INIT(1024);
	struct tls_facts f;
	bool ok = conn_tls(&p->now->conn, p->o->host, alpn[p->conv->proto], p->o->timeout_ms, &why);

	if (ok) {
		tls_facts(p->now->conn.tls, &f);
		buf_putf(&why, "%s %s", f.version, f.cipher);
		note(p, '#', buf_str(&why));
	} else {
		play_report_fail(p->r, PLAY_FAILED, STR("a TLS handshake"), STR_FMT,
		    STR_ARG(buf_str(&why)));
	}
	buf_done(&why);
	return ok;
}

static bool
open_conn(struct player *p, struct str name)
{
	struct named_conn *n = &p->conns[p->n_conns];
	int error = conn_open(&n->conn, p->o->host, p->o->port, p->o->timeout_ms);

	if (error < 0)
		return play_report_fail(p->r, PLAY_IMPOSSIBLE, STR("a connection"),
		    "cannot connect to %s port %u: %s", p->o->host, p->o->port,
		    error == -ENOENT ? "no such host" : strerror(-error));
	n->name = name;
	p->n_conns++;
	p->now = n;
	return p->conv->tls != CONV_TLS_IMPLICIT || secure(p);
}

static bool
play_conn(struct player *p, const struct conv_step *s)
{
	for (size_t i = 0; i < p->n_conns; i++) {
		if (str_eq(p->conns[i].name, s->name)) {
			p->now = &p->conns[i];
			return true;
		}
	}
	if (p->n_conns == PLAYER_CONNS_MAX)
		return play_report_fail(p->r, PLAY_FAILED, STR("a connection"),
		    "a case has %u at most", PLAYER_CONNS_MAX);
	return open_conn(p, s->name);
}

static bool
play_tls(struct player *p, const struct conv_step *s)
{
	return secure(p);
}

static bool
play_fault(struct player *p, const struct conv_step *s)
{
	return !p->o->fault || p->o->fault(p->o->arg, str_skip(s->text, strlen("fault=")), p->r);
}

static bool
play_verify(struct player *p, const struct conv_step *s)
{
	return !p->o->verify || p->o->verify(p->o->arg, s, p->r);
}

/* --- the play --------------------------------------------------------------- */

static const struct {
	bool (*play)(struct player *p, const struct conv_step *s);
	bool needs_conn;
} ops[] = {
	[CONV_EXPECT] = { play_expect, true },
	[CONV_MAYBE] = { play_maybe, true },
	[CONV_MANY] = { play_many, true },
	[CONV_SEND] = { play_send, true },
	[CONV_RAW] = { play_raw, true },
	[CONV_SILENT] = { play_silent, true },
	[CONV_WAIT] = { play_wait, false },
	[CONV_TLS] = { play_tls, true },
	[CONV_CLOSED] = { play_closed, true },
	[CONV_CLOSE] = { play_close, true },
	[CONV_CONN] = { play_conn, false },
	[CONV_FAULT] = { play_fault, false },
	[CONV_VERIFY] = { play_verify, false },
};

static bool
play_step(struct player *p, const struct conv_step *s)
{
	if (stopped(p))
		return play_report_fail(p->r, PLAY_IMPOSSIBLE, STR("to go on"),
		    "the run was stopped");
	if (ops[s->op].needs_conn && p->now->gone)
		return play_report_fail(p->r, PLAY_FAILED, STR("an open connection"),
		    "connection \"" STR_FMT "\" was closed by an earlier step",
		    STR_ARG(p->now->name));
	return ops[s->op].play(p, s);
}

/* After a failure: what the server has said and no step has read. */
static void
note_unread(struct player *p)
{
	struct str rest = buf_str(&p->now->conn.in);

	for (int i = 0; rest.len && i < UNREAD_SHOWN; i++) {
		struct str line = str_cut(&rest, '\n');
		if (str_ends(line, STR("\r")))
			line.len--;
		note(p, 's', line);
	}
}

void
player_run(const struct conv *c, const struct player_options *o, struct play_report *r)
{
	struct player p = { .conv = c, .o = o, .r = r };
	struct str key;
	size_t pos = 0;
	void *value;

	bool ok = open_conn(&p, STR("main"));
	for (size_t i = 0; ok && i < c->n_steps; i++) {
		ok = play_step(&p, &c->steps[i]);
		if (!ok) {
			note_unread(&p);
			r->line = c->steps[i].line;
			put_source(&r->step, str_first(c->steps[i].raw, LINE_SHOWN * 4));
		}
	}
	for (size_t i = 0; i < p.n_conns; i++)
		conn_close(&p.conns[i].conn);
	while (map_next(&p.vars, &pos, &key, &value))
		free(value);
	map_done(&p.vars);
}
