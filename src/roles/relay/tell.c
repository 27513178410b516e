/* What is told of a job: the fates of its recipients, and its history, with decisions and their
 * reasons. */
#include "roles/relay/relay_priv.h"

#include "base/utf8.h"
#include "sys/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
relay_job_is_open(const struct job *j)
{
	for (size_t i = 0; i < j->entry.n_rcpts; i++)
		if (!j->fates[i].settled)
			return true;
	return false;
}

/* A status of three numbers whose first fits the fate; else the general one. */
static void
put_status(struct fate *f, const char *status)
{
	char class = job_fate_is_sent(f->fate) ? '2' : f->fate == JOB_REFUSED ? '5' : '4';
	unsigned dots = 0;
	size_t n = strlen(status);
	bool good = n >= 5 && n < sizeof(f->status) && status[0] == class && status[1] == '.';
	for (size_t i = 0; good && i < n; i++) {
		dots += status[i] == '.';
		good = status[i] == '.' || (status[i] >= '0' && status[i] <= '9');
	}
	if (good && dots == 2)
		memcpy(f->status, status, n + 1);
	else
		snprintf(f->status, sizeof(f->status), "%c.0.0", class);
}

void
relay_job_fate(struct job *j, size_t i, enum job_fate fate, unsigned code, const char *status,
    struct str text)
{
	check(i < j->entry.n_rcpts);
	struct fate *f = &j->fates[i];
	if (f->settled)
		return;
	f->settled = true;
	f->fate = (uint8_t)fate;
	f->code = (uint16_t)(code <= 599 ? code : 0);
	put_status(f, status ? status : "");
	free(f->text);
	f->text = str_dup(str_first(text, JOB_TEXT_MAX));
	for (char *p = f->text; *p; p++)
		if (*p == '\r' || *p == '\n')
			*p = ' ';
}

void
relay_job_fate_rest(struct job *j, enum job_fate fate, unsigned code, const char *status,
    struct str text)
{
	for (size_t i = 0; i < j->entry.n_rcpts; i++)
		relay_job_fate(j, i, fate, code, status, text);
}

/* --- history --- */

static bool
is_plain(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e || s.p[i] == '\\')
			return false;
	return true;
}

void
relay_job_note(struct job *j, const char *mark, struct str text)
{
	struct buf *h = &j->history;
	size_t len = h->len;
	if (j->history_full || h->failed)
		return;
	buf_putf(h, "+%lldms %s", (long long)(sys_mono_ms() - j->begun_ms), mark);
	if (is_plain(text))
		buf_puts(h, text);
	else
		utf8_escape(h, text);
	buf_putc(h, '\n');
	/* Room is kept for the words that tell of it. */
	if (h->failed || h->len > JOB_HISTORY_MAX - 64) {
		h->failed = false;
		buf_trunc(h, len);
		buf_putz(h, "+0ms # the rest is left out\n");
		j->history_full = true;
	}
}

void
relay_job_notef(struct job *j, const char *fmt, ...)
{
	struct buf text = BUF_INIT(2048);
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&text, fmt, ap);
	va_end(ap);
	relay_job_note(j, "# ", buf_str(&text));
	buf_done(&text);
}

/* --- decisions --- */

/* By MX records: of which domain, and the hosts in their order. */
static void
put_hosts(struct buf *b, const struct job *j, const struct dest *d)
{
	const struct plan *p = d->plan;
	size_t n = p && !d->mx.implicit ? p->n : 0;
	size_t shown = MIN(n, (size_t)HOSTS_TRIED_MAX);
	buf_putf(b,
	    d->mx.implicit ? "no MX records of " STR_FMT ", so its own address"
			   : "MX records of " STR_FMT,
	    STR_ARG(d->target.host));
	for (size_t i = 0; i < shown; i++)
		buf_putf(b, "%s%s (%u%s)", i ? ", " : ": ", p->hosts[i].name,
		    p->hosts[i].preference,
		    relay_job_is_barred(j, &p->hosts[i]) ? ", left out" : "");
	if (shown < n)
		buf_putf(b, " and %zu more", n - shown);
}

