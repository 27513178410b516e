/* Looks a question up in the table: every row is tried, the best are kept. */
#include "explain/explain_priv.h"

#include "base/check.h"
#include "base/num.h"

const char *const explain_proto_name[EXPLAIN_PROTO_COUNT] = {
	[EXPLAIN_ANY] = "any",
	[EXPLAIN_SMTP] = "smtp",
	[EXPLAIN_IMAP] = "imap",
	[EXPLAIN_POP3] = "pop3",
	[EXPLAIN_SIEVE] = "sieve",
	[EXPLAIN_TLS] = "tls",
	[EXPLAIN_DNS] = "dns",
	[EXPLAIN_OS] = "system",
};

const char *const explain_kind_name[EXPLAIN_KIND_COUNT] = {
	[EXPLAIN_NEUTRAL] = "information",
	[EXPLAIN_GOOD] = "good",
	[EXPLAIN_GO_ON] = "go on",
	[EXPLAIN_TEMPORARY] = "temporary",
	[EXPLAIN_PERMANENT] = "permanent",
};

const char *const explain_who_name[EXPLAIN_WHO_COUNT] = {
	[EXPLAIN_NOBODY] = "nobody",
	[EXPLAIN_SENDER] = "sender",
	[EXPLAIN_RECIPIENT] = "recipient",
	[EXPLAIN_SENDER_ADMIN] = "sender's administrator",
	[EXPLAIN_RECIPIENT_ADMIN] = "recipient's administrator",
	[EXPLAIN_LIST_OWNER] = "list owner",
	[EXPLAIN_PROVIDER] = "provider",
	[EXPLAIN_CLIENT] = "client",
};

/* Room for literal octets of a pattern and for bonuses below the rank of how it was found. */
#define RANK_STEP 65536
#define MARK_WORTH (100 * 16) /* of a pattern, in octets of words */
#define PRIVATE_WORTH (40 * 16)
#define BRACKET_WORTH (60 * 16)

struct found {
	const struct explain_row *row;
	enum explain_match match;
	unsigned score;
};

struct search {
	const struct explain_question *q;
	struct found *best;
	size_t n, max;
};

static const char *
text_at(uint32_t offset)
{
	return explain_pool + offset;
}

static enum explain_proto
proto_of(const struct explain_row *row)
{
	return explain_records[row->record].proto;
}

static bool
is_dotted(struct str s)
{
	return s.len > 0 && s.p[0] >= '0' && s.p[0] <= '9';
}

/* 2: the code itself, 1: of its class, 0: another. */
static int
code_like(const char *want, struct str have)
{
	int rank = 2;
	for (size_t i = 0; i < have.len; i++) {
		if (want[i] == 'x' && is_dotted(have))
			rank = 1;
		else if (want[i] != have.p[i])
			return 0;
	}
	return want[have.len] == '\0' ? rank : 0;
}

static bool
word_octet(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_' || c == '-';
}

/* The name of an error as a word of the text. */
static bool
named_in(const struct explain_question *q, const char *name)
{
	struct str text = { q->raw, q->raw_len }, want = str_of(name);
	if (q->whole)
		return str_ieq(want, text);
	if (want.len < 4 || (want.p[0] >= '0' && want.p[0] <= '9'))
		return false;
	for (size_t at = 0, n; (n = str_find_str(str_skip(text, at), want)) < text.len - at;) {
		at += n;
		size_t end = at + want.len;
		if ((at == 0 || !word_octet(text.p[at - 1])) &&
		    (end == text.len || !word_octet(text.p[end])))
			return true;
		at++;
	}
	return false;
}

/* "[ALERT]" when only ALERT was said. */
static bool
bracket_named(const struct explain_question *q, const char *bracket)
{
	struct str text = { q->raw, q->raw_len }, want = str_of(bracket);
	return q->whole && want.len > 2 &&
	       str_ieq(str_first(str_skip(want, 1), want.len - 2), text);
}

