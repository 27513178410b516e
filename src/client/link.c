/* The line itself: octets in and out, lines, deadlines. */
#include "client/link.h"

#include "client/exit.h"
#include "client/link_priv.h"
#include "sys/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define SLICE_MS 250 /* a signal between our look at `stop` and poll() costs no more than this */
#define TAKE_MAX (64u << 10)

bool
link_stopped(const struct link *l)
{
	return l->conf->stop && *l->conf->stop;
}

enum link_wait
link_wait(const struct link *l, int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		if (link_stopped(l))
			return LINK_WAIT_STOP;
		int64_t left = deadline - sys_mono_ms();
		int slice = left <= 0 ? 0 : left > SLICE_MS ? SLICE_MS : (int)left;
		if (poll(&p, fd >= 0 ? 1 : 0, slice) > 0)
			return LINK_WAIT_OK;
		if (left <= 0)
			return LINK_WAIT_TIME;
	}
}

int
link_fail(struct link *l, int status, const char *fmt, ...)
{
	va_list ap;

	buf_reset(&l->why);
	va_start(ap, fmt);
	buf_vputf(&l->why, fmt, ap);
	va_end(ap);
	return status;
}

void
link_tell_close(struct link *l, int status, const char *text)
{
	struct event e = { .kind = EVENT_CLOSE, .text = str_of(text), .status = status };

	if (l->told)
		return;
	l->told = true;
	event_emit(l->ev, &e);
}

/* One line of a hex dump: offset, octets, what can be printed. */
static void
dump_line(struct link *l, size_t at, struct str octets)
{
	struct buf b = BUF_INIT(256);

	buf_putf(&b, "%04zx", at);
	for (size_t i = 0; i < 16; i++) {
		if (i < octets.len)
			buf_putf(&b, " %02x", (unsigned char)octets.p[i]);
		else
			buf_putz(&b, "   ");
	}
	buf_putz(&b, "  ");
	for (size_t i = 0; i < octets.len; i++)
		buf_putc(&b, octets.p[i] >= 0x20 && octets.p[i] < 0x7f ? octets.p[i] : '.');
	event_note(l->ev, STR_FMT, STR_ARG(buf_str(&b)));
	buf_done(&b);
}

/* Debug: a hex dump as notes. */
static void
dump_octets(struct link *l, bool sent, struct str octets, bool secret)
{
	if (!l->conf->debug_bytes)
		return;
	event_note(l->ev, "%s %zu octets%s%s", sent ? "write" : "read", octets.len,
	    l->tls ? " inside TLS" : "", secret ? ": a secret, not shown" : "");
	for (size_t at = 0; !secret && at < octets.len; at += 16)
		dump_line(l, at, str_first(str_skip(octets, at), 16));
}

/* --- taking in ---------------------------------------------------------------------------- */

static enum link_status
ended(struct link *l, int error, const char *text)
{
	l->at_end = true;
	l->end = error ? LINK_FAILED : LINK_END;
	if (error == ECONNRESET)
		link_fail(l, 0, "%s reset the connection", l->label);
	else if (error)
		link_fail(l, 0, "the connection to %s failed: %s", l->label, text);
	else
		link_fail(l, 0, "%s closed the connection", l->label);
	return l->end;
}

static enum link_status
take_in_tls(struct link *l, size_t room)
{
	size_t n = 0;

	switch (tls_read(l->tls, l->in.p + l->in.len, room, &n)) {
	case TLS_OK:
		dump_octets(l, false, str_n(l->in.p + l->in.len, n), false);
		l->in.len += n;
		l->received += n;
		return LINK_OK;
	case TLS_WRITE:
		l->blocked = POLLOUT;
		return LINK_AGAIN;
	case TLS_READ:
		return LINK_AGAIN;
	case TLS_CLOSED:
		return ended(l, 0, NULL);
	case TLS_SIGN:
	case TLS_FAILED:
		break;
	}
	/* libssl tells a reset only in words. */
	return ended(l, tls_cause(l->tls) == TLS_CAUSE_CLOSED ? ECONNRESET : EPROTO,
	    tls_error(l->tls));
}

