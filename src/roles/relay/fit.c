#include "roles/relay/fit.h"

#include <string.h>

unsigned
fit_need(const struct letter_scan *s, const struct fit_server *server)
{
	const char *policy = server->long_lines;
	unsigned need = 0;
	if ((s->eight_body && !server->eight && !server->binary) || (s->nul && !server->binary))
		need |= FIT_EIGHT;
	if (s->eight_header && !server->eight && !server->utf8)
		need |= FIT_EIGHT;
	if (s->long_line && !(s->nul && server->binary))
		need |= strcmp(policy, "encode") == 0   ? FIT_LINES
		        : strcmp(policy, "wrap") == 0   ? FIT_WRAP
		        : strcmp(policy, "refuse") == 0 ? FIT_REFUSE
		                                        : 0;
	/* What is encoded has no long lines. */
	return need == (FIT_WRAP | FIT_EIGHT) ? FIT_EIGHT | FIT_LINES : need;
}

/* Lines of at most 998 octets: what is longer goes on behind a blank. CR and LF alone end one, too,
 * as they will on their way out. */
static void
wrap(struct str in, struct buf *out)
{
	while (in.len) {
		struct str line = str_first(in, str_find_any(in, "\r\n"));
		in = str_skip(in, line.len);
		buf_puts(out, str_first(line, SCAN_LINE_MAX));
		for (line = str_skip(line, SCAN_LINE_MAX); line.len;
		     line = str_skip(line, SCAN_LINE_MAX - 1)) {
			buf_putz(out, "\r\n ");
			buf_puts(out, str_first(line, SCAN_LINE_MAX - 1));
		}
		size_t end = str_starts(in, STR("\r\n")) ? 2 : 1;
		buf_puts(out, str_first(in, end));
		in = str_skip(in, end);
	}
}

enum downgrade
fit_make(struct str letter, unsigned need, struct buf *out)
{
	enum downgrade v = DOWNGRADE_OK;
	if (need & FIT_WRAP)
		wrap(letter, out);
	else
		v = downgrade_letter(letter, need & FIT_EIGHT, need & FIT_LINES, out);
	return v == DOWNGRADE_OK && out->failed ? DOWNGRADE_TOO_MANY : v;
}