/* [CODE args] as [CODE] */
static bool
bracket_like(const char *want, struct str have)
{
	size_t n = strlen(want);
	return have.len >= n && n > 2 && have.p[0] == want[0] &&
	       str_ieq(str_first(have, n - 1), str_n(want, n - 1)) &&
	       (have.p[n - 1] == want[n - 1] || have.p[n - 1] == ' ');
}

static unsigned
literals(const char *pattern)
{
	unsigned n = 0;
	for (; *pattern != '\0'; pattern++)
		n += *pattern != '*' && *pattern != '%' && n < 2000;
	return n;
}

static bool
is_subject(const char *enhanced)
{
	size_t n = strlen(enhanced);
	return n > 2 && enhanced[n - 1] == 'x' && enhanced[n - 2] == '.';
}

static enum explain_match
match_of(const struct explain_row *row)
{
	const char *code = text_at(row->code), *enhanced = text_at(row->enhanced);
	bool class_only = strchr(code, 'x') != NULL && is_dotted(str_of(code));
	if (row->pattern)
		return row->reach == EXPLAIN_ROW_WHOLE ? EXPLAIN_BY_TEXT : EXPLAIN_BY_PATTERN;
	if (row->enhanced && strstr(enhanced, ".x.x"))
		return EXPLAIN_BY_CLASS;
	if (row->enhanced)
		return is_subject(enhanced) ? EXPLAIN_BY_SUBJECT
		       : row->code          ? EXPLAIN_BY_BOTH
		                            : EXPLAIN_BY_ENHANCED;
	return class_only ? EXPLAIN_BY_CLASS : EXPLAIN_BY_CODE;
}

/* "5", "5xx", "X.7.1": what the rows themselves are called. */
static bool
called_so(const struct explain_question *q, const char *code, const char *enhanced)
{
	struct str raw = { q->raw, q->raw_len };
	if (!q->whole || q->code.len)
		return false;
	if (raw.len == 1 && code[0] == raw.p[0] && code[1] == 'x')
		return true;
	return (!*enhanced || !*code) && str_ieq(raw, str_of(*enhanced ? enhanced : code));
}

/* Whether the codes of a row allow it; *bonus grows where they say the same. */
static bool
codes_fit(const struct explain_question *q, const struct explain_row *row, unsigned *bonus)
{
	const char *code = text_at(row->code), *enhanced = text_at(row->enhanced);
	bool smtp = proto_of(row) == EXPLAIN_SMTP;
	bool have_enhanced = q->enhanced.len > 0 && (!smtp || is_dotted(q->enhanced));
	bool code_ok = !row->code, enhanced_ok = !row->enhanced;
	if (smtp && !row->pattern && called_so(q, code, enhanced))
		return true;
	if (row->code && q->code.len) {
		int rank = code_like(code, q->code);
		if (rank == 0)
			return false;
		*bonus += (unsigned)rank * 2;
		code_ok = true;
	} else if (row->code && smtp && have_enhanced && !row->enhanced && !row->pattern) {
		code_ok = code[0] == q->enhanced.p[0] && code[1] == 'x';
		if (!code_ok)
			return false;
	}
	if (row->enhanced && have_enhanced) {
		if (!(smtp ? explain_enhanced_like(enhanced, q->enhanced)
			   : bracket_like(enhanced, q->enhanced)))
			return false;
		*bonus += enhanced[0] == 'X' || is_subject(enhanced) ? 2
		          : strchr(enhanced, '-')                    ? 4
		                                                     : 6;
		enhanced_ok = true;
	} else if (row->enhanced && !smtp && bracket_named(q, enhanced)) {
		enhanced_ok = true;
		code_ok = true;
	}
	/* What the question does not say must come from the words. */
	return row->pattern ? true : code_ok && enhanced_ok;
}

/* Names of errors, and numbers where nothing else was said. */
static bool
name_fits(const struct explain_question *q, const struct explain_row *row)
{
	const char *code = text_at(row->code);
	if (!row->code)
		return false;
	if (q->code.len && q->proto == proto_of(row))
		return code_like(code, q->code) == 2;
	return named_in(q, code);
}

