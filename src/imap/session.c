#include "imap/imap_priv.h"

#include "base/session.h"
#include "dialect/access_words.h"

#include <stdlib.h>

_Static_assert(sizeof(struct imap_session) <= 400, "what every idle connection costs");

/* --- a command's life --- */

void
imap_command_begin(struct imap_session *s, const struct imap_clock *clock, struct buf *out)
{
	struct imap_command *c = s->cmd = xalloc(sizeof(*c));
	arena_init(&c->arena, IMAP_ARENA_MAX);
	buf_init(&c->text, IMAP_COMMAND_MAX + IMAP_LINE_MAX);
	/* Where a password may stand the text never moves and leaves no copy. */
	if (s->state == IMAP_STRANGER)
		(void)buf_reserve(&c->text, 2 * IMAP_COMMAND_EARLY);
	c->out = out;
	c->clock = clock;
}

static void
command_free(struct imap_session *s)
{
	struct imap_command *c = s->cmd;
	if (!c)
		return;
	if (c->drop)
		c->drop(s);
	imap_append_free(s);
	imap_sync_free(c);
	imap_auth_free(s);
	uidset_done(&c->uids);
	if (!c->row || (c->row->flags & ROW_SECRET))
		buf_wipe(&c->text);
	buf_done(&c->text);
	buf_done(&c->refusal);
	buf_done(&c->last);
	arena_done(&c->arena);
	free(c);
	s->cmd = NULL;
	s->idling = false;
}

static void
say_bye(struct imap_session *s, struct buf *out, const char *reason)
{
	if (!(s->flags & F_UPGRADE))
		(void)imap_bye(s, out, NULL, "%s", reason);
	s->state = IMAP_CLOSED;
}

static void
command_end(struct imap_session *s)
{
	struct buf *out = s->cmd->out;
	s->last_input = s->cmd->clock->now;
	command_free(s);
	if (s->state == IMAP_CLOSED)
		return;
	if (s->state == IMAP_STRANGER && s->bad > s->conf->bad_commands)
		say_bye(s, out, "too many commands that are wrong");
	else if (s->flags & F_SHUTDOWN)
		say_bye(s, out, "the server is shutting down; connect again");
}

/* The next line is collected on its own. */
static void
await_line(struct imap_command *c)
{
	if (c->row && (c->row->flags & ROW_SECRET))
		buf_wipe(&c->text);
	buf_done(&c->text);
	buf_reset(&c->text);
	c->line_at = 0;
	c->phase = PHASE_MORE;
}

void
imap_command_ran(struct imap_session *s, enum imap_run run)
{
	struct imap_command *c = s->cmd;
	if (s->state == IMAP_CLOSED)
		run = RUN_DONE;
	switch (run) {
	case RUN_DONE:
		command_end(s);
		break;
	case RUN_ASK:
		check(s->ask != IMAP_ASK_NONE);
		c->phase = PHASE_RUN;
		break;
	case RUN_FLUSH:
		c->phase = PHASE_FLUSH;
		c->flushing = false;
		break;
	case RUN_LINE:
		await_line(c);
		/* Who idles may not say anything for half an hour. */
		if (s->flags & F_SHUTDOWN)
			say_bye(s, c->out, "the server is shutting down; connect again");
		break;
	case RUN_LETTER:
		c->phase = PHASE_LETTER;
		break;
	}
}

/* --- steps --- */

/* What must happen before any more input is looked at. */
static bool
overdue(struct imap_session *s, struct str *in, enum imap_step *ret)
{
	static const struct {
		unsigned flag;
		enum imap_step step;
		bool silent; /* what waits behind it was sent too early (R-PIPE) */
	} rows[] = {
		{ F_UPGRADE, IMAP_UPGRADE, true },
		{ F_DEFLATE, IMAP_DEFLATE, true },
	};
	if (s->ask != IMAP_ASK_NONE) {
		*ret = IMAP_ASK;
		return true;
	}
	if (s->flags & F_DROP) {
		s->flags &= ~(unsigned)F_DROP;
		*ret = IMAP_DROP;
		return true;
	}
	free(s->dropped);
	s->dropped = NULL;
	s->n_dropped = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows) && s->state != IMAP_CLOSED; i++) {
		if (!(s->flags & rows[i].flag))
			continue;
		if (in->len) {
			s->state = IMAP_CLOSED;
			break;
		}
		*ret = rows[i].step;
		if (rows[i].flag == F_DEFLATE)
			s->flags = (s->flags & ~(unsigned)F_DEFLATE) | F_DEFLATED;
		return true;
	}
	*ret = IMAP_END;
	return s->state == IMAP_CLOSED;
}

