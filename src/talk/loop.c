/* The loop: poll() over the terminal (or a pipe) and the link. */
#include "talk/talk_priv.h"

#include "base/check.h"
#include "sys/clock.h"
#include "talk/words.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLICE_MS 1000
#define LINGER_MS 2000 /* behind QUIT, for the server to close; behind a pipe's end in raw mode */

volatile sig_atomic_t talk_interrupted, talk_resized, talk_suspended;

/* --- queues --- */

void
talk_queue_init(struct talk_queue *q)
{
	*q = (struct talk_queue){ .last = &q->first };
}

void
talk_queue_put(struct talk_queue *q, struct str line, bool entered)
{
	struct talk_line *l = xalloc(sizeof *l + line.len + 1);
	l->len = line.len;
	l->entered = entered;
	if (line.len)
		memcpy(l->text, line.p, line.len);
	*q->last = l;
	q->last = &l->next;
	q->n++;
	q->octets += line.len;
}

static struct talk_line *
take(struct talk_queue *q)
{
	struct talk_line *l = q->first;
	check(l);
	q->first = l->next;
	if (q->first == NULL)
		q->last = &q->first;
	q->n--;
	q->octets -= l->len;
	return l;
}

/* It may have held a password. */
static void
line_free(struct talk_line *l)
{
	explicit_bzero(l->text, l->len);
	free(l);
}

void
talk_queue_clear(struct talk_queue *q)
{
	while (q->first)
		line_free(take(q));
}

/* --- a line goes out --- */

static void
typed_done(struct mode_typed *m)
{
	buf_wipe(&m->send);
	buf_wipe(&m->masked);
	buf_done(&m->send);
	buf_done(&m->masked);
	buf_done(&m->question);
}

static void line_out(struct talk *t, struct str line, bool sure, bool entered);

static void
sure_answer(struct talk *t, struct str answer, void *arg)
{
	struct talk_line *l = arg;
	if (talk_is_yes(answer) && t->connected)
		line_out(t, str_n(l->text, l->len), true, false);
	else
		event_note(t->ev, "Not sent.");
	line_free(l);
}

static void
ask_first(struct talk *t, struct str line, struct str question)
{
	if (!talk_can_ask(t)) { /* of a pipe; what is asked about there are passwords */
		question = str_first(question, str_find_str(question, STR("Type yes")));
		event_warn(t->ev, "auth", STR_FMT "Not sent: there is nobody to ask.",
		    STR_ARG(question));
		t->status = t->failed ? t->status : CLIENT_AUTH;
		t->failed = true;
		return;
	}
	struct talk_line *l = xalloc(sizeof *l + line.len + 1);
	l->len = line.len;
	memcpy(l->text, line.p, line.len);
	talk_ask(t, sure_answer, l, STR_FMT, STR_ARG(question));
}

static void
keep_line(struct talk *t, struct str line)
{
	if (!talk_history_keeps(line))
		return;
	talk_history_add(t->history, line);
	if (t->editor) {
		char *copy = str_dup(line);
		editor_remember(t->editor, copy);
		free(copy);
	}
}

/* Does it begin with a word of the protocol, perhaps behind a tag? */
static bool
has_verb(struct talk *t, struct str line)
{
	struct str word;
	for (int i = 0; i < 2 && (word = str_word(&line)).len; i++) {
		struct words w;
		bool known = false;
		words_init(&w, word);
		t->mode->complete(t, &w);
		for (size_t k = 0; k < w.n; k++)
			known = known || str_ieq(str_of(w.found[k]), word);
		words_done(&w);
		if (known)
			return true;
	}
	return false;
}

/* A password that was typed at the wrong moment is no command: it stands alone, or it comes behind
 * a login that went wrong. */
static bool
may_be_password(struct talk *t, struct str line)
{
	bool alone = str_find_any(str_trim(line), " \t") == str_trim(line).len;
	return t->mode != &mode_raw && (alone || t->login_tried) && !has_verb(t, line);
}

