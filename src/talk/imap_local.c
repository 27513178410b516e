/* imap_local: the local commands of IMAP, and what Tab offers. */
#include "talk/imap_priv.h"

#include "base/num.h"
#include "talk/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A command whose answer is shown as a table instead of as lines. */
static void ask(struct imap_talk *x, const char *fmt, ...) PRINTF(2, 3);

static void
ask(struct imap_talk *x, const char *fmt, ...)
{
	struct buf line = BUF_INIT(16384);
	va_list ap;
	imap_next_tag(x, &line);
	va_start(ap, fmt);
	buf_vputf(&line, fmt, ap);
	va_end(ap);
	if (!line.failed && imap_send(x, buf_str(&line), STR_NULL)) {
		x->table = true;
		x->t->o->show.hold_lines = !x->t->o->show.verbose;
	}
	buf_done(&line);
}

/* NULL: not now, and it was told. */
static struct imap_talk *
ready(struct talk *t, bool mailbox)
{
	struct imap_talk *x = t->state;
	if (!t->connected || !x || x->n_sent > 0 || t->mode->waits(t) != MODE_FREE || x->lit_left ||
	    x->auth_typed) {
		event_warn(t->ev, NULL, "Something else is under way: wait for its answer.");
		return NULL;
	}
	if (x->idle == IDLE_ON) {
		event_warn(t->ev, NULL, "IDLE is on: any other line ends it.");
		return NULL;
	}
	if (mailbox && x->mailbox.len == 0) {
		event_warn(t->ev, NULL, "No mailbox is selected: /select INBOX first.");
		return NULL;
	}
	return x;
}

static bool
put_mailbox(struct talk *t, struct buf *out, struct str name)
{
	struct buf wire = BUF_INIT(8192);
	imap_name_encode(name, &wire);
	bool ok = imap_put_astring(out, buf_str(&wire), false) && !wire.failed;
	buf_done(&wire);
	if (!ok)
		event_warn(t->ev, NULL, "That is no name of a mailbox.");
	return ok;
}

static void
cmd_mailboxes(struct talk *t, struct str args)
{
	struct imap_talk *x = ready(t, false);
	struct buf pattern = BUF_INIT(8192);
	struct str p = str_trim(args);
	if (x && put_mailbox(t, &pattern, p.len ? p : STR("*")))
		ask(x, "LIST \"\" " STR_FMT, STR_ARG(buf_str(&pattern)));
	buf_done(&pattern);
}

static void
cmd_select(struct talk *t, struct str args)
{
	struct imap_talk *x = ready(t, false);
	struct buf name = BUF_INIT(8192), line = BUF_INIT(8192);
	struct str box = str_trim(args);
	if (x && put_mailbox(t, &name, box.len ? box : STR("INBOX"))) {
		imap_next_tag(x, &line);
		buf_putf(&line, "SELECT " STR_FMT, STR_ARG(buf_str(&name)));
		(void)imap_send(x, buf_str(&line), STR_NULL);
	}
	buf_done(&name);
	buf_done(&line);
}

static void
cmd_status(struct talk *t, struct str args)
{
	struct imap_talk *x = ready(t, false);
	struct buf name = BUF_INIT(8192);
	struct str box = str_trim(args);
	if (x && put_mailbox(t, &name, box.len ? box : STR("INBOX")))
		ask(x, "STATUS " STR_FMT " (MESSAGES UNSEEN RECENT UIDNEXT UIDVALIDITY)",
		    STR_ARG(buf_str(&name)));
	buf_done(&name);
}

static void
cmd_letters(struct talk *t, struct str args)
{
	struct imap_talk *x = ready(t, true);
	struct str range = str_trim(args);
	if (!x)
		return;
	if (x->exists == 0) {
		talk_print(t, "The mailbox is empty.");
		return;
	}
	unsigned long long from = x->exists > 20 ? x->exists - 19 : 1;
	if (range.len == 0)
		ask(x, "FETCH %llu:* (UID FLAGS RFC822.SIZE ENVELOPE)", from);
	else if (str_find_any(range, " \t()\"{}") == range.len)
		ask(x, "FETCH " STR_FMT " (UID FLAGS RFC822.SIZE ENVELOPE)", STR_ARG(range));
	else
		event_warn(t->ev, NULL, "A range of numbers: /letters 1:10");
}

static void
cmd_read(struct talk *t, struct str args)
{
	struct imap_talk *x = ready(t, true);
	uint64_t n;
	if (!x)
		return;
	if (!num_u64(str_trim(args), UINT32_MAX, &n) || n == 0) {
		event_warn(t->ev, NULL, "Which letter? /read 12");
		return;
	}
	x->reading = reading_free(x->reading);
	x->reading = reading_new();
	x->reading_cut = false;
	ask(x, "FETCH %llu (BODY.PEEK[]<0.%u>)", (unsigned long long)n, IMAP_READ_MAX);
}

static void
cmd_structure(struct talk *t, struct str args)
{
	struct imap_talk *x = ready(t, true);
	uint64_t n;
	if (x && num_u64(str_trim(args), UINT32_MAX, &n) && n > 0)
		ask(x, "FETCH %llu (UID ENVELOPE BODYSTRUCTURE)", (unsigned long long)n);
	else if (x)
		event_warn(t->ev, NULL, "Which letter? /structure 12");
}

static void
cmd_idle(struct talk *t, struct str args)
{
	struct imap_talk *x = ready(t, true);
	(void)args;
	if (x && x->caps_known && !imap_has(x, "IDLE") && !imap_has(x, "IMAP4rev2"))
		event_warn(t->ev, NULL, "The server does not offer IDLE; NOOP asks for news.");
	else if (x)
		talk_auto(t, "IDLE");
}