void
relay_job_note_route(struct job *j, const struct dest *d)
{
	struct buf b = BUF_INIT(8192);
	bool mx = d->target.kind == TARGET_MX;
	if (d->target.kind == TARGET_TURN)
		return; /* who turned the connection is told with it */
	if (d->route)
		buf_putf(&b, "route %s via %s", d->route->match, d->route->via);
	else if (mx)
		buf_putz(&b, "no route");
	else
		buf_putf(&b, "via " STR_FMT ", by a route that is no more", STR_ARG(j->msg.target));
	if (mx)
		buf_putz(&b, d->target.literal ? ": the address itself" : ": ");
	if (mx && !d->target.literal)
		put_hosts(&b, j, d);
	relay_job_note(j, "# ", buf_str(&b));
	buf_done(&b);
}

static void
put_policy(const struct conn *c, struct buf *b)
{
	const struct plan_host *h = relay_conn_host(c);
	switch (h->ground) {
	case GROUND_DANE:
		buf_putf(b, "DANE: %s_%u._tcp.%s", h->n_tlsa ? "" : "no TLSA record of use at ",
		    c->plan->port, h->tlsa_base);
		return;
	case GROUND_STS:
	case GROUND_STS_TESTING:
		buf_putf(b, "MTA-STS policy of " STR_FMT ", mode %s", STR_ARG(c->dest->target.host),
		    h->ground == GROUND_STS ? "enforce" : "testing");
		return;
	case GROUND_CONF:
	case GROUND_ROUTE:
	case GROUND_COUNT:
		break;
	}
	buf_putf(b, h->ground == GROUND_ROUTE ? "tls = %s of the route" : "relay.tls = %s",
	    c->plan->tls);
	if (strcmp(c->plan->tls, "auto") == 0)
		buf_putz(b, "; neither DANE nor MTA-STS asks for more");
}

void
relay_conn_put_ground(const struct conn *c, struct buf *b)
{
	enum plan_tls tls = relay_conn_host(c)->tls;
	if (c->need > tls)
		buf_putz(b, "the letter says REQUIRETLS");
	else if (c->need < tls)
		buf_putz(b, "the letter says TLS-Required: No");
	else
		put_policy(c, b);
}

/* Unix sockets have none, and that of a turned connection was front's. */
void
relay_conn_note_policy(const struct conn *c)
{
	struct buf b = BUF_INIT(2048);
	if (c->plan->port == 0)
		return;
	buf_putf(&b, "TLS policy: %s (", plan_tls_name[c->need]);
	relay_conn_put_ground(c, &b);
	buf_putz(&b, c->clear ? "); now without, as the handshake failed" : ")");
	relay_job_note(c->job, "# ", buf_str(&b));
	buf_done(&b);
}

void
relay_conn_put_trouble(const struct conn *c, struct buf *b)
{
	enum smtp_trouble t = smtp_client_trouble(c->client);
	if (t != SMTP_TROUBLE_TLS_MISSING && t != SMTP_TROUBLE_TLS_REFUSED) {
		buf_putz(b, smtp_client_why(c->client));
		return;
	}
	buf_putz(b, "TLS is needed (");
	relay_conn_put_ground(c, b);
	buf_putf(b, "), and %s %s", c->where,
	    t == SMTP_TROUBLE_TLS_MISSING ? "does not offer STARTTLS" : "refuses STARTTLS");
}

/* --- a conversation --- */

void
relay_job_note_sent(struct job *j, const struct smtp_client_event *ev)
{
	struct str rest = ev->masked.p ? ev->masked : ev->octets;
	if (!j)
		return;
	if (ev->content) {
		relay_job_notef(j, "%zu octets of the letter", ev->octets.len);
		return;
	}
	while (rest.len)
		relay_job_note(j, "c: ", str_rtrim(str_cut(&rest, '\n')));
}

void
relay_job_note_reply(struct job *j, const struct answer *a)
{
	struct str rest = buf_str(&a->text);
	if (!j)
		return;
	do {
		struct str line = str_rtrim(str_cut(&rest, '\n'));
		char head[16];
		struct buf b = BUF_INIT(ANSWER_TEXT_MAX + 16);
		snprintf(head, sizeof(head), "%d%c", a->code, rest.len ? '-' : ' ');
		buf_putz(&b, head);
		buf_puts(&b, line);
		relay_job_note(j, "s: ", buf_str(&b));
		buf_done(&b);
	} while (rest.len);
}