static enum link_status
take_in_plain(struct link *l, size_t room)
{
	ssize_t n = recv(l->fd, l->in.p + l->in.len, room, 0);

	if (n > 0) {
		dump_octets(l, false, str_n(l->in.p + l->in.len, (size_t)n), false);
		l->in.len += (size_t)n;
		l->received += (uint64_t)n;
		return LINK_OK;
	}
	if (n == 0)
		return ended(l, 0, NULL);
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return LINK_AGAIN;
	return ended(l, errno, strerror(errno));
}

enum link_status
link_take_in(struct link *l)
{
	if (l->fd < 0)
		return LINK_END;
	if (l->at_end)
		return l->end;
	size_t room = MIN(LINK_IN_MAX - link_unread(l), (size_t)TAKE_MAX);
	if (room == 0)
		return LINK_AGAIN;
	if (link_deflate_waits(l))
		return link_deflate_take_in(l, l->in.len);
	if (l->start && (l->start == l->in.len || l->in.len + room > l->in.max)) {
		buf_drop(&l->in, l->start);
		l->start = 0;
	}
	if (!buf_reserve(&l->in, room)) {
		l->at_end = true;
		l->end = LINK_FAILED;
		link_fail(l, 0, "no memory for what the server sends");
		return l->end;
	}
	l->blocked = 0;
	size_t from = l->in.len;
	enum link_status st = l->tls ? take_in_tls(l, room) : take_in_plain(l, room);
	return l->z && st == LINK_OK ? link_deflate_take_in(l, from) : st;
}

static bool
is_full(const struct link *l)
{
	return link_unread(l) >= LINK_IN_MAX;
}

/* Waits for something to read, and takes it in. */
static enum link_status
wait_in(struct link *l, int64_t deadline)
{
	for (;;) {
		bool here = (l->tls && tls_pending(l->tls)) || link_deflate_waits(l);
		short events = l->blocked ? l->blocked : POLLIN;
		if (!here) {
			enum link_wait w = link_wait(l, l->fd, events, deadline);
			if (w != LINK_WAIT_OK)
				return w == LINK_WAIT_TIME ? LINK_TIMEOUT : LINK_STOPPED;
		}
		enum link_status st = link_take_in(l);
		if (st != LINK_AGAIN)
			return st;
		/* Records that hold nothing for us must not let us forget the time. */
		if (sys_mono_ms() >= deadline)
			return LINK_TIMEOUT;
		if (link_stopped(l))
			return LINK_STOPPED;
	}
}

/* --- lines -------------------------------------------------------------------------------- */

static enum link_status
give(struct link *l, size_t n, struct str masked, enum link_status st, struct str *ret)
{
	*ret = str_n(l->in.p + l->start, n);
	l->start += n;
	l->scanned = 0;
	l->in_piece = st == LINK_PIECE;
	event_emit(l->ev, &(struct event){ .kind = EVENT_LINE, .octets = *ret, .masked = masked });
	return st;
}

/* What has come already, without reading more. LINK_AGAIN: no whole line. */
static enum link_status
line_here(struct link *l, struct str masked, struct str *ret)
{
	struct str rest = str_skip(buf_str(&l->in), l->start);
	struct str fresh = str_skip(str_first(rest, LINK_LINE_MAX), l->scanned);
	size_t lf = str_find(fresh, '\n');

	if (lf < fresh.len)
		return give(l, l->scanned + lf + 1, masked, LINK_OK, ret);
	if (rest.len >= LINK_LINE_MAX)
		return give(l, LINK_LINE_MAX, masked, LINK_PIECE, ret);
	l->scanned = rest.len;
	if (!l->at_end)
		return LINK_AGAIN;
	if (rest.len)
		return give(l, rest.len, masked, LINK_OK, ret);
	if (l->end == LINK_FAILED)
		link_tell_close(l, -ECONNRESET, "Connection lost.");
	else
		link_tell_close(l, 1, "Connection closed by foreign host.");
	return l->end;
}

static void
say_silence(struct link *l)
{
	const struct link_conf *c = l->conf;

	link_fail(l, 0, "%s %s within %" PRId64 ".%" PRId64 " s%s", l->label,
	    l->received ? "did not answer" : "said nothing", c->timeout_ms / 1000,
	    c->timeout_ms / 100 % 10,
	    l->received || l->tls
		? "; --timeout waits longer"
		: ": is it a port with TLS from the start (--tls=implicit), or busy (--timeout)?");
}

