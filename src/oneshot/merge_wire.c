/* XMRG, XDFN, XPRT over the link: batches of commands, and of their answers. */
#include "oneshot/merge_priv.h"

#include "sys/clock.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 64 /* rows between two looks at the answers */
/* The server makes all letters before it answers (RFC 5321 4.5.3.2.6). */
#define LAST_MS (15 * 60000)

struct kept_row {
	uint64_t no;
	char *to, *xdfn;
	unsigned defs; /* XDFN commands */
};

struct wire {
	struct merging *m;
	struct answer answer;
	bool pipeline;
	struct kept_row row[BATCH];
	size_t n;
	struct kept_row again[BATCH]; /* too many for the merge at hand */
	size_t n_again;
	uint64_t accepted; /* of the merge at hand */
	bool full, end;
	struct buf out;
};

/* --- lines and answers --- */

static int
lost(struct wire *w, enum link_status s, const char *step)
{
	static const int of[] = { [LINK_TIMEOUT] = CLIENT_TIMEOUT,
		[LINK_END] = CLIENT_CLOSED,
		[LINK_FAILED] = CLIENT_CLOSED,
		[LINK_STOPPED] = CLIENT_INTERRUPTED };
	const struct link *l = &w->m->run.link;
	if (s == LINK_END)
		buf_putf(&w->m->err, "%s: the server closed the connection", step);
	else if (s == LINK_TIMEOUT)
		buf_putf(&w->m->err, "%s: no answer in time; --timeout SEC waits longer", step);
	else if (s == LINK_STOPPED)
		buf_putf(&w->m->err, "%s: interrupted", step);
	else
		buf_putf(&w->m->err, "%s: " STR_FMT, step, STR_ARG(buf_str(&l->why)));
	return (size_t)s < ARRAY_LEN(of) && of[s] ? of[s] : CLIENT_CLOSED;
}

static int
read_answer(struct wire *w, const char *step)
{
	struct str line;
	int64_t from = sys_mono_us();
	answer_reset(&w->answer);
	for (;;) {
		enum link_status s = link_line(&w->m->run.link, STR_NULL, &line);
		if (s == LINK_PIECE)
			continue;
		if (s != LINK_OK)
			return lost(w, s, step);
		enum answer_status a = answer_line(&w->answer, line);
		if (a == ANSWER_DONE)
			break;
		if (a != ANSWER_MORE) {
			buf_putf(&w->m->err, "%s: what the server says is no answer of SMTP", step);
			return CLIENT_CLOSED;
		}
	}
	struct event e = { .kind = EVENT_REPLY,
		.code = w->answer.code,
		.step = step,
		.text = buf_str(&w->answer.text),
		.enhanced = str_of(w->answer.enhanced),
		.took_us = sys_mono_us() - from };
	event_emit(&w->m->o->events, &e);
	if (w->answer.code == 421) {
		buf_putf(&w->m->err, "%s: the server ends the session: 421 " STR_FMT, step,
		    STR_ARG(buf_str(&w->answer.text)));
		return CLIENT_CLOSED;
	}
	return CLIENT_OK;
}

static int
send_out(struct wire *w, const char *step, bool content)
{
	enum link_status s = link_send(&w->m->run.link, buf_str(&w->out), STR_NULL, content);
	bool failed = w->out.failed;
	buf_reset(&w->out);
	if (failed) {
		buf_putf(&w->m->err, "%s: it is too long", step);
		return CLIENT_IO;
	}
	return s == LINK_OK ? CLIENT_OK : lost(w, s, step);
}

static int PRINTF(3, 4) ask(struct wire *w, const char *step, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&w->out, fmt, ap);
	va_end(ap);
	buf_putz(&w->out, "\r\n");
	int status = send_out(w, step, false);
	return status == CLIENT_OK ? read_answer(w, step) : status;
}

static int
refused(struct wire *w, int status, const char *what)
{
	struct str text = buf_str(&w->answer.text), line = str_cut(&text, '\n');
	buf_putf(&w->m->err, "%s: %d " STR_FMT "; nothing of this merge was sent", what,
	    w->answer.code, STR_ARG(line));
	return status;
}

