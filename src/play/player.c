#include "play/player.h"

#include "base/check.h"
#include "base/map.h"
#include "base/utf8.h"
#include "client/exit.h"
#include "play/expand.h"
#include "play/match.h"
#include "play/wire.h"

#include <errno.h>
#include <stdlib.h>

#define LINE_SHOWN 300u
#define UNREAD_SHOWN 20
#define KEYSTROKE_MS 1

struct named_conn {
	struct str name;
	struct wire wire;
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

/* The next line without its line end; *raw is what wire_take() takes. False, with the failure
 * noted, when there is none; where it may lack, *ret is then STR_NULL and all is well. */
static bool
next_line(struct player *p, const struct conv_step *s, bool may_lack, struct str *ret,
    struct str *raw)
{
	const char *got = NULL;

	*ret = STR_NULL;
	switch (wire_peek(&p->now->wire, p->o->timeout_ms, raw)) {
	case WIRE_LINE:
		*ret = *raw;
		if (str_ends(*ret, STR("\r\n")))
			ret->len -= 2;
		else
			got = "a line that does not end in CRLF";
		break;
	case WIRE_TIMEOUT:
		got = may_lack ? NULL : "nothing";
		break;
	case WIRE_STOPPED:
		got = "the run was stopped";
		break;
	case WIRE_END:
		got = may_lack ? NULL : "the end of the connection";
		break;
	case WIRE_FLOOD:
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
	wire_take(&p->now->wire, raw);
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
	wire_take(&p->now->wire, raw);
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
		wire_take(&p->now->wire, raw);
	}
}

/* What is waiting to be read, for a message; false when nothing is. */
static bool
waiting(struct player *p, struct str *ret)
{
	struct str all = wire_unread(&p->now->wire);

	*ret = str_first(all, str_find(all, '\n'));
	if (str_ends(*ret, STR("\r")))
		ret->len--;
	return all.len > 0;
}

static bool
play_silent(struct player *p, const struct conv_step *s)
{
	struct buf text = BUF_INIT(LINE_SHOWN * 5);
	struct str line;

	enum wire_line got = wire_peek(&p->now->wire, (int64_t)s->number, &line);
	bool ok = got == WIRE_TIMEOUT && !waiting(p, &line);
	if (got == WIRE_END)
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

	enum wire_line got = wire_peek(&p->now->wire, p->o->timeout_ms, &line);
	if (waiting(p, &line))
		play_report_fail(p->r, PLAY_FAILED, STR("the end of the connection"), "%s",
		    shown(&text, line));
	else if (got == WIRE_END)
		ok = true;
	else
		play_report_fail(p->r, PLAY_FAILED, STR("the end of the connection"), "nothing");
	buf_done(&text);
	if (ok) {
		note(p, '#', STR("the server closed the connection"));
		wire_close(&p->now->wire);
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
	struct wire *w = &p->now->wire;
	enum link_status st = wire_send(w, octets, STR_NULL, false);

	if (st == LINK_OK || st == LINK_END)
		return true;
	return play_report_fail(p->r, PLAY_FAILED, STR("the server to take what we send"), "%s",
	    st == LINK_TIMEOUT ? "it does not read" : "the run was stopped");
}

static bool
play_send(struct player *p, const struct conv_step *s)
{
	struct buf octets = BUF_INIT(EXPAND_MAX + 2);
	const char *why;

	bool ok = expand(s->text, &p->vars, p->o->env, &octets, &why);
	if (!ok) {
		play_report_fail(p->r, PLAY_FAILED, STR("a line to send"), "%s", why);
	} else {
		note(p, 'c', buf_str(&octets));
		buf_putz(&octets, p->conv->input == CONV_LF ? "\n" : "\r\n");
		p->now->wire.conf.segment = p->conv->input == CONV_KEYSTROKE;
		ok = send_octets(p, buf_str(&octets));
		p->now->wire.conf.segment = 0;
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
	wire_wait(&p->now->wire, (int64_t)s->number);
	return true;
}

static bool
play_close(struct player *p, const struct conv_step *s)
{
	note(p, '#', STR("we close the connection"));
	wire_close(&p->now->wire);
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
	struct link *l = &p->now->wire.link;

	if (wire_tls(&p->now->wire, alpn[p->conv->proto]) != CLIENT_OK)
		return play_report_fail(p->r, PLAY_FAILED, STR("a TLS handshake"), STR_FMT,
		    STR_ARG(buf_str(&l->why)));
	char text[128];
	snprintf(text, sizeof(text), "%s %s", l->facts.version, l->facts.cipher);
	note(p, '#', str_of(text));
	return true;
}

static bool
open_conn(struct player *p, struct str name)
{
	struct named_conn *n = &p->conns[p->n_conns++];
	struct link_conf conf = p->o->link ? *p->o->link : (struct link_conf){ .insecure = true };

	conf.host = p->o->host;
	conf.port = p->o->port;
	conf.timeout_ms = p->o->timeout_ms;
	conf.delay_ms = KEYSTROKE_MS;
	conf.stop = p->o->stop;
	n->name = name;
	p->now = n;
	if (wire_open(&n->wire, &conf, NULL, NULL) != CLIENT_OK)
		return play_report_fail(p->r, PLAY_IMPOSSIBLE, STR("a connection"), STR_FMT,
		    STR_ARG(buf_str(&n->wire.link.why)));
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
	struct str rest = wire_unread(&p->now->wire);

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

	while (o->vars && map_next(o->vars, &pos, &key, &value))
		store_var(&p, key, str_of(value));
	pos = 0;
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
		wire_close(&p.conns[i].wire);
	while (map_next(&p.vars, &pos, &key, &value))
		free(value);
	map_done(&p.vars);
}
