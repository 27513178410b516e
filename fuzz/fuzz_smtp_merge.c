/*
 * Mail merge: octet 0 chooses how tags are written and the limits; then lines: "D" and what XDFN
 * says, "R" and an address, "P" and what XPRT says, a ';' and the part with octet 1 for its line
 * ends. It is played twice, parts whole and octet by octet: pieces and verdicts must be the same. A
 * letter must be what a second, plain way to put words into a text makes of it, and the header that
 * was seen by pieces the one that a scan of the whole letter sees.
 */
#include "smtp/merge.h"

#include <stdlib.h>
#include <string.h>

#define PARTS 9
#define TEXT_MAX (1u << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct play {
	struct smtp_conf conf;
	struct smtp_merge *m;
	struct buf body, part[PARTS];
	struct buf verdicts;
};

static struct merge_letter letter;

static void
open_play(struct play *p, uint8_t bits)
{
	*p = (struct play){ .conf = { .max_size = bits & 2 ? 200 : 100000,
				.ipmm = true,
				.ipmm_brackets = bits & 1,
				.ipmm_parts = PARTS,
				.hops = 2,
				.header_lines = bits & 4 ? 3 : 100,
				.header_bytes = bits & 8 ? 30 : 3000 } };
	p->m = smtp_merge_new(&p->conf);
	buf_init(&p->body, TEXT_MAX);
	buf_init(&p->verdicts, TEXT_MAX);
	for (int i = 0; i < PARTS; i++)
		buf_init(&p->part[i], TEXT_MAX);
}

static void
close_play(struct play *p)
{
	smtp_merge_free(p->m);
	buf_done(&p->body);
	buf_done(&p->verdicts);
	for (int i = 0; i < PARTS; i++)
		buf_done(&p->part[i]);
}

static bool
take_part(struct play *p, struct str arg, struct str text, bool slowly)
{
	struct str bad;
	if (smtp_merge_xprt(p->m, arg, &bad) != SMTP_NONE)
		return true;
	check(p->m->now_no >= 1 && p->m->now_no <= PARTS);
	struct buf *b = &p->part[p->m->now_no - 1];
	for (size_t i = 0; i < text.len; i++)
		if (text.p[i] == 1)
			buf_putz(b, "\r\n");
		else if (text.p[i] != '\r')
			buf_putc(b, text.p[i]);
	if (b->len && !str_ends(buf_str(b), STR("\r\n")))
		buf_putz(b, "\r\n");
	smtp_merge_part_begin(p->m);
	bool ok = true;
	for (size_t i = 0, n = slowly ? 1 : b->len; i < b->len && ok; i += n)
		ok = smtp_merge_part_feed(p->m, str_n(b->p + i, n));
	buf_puts(&p->body, buf_str(b));
	smtp_merge_part_end(p->m);
	return ok;
}

static bool
take_line(struct play *p, struct str line, bool slowly)
{
	char what = line.p[0];
	struct str rest = str_skip(line, 1);
	if (what == 'D' && !p->m->part) {
		buf_putf(&p->verdicts, "%d ", smtp_merge_define(p->m, rest));
	} else if (what == 'R' && !p->m->part && str_find(rest, '\r') == rest.len) {
		struct smtp_rcpt r = { .addr = { .whole = rest } };
		buf_putf(&p->verdicts, "%d ", smtp_merge_rcpt_add(p->m, &r));
	} else if (what == 'P') {
		struct str arg = str_cut(&rest, ';');
		return take_part(p, arg, rest, slowly);
	}
	return true;
}

/* --- the plain way --- */

static bool
value(const struct play *p, const struct merge_rcpt *r, struct str name, struct str *ret)
{
	static const char *const fixed[] = { "*from", "*to", "*date", "*parts", "*part", "*dk" };
	char folded[256];
	if (name.len == 0 || name.len > MERGE_NAME_MAX + 1)
		return false;
	for (size_t i = 0; i < name.len; i++)
		folded[i] = (char)(name.p[i] | (name.p[i] >= 'A' && name.p[i] <= 'Z' ? 0x20 : 0));
	struct merge_rcpt_view v = smtp_merge_rcpt_view(r);
	int var = smtp_merge_name_find(p->m, str_n(folded, name.len));
	struct merge_def d;
	bool found = false;
	*ret = STR_NULL;
	for (struct str vars = v.vars; smtp_merge_def_next(&vars, &d);)
		if (d.var == var) {
			*ret = d.value;
			found = true;
		}
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		if (!str_eq(str_n(folded, name.len), str_of(fixed[i])))
			continue;
		const struct str words[] = { p->m->from, v.to, buf_str(&p->m->date),
			found ? *ret : buf_str(&p->m->all), found ? *ret : buf_str(&p->m->all),
			STR_NULL };
		*ret = words[i];
		found = true;
	}
	return found || p->conf.ipmm_brackets;
}