static void
remember(struct talk *t, struct str line, const struct mode_typed *m)
{
	if (m->secret || m->content || m->masked.len || !talk_history_keeps(line)) {
		t->login_tried = t->login_tried || !m->content;
		return;
	}
	if (!may_be_password(t, line))
		keep_line(t, line);
	buf_reset(&t->last_line);
	buf_puts(&t->last_line, line);
}

static void
line_out(struct talk *t, struct str line, bool sure, bool entered)
{
	struct mode_typed m = { .send = BUF_INIT(2 * TALK_LINE_MAX),
		.masked = BUF_INIT(2 * TALK_LINE_MAX),
		.question = BUF_INIT(4096) };
	bool literal = t->mode->literal && t->mode->literal(t);
	if (entered && t->editor && !literal && !talk_history_keeps(line))
		editor_erase(t->editor); /* a password, whether it goes or not */
	t->mode->typed(t, line, sure, &m);
	struct str masked = m.masked.len ? buf_str(&m.masked) : STR_NULL;
	if (m.question.len && !sure) {
		ask_first(t, line, buf_str(&m.question));
	} else if (m.nothing) {
		t->login_tried =
		    t->login_tried || (!literal && line.len && !talk_history_keeps(line));
	} else {
		if (!literal)
			remember(t, line, &m);
		if (entered && t->editor && (!m.changed || masked.p))
			editor_erase(t->editor);
		t->asked_us = t->asked_us ? t->asked_us : sys_mono_us();
		bool ok = m.octets ? talk_send_octets(t, buf_str(&m.send), masked, m.content)
		                   : talk_send(t, buf_str(&m.send), masked);
		if (ok)
			t->mode->sent(t, line, &m);
	}
	typed_done(&m);
}

static bool
is_local(const struct talk *t, struct str line)
{
	bool literal =
	    t->connected && t->mode->literal && t->mode->literal((struct talk *)(uintptr_t)t);
	return !t->o->strict_typing && !literal && !t->no_local &&
	       (str_starts(line, STR("/")) || str_starts(line, STR("!")));
}

void
talk_run_queues(struct talk *t)
{
	while (!t->leaving && t->question.fn == NULL) {
		struct talk_queue *q = t->autos.first ? &t->autos : &t->typed;
		enum mode_wait wait = t->connected ? t->mode->waits(t) : MODE_FREE;
		if (q->first == NULL || wait == MODE_HOLD ||
		    (wait == MODE_ANSWER && !t->o->pipeline))
			break;
		if (!t->connected && !is_local(t, str_n(q->first->text, q->first->len))) {
			event_warn(t->ev, NULL,
			    "There is no connection: /reconnect makes one, /quit leaves.");
			talk_queue_clear(&t->autos);
			talk_queue_clear(&t->typed);
			break;
		}
		bool local = q == &t->typed && !q->first->entered &&
		             is_local(t, str_n(q->first->text, q->first->len));
		if (local && wait != MODE_FREE)
			break;
		struct talk_line *l = take(q);
		if (local) /* of a pipe: in its turn, as all lines there */
			talk_local(t, str_n(l->text, l->len));
		else
			line_out(t, str_n(l->text, l->len), false, l->entered);
		line_free(l);
	}
	if (t->connected && t->mode->waits(t) == MODE_FREE)
		t->asked_us = 0;
}

/* A line of the user. */
static void
line_entered(struct talk *t, struct str line, bool local)
{
	t->interrupts = 0;
	if (local) {
		talk_local(t, line);
	} else if (t->question.fn) {
		talk_answer_fn *fn = t->question.fn;
		void *arg = t->question.arg;
		t->question.fn = NULL;
		buf_reset(&t->question.text);
		fn(t, line, arg);
	} else if (is_local(t, line)) {
		keep_line(t, line);
		talk_local(t, line);
	} else if (line.len == 0 && t->proposed.len) {
		struct buf text = t->proposed;
		t->proposed = BUF_INIT(text.max);
		talk_queue_put(&t->typed, buf_str(&text), true);
		buf_done(&text);
	} else if (line.len || !t->editing_for) {
		talk_queue_put(&t->typed, line, t->editor != NULL);
	}
	if (!local)
		buf_reset(&t->proposed);
	talk_run_queues(t);
}