/* Goes on with a command that waited for room. False: there was none to go on with. */
static bool
flushed(struct imap_session *s, enum imap_step *ret)
{
	struct imap_command *c = s->cmd;
	*ret = IMAP_MORE;
	if (!c || c->phase != PHASE_FLUSH)
		return false;
	if (!c->flushing) {
		c->flushing = true;
		*ret = IMAP_FLUSH;
		return true;
	}
	c->flushing = false;
	imap_command_ran(s, c->resume(s, NULL));
	return true;
}

static void
letter(struct imap_session *s, struct str *in)
{
	struct imap_command *c = s->cmd;
	size_t n = (size_t)MIN(c->literal_left, (uint64_t)in->len);
	struct str piece = str_first(*in, MIN(n, (size_t)IMAP_LINE_MAX));
	*in = str_skip(*in, piece.len);
	c->literal_left -= piece.len;
	s->last_input = c->clock->now;
	imap_append_octets(s, piece, &s->chunk);
}

/* Eats some input; true: the host has octets to take. */
static bool
eat(struct imap_session *s, struct str *in, const struct imap_clock *clock, struct buf *out)
{
	if (!s->cmd)
		imap_command_begin(s, clock, out);
	if (s->cmd->phase != PHASE_LETTER)
		imap_input(s, in);
	else
		letter(s, in);
	return s->chunk.len > 0;
}

static bool
between_and_full(struct imap_session *s, const struct buf *out)
{
	bool full = !s->cmd && out->len >= IMAP_OUT_HIGH && !(s->flags & F_FLUSHED);
	s->flags = full ? s->flags | F_FLUSHED : s->flags & ~(unsigned)F_FLUSHED;
	return full;
}

static void
attach(struct imap_session *s, const struct imap_clock *clock, struct buf *out)
{
	if (s->cmd) {
		s->cmd->out = out;
		s->cmd->clock = clock;
	}
}

static bool
must_tell(const struct imap_session *s)
{
	return s->idling && s->view && s->view->stirred && s->cmd->phase == PHASE_MORE &&
	       s->cmd->text.len == 0;
}

static bool
letter_is_whole(const struct imap_session *s)
{
	return s->cmd && s->cmd->phase == PHASE_LETTER && s->cmd->literal_left == 0;
}

enum imap_step
imap_session_step(struct imap_session *s, struct str *in, const struct imap_clock *clock,
    struct buf *out)
{
	enum imap_step step;
	check(s->state != IMAP_GREETING);
	s->chunk = STR_NULL;
	attach(s, clock, out);
	for (;;) {
		if (out->failed)
			s->state = IMAP_CLOSED;
		if (overdue(s, in, &step))
			return step;
		if (flushed(s, &step)) {
			if (step != IMAP_MORE)
				return step;
		} else if (letter_is_whole(s)) {
			imap_command_ran(s, imap_append_whole(s));
		} else if (must_tell(s)) {
			imap_command_ran(s, imap_idle_stirred(s));
		} else if (!in->len) {
			return IMAP_MORE;
		} else if (between_and_full(s, out)) {
			return IMAP_FLUSH;
		} else if (eat(s, in, clock, out)) {
			return IMAP_OCTETS;
		}
	}
}

