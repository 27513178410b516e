#include "pop3/stuff.h"

void
stuff_init(struct stuff *x)
{
	*x = (struct stuff){ .line_start = true };
}

void
stuff_feed(struct stuff *x, struct str in, struct buf *out)
{
	size_t done = 0; /* octets of in that are in out */
	size_t at = 0;
	while (at < in.len) {
		if (x->line_start && in.p[at] == '.') {
			buf_put(out, in.p + done, at - done);
			done = at;
			buf_putc(out, '.');
		}
		const char *lf = memchr(in.p + at, '\n', in.len - at);
		if (!lf) {
			x->line_start = false;
			x->after_cr = in.p[in.len - 1] == '\r';
			break;
		}
		size_t end = (size_t)(lf - in.p);
		bool crlf = end > at ? in.p[end - 1] == '\r' : x->after_cr;
		if (!crlf) {
			buf_put(out, in.p + done, end - done);
			done = end;
			buf_putc(out, '\r');
		}
		at = end + 1;
		x->line_start = true;
		x->after_cr = false;
	}
	buf_put(out, in.p + done, in.len - done);
}

void
stuff_end(struct stuff *x, struct buf *out)
{
	buf_putz(out, x->line_start ? ".\r\n" : "\r\n.\r\n");
	stuff_init(x);
}
