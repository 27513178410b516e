/*
 * dialogue_kit: dialogues as rows: what the peer sends, what it reads, what the host is left
 * with. A row is played whole, octet by octet and at every split; the outcome must be the same.
 */
#pragma once

#include "kit/smtp_kit.h"

struct row {
	const char *name;
	const char *say;     /* ends at NUL; n counts when it holds one */
	const char *want;    /* reply lines, each by its beginning */
	const char *letters; /* NULL: none */
	unsigned drops;
	bool ended;
	void (*set)(struct smtp_conf *c);
	size_t n;
};

#define NUL_ROW(text) .say = text, .n = sizeof(text) - 1

static inline struct str
row_input(const struct row *r)
{
	return str_n(r->say, r->n ? r->n : strlen(r->say));
}

static inline void
row_open(struct kit *k, const struct row *r, const struct smtp_wording *w)
{
	kit_open(k, w);
	if (r->set)
		r->set(&k->conf);
	kit_greet(k);
}

static inline void
row_check(const struct row *r, struct kit *k, const struct kit *first)
{
	kit_expect_lines(r->name, buf_str(&k->out), r->want);
	if (r->letters && !str_eq(buf_str(&k->letters), str_of(r->letters)))
		fail_msg("%s: letters " STR_FMT, r->name, STR_ARG(buf_str(&k->letters)));
	if (k->drops != r->drops || k->ended != r->ended)
		fail_msg("%s: %u drops, %s", r->name, k->drops, k->ended ? "ended" : "open");
	if (first && (!str_eq(buf_str(&k->out), buf_str(&first->out)) ||
			 !str_eq(buf_str(&k->letters), buf_str(&first->letters))))
		fail_msg("%s: depends on how the input was split", r->name);
	if (!k->ended && !k->s.txn)
		assert_null(k->s.priv);
}

static inline void
row_play(const struct row *r, const struct smtp_wording *w)
{
	struct str in = row_input(r);
	struct kit whole, k;
	row_open(&whole, r, w);
	kit_push(&whole, in);
	row_check(r, &whole, NULL);
	row_open(&k, r, w);
	for (size_t j = 0; j < in.len; j++)
		kit_push(&k, str_n(in.p + j, 1));
	row_check(r, &k, &whole);
	kit_close(&k);
	for (size_t j = 1; j < in.len; j++) {
		row_open(&k, r, w);
		kit_push(&k, str_first(in, j));
		kit_push(&k, str_skip(in, j));
		row_check(r, &k, &whole);
		kit_close(&k);
	}
	kit_close(&whole);
}
