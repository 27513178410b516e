/* SMTP and LMTP by hand: the letter. It is kept until the dot, so that it can be edited, get
 * attachments and be looked at; with --strict-typing each line goes as it is typed. */
#include "talk/smtp_priv.h"

#include "base/check.h"
#include "sys/file.h"
#include "talk/child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
smtp_letter_drop(struct smtp_talk *s)
{
	letter_reset(&s->letter);
	buf_done(&s->ready);
	s->has_ready = s->collecting = false;
	for (; s->n_attachments; s->n_attachments--)
		free((char *)(uintptr_t)s->attachments[s->n_attachments - 1].p);
}

/* --- sending it --- */

/* At a terminal it was seen when it was typed. */
static void
send_content(struct talk *t, struct str octets, bool seen)
{
	if (seen && t->editor && !t->o->show.verbose)
		t->o->show.shown = SHOW_SEEN;
	talk_send_octets(t, octets, STR_NULL, true);
}

static void
send_chunk(struct talk *t, struct str text)
{
	struct smtp_talk *s = smtp_of(t);
	struct buf line = BUF_INIT(64);
	s->collecting = false;
	buf_putf(&line, "BDAT %zu LAST", text.len);
	if (talk_send(t, buf_str(&line), STR_NULL)) {
		track_sent(&s->track, TRACK_COMMAND, buf_str(&line));
		send_content(t, text, true);
	}
	buf_done(&line);
}

static void
send_letter(struct talk *t, struct str text, bool seen)
{
	struct smtp_talk *s = smtp_of(t);
	struct buf wire = BUF_INIT(3 * (size_t)LETTER_MAX);
	letter_stuff(text, &wire);
	if (wire.failed) {
		event_warn(t->ev, "dot", "The letter is too large to be sent from memory.");
	} else {
		track_sent(&s->track, TRACK_DOT, STR_NULL);
		send_content(t, buf_str(&wire), seen);
	}
	buf_done(&wire);
}

static struct str
envelope_sender(const struct smtp_talk *s, struct typed *typed)
{
	typed_read(buf_str(&s->track.from_line), typed);
	return typed->address;
}

static void
finish(struct talk *t)
{
	struct smtp_talk *s = smtp_of(t);
	struct buf made = BUF_INIT(2 * (size_t)LETTER_MAX);
	bool attached = s->n_attachments > 0;
	bool ok = !attached || smtp_compose(t, &made);
	struct str text = attached ? buf_str(&made) : buf_str(&s->letter.text);
	if (ok && smtp_lint(t, text)) {
		if (s->collecting)
			send_chunk(t, text);
		else
			send_letter(t, text, !attached);
	}
	buf_done(&made);
}

/* --- the commands behind a tilde --- */

static void
edit_letter(struct talk *t)
{
	struct smtp_talk *s = smtp_of(t);
	struct buf text = BUF_INIT(LETTER_MAX), err = BUF_INIT(1024);
	for (size_t i = 0; i < s->letter.text.len; i++) /* editors want LF */
		if (s->letter.text.p[i] != '\r')
			buf_putc(&text, s->letter.text.p[i]);
	editor_suspend(t->editor);
	bool ok = child_edit(&text, LETTER_MAX, &err);
	editor_resume(t->editor);
	if (!ok)
		event_warn(t->ev, NULL, STR_FMT, STR_ARG(buf_str(&err)));
	else if (!letter_set(&s->letter, buf_str(&text)))
		event_warn(t->ev, NULL, "The letter has become too large; it is as it was.");
	else
		event_note(t->ev, "%u lines. ~p shows them, a dot sends them.", s->letter.lines);
	buf_done(&text);
	buf_done(&err);
}

