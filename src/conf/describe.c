/* The key table for people: as mdoc(7), as text. */
#include "conf/conf_priv.h"

#include "base/check.h"

static void
describe_value(const struct conf_key *k, struct buf *out)
{
	buf_putz(out, " Write ");
	conf_value_want(k, out);
	buf_putz(out, k->def[0] ? ". Default: " : ". Default: empty");
	buf_putz(out, k->def);
	buf_putc(out, '.');
	if (k->flags & CONF_LAB)
		buf_putz(out, " Only in a lab.");
}

/* Octets up to the next blank at or behind which a line of mdoc(7) may end: sentences always
 * do, and a line is to be at most MDOC_WIDTH long. */
#define MDOC_WIDTH 78

static bool
ends_line(struct str text, size_t blank, size_t start)
{
	char last = text.p[blank - 1];
	size_t next = blank + 1 + str_find(str_skip(text, blank + 1), ' ');
	return last == '.' || last == ':' || last == ';' || next - start > MDOC_WIDTH;
}

/* A new line for each sentence, and none that begins with a dot or a quote. */
static void
put_mdoc_text(struct buf *out, struct str text)
{
	size_t start = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];
		if (i == start && (c == '.' || c == '\''))
			buf_putz(out, "\\&");
		if (c == '\\') {
			buf_putz(out, "\\e");
		} else if (c == ' ' && i > start && ends_line(text, i, start)) {
			buf_putc(out, '\n');
			start = i + 1;
		} else {
			buf_putc(out, c);
		}
	}
	buf_putc(out, '\n');
}

static void
describe_mdoc(bool listener, struct buf *out)
{
	buf_putz(out, ".Bl -tag -width Ds\n");
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		struct buf text = BUF_INIT(4096);
		if (((k->flags & CONF_LISTENER) != 0) != listener)
			continue;
		buf_puts(&text, str_of(k->doc));
		describe_value(k, &text);
		buf_putf(out, ".It Ic %s\n", k->name);
		put_mdoc_text(out, buf_str(&text));
		buf_done(&text);
	}
	buf_putz(out, ".El\n");
}

void
conf_describe_mdoc(struct buf *out)
{
	buf_putz(out, ".Ss Keys of the whole server\n");
	describe_mdoc(false, out);
	buf_putz(out,
	    ".Ss Keys of a listener\n"
	    "At the top of the file they hold for every listener, in a listener's group for\n"
	    "that one.\n"
	    "The first four stand in a group only.\n");
	describe_mdoc(true, out);
}

void
conf_describe_text(struct buf *out)
{
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		buf_putf(out, "%s (%s)\n    %s", k->name,
		    (k->flags & CONF_LISTENER) ? "each listener" : "whole server", k->doc);
		describe_value(k, out);
		buf_putc(out, '\n');
	}
}
