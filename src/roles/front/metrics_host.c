/*
 * metrics_host: a connection that asks for the server's figures by HTTP. parent gathers them from
 * all roles and sends the rows on; here they are added up.
 */
#include "roles/front/front_priv.h"

#include "metrics/http.h"
#include "metrics/metrics.h"

#define ANSWER_MS 5000
#define PLAIN "text/plain; charset=utf-8"
#define FIGURES "text/plain; version=0.0.4; charset=utf-8"

struct metrics_part {
	uint64_t asked; /* id of the question, or 0 */
	int64_t since;  /* when it was asked, or the last request came */
	struct metrics_sum *sum;
	bool head, close; /* of the request at hand */
	bool over;        /* its answer was the last */
};

static void
metrics_init(struct conn *c, void *part, const struct guest *g)
{
	c->metrics = part;
	c->metrics->since = c->front->clock.now;
}

static void
answer(struct conn *c, int status, const char *type, struct str body)
{
	struct metrics_part *p = c->metrics;
	struct http_answer a = { status, type, body, p->head, p->close };
	http_answer_put(&c->stream.out, &a);
	p->over = p->close;
}

static void
refuse(struct conn *c, int status, struct str why)
{
	c->metrics->close = true;
	answer(c, status, PLAIN, why);
}

/* Only when there are too many connections. */
static void
metrics_greet(struct conn *c)
{
	if (c->refuse != SMTP_NONE)
		refuse(c, 503, STR("too many connections\n"));
}

static void
ask(struct conn *c)
{
	struct metrics_part *p = c->metrics;
	p->sum = metrics_sum_free(p->sum);
	p->sum = metrics_sum_new();
	p->asked = ++c->front->figures_id;
	p->since = c->front->clock.now;
	chan_send(c->front->parent, IPC_FIGURES_ASK, p->asked, STR_NULL, -1);
}

static void
take_request(struct conn *c, const struct http_request *r)
{
	struct metrics_part *p = c->metrics;
	p->since = c->front->clock.now;
	p->close = r->close || c->front->draining;
	p->head = str_eq(r->method, STR("HEAD"));
	if (!p->head && !str_eq(r->method, STR("GET")))
		answer(c, 405, PLAIN, STR("only GET and HEAD are known here\n"));
	else if (!str_eq(http_path(r->target), STR("/metrics")))
		answer(c, 404, PLAIN, STR("there is nothing here but /metrics\n"));
	else
		ask(c);
}

static bool
metrics_step(struct conn *c)
{
	struct http_request r;
	size_t used = 0;
	if (c->metrics->asked)
		return false;
	if (c->metrics->over) {
		c->ending = true;
		return false;
	}
	switch (http_request_get(stream_input(&c->stream), &r, &used)) {
	case HTTP_MORE:
		return false;
	case HTTP_READY:
		take_request(c, &r);
		stream_eat(&c->stream, used);
		return !c->metrics->asked;
	case HTTP_BAD:
		refuse(c, 400, STR("this is no request of HTTP/1.1\n"));
		break;
	case HTTP_TOO_LONG:
		refuse(c, 431, STR("the request is too long\n"));
		break;
	case HTTP_VERSION:
		refuse(c, 505, STR("HTTP/1.1 is spoken here\n"));
		break;
	}
	return true;
}

/* --- the answer comes --- */

static struct conn *
asker(struct front *f, uint64_t id)
{
	list_each(n, &f->conns)
	{
		struct conn *c = list_entry(n, struct conn, node);
		if (c->metrics && c->metrics->asked == id)
			return c;
	}
	return NULL;
}

static void
finish(struct conn *c, bool good)
{
	struct metrics_part *p = c->metrics;
	struct buf text = BUF_INIT(METRICS_TEXT_MAX);
	if (good)
		metrics_sum_put(p->sum, &text);
	p->asked = 0;
	p->sum = metrics_sum_free(p->sum);
	if (good && !text.failed)
		answer(c, 200, FIGURES, buf_str(&text));
	else
		refuse(c, 503, STR("the figures cannot be had now; ask again\n"));
	buf_done(&text);
	conn_drive(c);
}

