/*
 * merge_kit: a mail merge in memory, as the session and the host together do it. A script has
 * lines: "D" and the argument of XDFN, "R" and an address (a recipient), "P" and a part number, a
 * blank and the part with \n for its line ends. What comes of it is one text: every letter, put
 * together from its pieces, each followed by "--\n".
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp/merge.h"

#include <stdlib.h>

struct merging {
	struct smtp_conf conf;
	struct smtp_merge *m;
	struct buf body;    /* all parts */
	struct buf letters;
	struct merge_letter letter;
	enum smtp_situation refused; /* the first refusal, or SMTP_NONE */
};

static inline struct smtp_conf
merging_conf(bool brackets)
{
	return (struct smtp_conf){ .host = STR("mx.example.com"), .max_size = 10000,
		.ipmm = true, .ipmm_brackets = brackets, .ipmm_parts = 100, .ipmm_rcpts = 100000,
		.hops = 3, .header_lines = 20, .header_bytes = 400 };
}

static inline void
merging_open(struct merging *g, bool brackets)
{
	g->conf = merging_conf(brackets);
	g->m = smtp_merge_new(&g->conf);
	g->refused = SMTP_NONE;
	buf_init(&g->body, 1u << 26);
	buf_init(&g->letters, 1u << 26);
}

static inline void
merging_close(struct merging *g)
{
	smtp_merge_free(g->m);
	buf_done(&g->body);
	buf_done(&g->letters);
}

static inline void
merging_note(struct merging *g, enum smtp_situation s)
{
	if (g->refused == SMTP_NONE)
		g->refused = s;
}

static inline bool
merging_rcpt(struct merging *g, struct str to)
{
	static const char host[] = "accounts";
	struct smtp_rcpt r = { .addr = { .whole = to }, .host_data = (void *)(uintptr_t)host,
		.host_size = 8, .notify_text = STR("NEVER"), .orcpt = STR("rfc822;x@example.org") };
	return smtp_merge_rcpt_add(g->m, &r);
}

/* A part, in two pieces or octet by octet (split 0), each in a block of its own. */
static inline void
merging_part(struct merging *g, struct str arg, struct str text, size_t split)
{
	struct str bad;
	enum smtp_situation no = smtp_merge_xprt(g->m, arg, &bad);
	if (no != SMTP_NONE) {
		merging_note(g, no);
		return;
	}
	smtp_merge_part_begin(g->m);
	for (size_t at = 0; at < text.len;) {
		size_t n = split == 0 ? 1 : at == 0 ? MIN(split, text.len) : text.len - at;
		char *block = xmemdup(text.p + at, n);
		if (!smtp_merge_part_feed(g->m, str_n(block, n)))
			merging_note(g, SMTP_XPRT_TOOBIG);
		buf_put(&g->body, block, n);
		free(block);
		at += n;
	}
	smtp_merge_part_end(g->m);
}

/* A letter as the store would put it together. */
static inline void
merging_build(struct merging *g, struct buf *out)
{
	uint64_t size = 0;
	for (size_t i = 0; i < g->letter.n; i++) {
		const struct merge_piece *p = &g->letter.piece[i];
		if (p->literal) {
			buf_puts(out, p->text);
			size += p->text.len;
			continue;
		}
		assert_true(p->len > 0 && p->off <= g->body.len && p->len <= g->body.len - p->off);
		buf_put(out, g->body.p + p->off, (size_t)p->len);
		size += p->len;
	}
	assert_int_equal(size, g->letter.size);
}

/* The same header comes out of the scan of the letter as a whole. */
static inline void
merging_compare(struct merging *g, struct str text)
{
	const struct scan_limits limits = { g->conf.header_lines, g->conf.header_bytes };
	struct scan s;
	scan_init(&s, &limits);
	scan_feed(&s, text);
	scan_end(&s);
	assert_int_equal(s.header_len, g->letter.scan.header_len);
	assert_int_equal(s.insert_blank, g->letter.scan.insert_blank);
	assert_int_equal(s.repaired, g->letter.scan.repaired);
	assert_int_equal(s.header_too_big, g->letter.scan.header_too_big);
	assert_int_equal(s.fields, g->letter.scan.fields);
	assert_memory_equal(s.count, g->letter.scan.count, sizeof(s.count));
}

static inline void
merging_letters(struct merging *g)
{
	smtp_merge_seal(g->m, STR("from@example.org"), 1253881668, 120);
	for (const struct merge_rcpt *r = g->m->first; r; r = r->next) {
		enum smtp_situation no = smtp_merge_letter(g->m, r, &g->letter);
		merging_note(g, no);
		if (no != SMTP_NONE)
			continue;
		size_t from = g->letters.len;
		merging_build(g, &g->letters);
		merging_compare(g, str_skip(buf_str(&g->letters), from));
		buf_putz(&g->letters, "--\n");
	}
}

static inline void
merging_line(struct merging *g, struct str line, size_t split)
{
	char what = line.p[0];
	struct str rest = str_skip(line, 2);
	if (what == 'D') {
		merging_note(g, smtp_merge_define(g->m, rest));
	} else if (what == 'R') {
		if (!merging_rcpt(g, rest))
			merging_note(g, SMTP_RCPT_TOOMANY);
	} else {
		struct buf text = BUF_INIT(1u << 20);
		struct str arg = str_cut(&rest, ' ');
		while (rest.len)
			if (str_starts(rest, STR("\\n"))) {
				buf_putz(&text, "\r\n");
				rest = str_skip(rest, 2);
			} else {
				buf_putc(&text, rest.p[0]);
				rest = str_skip(rest, 1);
			}
		merging_part(g, arg, buf_str(&text), split);
		buf_done(&text);
	}
}

static inline void
merging_play(struct merging *g, const char *script, size_t split)
{
	struct str lines = str_of(script);
	while (lines.len) {
		struct str line = str_cut(&lines, '\n');
		if (line.len)
			merging_line(g, line, split);
	}
	merging_letters(g);
}
