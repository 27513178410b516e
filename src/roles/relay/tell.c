/* What is told of a job: the fates of its recipients, and its history. */
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
	char class = f->fate == JOB_SENT || f->fate == JOB_RELAYED ? '2'
	             : f->fate == JOB_REFUSED                      ? '5'
	                                                           : '4';
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
