/* A conversation as one that can be played again (play/conv.h). */
#include "base/date.h"
#include "base/utf8.h"
#include "client/generalize.h"
#include "client/show_priv.h"
#include "client/transcript_priv.h"
#include "sys/clock.h"

#include <string.h>

/* Octets of a line that a pattern repeats; what follows may be anything. */
#define PATTERN_MAX 2000u

static void
put_head(struct transcript *t, struct buf *out, bool implicit)
{
	struct transcript_kept *k = t->kept;
	struct str proto = str_of(t->proto ? t->proto : "smtp");
	struct buf now = BUF_INIT(64);
	bool known = str_eq(proto, STR("smtp")) || str_eq(proto, STR("lmtp")) ||
	             str_eq(proto, STR("imap")) || str_eq(proto, STR("pop3"));

	if (k->headed)
		return;
	k->headed = true;
	if (k->goes_on) {
		/* A file has one head; what is added to it is another connection. */
		buf_putf(out, "A: c%llu\n", (unsigned long long)sys_wall_ms());
		return;
	}
	date_rfc3339(&now, sys_wall_ms());
	buf_putf(out, "@id recorded\n@title Recorded " STR_FMT "\n@proto " STR_FMT "\n@tls %s\n",
	    STR_ARG(buf_str(&now)), STR_ARG(known ? proto : STR("smtp")),
	    implicit ? "implicit" : "starttls");
	if (t->port)
		buf_putf(out, "@listen %u\n", t->port);
	if (t->opening)
		buf_putz(out, t->opening);
	buf_done(&now);
}

/* --- what the server said: an extended regular expression -------------------------------- */

static void
put_came(struct buf *out, struct str line, bool cut)
{
	buf_putz(out, "S: ");
	if (line.len == 0 && !cut)
		buf_putz(out, "()");
	struct str shown = str_first(line, PATTERN_MAX);
	/* Not in the middle of a character. */
	while (shown.len < line.len && shown.len &&
	       ((unsigned char)shown.p[shown.len] & 0xc0) == 0x80)
		shown.len--;
	generalize(out, shown);
	if (cut || shown.len < line.len)
		buf_putz(out, ".*");
	buf_putc(out, '\n');
}

/* --- what we said ------------------------------------------------------------------------- */

/* Could `C:` mean anything else by it? */
static bool
is_plain(struct str text)
{
	if (text.len == 0 || text.p[0] == ' ' || text.p[text.len - 1] == ' ' || !utf8_valid(text))
		return false;
	for (uint32_t v = 0; text.len;) {
		size_t n = show_character(text, &v);
		if (n == 0 || v < 0x20 || (v >= 0x7f && v < 0xa0) || v == '{' || show_is_hidden(v))
			return false;
		text = str_skip(text, n);
	}
	return true;
}

static void
put_raw(struct buf *out, struct str octets)
{
	buf_putz(out, "R: ");
	for (size_t i = 0; i < octets.len; i++) {
		unsigned char c = (unsigned char)octets.p[i];
		bool blank_at_end = c == ' ' && (i == 0 || i + 1 == octets.len);
		if (c == '\r')
			buf_putz(out, "\\r");
		else if (c == '\n')
			buf_putz(out, "\\n");
		else if (c == '\\')
			buf_putz(out, "\\\\");
		else if (c < 0x20 || c >= 0x7f || blank_at_end)
			buf_putf(out, "\\x%02x", c);
		else
			buf_putc(out, (char)c);
	}
	buf_putc(out, '\n');
}

static void
put_sent(struct buf *out, struct str octets)
{
	while (octets.len) {
		size_t lf = str_find(octets, '\n');
		struct str line = str_first(octets, lf + (lf < octets.len));
		struct str text = line.len >= 2 && str_ends(line, STR("\r\n"))
		                      ? str_first(line, line.len - 2)
		                      : STR_NULL;
		if (is_plain(text))
			buf_putf(out, "C: " STR_FMT "\n", STR_ARG(text));
		else
			put_raw(out, line);
		octets = str_skip(octets, line.len);
	}
}

/* --- */

void
transcript_conv_flush(struct transcript *t, struct buf *out)
{
	struct transcript_kept *k = t->kept;
	struct str line = buf_str(&k->line);

	if (!k->in_line)
		return;
	bool cut = k->total > line.len;
	if (!cut && line.len && line.p[line.len - 1] == '\r')
		line.len--;
	put_came(out, line, cut);
	buf_reset(&k->line);
	k->total = 0;
	k->in_line = false;
}

static void
came(struct transcript *t, struct buf *out, struct str octets)
{
	struct transcript_kept *k = t->kept;

	while (octets.len) {
		size_t lf = str_find(octets, '\n');
		bool whole = lf < octets.len;
		buf_puts(&k->line, str_first(octets, MIN(lf, TRANSCRIPT_LINE_MAX - k->line.len)));
		k->total += lf;
		k->in_line = true;
		if (whole)
			transcript_conv_flush(t, out);
		octets = str_skip(octets, lf + whole);
	}
}

static void
put_secret(struct buf *out, struct str masked)
{
	struct buf shown = BUF_INIT(1024);

	utf8_escape(&shown, str_trim(masked));
	buf_putf(out, "# A secret was sent here: " STR_FMT "\nC: {secret}\n",
	    STR_ARG(buf_str(&shown)));
	buf_done(&shown);
}

void
transcript_conv(struct transcript *t, struct buf *out, const struct event *e)
{
	struct transcript_kept *k = t->kept;

	if (e->kind != EVENT_LINE)
		transcript_conv_flush(t, out);
	if (e->kind == EVENT_CONNECT) {
		if (k->headed && k->connections)
			buf_putf(out, "A: c%u\n", k->connections + 1);
		k->connections++;
		k->talked = false;
	} else if (e->kind == EVENT_TLS) {
		bool implicit = !k->talked;
		put_head(t, out, implicit);
		if (!implicit)
			buf_putz(out, "T: starttls\n");
	} else if (e->kind == EVENT_LINE) {
		put_head(t, out, false);
		k->talked = true;
		came(t, out, transcript_octets(e, t->show_secrets));
	} else if (e->kind == EVENT_SEND) {
		put_head(t, out, false);
		k->talked = true;
		if (e->masked.p && !t->show_secrets)
			put_secret(out, e->masked);
		else
			put_sent(out, e->octets);
	} else if (e->kind == EVENT_CLOSE && k->headed) {
		buf_putz(out, e->status ? "E: close\n" : "X: close\n");
	}
}