static void
read_file(struct talk *t, struct str path)
{
	struct smtp_talk *s = smtp_of(t);
	struct buf text = BUF_INIT(LETTER_MAX);
	char *name = child_path(path);
	int error = path.len ? file_read_all(name, LETTER_MAX, &text) : -EINVAL;
	unsigned before = s->letter.lines;
	if (path.len == 0)
		event_warn(t->ev, NULL, "~r FILE: which file?");
	else if (error < 0)
		event_warn(t->ev, NULL, "%s: %s", name, strerror(-error));
	else if (!letter_put_text(&s->letter, buf_str(&text)))
		event_warn(t->ev, NULL, "%s is too large for a letter in memory.", name);
	else
		event_note(t->ev, "%s: %u lines.", name, s->letter.lines - before);
	free(name);
	buf_done(&text);
}

static void
ask_headers(struct talk *t)
{
	static const char *const fields[] = { "Subject", "Cc", "To", "From" };
	struct smtp_talk *s = smtp_of(t);
	for (size_t i = ARRAY_LEN(fields); i-- > 0;) {
		struct buf old = BUF_INIT(4096), prompt = BUF_INIT(8192), value = BUF_INIT(4096);
		struct typed typed;
		letter_field(&s->letter, str_of(fields[i]), &old);
		if (old.len == 0 && strcmp(fields[i], "From") == 0)
			buf_puts(&old, envelope_sender(s, &typed));
		buf_putf(&prompt, "%s", fields[i]);
		if (old.len)
			buf_putf(&prompt, " [" STR_FMT "]", STR_ARG(buf_str(&old)));
		buf_putz(&prompt, ": ");
		bool ok = talk_read(t, buf_cstr(&prompt), &value);
		struct str text = value.len ? buf_str(&value) : buf_str(&old);
		if (ok && text.len)
			letter_field_set(&s->letter, str_of(fields[i]), text);
		buf_done(&old);
		buf_done(&prompt);
		buf_done(&value);
		if (!ok)
			return;
	}
}

static void
print_letter(struct talk *t)
{
	struct smtp_talk *s = smtp_of(t);
	struct str rest = buf_str(&s->letter.text);
	for (unsigned n = 0; rest.p && rest.len && n < 1000; n++) {
		struct str line = str_rtrim(str_cut(&rest, '\n'));
		talk_print(t, "| " STR_FMT, STR_ARG(line));
	}
	talk_print(t, "%u lines, %zu octets, %zu attachments.", s->letter.lines, s->letter.text.len,
	    s->n_attachments);
}

static void
attach(struct talk *t, struct str path)
{
	struct smtp_talk *s = smtp_of(t);
	char *name = child_path(str_first(path, str_find(path, ';')));
	if (path.len == 0)
		event_warn(t->ev, NULL, "~a FILE: which file?");
	else if (access(name, R_OK) != 0)
		event_warn(t->ev, NULL, "%s: %s", name, strerror(errno));
	else if (s->n_attachments == ARRAY_LEN(s->attachments))
		event_warn(t->ev, NULL, "No more than %zu attachments.", s->n_attachments);
	else {
		char *copy = str_dup(path);
		s->attachments[s->n_attachments++] = str_of(copy);
		event_note(t->ev, "%s will be attached.", name);
	}
	free(name);
}

static void
help(struct talk *t)
{
	talk_print(t,
	    ".        ends the letter and sends it\n"
	    "~e       edits it with $VISUAL or $EDITOR\n"
	    "~h       asks for From, To, Cc and Subject\n"
	    "~r FILE  reads a file into it\n"
	    "~a FILE  attaches a file (FILE;TYPE;NAME)\n"
	    "~p       shows it\n"
	    "~q       does not send it: closes the connection, since SMTP has no way back\n"
	    "~~...    a line that begins with ~");
}

static void
give_up(struct talk *t)
{
	event_note(t->ev,
	    "Not sent. The connection is closed, because SMTP has no way to abort here.");
	smtp_letter_drop(smtp_of(t));
	talk_disconnect(t);
	talk_print(t, "Connection closed.");
	event_note(t->ev, "/reconnect connects again, /quit leaves.");
}

/* --- ". " --- */

