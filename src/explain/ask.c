/* Takes what is asked about apart: who speaks, which codes, which words. */
#include "explain/explain_priv.h"

#include "base/check.h"

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
of_word(char c)
{
	return digit(c) || letter(c) || c == '_';
}

struct str
explain_unlabel(struct str s)
{
	static const char *const labels[] = { "s:", "<<<", "<**", "<-", "<~", "<", "smtp;",
		"Server:", "R:", "#<" };
	s = str_trim(s);
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
			struct str label = str_of(labels[i]);
			if (!str_istarts(s, label) || s.len == label.len)
				continue;
			char c = s.p[label.len];
			if (c == ' ' || c == '\t' || digit(c)) {
				s = str_ltrim(str_skip(s, label.len));
				again = true;
			}
		}
	}
	return s;
}

bool
explain_has_code(struct str s)
{
	return s.len >= 3 && s.p[0] >= '2' && s.p[0] <= '5' && digit(s.p[1]) && digit(s.p[2]) &&
	       (s.len == 3 || s.p[3] == ' ' || s.p[3] == '-' || s.p[3] == '#' || s.p[3] == '\t');
}

static size_t
digits_len(struct str s, size_t max)
{
	size_t n = 0;
	while (n < s.len && n <= max && digit(s.p[n]))
		n++;
	return n <= max ? n : 0;
}

/* Length of an enhanced code x.y.z (with # or not) in front of s, or 0. */
static size_t
enhanced_len(struct str s)
{
	size_t at = s.len > 0 && s.p[0] == '#' ? 1 : 0;
	struct str t = str_skip(s, at);
	if (t.len < 5 || t.p[1] != '.' || (t.p[0] != '2' && t.p[0] != '4' && t.p[0] != '5'))
		return 0;
	size_t y = digits_len(str_skip(t, 2), 3);
	if (y == 0 && t.p[2] == 'x') /* AsyncOS says "#4.x.2" */
		y = 1;
	if (y == 0 || 2 + y >= t.len || t.p[2 + y] != '.')
		return 0;
	size_t z = digits_len(str_skip(t, 3 + y), 3), n = 3 + y + z;
	if (z == 0 || (n < t.len && of_word(t.p[n])))
		return 0;
	if (n + 1 < t.len && t.p[n] == '.' && digit(t.p[n + 1]))
		return 0; /* an address */
	return at + n;
}

/* Words behind which a reply is quoted. */
static bool
quoted_here(struct str before)
{
	static const char *const words[] = { "said:", "said", "smtp;",
		"reason:", "was:", "returned",
		"response:", "error:", "reply:", "replied:", "command:", "code:", "data:", "<<<" };
	before = str_rtrim(before);
	while (before.len > 0 &&
	       (before.p[before.len - 1] == '\'' || before.p[before.len - 1] == '"' ||
		   before.p[before.len - 1] == '('))
		before = str_rtrim(str_first(before, before.len - 1));
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_iends(before, str_of(words[i])))
			return true;
	return before.len > 0 && before.p[before.len - 1] == ':' && before.len > 3 &&
	       before.p[before.len - 2] == ']'; /* Exim: "host mx [192.0.2.1]: 550 ..." */
}

size_t
explain_find_reply(struct str s)
{
	if (explain_has_code(s))
		return 0;
	for (size_t i = 1; i + 3 <= s.len; i++) {
		struct str t = str_skip(s, i);
		char before = s.p[i - 1];
		if (of_word(before) || before == '.' || before == '-' || !explain_has_code(t))
			continue;
		if (t.len > 4 && enhanced_len(str_skip(t, t.p[3] == '#' ? 3 : 4)) > 0)
			return i;
		if (quoted_here(str_first(s, i)))
			return i;
	}
	return s.len;
}

static size_t
find_enhanced(struct str s, size_t *ret_len)
{
	for (size_t i = 0; i < s.len; i++) {
		if (i > 0 && (of_word(s.p[i - 1]) || s.p[i - 1] == '.' || s.p[i - 1] == '#'))
			continue;
		size_t n = enhanced_len(str_skip(s, i));
		if (n > 0) {
			*ret_len = n;
			return i;
		}
	}
	return s.len;
}

/* --- texts --- */