/* --- recipients --- */

static void
drop(struct kept_row *k)
{
	free(k->to);
	free(k->xdfn);
	*k = (struct kept_row){ .no = 0 };
}

/* The rows that the merge before had no room for, then the table's. */
static int
fill(struct wire *w)
{
	struct merge_row row;
	w->n = 0;
	while (w->n < BATCH && w->n_again) {
		w->row[w->n++] = w->again[0];
		memmove(&w->again[0], &w->again[1], --w->n_again * sizeof(w->again[0]));
	}
	merge_row_init(&row);
	while (w->n < BATCH && !w->end) {
		int n = merge_next(w->m, &row);
		if (n < 0) {
			merge_row_done(&row);
			return CLIENT_IO;
		}
		w->end = n == 0;
		if (n == 0)
			break;
		struct kept_row *k = &w->row[w->n++];
		*k = (struct kept_row){
			.no = row.no, .to = str_dup(row.to), .xdfn = str_dup(buf_str(&row.xdfn))
		};
		check(k->to && k->xdfn);
	}
	merge_row_done(&row);
	return CLIENT_OK;
}

/* What became of one row's definitions and of its RCPT. */
static int
take_def(struct wire *w, const struct kept_row *k)
{
	char what[64];
	int status = read_answer(w, "xdfn");
	if (status != CLIENT_OK || answer_good(&w->answer))
		return status;
	snprintf(what, sizeof(what), "row %llu: XDFN was refused", (unsigned long long)k->no);
	return refused(w, CLIENT_MESSAGE, what);
}

static int
take_rcpt(struct wire *w, struct kept_row *k)
{
	int status = read_answer(w, "rcpt");
	if (status != CLIENT_OK)
		return status;
	if (answer_good(&w->answer)) {
		w->accepted++;
	} else if (w->answer.code == 452 && w->accepted && w->n_again < BATCH) {
		w->full = true; /* RFC 5321 4.5.3.1.10: the rest goes into another */
		w->again[w->n_again++] = *k;
		*k = (struct kept_row){ .no = 0 };
		return CLIENT_OK;
	} else {
		merge_refused(w->m, k->no, str_of(k->to), &w->answer, STR(""));
	}
	w->m->done++;
	return CLIENT_OK;
}

/* One row's commands; where the server does not take several at a time, each waits. */
static int
send_row(struct wire *w, struct kept_row *k)
{
	struct str rest = str_of(k->xdfn);
	int status = CLIENT_OK;
	while (rest.len && status == CLIENT_OK) {
		struct str line = str_cut(&rest, '\n');
		buf_putf(&w->out, "XDFN " STR_FMT "\r\n", STR_ARG(line));
		k->defs++;
		if (w->pipeline)
			continue;
		status = send_out(w, "xdfn", false);
		status = status == CLIENT_OK ? take_def(w, k) : status;
	}
	buf_putf(&w->out, "RCPT TO:<%s>\r\n", k->to);
	if (status == CLIENT_OK && !w->pipeline) {
		status = send_out(w, "rcpt", false);
		status = status == CLIENT_OK ? take_rcpt(w, k) : status;
	}
	return status;
}

static int
batch(struct wire *w)
{
	int status = fill(w);
	for (size_t i = 0; i < w->n && status == CLIENT_OK; i++) {
		w->row[i].defs = 0;
		status = send_row(w, &w->row[i]);
		if (!w->pipeline && w->full) { /* the others were not sent yet */
			for (size_t j = i + 1; j < w->n; j++)
				w->again[w->n_again++] = w->row[j];
			w->n = i + 1;
		}
	}
	if (w->pipeline && status == CLIENT_OK && w->n)
		status = send_out(w, "rcpt", false);
	for (size_t i = 0; w->pipeline && i < w->n && status == CLIENT_OK; i++) {
		for (unsigned j = 0; j < w->row[i].defs && status == CLIENT_OK; j++)
			status = take_def(w, &w->row[i]);
		if (status == CLIENT_OK)
			status = take_rcpt(w, &w->row[i]);
	}
	for (size_t i = 0; i < w->n; i++)
		drop(&w->row[i]);
	w->n = 0;
	merge_progress(w->m);
	return status;
}

