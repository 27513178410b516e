/* Letters that a server cannot take as they are: another form of them, made in memory. */
#include "roles/relay/relay_priv.h"

#include "mail/downgrade.h"

#include <stdio.h>
#include <string.h>

enum { NEED_EIGHT = 1, NEED_LINES = 2, NEED_WRAP = 4, NEED_REFUSE = 8 };

/* What stands between this letter and this server. */
static unsigned
need_of(const struct conn *c)
{
	const struct job *j = c->job;
	const struct letter_scan *s = &j->scan;
	const struct caps *caps = smtp_client_caps(c->client);
	const char *policy = c->relay->conf->relay_long_lines;
	bool esmtp = smtp_client_esmtp(c->client);
	bool eight = esmtp && caps_have(caps, CAPS_8BITMIME);
	bool binary = esmtp && caps_have(caps, CAPS_BINARYMIME) && caps_have(caps, CAPS_CHUNKING);
	unsigned need = 0;
	if ((s->eight_body && !eight && !binary) || (s->nul && !binary))
		need |= NEED_EIGHT;
	if (s->eight_header && !eight && !(j->entry.flags & ONWARD_UTF8))
		need |= NEED_EIGHT;
	if (s->long_line && !(s->nul && binary))
		need |= strcmp(policy, "encode") == 0   ? NEED_LINES
		        : strcmp(policy, "wrap") == 0   ? NEED_WRAP
		        : strcmp(policy, "refuse") == 0 ? NEED_REFUSE
		                                        : 0;
	return need;
}

static bool
refuse(struct conn *c, const char *status, const char *why)
{
	struct job *j = c->job;
	relay_job_notef(j, "%s", why);
	relay_job_fate_rest(j, JOB_REFUSED, 0, status, str_of(why));
	j->trouble = JOB_TROUBLE_LETTER;
	return false;
}

/* All octets of the letter in one piece; false: not yet, or never (spool.failed). */
static bool
collect(struct job *j)
{
	struct spool *s = &j->spool;
	struct str piece;
	while (s->raw.len < j->msg.size) {
		if (!spool_at(j, s->raw.len, &piece))
			return false;
		buf_puts(&s->raw, piece);
		if (s->raw.failed)
			return false;
	}
	return true;
}

/* Lines of at most 998 octets: what is longer goes on behind a blank. */
static void
wrap(struct str in, struct buf *out)
{
	while (in.len) {
		size_t n = str_find(in, '\n');
		struct str line = str_rtrim(str_first(in, n));
		if (line.len <= SCAN_LINE_MAX) {
			buf_puts(out, str_first(in, MIN(n + 1, in.len)));
		} else {
			buf_puts(out, str_first(line, SCAN_LINE_MAX));
			for (line = str_skip(line, SCAN_LINE_MAX); line.len;
			     line = str_skip(line, SCAN_LINE_MAX - 1)) {
				buf_putz(out, "\r\n ");
				buf_puts(out, str_first(line, SCAN_LINE_MAX - 1));
			}
			buf_putz(out, n < in.len ? "\r\n" : "");
		}
		in = str_skip(in, n + 1);
	}
}

static bool
make(struct conn *c, unsigned need)
{
	struct job *j = c->job;
	struct spool *s = &j->spool;
	char why[256];
	enum downgrade v = DOWNGRADE_OK;
	buf_reset(&s->whole);
	if (need & NEED_WRAP)
		wrap(buf_str(&s->raw), &s->whole);
	if (need & (NEED_EIGHT | NEED_LINES))
		v = downgrade_letter(buf_str(&s->raw), need & NEED_EIGHT, need & NEED_LINES,
		    &s->whole);
	if (v == DOWNGRADE_OK && !s->whole.failed) {
		s->converted = true;
		s->need = need;
		relay_job_notef(j, "converted for this server: %s%s%s",
		    need & NEED_EIGHT ? "no 8-bit octets" : "",
		    (need & NEED_EIGHT) && (need & ~NEED_EIGHT) ? ", " : "",
		    need & NEED_LINES  ? "lines encoded"
		    : need & NEED_WRAP ? "lines wrapped"
				       : "");
		buf_done(&s->raw);
		return true;
	}
	/* A long line that cannot be encoded is sent as it is: most servers take it. */
	if (!(need & NEED_EIGHT)) {
		relay_job_notef(j, "its long lines stay: %s", downgrade_text[v]);
		s->need = need;
		s->converted = false;
		return true;
	}
	snprintf(why, sizeof(why),
	    "the server does not offer 8BITMIME, and the letter cannot be converted: %s",
	    downgrade_text[v]);
	return refuse(c, "5.6.3", why);
}

enum convert
convert_letter(struct conn *c)
{
	struct job *j = c->job;
	struct spool *s = &j->spool;
	unsigned need = need_of(c);
	if ((need & NEED_WRAP) && (need & NEED_EIGHT))
		need = NEED_EIGHT | NEED_LINES;
	if (need == s->need)
		return CONVERT_DONE;
	if (need == 0) {
		s->need = 0;
		s->converted = false;
		return CONVERT_DONE;
	}
	if (need & NEED_REFUSE) {
		refuse(c, "5.6.0",
		    "the letter has lines of more than 998 octets, which are not sent on "
		    "(relay.long_lines)");
		return CONVERT_FAILED;
	}
	if (j->msg.size > WHOLE_MAX) {
		refuse(c, "5.6.3",
		    "the server does not take the letter as it is, and it is too large to "
		    "be converted");
		return CONVERT_FAILED;
	}
	s->converted = false;
	if (!collect(j))
		return s->failed ? CONVERT_FAILED : CONVERT_WAITS;
	return make(c, need) ? CONVERT_DONE : CONVERT_FAILED;
}
