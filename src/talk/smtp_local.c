/* Local commands of SMTP and LMTP. */
#include "talk/smtp_priv.h"

#include "base/check.h"
#include "sys/file.h"
#include "talk/child.h"

#include <errno.h>
#include <stdlib.h>

static void
run_from(struct talk *t, struct str args)
{
	struct smtp_talk *s = smtp_of(t);
	if (str_starts(args, STR("<")))
		args = str_trim(str_first(str_skip(args, 1), str_find(str_skip(args, 1), '>')));
	if (s->track.mail)
		talk_auto(t, "RSET");
	talk_auto(t, "MAIL FROM:<" STR_FMT ">", STR_ARG(args));
}

static void
run_to(struct talk *t, struct str args)
{
	if (args.len == 0) {
		event_warn(t->ev, NULL, "/to ADDRESS: to whom?");
		return;
	}
	while (args.p && args.len) {
		struct str one = str_trim(str_cut(&args, ','));
		if (one.len && str_starts(one, STR("<")))
			talk_auto(t, "RCPT TO:" STR_FMT, STR_ARG(one));
		else if (one.len)
			talk_auto(t, "RCPT TO:<" STR_FMT ">", STR_ARG(one));
	}
}

static void
run_redo(struct talk *t, struct str args)
{
	struct smtp_talk *s = smtp_of(t);
	if (s->track.from_line.len == 0) {
		event_warn(t->ev, NULL, "There is no envelope yet: MAIL and RCPT make one.");
		return;
	}
	talk_auto(t, "RSET");
	talk_edit(t, buf_str(&s->track.from_line));
	struct str rest = buf_str(&s->track.rcpt_lines);
	while (rest.p && rest.len) {
		struct str line = str_cut(&rest, '\n');
		if (line.len)
			talk_edit(t, line);
	}
	if (t->editor)
		event_note(t->ev,
		    "Each line comes to be edited; Enter sends it, an emptied one is left out.");
}

static void
run_send(struct talk *t, struct str args)
{
	struct smtp_talk *s = smtp_of(t);
	if (args.len == 0) {
		event_warn(t->ev, NULL, "/send FILE: which file?");
		return;
	}
	if (s->track.rcpts == 0)
		event_warn(t->ev, NULL, "No recipient was accepted yet; DATA will be refused.");
	smtp_send_file(t, args);
}

static void
run_letter(struct talk *t, struct str args)
{
	struct smtp_talk *s = smtp_of(t);
	char *name = child_path(args);
	int error = s == NULL || s->letter.lines == 0
	                ? -ENODATA
	                : file_replace(name, buf_str(&s->letter.text), 0600);
	if (args.len == 0)
		event_warn(t->ev, NULL, "/letter FILE: into which file?");
	else if (error == -ENODATA)
		event_warn(t->ev, NULL, "No letter is being typed.");
	else if (error < 0)
		event_warn(t->ev, NULL, "%s: %s", name, strerror(-error));
	else
		event_note(t->ev, "%s has the letter: %u lines.", name, s->letter.lines);
	free(name);
}

const struct talk_command smtp_commands[] = {
	{ "from", "ADDRESS", "MAIL FROM:<ADDRESS>, behind RSET when a transaction is open",
	    run_from },
	{ "to", "ADDRESS[,ADDRESS...]", "RCPT TO:<ADDRESS>", run_to },
	{ "redo", "", "RSET, and the envelope again, each line to be edited", run_redo },
	{ "send", "FILE", "DATA with the content of FILE, dots doubled", run_send },
	{ "letter", "FILE", "writes the letter that is being typed to FILE", run_letter, true },
	{ NULL },
};