static void
dot_blank_answer(struct talk *t, struct str answer, void *arg)
{
	struct smtp_talk *s = t->state;
	if (s == NULL)
		return;
	if (talk_is_yes(answer)) {
		finish(t);
	} else {
		letter_put_line(&s->letter, STR(". "));
		event_note(t->ev,
		    "Kept as a line of the letter (\". \" is none of the ends; RFC 5321 4.5.2).");
	}
}

/* --- lines --- */

void
smtp_data_begin(struct talk *t)
{
	struct smtp_talk *s = smtp_of(t);
	if (s->has_ready) {
		s->has_ready = false;
		send_letter(t, buf_str(&s->ready), false);
		return;
	}
	if (t->editor && !t->o->strict_typing && s->letter.lines == 0)
		event_note(t->ev, "Now the letter: header, empty line, text. A dot by itself sends "
				  "it; ~? helps.");
}

static void
tilde_typed(struct talk *t, enum letter_line what, struct str arg)
{
	switch (what) {
	case LETTER_EDIT:
		edit_letter(t);
		break;
	case LETTER_READ:
		read_file(t, arg);
		break;
	case LETTER_ATTACH:
		attach(t, arg);
		break;
	case LETTER_HEADERS:
		ask_headers(t);
		break;
	case LETTER_QUIT:
		give_up(t);
		break;
	case LETTER_PRINT:
		print_letter(t);
		break;
	case LETTER_HELP:
		help(t);
		break;
	case LETTER_UNKNOWN:
		event_warn(t->ev, NULL,
		    "There is no such command; ~? lists them, ~~ begins a line with ~.");
		break;
	case LETTER_KEPT:
	case LETTER_END:
	case LETTER_DOT_BLANK:
	case LETTER_FULL:
		break;
	}
}

void
smtp_data_typed(struct talk *t, struct str line, struct mode_typed *ret)
{
	struct smtp_talk *s = smtp_of(t);
	struct str arg;
	if (t->o->strict_typing && !s->collecting) {
		buf_puts(&ret->send, line);
		ret->content = true;
		return;
	}
	ret->nothing = true;
	enum letter_line what = letter_typed(&s->letter, line, t->editor == NULL, &arg);
	switch (what) {
	case LETTER_KEPT:
		if (t->editor && letter_needs_dot(line))
			event_note(t->ev, "On the wire its dot is doubled (RFC 5321 4.5.2).");
		break;
	case LETTER_FULL:
		event_warn(t->ev, NULL,
		    "The letter is full (%u octets); /send FILE has no such limit.", LETTER_MAX);
		break;
	case LETTER_END:
		finish(t);
		break;
	case LETTER_DOT_BLANK:
		talk_ask(t, dot_blank_answer, NULL,
		    "A blank follows the dot, so it is not the end. End the letter here? "
		    "(yes/no) ");
		break;
	case LETTER_EDIT:
	case LETTER_READ:
	case LETTER_ATTACH:
	case LETTER_HEADERS:
	case LETTER_QUIT:
	case LETTER_PRINT:
	case LETTER_HELP:
	case LETTER_UNKNOWN:
		tilde_typed(t, what, arg);
		break;
	}
}

void
smtp_send_file(struct talk *t, struct str path)
{
	struct smtp_talk *s = smtp_of(t);
	char *name = child_path(path);
	struct buf text = BUF_INIT(LETTER_MAX);
	int error = file_read_all(name, LETTER_MAX, &text);
	struct letter l;
	letter_init(&l);
	if (error < 0) {
		event_warn(t->ev, NULL, "%s: %s", name, strerror(-error));
	} else if (!letter_put_text(&l, buf_str(&text))) {
		event_warn(t->ev, NULL,
		    "%s is too large; `pennypost send --data FILE` has no limit.", name);
	} else {
		buf_done(&s->ready);
		buf_puts(&s->ready, buf_str(&l.text));
		s->has_ready = true;
		if (s->track.phase == TRACK_DATA)
			smtp_data_begin(t);
		else
			talk_auto(t, "DATA");
	}
	letter_done(&l);
	buf_done(&text);
	free(name);
}
