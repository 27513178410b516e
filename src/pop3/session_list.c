/* What is said about the drop, and marks in it. */
#include "base/num.h"
#include "pop3/session_priv.h"

bool
pop3_number_arg(struct pop3_turn *t, struct str *args, uint32_t *ret)
{
	const struct pop3_private *p = t->s->priv;
	uint64_t n;
	struct str word = str_word(args);
	if (!num_u64(word, UINT64_MAX, &n)) {
		pop3_bad(t, "a message has a number");
	} else if (n == 0 || n > p->n) {
		pop3_err(t, NULL, "no such message; there are %u", p->n);
	} else if (p->letters[n - 1].deleted) {
		pop3_err(t, NULL, "message %llu is deleted", (unsigned long long)n);
	} else {
		*ret = (uint32_t)n - 1;
		return true;
	}
	return false;
}

/* One number and no more, or none at all (*ret is then p->n). False after -ERR. */
static bool
one_or_all(struct pop3_turn *t, struct str args, uint32_t *ret)
{
	struct str rest = args;
	(void)str_word(&rest);
	if (str_word(&rest).len) {
		pop3_bad(t, "one message number at most");
		return false;
	}
	*ret = t->s->priv->n;
	return args.len == 0 || pop3_number_arg(t, &args, ret);
}

void
pop3_stat(struct pop3_turn *t, struct str args)
{
	const struct pop3_private *p = t->s->priv;
	if (pop3_no_args(t, args))
		buf_putf(t->out, "+OK %u %llu\r\n", p->n_left, (unsigned long long)p->size_left);
}

static void
put_row(const struct pop3_turn *t, uint32_t at, bool uidl)
{
	const struct pop3_private *p = t->s->priv;
	const struct pop3_letter *l = &p->letters[at];
	if (uidl)
		buf_putf(t->out, "%u %u.%u\r\n", at + 1, p->uidvalidity, l->uid);
	else
		buf_putf(t->out, "%u %llu\r\n", at + 1, (unsigned long long)l->size);
}

static void
list(struct pop3_turn *t, struct str args, bool uidl)
{
	struct pop3_private *p = t->s->priv;
	uint32_t at;
	if (!one_or_all(t, args, &at))
		return;
	if (at < p->n) {
		buf_putz(t->out, "+OK ");
		put_row(t, at, uidl);
		return;
	}
	pop3_ok(t, uidl ? "UIDL" : "LIST", NULL);
	p->run = uidl ? RUN_UIDL : RUN_LIST;
	p->at = 0;
}

void
pop3_list(struct pop3_turn *t, struct str args)
{
	list(t, args, false);
}

void
pop3_uidl(struct pop3_turn *t, struct str args)
{
	list(t, args, true);
}

void
pop3_list_run(struct pop3_turn *t)
{
	struct pop3_private *p = t->s->priv;
	for (; p->at < p->n; p->at++) {
		if (t->out->len > POP3_OUT_HIGH || t->out->failed)
			return;
		if (!p->letters[p->at].deleted)
			put_row(t, p->at, p->run == RUN_UIDL);
	}
	buf_putz(t->out, ".\r\n");
	p->run = RUN_NONE;
}

void
pop3_dele(struct pop3_turn *t, struct str args)
{
	struct pop3_private *p = t->s->priv;
	char number[24];
	uint32_t at;
	if (!pop3_number_arg(t, &args, &at))
		return;
	if (str_word(&args).len) {
		pop3_bad(t, "DELE has one message number");
		return;
	}
	p->letters[at].deleted = 1;
	p->n_left--;
	p->size_left -= p->letters[at].size;
	struct smtp_vars v = { .v = { [SMTP_VAR_arg] = pop3_number(number, at + 1u) } };
	pop3_ok(t, "DELE", &v);
}

void
pop3_rset(struct pop3_turn *t, struct str args)
{
	struct pop3_private *p = t->s->priv;
	if (!pop3_no_args(t, args))
		return;
	p->n_left = p->n;
	p->size_left = 0;
	for (uint32_t i = 0; i < p->n; i++) {
		p->letters[i].deleted = 0;
		p->size_left += p->letters[i].size;
	}
	pop3_window_free(&p->window);
	pop3_ok(t, "RSET", NULL);
}