static bool
proto_fits(const struct explain_question *q, const struct explain_row *row)
{
	enum explain_proto p = proto_of(row);
	if (q->proto == EXPLAIN_ANY || q->proto == p)
		return true;
	if (q->proto == EXPLAIN_IMAP || q->proto == EXPLAIN_POP3)
		return false;
	/* What a server or the system says of a connection may stand in any of them. */
	return row->pattern && p > EXPLAIN_SIEVE && q->proto != EXPLAIN_SIEVE;
}

/* Codes that no registry has (it ends at X.7.30): whoever uses one means this record. */
static bool
is_private(const char *enhanced)
{
	const char *detail = strrchr(enhanced, '.');
	uint64_t n;
	if (enhanced[0] == 'X' || detail == NULL)
		return false;
	struct str from = str_of(detail + 1);
	return num_u64(str_first(from, str_find(from, '-')), 999, &n) && n > 30;
}

/* How good a find is: by what it was found, then by how much of it had to fit. */
static unsigned
score_of(const struct explain_question *q, const struct explain_row *row, unsigned bonus)
{
	enum explain_match match = match_of(row);
	enum explain_proto p = proto_of(row);
	const char *enhanced = text_at(row->enhanced);
	bool said = row->enhanced && q->enhanced.len;
	if (p == EXPLAIN_SMTP && match == EXPLAIN_BY_CLASS && q->raw_len == 1)
		match = EXPLAIN_BY_ENHANCED; /* "5" */
	if (said && is_private(enhanced))
		bonus += PRIVATE_WORTH;
	else if (said && p != EXPLAIN_SMTP)
		bonus += BRACKET_WORTH;
	if (row->pattern) {
		bool unsaid = (row->code && !q->code.len) || (row->enhanced && !q->enhanced.len) ||
		              (p != EXPLAIN_SMTP && q->proto == EXPLAIN_SMTP);
		unsigned n = literals(text_at(row->pattern)) * 16 + (row->mark ? MARK_WORTH : 0);
		bonus += unsaid ? n / 2 : n;
	} else if (bonus >= PRIVATE_WORTH) {
		match = EXPLAIN_BY_PATTERN;
	}
	return (EXPLAIN_BY_CLASS + 1 - (unsigned)match) * RANK_STEP + bonus;
}

static bool
row_fits(const struct explain_question *q, const struct explain_row *row, unsigned *score)
{
	unsigned bonus = proto_of(row) == q->proto || proto_of(row) == EXPLAIN_SMTP ? 1 : 0;
	struct str low = { q->low, q->low_len };
	if (!proto_fits(q, row))
		return false;
	if (row->gram != EXPLAIN_NO_GRAM && !(q->grams[row->gram / 8] & 1u << row->gram % 8))
		return false;
	if (row->pattern) {
		const char *pattern = text_at(row->pattern);
		if (!codes_fit(q, row, &bonus) || !low.len || !explain_like(pattern, low))
			return false;
	} else if (proto_of(row) > EXPLAIN_SIEVE) {
		if (!name_fits(q, row))
			return false;
	} else if ((!q->code.len && !q->enhanced.len && !q->whole) || !codes_fit(q, row, &bonus)) {
		return false;
	}
	*score = score_of(q, row, bonus);
	return true;
}

static void
keep(struct search *s, const struct explain_row *row, unsigned score)
{
	size_t at = s->n;
	for (size_t i = 0; i < s->n; i++) {
		if (s->best[i].row->record != row->record)
			continue;
		if (s->best[i].score >= score)
			return;
		memmove(&s->best[i], &s->best[i + 1], (s->n - i - 1) * sizeof *s->best);
		s->n--;
		break;
	}
	at = s->n;
	while (at > 0 && s->best[at - 1].score < score)
		at--;
	if (at >= s->max)
		return;
	size_t tail = MIN(s->n, s->max - 1) - at;
	memmove(&s->best[at + 1], &s->best[at], tail * sizeof *s->best);
	s->best[at] = (struct found){ row, match_of(row), score };
	s->n = MIN(s->n + 1, s->max);
}