static void
cmd_compress(struct talk *t, struct str args)
{
	(void)args;
	if (ready(t, false))
		talk_auto(t, "COMPRESS DEFLATE");
}

static void
cmd_pretty(struct talk *t, struct str args)
{
	struct imap_talk *x = t->state;
	struct str word = str_trim(args);
	if (!x)
		return;
	if (str_ieq(word, STR("on")) || str_ieq(word, STR("off")))
		x->pretty = str_ieq(word, STR("on"));
	else if (word.len == 0)
		x->pretty = !x->pretty;
	talk_print(t, "pretty is %s", x->pretty ? "on" : "off");
}

/* --- /append --- */

static bool
read_file(struct talk *t, struct str path, struct buf *ret)
{
	char *name = str_dup(path);
	FILE *f = fopen(name, "rb");
	bool ok = f != NULL;
	char piece[16384];
	int last = '\n', c = 0;
	if (!f)
		event_warn(t->ev, NULL, "%s: %s", name, strerror(errno));
	for (size_t n; ok && (n = fread(piece, 1, sizeof(piece), f)) > 0;) {
		for (size_t i = 0; i < n; i++) { /* lines of a letter end in CRLF */
			c = (unsigned char)piece[i];
			if (c == '\n' && last != '\r')
				buf_putc(ret, '\r');
			buf_putc(ret, (char)c);
			last = c;
		}
	}
	if (ok && (ferror(f) || ret->failed)) {
		event_warn(t->ev, NULL, "%s: %s", name,
		    ret->failed ? "larger than 64 MiB" : strerror(errno));
		ok = false;
	}
	if (f)
		fclose(f);
	free(name);
	return ok;
}

static void
cmd_append(struct talk *t, struct str args)
{
	struct imap_talk *x = ready(t, false);
	struct buf line = BUF_INIT(16384), name = BUF_INIT(8192),
		   octets = BUF_INIT(IMAP_UPLOAD_MAX);
	struct str rest = args, box = str_word(&rest), file = str_trim(rest);
	if (x && file.len == 0)
		event_warn(t->ev, NULL, "/append MAILBOX FILE");
	else if (x && put_mailbox(t, &name, box) && read_file(t, file, &octets)) {
		bool now =
		    imap_has(x, "LITERAL+") || (imap_has(x, "LITERAL-") && octets.len <= 4096);
		imap_next_tag(x, &line);
		buf_putf(&line, "APPEND " STR_FMT " (\\Seen) {%zu%s}", STR_ARG(buf_str(&name)),
		    octets.len, now ? "+" : "");
		buf_puts(&octets, STR("\r\n"));
		if (imap_send(x, buf_str(&line), STR_NULL)) {
			x->lit_left = 0;
			x->lit_wait = false;
			if (now)
				(void)talk_send_octets(t, buf_str(&octets), STR_NULL, true);
			else
				buf_puts(&x->upload, buf_str(&octets));
		}
	}
	buf_done(&line);
	buf_done(&name);
	buf_done(&octets);
}

const struct talk_command imap_locals[] = {
	{ "mailboxes", "[PATTERN]", "the mailboxes there are", cmd_mailboxes, false },
	{ "select", "[MAILBOX]", "selects a mailbox, named as people write it; INBOX", cmd_select,
	    false },
	{ "status", "[MAILBOX]", "how many letters are in it", cmd_status, false },
	{ "letters", "[RANGE]", "the letters of the mailbox; the last 20", cmd_letters, false },
	{ "read", "N", "a letter as text", cmd_read, false },
	{ "structure", "N", "the parts of a letter", cmd_structure, false },
	{ "append", "MAILBOX FILE", "puts a file into a mailbox as a letter", cmd_append, false },
	{ "idle", "", "waits for news until a key is pressed", cmd_idle, false },
	{ "compress", "", "compresses both directions (RFC 4978)", cmd_compress, false },
	{ "pretty", "[on|off]", "tables for FETCH, LIST, STATUS, SEARCH behind their lines",
	    cmd_pretty, false },
	{ 0 },
};

/* --- Tab --- */

void
imap_complete(struct talk *t, struct words *w)
{
	static const char *const items[] = { "FLAGS", "ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE",
		"RFC822.SIZE", "UID", "BODY[]", "BODY.PEEK[]", "BODY.PEEK[HEADER]",
		"BODY.PEEK[TEXT]", NULL };
	static const char *const keys[] = { "ALL", "UNSEEN", "SEEN", "FLAGGED", "DELETED", "FROM",
		"TO", "SUBJECT", "TEXT", "BODY", "SINCE", "BEFORE", "ON", "HEADER", "LARGER",
		"SMALLER", "UID", NULL };
	struct imap_talk *x = t->state;
	struct str rest = w->line, first = str_word(&rest);
	if (first.len + (size_t)(first.p - w->line.p) == w->line.len) {
		words_offer_list(w, imap_verb_names + 1);
		return;
	}
	if (str_ieq(first, STR("UID")))
		first = str_word(&rest);
	if (str_ieq(first, STR("FETCH")))
		words_offer_list(w, items);
	else if (str_ieq(first, STR("SEARCH")))
		words_offer_list(w, keys);
	else if (str_ieq(first, STR("AUTHENTICATE")) && x) {
		struct str all = str_of(x->mechs);
		while (all.len)
			words_offer(w, str_cut(&all, ' '));
	} else if (str_ieq(first, STR("SELECT")) || str_ieq(first, STR("EXAMINE"))) {
		words_offer_as_is(w, STR("INBOX"));
	}
}