bool
imap_session_answer(struct imap_session *s, uint32_t ask_no, const struct imap_answer *a,
    const struct imap_clock *clock, struct buf *out)
{
	if (s->ask == IMAP_ASK_NONE || ask_no != s->ask_no)
		return false;
	check(s->cmd && s->cmd->resume);
	s->ask = IMAP_ASK_NONE;
	attach(s, clock, out);
	imap_command_ran(s, s->cmd->resume(s, a));
	return true;
}

/* --- the rest of its life --- */

void
imap_session_init(struct imap_session *s, const struct imap_conf *conf, struct uidmaps *maps,
    bool tls, const struct imap_clock *clock)
{
	*s = (struct imap_session){ .conf = conf,
		.maps = maps,
		.state = IMAP_GREETING,
		.tls = tls,
		.opened = clock->now,
		.last_input = clock->now };
}

void
imap_session_done(struct imap_session *s)
{
	command_free(s);
	imap_view_close(s);
	free(s->dropped);
	free(s->user);
	s->dropped = NULL;
	s->dropped = NULL;
	s->n_dropped = 0;
	s->user = NULL;
	s->ask = IMAP_ASK_NONE;
	s->state = IMAP_CLOSED;
}

void
imap_session_greet(struct imap_session *s, struct str refuse, const struct imap_clock *clock,
    struct buf *out)
{
	check(s->state == IMAP_GREETING);
	s->last_input = clock->now;
	if (refuse.len) {
		(void)imap_bye(s, out, NULL, STR_FMT, STR_ARG(refuse));
		return;
	}
	struct smtp_vars vars;
	imap_vars(s, STR_NULL, &vars);
	s->state = IMAP_STRANGER;
	buf_putz(out, "* OK ");
	if (!imap_says_code(s->conf->wording, IMAP_SAYS_GREETING)) {
		buf_putz(out, "[CAPABILITY ");
		imap_put_capabilities(s, out);
		buf_putz(out, "] ");
	}
	imap_says_put(out, s->conf->wording, IMAP_SAYS_GREETING, &vars);
	buf_putz(out, "\r\n");
}

void
imap_session_secured(struct imap_session *s, const struct imap_clock *clock)
{
	if (s->state == IMAP_CLOSED)
		return;
	s->tls = true;
	s->last_input = clock->now;
	s->flags &= ~(unsigned)(F_UPGRADE | F_EOL_KNOWN | F_EOL_LF);
}

bool
imap_session_watch(const struct imap_session *s, uint32_t *ret_mailbox, uint64_t *ret_modseq)
{
	if (s->state != IMAP_SELECTED || !s->view)
		return false;
	*ret_mailbox = s->view->mailbox;
	*ret_modseq = MAX(s->view->modseq, s->view->told);
	return true;
}

void
imap_session_stir(struct imap_session *s)
{
	if (s->view)
		s->view->stirred = true;
}

int64_t
imap_session_deadline(const struct imap_session *s)
{
	const struct imap_conf *conf = s->conf;
	if (s->state == IMAP_CLOSED || s->ask != IMAP_ASK_NONE)
		return INT64_MAX;
	int64_t idle = session_deadline(s->last_input, conf->idle_seconds);
	int64_t whole = session_deadline(s->opened, conf->conn_seconds);
	if (s->state == IMAP_STRANGER || s->state == IMAP_GREETING)
		idle = MIN(idle, session_deadline(s->opened, conf->login_seconds));
	return MIN(idle, whole);
}

bool
imap_session_timeout(struct imap_session *s, const struct imap_clock *clock, struct buf *out)
{
	if (clock->now < imap_session_deadline(s))
		return false;
	bool login = s->state == IMAP_STRANGER;
	say_bye(s, out, login ? "no login in time" : "nothing was said for too long");
	return true;
}

void
imap_session_shutdown(struct imap_session *s, const struct imap_clock *clock, struct buf *out)
{
	const struct imap_command *c = s->cmd;
	bool busy = c && (c->phase == PHASE_RUN || c->phase == PHASE_FLUSH);
	if (s->state == IMAP_CLOSED)
		return;
	if (busy)
		s->flags |= F_SHUTDOWN;
	else
		say_bye(s, out, "the server is shutting down; connect again");
}
