/* What is said to a server of a letter, and what its answers mean for the recipients. */
#include "roles/relay/relay_priv.h"

#include "sys/clock.h"

#include <stdio.h>
#include <string.h>

static void
add_rcpt(struct job *j, size_t i)
{
	const struct queue_rcpt *r = &j->rcpt[i];
	j->index[j->n_rcpts] = i;
	j->rcpts[j->n_rcpts++] =
	    (struct smtp_client_rcpt){ .addr = r->addr, .notify = r->notify, .orcpt = r->orcpt };
}

static void
choose_rcpts(struct conn *c)
{
	struct job *j = c->job;
	size_t most = j->rcpts_most ? j->rcpts_most : SIZE_MAX;
	j->n_rcpts = 0;
	for (size_t i = 0; i < j->entry.n_rcpts; i++)
		if (!j->fates[i].settled && j->n_rcpts < most)
			add_rcpt(j, i);
}

static bool
is_ascii(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* Is there something in it that a server without SMTPUTF8 must not get (RFC 6531 3.2)? */
static bool
needs_utf8(const struct job *j)
{
	bool needs = j->scan.eight_header || !is_ascii(j->entry.from);
	for (size_t i = 0; i < j->n_rcpts && !needs; i++)
		needs = !is_ascii(j->rcpts[i].addr) || !is_ascii(j->rcpts[i].orcpt);
	return needs;
}

/* RFC 2852 4.1.2: seconds that are left, which may be none. */
static void
put_by(struct job *j, char *out, size_t n, struct str *ret)
{
	int64_t left = ((int64_t)j->entry.by_ms - sys_wall_ms()) / 1000;
	unsigned f = j->entry.flags;
	if (j->entry.by_ms == 0)
		return;
	if ((f & ONWARD_BY_RETURN) && left < 1)
		left = 1; /* store ends what is overdue */
	snprintf(out, n, "%lld;%s%s", (long long)left, f & ONWARD_BY_RETURN ? "R" : "N",
	    f & ONWARD_BY_TRACE ? "T" : "");
	*ret = str_of(out);
}

static void
fill(struct conn *c, bool utf8)
{
	struct job *j = c->job;
	const struct queue_entry *e = &j->entry;
	const struct caps *caps = smtp_client_caps(c->client);
	bool eight = (j->scan.eight_body || j->scan.eight_header) &&
	             !(j->spool.converted && (j->spool.need & FIT_EIGHT));
	c->envelope = (struct smtp_client_envelope){ .from = e->from,
		.rcpts = j->rcpts,
		.n_rcpts = j->n_rcpts,
		.size = j->spool.converted ? j->spool.whole.len : j->scan.size,
		.body = eight ? SMTP_BODY_8BIT : SMTP_BODY_UNSAID,
		.utf8 = utf8,
		.requiretls = (e->flags & ONWARD_REQUIRETLS) && c->dest->target.kind != TARGET_LMTP,
		.chunking = caps_have(caps, CAPS_CHUNKING),
		.ret = e->ret,
		.envid = e->envid,
		.xtext = true,
		.auth = e->auth };
	if (!j->spool.converted && j->scan.nul)
		c->envelope.body = SMTP_BODY_BINARY;
	put_by(j, j->by, sizeof(j->by), &c->envelope.by);
	if (e->priority)
		snprintf(j->priority, sizeof(j->priority), "%d", e->priority);
	c->envelope.priority = str_of(e->priority ? j->priority : "");
}

/* Nobody can get it through this server. */
static enum envelope
refuse(struct conn *c, const char *status, const char *why)
{
	relay_job_notef(c->job, "%s", why);
	for (size_t i = 0; i < c->job->n_rcpts; i++)
		relay_job_fate(c->job, c->job->index[i], JOB_REFUSED, 0, status, str_of(why));
	c->job->trouble = JOB_TROUBLE_LETTER;
	return ENVELOPE_REFUSED;
}

enum envelope
envelope_make(struct conn *c, const char **ret_why)
{
	struct job *j = c->job;
	*ret_why = "";
	choose_rcpts(c);
	if (j->n_rcpts == 0)
		return ENVELOPE_REFUSED;
	bool utf8 = (j->entry.flags & ONWARD_UTF8) && needs_utf8(j);
	fill(c, utf8);
	unsigned lacks = smtp_client_lacks(c->client, &c->envelope);
	if (lacks & SMTP_LACKS_SMTPUTF8)
		return refuse(c, "5.6.7",
		    "the letter has addresses or header fields in UTF-8, and the server does not "
		    "offer SMTPUTF8");
	if (lacks & SMTP_LACKS_SIZE)
		return refuse(c, "5.3.4",
		    "the letter is larger than the server says that it takes (SIZE)");
	if (lacks & SMTP_LACKS_REQUIRETLS) {
		*ret_why =
		    "the letter needs TLS all the way (REQUIRETLS), and the server does not offer "
		    "that";
		return relay_conn_is_only_host(c) ? refuse(c, "5.7.30", *ret_why)
		                                  : ENVELOPE_ELSEWHERE;
	}
	/* RFC 2852: who cannot keep to the time must not have it. LMTP is the last step. */
	if ((lacks & SMTP_LACKS_DELIVERBY) && (j->entry.flags & ONWARD_BY_RETURN) &&
	    c->dest->target.kind != TARGET_LMTP)
		return refuse(c, "5.4.7",
		    "the letter is to come back unless it arrives in time (BY), and the server "
		    "does "
		    "not offer DELIVERBY");
	if (lacks & SMTP_LACKS_BINARYMIME)
		return refuse(c, "5.6.3",
		    "the letter has binary parts, and the server does not offer BINARYMIME");
	return ENVELOPE_GOOD;
}

void
envelope_put_reply(struct buf *b, const struct answer *a)
{
	struct str rest = buf_str(&a->text);
	while (rest.len) {
		struct str line = str_trim(str_cut(&rest, '\n'));
		if (b->len && line.len)
			buf_putc(b, ' ');
		/* Of the enhanced code one is enough: that of the first line. */
		size_t n = strlen(a->enhanced);
		if (n && str_starts(line, str_n(a->enhanced, n)))
			line = str_ltrim(str_skip(line, n));
		buf_puts(b, line);
	}
}

/* Of a letter that the server has taken. */
static enum job_fate
fate_sent(const struct conn *c)
{
	const struct queue_entry *e = &c->job->entry;
	const struct caps *caps = smtp_client_caps(c->client);
	bool last = c->dest->target.kind == TARGET_LMTP;
	if (e->by_ms && !(e->flags & ONWARD_BY_RETURN) && !last && !caps_have(caps, CAPS_DELIVERBY))
		return JOB_UNTIMED;
	return caps_have(caps, CAPS_DSN) ? JOB_RELAYED : JOB_SENT;
}

/* The fate of recipient i of this round is known; a: what decided, or NULL. */
void
envelope_fate(struct conn *c, size_t i, const struct answer *a)
{
	struct job *j = c->job;
	const struct smtp_client_rcpt *r = &j->rcpts[i];
	struct buf text = BUF_INIT(ANSWER_TEXT_MAX);
	if (a)
		envelope_put_reply(&text, a);
	switch (r->fate) {
	case SMTP_FATE_SENT:
		relay_job_fate(j, j->index[i], fate_sent(c), (unsigned)r->code, r->enhanced,
		    buf_str(&text));
		break;
	case SMTP_FATE_REFUSED:
		relay_job_fate(j, j->index[i], r->code / 100 == 5 ? JOB_REFUSED : JOB_LATER,
		    (unsigned)r->code, r->enhanced, buf_str(&text));
		if (j->trouble == JOB_TROUBLE_NONE)
			j->trouble = r->step == SMTP_STEP_MAIL   ? JOB_TROUBLE_SENDER
			             : r->step == SMTP_STEP_RCPT ? JOB_TROUBLE_RCPT
			                                         : JOB_TROUBLE_LETTER;
		break;
	case SMTP_FATE_UNKNOWN:
		relay_job_fate(j, j->index[i], JOB_DOUBT, 0, "4.4.2",
		    STR("the connection was lost behind the letter: it may have arrived (RFC "
			"1047)"));
		j->trouble = JOB_TROUBLE_CLOSED;
		break;
	case SMTP_FATE_OPEN:
	case SMTP_FATE_ACCEPTED:
	case SMTP_FATE_UNSENT:
		break; /* another host, or the end of the attempt, decides */
	}
	buf_done(&text);
}