/* RFC 8446 5.1, 6: an alert in answer to what we said in clear. */
static void
look_for_tls(struct link *l)
{
	if (!l->tls && l->received == link_unread(l) && link_unread(l) >= 3 &&
	    (l->in.p[0] == 0x15 || l->in.p[0] == 0x16) && l->in.p[1] == 0x03)
		event_warn(l->ev, "tls", "this port speaks TLS from the start: use --tls=implicit");
}

enum link_status
link_line(struct link *l, struct str masked, struct str *ret)
{
	int64_t deadline = sys_mono_ms() + l->conf->timeout_ms;

	*ret = STR_NULL;
	if (l->fd < 0)
		return LINK_END;
	for (;;) {
		enum link_status st = line_here(l, masked, ret);
		if (st != LINK_AGAIN)
			return st;
		bool first = l->received == 0;
		st = wait_in(l, deadline);
		if (first && l->received)
			look_for_tls(l);
		if (st == LINK_TIMEOUT)
			say_silence(l);
		if (st == LINK_STOPPED)
			link_fail(l, 0, "interrupted");
		if (st == LINK_TIMEOUT || st == LINK_STOPPED)
			return st;
	}
}

enum link_status
link_line_now(struct link *l, struct str *ret)
{
	*ret = STR_NULL;
	if (l->fd < 0)
		return LINK_END;
	for (;;) {
		enum link_status st = line_here(l, STR_NULL, ret);
		if (st != LINK_AGAIN)
			return st;
		/* What libssl holds no poll() will tell. */
		if (!(l->tls && tls_pending(l->tls)) && !link_deflate_waits(l))
			return LINK_AGAIN;
		if (link_take_in(l) == LINK_AGAIN && !link_deflate_waits(l))
			return LINK_AGAIN;
	}
}

enum link_status
link_octets(struct link *l, uint64_t n, void (*fn)(void *arg, struct str piece), void *arg)
{
	int64_t deadline = sys_mono_ms() + l->conf->timeout_ms;

	while (n) {
		size_t here = MIN(link_unread(l), (size_t)TAKE_MAX);
		if (here) {
			struct str piece;
			here = (uint64_t)here < n ? here : (size_t)n;
			give(l, here, STR_NULL, LINK_OK, &piece);
			fn(arg, piece);
			n -= here;
			deadline = sys_mono_ms() + l->conf->timeout_ms;
			continue;
		}
		enum link_status st = l->at_end ? l->end : wait_in(l, deadline);
		if (st == LINK_TIMEOUT)
			say_silence(l);
		if (st == LINK_STOPPED)
			link_fail(l, 0, "interrupted");
		if (st != LINK_OK && !link_unread(l))
			return st;
	}
	return LINK_OK;
}

int
link_fd(const struct link *l)
{
	return l->conf ? l->fd : -1;
}

short
link_wants(const struct link *l)
{
	if (!l->conf || l->fd < 0 || l->at_end || is_full(l))
		return 0;
	return l->blocked ? l->blocked : POLLIN;
}

/* --- sending ------------------------------------------------------------------------------ */

