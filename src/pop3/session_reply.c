#include "pop3/session_priv.h"

#include "base/date.h"

#include <stdio.h>

struct str
pop3_number(char dst[24], uint64_t v)
{
	int n = snprintf(dst, 24, "%llu", (unsigned long long)v);
	return str_n(dst, (size_t)n);
}

/* What a text may name. */
struct scratch {
	char nmsgs[24], size[24];
	struct buf date;
};

static void
vars_fill(const struct pop3_turn *t, struct smtp_vars *vars, struct scratch *x)
{
	const struct pop3_private *p = t->s->priv;
	struct str *v = vars->v;
	buf_init(&x->date, 64);
	date_rfc5322(&x->date, t->clock->wall, 0);
	v[SMTP_VAR_date] = v[SMTP_VAR_date_rfc5322] = buf_str(&x->date);
	v[SMTP_VAR_host] = v[SMTP_VAR_HOST] = t->s->conf->host;
	v[SMTP_VAR_user] = str_of(t->s->user);
	if (!v[SMTP_VAR_nmsgs].p)
		v[SMTP_VAR_nmsgs] = pop3_number(x->nmsgs, p ? p->n_left : 0);
	if (!v[SMTP_VAR_size].p)
		v[SMTP_VAR_size] = pop3_number(x->size, p ? p->size_left : 0);
}

/* A status has a blank behind it only where a text follows. */
static void
line_end(struct pop3_turn *t, size_t start)
{
	struct buf *out = t->out;
	while (out->len > start && out->p[out->len - 1] == ' ')
		buf_trunc(out, out->len - 1);
	buf_putz(out, "\r\n");
}

void
pop3_ok_behind(struct pop3_turn *t, const char *word, const char *cmd, const struct smtp_vars *vars)
{
	struct smtp_vars v = { 0 };
	struct scratch x;
	size_t start = t->out->len;
	if (vars)
		v = *vars;
	vars_fill(t, &v, &x);
	buf_putf(t->out, "+OK %s%s", word, *word ? " " : "");
	pop3_ok_put(t->out, t->s->conf->wording, str_of(cmd), &v);
	line_end(t, start);
	buf_done(&x.date);
}

void
pop3_ok(struct pop3_turn *t, const char *cmd, const struct smtp_vars *vars)
{
	pop3_ok_behind(t, "", cmd, vars);
}

static void
says(struct pop3_turn *t, bool good, enum pop3_says what, const char *code, struct str reason)
{
	const struct pop3_wording *w = t->s->conf->wording;
	struct smtp_vars v = { 0 };
	struct scratch x;
	size_t start = t->out->len;
	v.v[SMTP_VAR_reason] = reason;
	vars_fill(t, &v, &x);
	buf_putz(t->out, good ? "+OK " : "-ERR ");
	if (code && !pop3_says_code(w, what))
		buf_putf(t->out, "[%s] ", code);
	pop3_says_put(t->out, w, what, &v);
	/* RFC 1939 7: the stamp that APOP is about. */
	if (what == POP3_SAYS_GREETING && (t->s->flags & F_STAMPED)) {
		struct buf stamp = BUF_INIT(1024);
		buf_putc(t->out, ' ');
		buf_puts(t->out, pop3_stamp(t->s, &stamp));
		buf_done(&stamp);
	}
	line_end(t, start);
	buf_done(&x.date);
}

void
pop3_says(struct pop3_turn *t, bool good, enum pop3_says what, const char *code)
{
	says(t, good, what, code, STR_NULL);
}

void
pop3_err(struct pop3_turn *t, const char *code, const char *fmt, ...)
{
	size_t start = t->out->len;
	va_list ap;
	buf_putz(t->out, "-ERR ");
	if (code)
		buf_putf(t->out, "[%s] ", code);
	size_t text = t->out->len;
	va_start(ap, fmt);
	buf_vputf(t->out, fmt, ap);
	va_end(ap);
	for (size_t i = text; i < t->out->len; i++)
		if ((unsigned char)t->out->p[i] < 0x20 || (unsigned char)t->out->p[i] >= 0x7f)
			t->out->p[i] = '?';
	line_end(t, start);
}

void
pop3_bad(struct pop3_turn *t, const char *reason)
{
	struct pop3_session *s = t->s;
	if (++s->bad > s->conf->bad_commands) {
		pop3_err(t, NULL, "too many mistakes");
		pop3_close(t);
		return;
	}
	says(t, false, POP3_SAYS_ERR_SYNTAX, NULL, str_of(reason));
}