/* --- parts --- */

/* RFC 5321 4.5.2, line by line; every line ends in CRLF. */
static int
send_part(struct wire *w, struct str text)
{
	int status = CLIENT_OK;
	while (text.len && status == CLIENT_OK) {
		size_t lf = str_find(text, '\n');
		struct str line = str_first(text, lf + 1);
		text = str_skip(text, line.len);
		if (line.p[0] == '.')
			buf_putc(&w->out, '.');
		buf_puts(&w->out, line);
		if (w->out.len > 32u << 10)
			status = send_out(w, "data", true);
	}
	if (status == CLIENT_OK && w->out.len)
		status = send_out(w, "data", true);
	return status;
}

static int
part(struct wire *w, size_t i)
{
	bool last = i + 1 == w->m->n_parts;
	struct link_conf *conf = &w->m->o->link;
	int64_t ms = conf->timeout_ms;
	char what[64];
	int status = ask(w, "xprt", "XPRT %zu%s", i + 1, last ? " LAST" : "");
	snprintf(what, sizeof(what), "part %zu was refused", i + 1);
	if (status == CLIENT_OK && w->answer.code / 100 != 3)
		return refused(w, CLIENT_MESSAGE, what);
	if (status == CLIENT_OK)
		status = send_part(w, w->m->parts[i]);
	if (last)
		conf->timeout_ms = MAX(ms, (int64_t)LAST_MS);
	if (status == CLIENT_OK)
		status = ask(w, "dot", ".");
	conf->timeout_ms = ms;
	if (status != CLIENT_OK && last)
		buf_putz(&w->m->err, "; whether this merge was taken is not known");
	if (status == CLIENT_OK && !answer_good(&w->answer))
		return refused(w, CLIENT_MESSAGE, what);
	return status;
}

/* --- one merge --- */

static int
reset(struct wire *w)
{
	return ask(w, "rset", "RSET");
}

static int
one_merge(struct wire *w, bool first)
{
	const struct caps *caps = smtp_client_caps(w->m->run.c);
	int status = ask(w, "mail", "XMRG FROM:<%s>%s", w->m->from,
	    caps_have(caps, CAPS_8BITMIME) ? " BODY=8BITMIME" : "");
	if (status != CLIENT_OK)
		return status;
	if (!answer_good(&w->answer))
		return first && w->answer.code >= 500 && w->answer.code < 505
		           ? MERGE_NO_XMRG
		           : refused(w, CLIENT_MAIL, "XMRG was refused");
	w->accepted = 0;
	w->full = false;
	while (status == CLIENT_OK && !w->full && (!w->end || w->n_again))
		status = batch(w);
	if (status == CLIENT_OK && w->accepted == 0)
		return reset(w);
	for (size_t i = 0; i < w->m->n_parts && status == CLIENT_OK; i++)
		status = part(w, i);
	if (status == CLIENT_OK) {
		w->m->sent += w->accepted;
		w->m->merges++;
	}
	return status;
}

int
merge_wire(struct merging *m)
{
	struct wire *w = xalloc(sizeof(*w));
	bool first = true;
	int status;
	w->m = m;
	w->pipeline = caps_have(smtp_client_caps(m->run.c), CAPS_PIPELINING);
	answer_init(&w->answer);
	buf_init(&w->out, 64u << 20);
	do {
		status = one_merge(w, first);
		first = false;
	} while (status == CLIENT_OK && (!w->end || w->n_again));
	for (size_t i = 0; i < w->n_again; i++)
		drop(&w->again[i]);
	for (size_t i = 0; i < w->n; i++)
		drop(&w->row[i]);
	answer_done(&w->answer);
	buf_done(&w->out);
	free(w);
	return status;
}