/* --- time --- */

/* How long poll() may wait. */
static int
patience(struct talk *t)
{
	if (t->more)
		return 0;
	/* A signal between our look at it and poll() costs no more than this. */
	if (!t->connected || t->asked_us == 0 || t->o->link.timeout_ms <= 0 ||
	    (t->editor && t->told_slow))
		return SLICE_MS;
	int64_t left = t->o->link.timeout_ms - (sys_mono_us() - t->asked_us) / 1000;
	return left < 0 ? 0 : left > SLICE_MS ? SLICE_MS : (int)left;
}

static void
look_at_clock(struct talk *t)
{
	if (!t->connected || t->asked_us == 0 || t->o->link.timeout_ms <= 0 ||
	    t->mode->waits(t) == MODE_FREE ||
	    (sys_mono_us() - t->asked_us) / 1000 < t->o->link.timeout_ms)
		return;
	long long sec = (long long)(t->o->link.timeout_ms / 1000);
	if (t->editor == NULL) {
		event_result(t->ev, "answer", CLIENT_TIMEOUT,
		    "The server did not answer within %lld s (--timeout).", sec);
		talk_end(t, CLIENT_TIMEOUT);
	} else if (!t->told_slow) {
		t->told_slow = true;
		event_note(t->ev,
		    "No answer for %lld s. What you type waits for it; /close or ^C twice leaves.",
		    sec);
	}
}

/* --- the terminal --- */

static void
suspend_us(struct talk *t)
{
	talk_suspended = 0;
	editor_suspend(t->editor);
	raise(SIGSTOP);
	editor_resume(t->editor);
}

/* For the editor: waits for a key, and meanwhile does what there is to do. */
static enum editor_wait
wait_key(void *arg, int fd)
{
	struct talk *t = arg;
	for (;;) {
		if (talk_interrupted)
			return EDITOR_WAIT_INTERRUPT;
		if (talk_suspended)
			suspend_us(t);
		if (talk_resized) {
			talk_resized = 0;
			return EDITOR_WAIT_RESIZE;
		}
		if (t->leaving)
			return EDITOR_WAIT_STOP;
		struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			{ .fd = t->connected ? link_fd(&t->link) : -1,
			    .events = t->connected ? link_wants(&t->link) : 0 } };
		int n = poll(p, 2, patience(t));
		if (n < 0)
			continue;
		if (p[0].revents) {
			if (t->connected && t->mode->key)
				t->mode->key(t);
			return EDITOR_KEY;
		}
		if (t->connected && (p[1].revents || t->more))
			talk_pump(t);
		look_at_clock(t);
	}
}

static void
prompt(void *arg, struct buf *out)
{
	struct talk *t = arg;
	if (t->question.fn)
		buf_puts(out, buf_str(&t->question.text));
	else if (t->connected)
		t->mode->prompt(t, out);
	else
		buf_putz(out, "closed > ");
}

static void
interrupt(struct talk *t)
{
	bool killed = talk_interrupted != SIGINT;
	talk_interrupted = 0;
	if (t->question.fn) {
		talk_answer_fn *fn = t->question.fn;
		t->question.fn = NULL;
		fn(t, STR("no"), t->question.arg);
	}
	talk_auto_clear(t);
	talk_queue_clear(&t->edits);
	if (t->mode->cancel && t->connected)
		t->mode->cancel(t);
	if (killed || ++t->interrupts >= 2)
		talk_end(t, CLIENT_INTERRUPTED);
	else
		event_note(t->ev, "^C once more leaves.");
}

/* The next line that is to be edited; emptied, it is not sent. */
static void
offer_edit(struct talk *t)
{
	t->editing_for = t->edits.first && t->question.fn == NULL;
	if (!t->editing_for)
		return;
	struct talk_line *l = take(&t->edits);
	editor_propose(t->editor, str_n(l->text, l->len));
	free(l);
}