bool
metrics_answered(struct front *f, const struct ipc_frame *m)
{
	struct conn *c = asker(f, m->id);
	if (!c || m->id == 0)
		return true; /* nobody waits for it any more */
	/* Without any row too many have asked at once: no figures are not figures of nothing. */
	if (m->body.len == 0) {
		finish(c, !metrics_sum_empty(c->metrics->sum));
	} else if (!metrics_sum_add(c->metrics->sum, m->body)) {
		LOG(LOG_ERROR, c->id, "figures-malformed", LOGN("octets", m->body.len));
		finish(c, false);
	}
	return true;
}

/* --- this front's own --- */

bool
metrics_asked(struct front *f, const struct ipc_frame *m)
{
	static const char *const result[SASL_V_COUNT] = {
		[SASL_V_OK] = "ok",
		[SASL_V_FAIL] = "failed",
		[SASL_V_MALFORMED] = "malformed",
		[SASL_V_BADMECH] = "mechanism",
		[SASL_V_WEAK] = "mechanism",
		[SASL_V_TEMPFAIL] = "temporary",
		[SASL_V_TOO_SOON] = "too_soon",
	};
	struct buf rows = BUF_INIT(METRICS_ROWS_MAX);
	struct metric_label label = { "result", STR("failed") };
	metrics_put(&rows, METRIC_TLS_HANDSHAKES, &label, 1, f->n_tls_failed);
	for (size_t i = 0; i < SASL_V_COUNT; i++) {
		label.value = str_of(result[i]);
		if (result[i])
			metrics_put(&rows, METRIC_AUTH, &label, 1, f->n_auth[i]);
	}
	metrics_put_histogram(&rows, METRIC_ACCEPT_SECONDS, NULL, 0, &f->accept_time);
	chan_send(f->parent, IPC_FIGURES, m->id, buf_str(&rows), -1);
	buf_done(&rows);
	return m->body.len == 0;
}

/* --- */

static void
metrics_settle(struct conn *c)
{
}

static bool
metrics_waits(const struct conn *c)
{
	return c->metrics->asked != 0;
}

static bool
metrics_owed(const struct conn *c)
{
	return c->metrics->asked != 0;
}

static void
metrics_drained(struct conn *c)
{
}

static void
metrics_secured(struct conn *c, struct str facts)
{
}

static bool
metrics_in_auth(const struct conn *c)
{
	return false;
}

static void
metrics_authed(struct conn *c, const struct login *l, const struct msg_sasl *m)
{
}

static void
metrics_again(struct conn *c)
{
}

static int64_t
metrics_deadline(const struct conn *c)
{
	const struct conf_listener *l = &c->settings->conf->listeners[c->listener];
	int64_t ms =
	    c->metrics->asked ? ANSWER_MS : (int64_t)MIN(l->limit_idle_seconds, 86400u) * 1000;
	return c->metrics->since + ms;
}

/* True: the connection ends. */
static bool
metrics_timeout(struct conn *c)
{
	if (c->metrics->asked) {
		finish(c, false);
		return false;
	}
	return true;
}

static bool
metrics_shutdown(struct conn *c, bool late)
{
	if (c->metrics->asked && !late)
		return false;
	c->ending = true;
	return true;
}

static void
metrics_closing(struct conn *c, const char *why)
{
	LOG(LOG_DEBUG, c->id, "disconnect", LOGZ("peer", c->ip), LOGZ("protocol", "metrics"),
	    LOGZ("why", why));
}

static void
metrics_done(struct conn *c)
{
	c->metrics->sum = metrics_sum_free(c->metrics->sum);
}

const struct protocol metrics_protocol = {
	.name = "metrics",
	.part = sizeof(struct metrics_part),
	.init = metrics_init,
	.greet = metrics_greet,
	.step = metrics_step,
	.settle = metrics_settle,
	.waits = metrics_waits,
	.owed = metrics_owed,
	.drained = metrics_drained,
	.secured = metrics_secured,
	.in_auth = metrics_in_auth,
	.authed = metrics_authed,
	.again = metrics_again,
	.give_up = metrics_again,
	.deadline = metrics_deadline,
	.timeout = metrics_timeout,
	.shutdown = metrics_shutdown,
	.closing = metrics_closing,
	.done = metrics_done,
};