static enum explain_kind
kind_of_digit(char c)
{
	return c == '2'   ? EXPLAIN_GOOD
	       : c == '3' ? EXPLAIN_GO_ON
	       : c == '4' ? EXPLAIN_TEMPORARY
	       : c == '5' ? EXPLAIN_PERMANENT
	                  : EXPLAIN_NEUTRAL;
}

static enum explain_kind
kind_of(const struct explain_record *r, struct str code, struct str enhanced)
{
	if (r->has_kind)
		return r->kind;
	struct str s = is_dotted(code) ? code : enhanced;
	return is_dotted(s) ? kind_of_digit(s.p[0]) : EXPLAIN_NEUTRAL;
}

static void
fill(struct explain_hit *hit, const struct explain_row *row, enum explain_match match)
{
	const struct explain_record *r = &explain_records[row->record];
	*hit = (struct explain_hit){
		.proto = r->proto,
		.actor = r->actor,
		.match = match,
		.exact = row->reach != EXPLAIN_ROW_LOOSE,
		.record = row->record,
		.code = str_of(text_at(row->code)),
		.enhanced = str_of(text_at(row->enhanced)),
		.who = str_of(text_at(r->who)),
		.meaning = str_of(text_at(r->meaning)),
		.causes = str_of(text_at(r->causes)),
		.next = str_of(text_at(r->next)),
		.source = str_of(text_at(r->source)),
	};
	hit->kind = kind_of(r, hit->code, hit->enhanced);
}

static void
fill_asked(struct explain_hit *hit, const struct explain_question *q, const struct explain_row *row)
{
	fill(hit, row, match_of(row));
	if (q->code.len && q->proto == EXPLAIN_SMTP) {
		hit->code = q->code;
		hit->enhanced = q->enhanced;
	} else if (hit->proto <= EXPLAIN_SIEVE) {
		bool guessed = row->pattern && !hit->exact;
		hit->code = q->code.len || guessed ? q->code : hit->code;
		hit->enhanced = q->enhanced.len || guessed ? q->enhanced : hit->enhanced;
	}
	/* The digit of a reply decides, RFC 5321 4.2.1. */
	hit->kind = q->code.len && q->proto == EXPLAIN_SMTP
	                ? kind_of_digit(q->code.p[0])
	                : kind_of(&explain_records[row->record], hit->code, hit->enhanced);
}

size_t
explain_line_of(enum explain_proto proto, struct str line, struct explain_hit *hits, size_t max)
{
	struct explain_question q;
	struct found best[EXPLAIN_HITS_MAX];
	struct search s = { &q, best, 0, MIN(max, EXPLAIN_HITS_MAX) };
	explain_ask(&q, proto, line);
	if (s.max == 0 || (!q.raw_len && !q.code.len))
		return 0;
	for (unsigned i = 0; i < explain_row_count; i++) {
		unsigned score;
		if (row_fits(&q, &explain_rows[i], &score))
			keep(&s, &explain_rows[i], score);
	}
	for (size_t i = 0; i < s.n; i++)
		fill_asked(&hits[i], &q, best[i].row);
	return s.n;
}

size_t
explain_line(struct str line, struct explain_hit *hits, size_t max)
{
	return explain_line_of(EXPLAIN_ANY, line, hits, max);
}

bool
explain_reply_of(enum explain_proto proto, struct str reply, struct explain_hit *ret)
{
	struct explain_hit hit;
	if (explain_line_of(proto, reply, &hit, 1) == 0)
		return false;
	*ret = hit;
	return true;
}

bool
explain_reply(struct str reply, struct explain_hit *ret)
{
	return explain_reply_of(EXPLAIN_ANY, reply, ret);
}

bool
explain_record(unsigned i, struct explain_record_view *ret)
{
	if (i >= explain_record_count)
		return false;
	const struct explain_row *row = &explain_rows[explain_records[i].row];
	fill(&ret->hit, row, match_of(row));
	ret->pattern = str_of(text_at(row->pattern));
	ret->file = str_of(text_at(explain_records[i].file));
	return true;
}
