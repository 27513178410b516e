/* Local commands that write and read files, and /explain. */
#include "talk/local_priv.h"

#include "base/check.h"
#include "base/num.h"
#include "explain/explain.h"
#include "sys/file.h"
#include "talk/child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPT_MAX (8u << 20)

static void
transcript_setup(const struct talk *t, struct transcript *tr)
{
	tr->us = t->o->show.us;
	tr->them = t->o->show.them;
	tr->proto = client_proto_name[t->mode->proto];
	tr->port = t->o->link.port;
	tr->show_secrets = false;
}

static bool
format_of(struct talk *t, struct str name, enum transcript_format otherwise,
    enum transcript_format *ret)
{
	*ret = otherwise;
	if (name.len == 0 || transcript_format_find(name, ret))
		return true;
	event_warn(t->ev, NULL,
	    "There is no format " STR_FMT "; telnet, conv, json and html are known.",
	    STR_ARG(name));
	return false;
}

void
local_save(struct talk *t, struct str args)
{
	struct transcript tr = { 0 };
	struct str file = str_word(&args);
	enum transcript_format format;
	if (file.len == 0) {
		event_warn(t->ev, NULL, "/save FILE [telnet|conv|json|html]: into which file?");
		return;
	}
	if (!format_of(t, str_trim(args),
		str_iends(file, STR(".conv"))   ? TRANSCRIPT_CONV
		: str_iends(file, STR(".html")) ? TRANSCRIPT_HTML
		: str_iends(file, STR(".json")) ? TRANSCRIPT_JSON
						: TRANSCRIPT_TELNET,
		&format))
		return;
	char *name = child_path(file);
	int error = transcript_open(&tr, name, format);
	if (error == 0) {
		transcript_setup(t, &tr);
		log_replay(&local_of(t)->log, transcript_event, &tr);
		error = transcript_close(&tr);
	}
	if (error < 0)
		event_warn(t->ev, NULL, "%s: %s", name, strerror(-error));
	else
		event_note(t->ev, "%s has the conversation%s.", name,
		    local_of(t)->log.cut ? ", but for its beginning" : " so far");
	free(name);
}

void
local_record(struct talk *t, struct str args)
{
	struct local *l = local_of(t);
	struct str word = str_word(&args), file = str_trim(args);
	if (str_ieq(word, STR("off"))) {
		int error = l->recording ? transcript_close(&l->record) : 0;
		if (!l->recording)
			event_note(t->ev, "Nothing is being recorded.");
		else if (error < 0)
			event_warn(t->ev, NULL, "The record: %s", strerror(-error));
		else
			event_note(t->ev, "Recording has ended.");
		l->recording = false;
		return;
	}
	if (!str_ieq(word, STR("on"))) {
		event_warn(t->ev, NULL, "/record on [FILE], or /record off.");
		return;
	}
	if (l->recording) {
		event_note(t->ev, "A record is being made already; /record off ends it.");
		return;
	}
	char *name = child_path(file.len ? file : STR("talk.conv"));
	int error = transcript_open(&l->record, name, TRANSCRIPT_CONV);
	if (error < 0) {
		event_warn(t->ev, NULL, "%s: %s", name, strerror(-error));
	} else {
		transcript_setup(t, &l->record);
		l->recording = true;
		event_note(t->ev, "What happens from here on is recorded in %s.", name);
	}
	free(name);
}

/* The lines of a script come before what was typed ahead. How many there are. */
static size_t
queue_first(struct talk *t, struct str text)
{
	struct talk_queue rest = t->typed;
	size_t n = 0;
	talk_queue_init(&t->typed);
	for (; text.p && text.len; n++)
		talk_queue_put(&t->typed, str_rtrim(str_cut(&text, '\n')), false);
	if (rest.first) {
		*t->typed.last = rest.first;
		t->typed.last = rest.last;
		t->typed.n += rest.n;
		t->typed.octets += rest.octets;
	}
	return n;
}

void
local_script(struct talk *t, struct str args)
{
	struct buf text = BUF_INIT(SCRIPT_MAX);
	char *name = child_path(args);
	int error = args.len ? file_read_all(name, SCRIPT_MAX, &text) : -EINVAL;
	size_t n = 0;
	if (args.len == 0)
		event_warn(t->ev, NULL, "/script FILE: which file?");
	else if (error < 0)
		event_warn(t->ev, NULL, "%s: %s", name, strerror(-error));
	else if (str_ends(args, STR(".conv")))
		event_warn(t->ev, NULL,
		    "%s is a conversation with expectations; play it with "
		    "`pennypost run %s`.",
		    name, name);
	else
		n = queue_first(t, buf_str(&text));
	if (n)
		event_note(t->ev, "%zu lines of %s, each when its turn has come.", n, name);
	free(name);
	buf_done(&text);
}

static enum explain_proto
proto_of(const struct talk *t)
{
	static const enum explain_proto protos[PROTO_COUNT] = { [PROTO_SMTP] = EXPLAIN_SMTP,
		[PROTO_LMTP] = EXPLAIN_SMTP,
		[PROTO_IMAP] = EXPLAIN_IMAP,
		[PROTO_POP3] = EXPLAIN_POP3,
		[PROTO_SIEVE] = EXPLAIN_SIEVE,
		[PROTO_RAW] = EXPLAIN_ANY };
	return protos[t->mode->proto];
}

#define WRAP 78u
#define INDENT 11u

/* Broken at blanks, the lines behind the first one indented. */
static void
print_part(struct talk *t, const char *what, struct str text)
{
	struct buf out = BUF_INIT(32768);
	struct str word;
	size_t column = INDENT;
	if (text.len == 0)
		return;
	buf_putf(&out, "  %-*s", (int)INDENT - 2, what);
	while ((word = str_word(&text)).len) {
		if (column + word.len >= WRAP && column > INDENT) {
			buf_putf(&out, "\n%*s", (int)INDENT, "");
			column = INDENT;
		}
		if (column > INDENT)
			buf_putc(&out, ' ');
		buf_puts(&out, word);
		column += word.len + 1;
	}
	talk_print(t, STR_FMT, STR_ARG(buf_str(&out)));
	buf_done(&out);
}

static void
print_hits(struct talk *t, struct str text)
{
	struct explain_hit hit;
	if (!explain_reply_of(proto_of(t), text, &hit)) {
		event_note(t->ev, "Nothing is known about it.");
		return;
	}
	if (hit.code.len || hit.enhanced.len)
		print_part(t, "code", hit.code.len ? hit.code : hit.enhanced);
	print_part(t, "kind", str_of(explain_kind_name[hit.kind]));
	print_part(t, "meaning", hit.meaning);
	print_part(t, "causes", hit.causes);
	print_part(t, "who", hit.who);
	print_part(t, "next", hit.next);
	print_part(t, "source", hit.source);
}

void
local_explain(struct talk *t, struct str args)
{
	uint64_t n = 1;
	struct buf reply = BUF_INIT(128u << 10);
	if (args.len && !num_u64(args, 199, &n)) {
		if (!t->editor) /* nobody sees what a pipe says */
			talk_print(t, STR_FMT, STR_ARG(str_first(args, 2000)));
		print_hits(t, args);
	} else if (log_reply(&local_of(t)->log, n ? (size_t)n : 1, &reply)) {
		talk_print(t, STR_FMT, STR_ARG(str_first(buf_str(&reply), 2000)));
		print_hits(t, str_first(buf_str(&reply), EXPLAIN_TEXT_MAX));
	} else {
		event_note(t->ev, "There is no such reply in this conversation.");
	}
	buf_done(&reply);
}