static void
terminal_loop(struct talk *t)
{
	struct buf line = BUF_INIT(TALK_LINE_MAX);
	talk_run_queues(t);
	while (!t->leaving) {
		offer_edit(t);
		switch (editor_line(t->editor, &line)) {
		case EDITOR_LINE:
			line_entered(t, buf_str(&line), false);
			break;
		case EDITOR_ESCAPE:
			line_entered(t, buf_str(&line), true);
			break;
		case EDITOR_INTERRUPT:
			interrupt(t);
			break;
		case EDITOR_END:
			talk_end(t, CLIENT_OK);
			break;
		case EDITOR_STOP:
			break;
		}
		buf_wipe(&line);
	}
	buf_done(&line);
}

/* --- a pipe --- */

static void
read_pipe(struct talk *t)
{
	char piece[16384];
	ssize_t n = read(STDIN_FILENO, piece, sizeof piece);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		buf_put(&t->in, piece, (size_t)n);
	t->input_ended = n <= 0;
	struct str rest = buf_str(&t->in);
	for (;;) {
		size_t end = str_find(rest, '\n');
		if (end == rest.len && !(t->input_ended && rest.len))
			break;
		struct str line = str_first(rest, end);
		rest = str_skip(rest, end + 1);
		if (line.len && line.p[line.len - 1] == '\r')
			line.len--;
		talk_queue_put(&t->typed, line, false);
	}
	buf_drop(&t->in, t->in.len - rest.len);
	if (t->in.failed || t->in.len >= TALK_LINE_MAX) {
		event_result(t->ev, NULL, CLIENT_USAGE, "A line of the input is too long.");
		talk_end(t, CLIENT_USAGE);
	}
}

/* What a pipe said is said, and answered. */
static bool
piped_all(struct talk *t, int64_t *since_us)
{
	if (!t->input_ended || t->typed.first || t->autos.first)
		return false;
	if (!t->connected)
		return true;
	if (t->mode->waits(t) != MODE_FREE)
		return false;
	bool lingers = t->mode->proto == PROTO_RAW || t->mode->ended(t);
	if (*since_us == 0)
		*since_us = sys_mono_us();
	return !lingers || sys_mono_us() - *since_us > LINGER_MS * 1000;
}

static void
pipe_loop(struct talk *t)
{
	int64_t since_us = 0;
	while (!t->leaving && !piped_all(t, &since_us)) {
		if (talk_interrupted) {
			talk_end(t, CLIENT_INTERRUPTED);
			break;
		}
		bool full =
		    t->input_ended || t->typed.octets > TALK_QUEUE_MAX || t->typed.n > 100000;
		struct pollfd p[2] = { { .fd = full ? -1 : STDIN_FILENO, .events = POLLIN },
			{ .fd = t->connected ? link_fd(&t->link) : -1,
			    .events = t->connected ? link_wants(&t->link) : 0 } };
		int wait = since_us ? 100 : patience(t);
		if (poll(p, 2, wait) < 0)
			continue;
		if (p[0].revents)
			read_pipe(t);
		if (t->connected && (p[1].revents || t->more)) {
			talk_pump(t);
			since_us = since_us ? sys_mono_us() : 0;
		}
		talk_run_queues(t);
		look_at_clock(t);
	}
}

void
talk_hide(void *arg)
{
	struct talk *t = arg;
	if (t->editor)
		editor_hide(t->editor);
}

void
talk_show(void *arg)
{
	struct talk *t = arg;
	if (t->editor)
		editor_show(t->editor);
}

void
talk_loop(struct talk *t)
{
	t->terminal = isatty(STDIN_FILENO);
	if (t->terminal && (isatty(STDOUT_FILENO) || isatty(STDERR_FILENO)) && !t->o->json) {
		struct editor_conf conf = { .wait = wait_key,
			.prompt = prompt,
			.complete = talk_complete,
			.arg = t,
			.color = t->o->show.color };
		t->editor = editor_new(&conf, stdin, isatty(STDOUT_FILENO) ? stdout : stderr);
	}
	t->history = talk_history_open(t->editor ? t->o->link.host : NULL,
	    (void (*)(void *, const char *))editor_remember, t->editor);
	if (t->editor)
		terminal_loop(t);
	else
		pipe_loop(t);
	t->editor = editor_free(t->editor);
	t->history = talk_history_close(t->history);
}