static bool
is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!smtp_merge_name_octet(s.p, i, s.p[i]))
			return false;
	return s.len > (s.len && s.p[0] == '*') && s.len <= MERGE_NAME_MAX + 1;
}

static void
expand(const struct play *p, const struct merge_rcpt *r, struct str text, struct buf *out)
{
	bool brackets = p->conf.ipmm_brackets;
	while (text.len) {
		struct str v, name = str_skip(text, 1);
		size_t end = str_find(name, brackets ? ']' : ';');
		bool tag = text.p[0] == (brackets ? '[' : '&') && end < name.len;
		if (text.p[0] == '[' && brackets && name.len && name.p[0] == '[') {
			buf_putc(out, '[');
			text = str_skip(text, 2);
		} else if (tag && is_name(str_first(name, end)) &&
			   value(p, r, str_first(name, end), &v)) {
			buf_puts(out, v);
			text = str_skip(name, end + 1);
		} else {
			buf_putc(out, text.p[0]);
			text = str_skip(text, 1);
		}
	}
}

static void
plain_letter(const struct play *p, const struct merge_rcpt *r, struct buf *out)
{
	struct merge_rcpt_view v = smtp_merge_rcpt_view(r);
	struct str list = buf_str(&p->m->all);
	struct merge_def d;
	struct merge_range range;
	while (smtp_merge_def_next(&v.vars, &d))
		if (d.var == MERGE_PARTS)
			list = d.value;
	while (list.len && smtp_merge_range(&list, PARTS, &range))
		for (uint32_t no = range.from; no <= range.to; no++)
			expand(p, r, buf_str(&p->part[no - 1]), out);
}

static void
check_header(const struct play *p, struct str text)
{
	const struct scan_limits limits = { p->conf.header_lines, p->conf.header_bytes };
	const struct scan *got = &letter.scan;
	struct scan s;
	scan_init(&s, &limits);
	scan_feed(&s, text);
	scan_end(&s);
	check(s.header_len == got->header_len && s.insert_blank == got->insert_blank);
	check(s.fields == got->fields && !memcmp(s.count, got->count, sizeof(s.count)));
	check(s.repaired == got->repaired && !s.header_too_big);
}

static void
check_letter(const struct play *p, const struct merge_rcpt *r)
{
	struct buf got = BUF_INIT(TEXT_MAX), want = BUF_INIT(TEXT_MAX);
	for (size_t i = 0; i < letter.n; i++) {
		const struct merge_piece *piece = &letter.piece[i];
		struct str s = piece->text;
		if (!piece->literal) {
			check(piece->len && piece->off <= p->body.len);
			check(piece->len <= p->body.len - piece->off);
			s = str_n(p->body.p + piece->off, (size_t)piece->len);
		}
		check(s.len > 0);
		check(!piece->literal || str_find_any(s, "\r\n") == s.len);
		buf_puts(&got, s);
	}
	plain_letter(p, r, &want);
	check(got.len == letter.size && letter.size <= p->conf.max_size);
	check(str_eq(buf_str(&got), buf_str(&want)));
	check_header(p, buf_str(&got));
	buf_done(&got);
	buf_done(&want);
}

static void
play(struct play *p, uint8_t bits, struct str lines, bool slowly)
{
	bool ok = true;
	open_play(p, bits);
	while (lines.len && ok) {
		struct str line = str_cut(&lines, '\n');
		if (line.len)
			ok = take_line(p, line, slowly);
	}
	check(p->m->arena.used + p->m->extra <= SMTP_MERGE_MAX);
	buf_putf(&p->verdicts, "%d\n", ok);
	/* As XPRT LAST sees to it: nobody misses a part. */
	for (uint32_t no = 1; no <= PARTS && ok; no++)
		ok = !(p->m->needed[0] >> (no - 1) & 1) || smtp_merge_part(p->m, no);
	if (!ok)
		return;
	smtp_merge_seal(p->m, STR("from@example.org"), 0, 0);
	for (const struct merge_rcpt *r = p->m->first; r; r = r->next) {
		enum smtp_situation no = smtp_merge_letter(p->m, r, &letter);
		buf_putf(&p->verdicts, "%d,%zu ", no, letter.n);
		if (no == SMTP_NONE)
			check_letter(p, r);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct play whole, slow;
	if (size < 1)
		return 0;
	struct str lines = str_n(data + 1, size - 1);
	play(&whole, data[0], lines, false);
	play(&slow, data[0], lines, true);
	check(str_eq(buf_str(&whole.verdicts), buf_str(&slow.verdicts)));
	close_play(&whole);
	close_play(&slow);
	return 0;
}
