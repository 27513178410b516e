#include "play/wire.h"

#include "base/check.h"
#include "client/exit.h"
#include "sys/clock.h"

#include <poll.h>

#define SEND_MAX (64u << 10) /* between two looks at what the server says */
#define SLICE_MS 100

int
wire_open(struct wire *w, const struct link_conf *conf, event_fn *sink, void *arg)
{
	*w = (struct wire){ .conf = *conf, .in = BUF_INIT(WIRE_IN_MAX) };
	events_init(&w->ev);
	if (sink)
		check(events_add(&w->ev, sink, arg));
	return link_open(&w->link, &w->conf, &w->ev);
}

/* What is here without waiting goes into w->in. */
static void
drain(struct wire *w)
{
	struct str line;

	while (w->in.len + LINK_LINE_MAX <= w->in.max) {
		enum link_status st = link_line_now(&w->link, &line);
		if (st == LINK_OK || st == LINK_PIECE)
			buf_puts(&w->in, line);
		else if (st != LINK_AGAIN || link_take_in(&w->link) != LINK_OK)
			return;
	}
}

int
wire_tls(struct wire *w, const char *alpn)
{
	/* From the start, what comes is the handshake's business. */
	if (w->used)
		drain(w);
	if (w->in.len && w->link.tls == NULL) {
		buf_reset(&w->link.why);
		buf_putz(&w->link.why, "the server has said more than a step has read");
		return CLIENT_TLS;
	}
	return link_tls(&w->link, alpn);
}

void
wire_close(struct wire *w)
{
	link_close(&w->link);
	buf_done(&w->in);
}

enum link_status
wire_send(struct wire *w, struct str octets, struct str masked, bool content)
{
	w->used = true;
	while (octets.len) {
		struct str part = masked.p ? octets : str_first(octets, SEND_MAX);
		enum link_status st = link_send(&w->link, part, masked, content);
		if (st != LINK_OK)
			return st == LINK_FAILED ? LINK_END : st;
		octets = str_skip(octets, part.len);
		if (octets.len)
			drain(w);
	}
	return LINK_OK;
}

static bool
has_line(const struct wire *w, struct str *ret)
{
	struct str in = buf_str(&w->in);
	size_t lf = str_find(in, '\n');

	*ret = lf < in.len ? str_first(in, lf + 1) : STR_NULL;
	return lf < in.len;
}

enum wire_line
wire_peek(struct wire *w, int64_t timeout_ms, struct str *ret)
{
	w->used = true;
	int64_t deadline = sys_mono_ms() + timeout_ms;
	struct str line;

	for (;;) {
		if (has_line(w, ret))
			return WIRE_LINE;
		if (w->in.len + LINK_LINE_MAX > w->in.max)
			return WIRE_FLOOD;
		w->conf.timeout_ms = MAX(deadline - sys_mono_ms(), 0);
		enum link_status st = link_line(&w->link, STR_NULL, &line);
		w->conf.timeout_ms = timeout_ms;
		if (st == LINK_OK || st == LINK_PIECE) {
			buf_puts(&w->in, line);
			if (st == LINK_OK && !has_line(w, ret)) {
				*ret = buf_str(&w->in);
				return WIRE_LINE;
			}
			continue;
		}
		if (st == LINK_TIMEOUT)
			return WIRE_TIMEOUT;
		if (st == LINK_STOPPED)
			return WIRE_STOPPED;
		*ret = buf_str(&w->in);
		return w->in.len ? WIRE_LINE : WIRE_END;
	}
}

void
wire_take(struct wire *w, struct str line)
{
	buf_drop(&w->in, line.len);
}

struct str
wire_unread(struct wire *w)
{
	drain(w);
	return w->in.len ? buf_str(&w->in) : str_skip(buf_str(&w->link.in), w->link.start);
}

void
wire_wait(struct wire *w, int64_t ms)
{
	w->used = true;
	int64_t deadline = sys_mono_ms() + ms, left;

	while ((left = deadline - sys_mono_ms()) > 0) {
		short events = link_wants(&w->link);
		struct pollfd p = { .fd = events ? link_fd(&w->link) : -1, .events = events };
		if (w->conf.stop && *w->conf.stop)
			return;
		if (poll(&p, 1, (int)MIN(left, (int64_t)SLICE_MS)) > 0)
			drain(w);
	}
}
