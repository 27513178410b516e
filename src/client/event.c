#include "client/event.h"

#include "sys/clock.h"

#include <stdarg.h>

const char *const event_kind_name[EVENT_KINDS] = {
	[EVENT_RESOLVE] = "resolve",
	[EVENT_TRYING] = "trying",
	[EVENT_CONNECT] = "connect",
	[EVENT_TLS] = "tls",
	[EVENT_SEND] = "send",
	[EVENT_LINE] = "line",
	[EVENT_REPLY] = "reply",
	[EVENT_NOTE] = "note",
	[EVENT_WARN] = "warn",
	[EVENT_CLOSE] = "close",
	[EVENT_RESULT] = "result",
};

#define TEXT_MAX (64u << 10) /* of one note; servers have a part in them */

void
events_init(struct events *ev)
{
	*ev = (struct events){ .start_us = sys_mono_us() };
}

bool
events_add(struct events *ev, event_fn *fn, void *arg)
{
	if (ev->n == EVENT_SINKS_MAX)
		return false;
	ev->sinks[ev->n].fn = fn;
	ev->sinks[ev->n].arg = arg;
	ev->n++;
	return true;
}

void
event_emit(struct events *ev, struct event *e)
{
	if (!ev)
		return;
	e->us = sys_mono_us() - ev->start_us;
	for (size_t i = 0; i < ev->n; i++)
		ev->sinks[i].fn(ev->sinks[i].arg, e);
}

static void emit_text(struct events *ev, enum event_kind kind, const char *step, int status,
    const char *fmt, va_list ap) PRINTF(5, 0);

static void
emit_text(struct events *ev, enum event_kind kind, const char *step, int status, const char *fmt,
    va_list ap)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	struct event e = { .kind = kind, .step = step, .status = status };

	buf_vputf(&b, fmt, ap);
	e.text = b.failed ? STR("(a text too long to be shown)") : buf_str(&b);
	event_emit(ev, &e);
	buf_done(&b);
}

void
event_note(struct events *ev, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit_text(ev, EVENT_NOTE, NULL, 0, fmt, ap);
	va_end(ap);
}

void
event_warn(struct events *ev, const char *step, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit_text(ev, EVENT_WARN, step, 0, fmt, ap);
	va_end(ap);
}

int
event_result(struct events *ev, const char *step, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit_text(ev, EVENT_RESULT, step, status, fmt, ap);
	va_end(ap);
	return status;
}