static enum link_status
send_some(struct link *l, struct str octets, size_t *ret_n, short *ret_wait)
{
	*ret_n = 0;
	*ret_wait = POLLOUT;
	if (!l->tls) {
		ssize_t n = send(l->fd, octets.p, octets.len, MSG_NOSIGNAL);
		if (n >= 0) {
			*ret_n = (size_t)n;
			return LINK_OK;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
			return LINK_AGAIN;
		if (!l->at_end)
			link_fail(l, 0, "%s takes no more: %s", l->label, strerror(errno));
		return LINK_FAILED;
	}
	switch (tls_write(l->tls, octets.p, octets.len, ret_n)) {
	case TLS_OK:
		return LINK_OK;
	case TLS_READ:
		*ret_wait = POLLIN;
		return LINK_AGAIN;
	case TLS_WRITE:
		return LINK_AGAIN;
	case TLS_SIGN:
	case TLS_CLOSED:
	case TLS_FAILED:
		break;
	}
	if (!l->at_end)
		link_fail(l, 0, "%s takes no more: %s", l->label, tls_error(l->tls));
	return LINK_FAILED;
}

/* One piece, whole, taking in what arrives meanwhile. */
static enum link_status
send_piece(struct link *l, struct str octets)
{
	int64_t deadline = sys_mono_ms() + l->conf->timeout_ms;

	while (octets.len) {
		size_t n;
		short events;
		enum link_status st = send_some(l, octets, &n, &events);
		if (st == LINK_FAILED) {
			/* What the server said before it closed is worth having. */
			while (!l->at_end && link_take_in(l) == LINK_OK)
				;
			return st;
		}
		if (n) {
			octets = str_skip(octets, n);
			l->sent_us = sys_mono_us();
			deadline = sys_mono_ms() + l->conf->timeout_ms;
			continue;
		}
		bool listen = !l->at_end && !is_full(l);
		enum link_wait w =
		    link_wait(l, l->fd, listen ? (short)(events | POLLIN) : events, deadline);
		if (w == LINK_WAIT_TIME)
			link_fail(l, 0, "%s takes nothing more; --timeout waits longer", l->label);
		if (w == LINK_WAIT_STOP)
			link_fail(l, 0, "interrupted");
		if (w != LINK_WAIT_OK)
			return w == LINK_WAIT_TIME ? LINK_TIMEOUT : LINK_STOPPED;
		if (listen)
			link_take_in(l);
	}
	return LINK_OK;
}

/* The pause between two segments: we listen, but nothing that is said shortens it. */
static enum link_status
pause_between(struct link *l)
{
	int64_t until = sys_mono_ms() + l->conf->delay_ms;

	while (sys_mono_ms() < until) {
		bool listen = !l->at_end && !is_full(l);
		enum link_wait w = link_wait(l, listen ? l->fd : -1, listen ? POLLIN : 0, until);
		if (w == LINK_WAIT_STOP)
			return LINK_STOPPED;
		if (w == LINK_WAIT_OK && link_take_in(l) == LINK_AGAIN && l->tls)
			l->blocked = 0;
	}
	return LINK_OK;
}

static void
tell_lines(struct link *l, struct str octets, struct str masked, bool content)
{
	if (masked.p) {
		event_emit(l->ev, &(struct event){ .kind = EVENT_SEND,
				      .octets = octets,
				      .masked = masked,
				      .content = content });
		return;
	}
	while (octets.len) {
		size_t lf = str_find(octets, '\n');
		struct str line = str_first(octets, lf + (lf < octets.len));
		event_emit(l->ev,
		    &(struct event){ .kind = EVENT_SEND, .octets = line, .content = content });
		octets = str_skip(octets, line.len);
	}
}

enum link_status
link_send(struct link *l, struct str octets, struct str masked, bool content)
{
	size_t step = l->conf->segment ? l->conf->segment : octets.len;

	if (l->fd < 0) {
		link_fail(l, 0, "there is no connection");
		return LINK_END;
	}
	if (octets.len == 0)
		return LINK_OK;
	tell_lines(l, octets, masked, content);
	dump_octets(l, true, octets, masked.p != NULL);
	if (l->z && !link_deflate_pack(l, &octets)) {
		link_fail(l, 0, "no memory for compression");
		return LINK_FAILED;
	}
	for (bool first = true; octets.len; first = false) {
		enum link_status st = first || l->conf->delay_ms == 0 ? LINK_OK : pause_between(l);
		if (st == LINK_OK)
			st = send_piece(l, str_first(octets, step));
		if (st != LINK_OK)
			return st;
		octets = str_skip(octets, step);
	}
	return LINK_OK;
}

enum link_status
link_line_send(struct link *l, struct str text, struct str masked)
{
	static const char *const ends[] = {
		[LINK_CRLF] = "\r\n", [LINK_LF] = "\n", [LINK_CR] = "\r"
	};
	struct buf b = BUF_INIT(SIZE_MAX / 2);

	buf_puts(&b, text);
	buf_putz(&b, ends[l->conf->eol]);
	enum link_status st = LINK_FAILED;
	if (b.failed)
		link_fail(l, 0, "no memory for a line");
	else
		st = link_send(l, buf_str(&b), masked, false);
	if (masked.p)
		buf_wipe(&b);
	buf_done(&b);
	return st;
}