static void
add(char *to, size_t *len, struct str s)
{
	for (size_t i = 0; i < s.len && *len < EXPLAIN_TEXT_MAX; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c > ' ' && c != 0x7f)
			to[(*len)++] = (char)c;
		else if (*len > 0 && to[*len - 1] != ' ')
			to[(*len)++] = ' ';
	}
	if (*len > 0 && to[*len - 1] != ' ' && *len < EXPLAIN_TEXT_MAX)
		to[(*len)++] = ' ';
}

static size_t
end_of(const char *text, size_t len)
{
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '.'))
		len--;
	return len;
}

static void
note_grams(struct explain_question *q)
{
	memset(q->grams, 0, sizeof q->grams);
	for (size_t i = 0; i + 4 <= q->low_len; i++) {
		unsigned h = 0;
		for (size_t j = i; j < i + 4; j++)
			h = (h * 37 + (unsigned char)q->low[j]) % EXPLAIN_GRAMS;
		q->grams[h / 8] |= (uint8_t)(1u << h % 8);
	}
}

static void
finish(struct explain_question *q)
{
	q->raw_len = end_of(q->raw, q->raw_len);
	q->low_len = end_of(q->low, q->low_len);
	for (size_t i = 0; i < q->low_len; i++)
		if (q->low[i] >= 'A' && q->low[i] <= 'Z')
			q->low[i] = (char)(q->low[i] + 0x20);
	note_grams(q);
}

/* --- SMTP --- */

static struct str
bare_enhanced(struct str s)
{
	return s.len > 0 && s.p[0] == '#' ? str_skip(s, 1) : s;
}

/* A line from its code on. */
static void
take_reply_line(struct explain_question *q, struct str s)
{
	if (!q->code.len)
		q->code = str_first(s, 3);
	s = str_skip(s, s.len > 3 && s.p[3] != '#' ? 4 : 3);
	s = str_ltrim(s);
	size_t n = enhanced_len(s);
	if (n > 0) {
		if (!q->enhanced.len)
			q->enhanced = bare_enhanced(str_first(s, n));
		s = str_skip(s, n);
	}
	add(q->low, &q->low_len, s);
}

static void
take_smtp_line(struct explain_question *q, struct str line)
{
	struct str s = explain_unlabel(line);
	size_t at = q->code.len ? (explain_has_code(s) ? 0 : s.len) : explain_find_reply(s);
	if (at < s.len) {
		take_reply_line(q, str_skip(s, at));
		return;
	}
	size_t n = 0;
	at = q->enhanced.len ? s.len : find_enhanced(s, &n);
	if (at < s.len)
		q->enhanced = bare_enhanced(str_skip(str_first(s, at + n), at));
	if (at == 0)
		s = str_skip(s, n);
	add(q->low, &q->low_len, s);
}

/* --- IMAP, POP3, ManageSieve --- */

/* [CODE args] or (CODE args) in front: the name with its brackets goes to q->enhanced. */
static struct str
take_bracket(struct explain_question *q, struct str s)
{
	char end = s.len == 0 ? '\0' : s.p[0] == '[' ? ']' : s.p[0] == '(' ? ')' : '\0';
	size_t close = end ? str_find(s, end) : s.len;
	if (close == s.len)
		return s;
	q->enhanced = str_first(s, close + 1);
	return str_skip(s, close + 1);
}

static bool
take_access(struct explain_question *q, struct str s)
{
	static const struct {
		struct str word;
		enum explain_proto proto;
	} words[] = { { { "OK", 2 }, EXPLAIN_IMAP }, { { "NO", 2 }, EXPLAIN_IMAP },
		{ { "BAD", 3 }, EXPLAIN_IMAP }, { { "BYE", 3 }, EXPLAIN_IMAP },
		{ { "PREAUTH", 7 }, EXPLAIN_IMAP }, { { "+OK", 3 }, EXPLAIN_POP3 },
		{ { "-ERR", 4 }, EXPLAIN_POP3 } };
	struct str rest = s;
	struct str word = str_word(&rest);
	/* "250 OK" is SMTP, "250 OK [UIDNEXT 3]" has a tag of three digits. */
	if (q->proto == EXPLAIN_ANY && explain_has_code(s) && str_find(s, '[') == s.len)
		return false;
	for (int i = 0; i < 2; i++) {
		for (size_t w = 0; w < ARRAY_LEN(words); w++) {
			if (!str_eq(words[w].word, word))
				continue;
			q->code = word;
			rest = str_ltrim(rest);
			bool sieve = rest.len > 0 && (rest.p[0] == '(' || rest.p[0] == '"');
			if (q->proto == EXPLAIN_ANY)
				q->proto = words[w].proto != EXPLAIN_IMAP || !sieve ? words[w].proto
				                                                    : EXPLAIN_SIEVE;
			add(q->low, &q->low_len, take_bracket(q, rest));
			return true;
		}
		word = str_word(&rest); /* behind a tag */
	}
	return false;
}

/* "[ALERT]", "[ALERT] Disk full", "(QUOTA/MAXSIZE)" without anything in front. */
static bool
take_bare_bracket(struct explain_question *q, struct str s)
{
	if (s.len < 3 || (s.p[0] != '[' && s.p[0] != '('))
		return false;
	for (size_t i = 1; i < s.len && s.p[i] != ' ' && s.p[i] != ']' && s.p[i] != ')'; i++)
		if (s.p[i] >= 'a' && s.p[i] <= 'z')
			return false;
	if (q->proto == EXPLAIN_ANY && explain_find_reply(s) < s.len)
		return false;
	(void)take_bracket(q, s);
	if (q->enhanced.len > 0)
		add(q->low, &q->low_len, s);
	return q->enhanced.len > 0;
}

/* --- numbers that are named --- */

static bool
take_number(struct explain_question *q, struct str s)
{
	static const struct {
		const char *lead;
		enum explain_proto proto;
	} leads[] = { { "error:num=", EXPLAIN_TLS }, { "error num=", EXPLAIN_TLS },
		{ "verify return code: ", EXPLAIN_TLS }, { "errno=", EXPLAIN_OS },
		{ "errno ", EXPLAIN_OS }, { "errno: ", EXPLAIN_OS },
		{ "socket error code ", EXPLAIN_OS }, { "winsock error ", EXPLAIN_OS },
		{ "exit status ", EXPLAIN_OS }, { "exit code ", EXPLAIN_OS } };
	for (size_t i = 0; i < ARRAY_LEN(leads); i++) {
		struct str lead = str_of(leads[i].lead);
		for (size_t at = 0; at + lead.len < s.len; at++) {
			struct str t = str_skip(s, at);
			size_t n = str_istarts(t, lead) ? digits_len(str_skip(t, lead.len), 5) : 0;
			if (n == 0)
				continue;
			q->code = str_first(str_skip(t, lead.len), n);
			if (q->proto == EXPLAIN_ANY)
				q->proto = leads[i].proto;
			return true;
		}
	}
	return false;
}

static bool
one_word(struct str s)
{
	struct str rest = s;
	return str_word(&rest).len == s.len && s.len > 0;
}

static void
add_lines(struct explain_question *q, struct str text, bool smtp)
{
	while (text.p) {
		struct str line = str_cut(&text, '\n');
		add(q->raw, &q->raw_len, line);
		if (smtp)
			take_smtp_line(q, line);
		if (q->raw_len >= EXPLAIN_TEXT_MAX)
			break;
	}
}

void
explain_ask(struct explain_question *q, enum explain_proto proto, struct str text)
{
	q->proto = proto;
	q->code = q->enhanced = STR_NULL;
	q->raw_len = q->low_len = 0;
	text = str_trim(str_first(text, 4 * EXPLAIN_TEXT_MAX));
	struct str s = explain_unlabel(text);
	q->whole = one_word(s);
	bool smtp = proto == EXPLAIN_ANY || proto == EXPLAIN_SMTP;
	if ((proto == EXPLAIN_SMTP || !take_access(q, s)) && !take_bare_bracket(q, s) &&
	    (proto == EXPLAIN_SMTP || explain_find_reply(s) < s.len || !take_number(q, s))) {
		add_lines(q, text, smtp);
		if (!smtp)
			add(q->low, &q->low_len, s);
		if (q->code.len)
			q->proto = EXPLAIN_SMTP;
	} else {
		add_lines(q, text, false);
		if (!q->low_len)
			add(q->low, &q->low_len, s);
	}
	finish(q);
}
