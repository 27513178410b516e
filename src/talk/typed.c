#include "talk/typed.h"

#include "base/check.h"
#include "base/num.h"

const char *const typed_verb_name[TYPED_VERBS] = {
	[TYPED_OTHER] = "",
	[TYPED_EHLO] = "EHLO",
	[TYPED_HELO] = "HELO",
	[TYPED_LHLO] = "LHLO",
	[TYPED_MAIL] = "MAIL",
	[TYPED_RCPT] = "RCPT",
	[TYPED_DATA] = "DATA",
	[TYPED_BDAT] = "BDAT",
	[TYPED_AUTH] = "AUTH",
	[TYPED_STARTTLS] = "STARTTLS",
	[TYPED_RSET] = "RSET",
	[TYPED_QUIT] = "QUIT",
	[TYPED_NOOP] = "NOOP",
	[TYPED_HELP] = "HELP",
	[TYPED_VRFY] = "VRFY",
	[TYPED_EXPN] = "EXPN",
	[TYPED_ATRN] = "ATRN",
};

/* Offset of the first of `set` outside quotes, or s.len. */
static size_t
find_unquoted(struct str s, const char *set)
{
	bool quoted = false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"')
			quoted = !quoted;
		else if (quoted && s.p[i] == '\\' && i + 1 < s.len)
			i++;
		else if (!quoted && s.p[i] && strchr(set, s.p[i]))
			return i;
	}
	return s.len;
}

/* "from:<a> X", "from: a X", "from a X", "a X"; keyword FROM or TO. */
static void
read_address(struct typed *t, struct str keyword)
{
	struct str s = t->rest;
	if (str_istarts(s, keyword) &&
	    (s.len == keyword.len || strchr(": \t<", s.p[keyword.len]) != NULL)) {
		s = str_ltrim(str_skip(s, keyword.len));
		if (str_starts(s, STR(":")))
			s = str_ltrim(str_skip(s, 1));
	}
	if (str_starts(s, STR("<"))) {
		size_t end = find_unquoted(s, ">");
		if (end == s.len)
			return;
		t->bracketed = true;
		t->address = str_n(s.p + 1, end - 1);
		t->params = str_trim(str_skip(s, end + 1));
		return;
	}
	size_t end = find_unquoted(s, " \t");
	if (end == 0 || find_unquoted(str_first(s, end), "<>=") < end)
		return;
	t->address = str_first(s, end);
	t->params = str_trim(str_skip(s, end));
}

void
typed_read(struct str line, struct typed *ret)
{
	line = str_trim(line);
	size_t n = str_find_any(line, " \t");
	*ret = (struct typed){ .word = str_first(line, n), .rest = str_trim(str_skip(line, n)) };
	for (int v = TYPED_OTHER + 1; v < TYPED_VERBS; v++)
		if (str_ieq(ret->word, str_of(typed_verb_name[v])))
			ret->verb = (enum typed_verb)v;
	if (ret->verb == TYPED_MAIL)
		read_address(ret, STR("FROM"));
	else if (ret->verb == TYPED_RCPT)
		read_address(ret, STR("TO"));
}

bool
typed_make(struct str line, struct str name, struct buf *out)
{
	struct typed t;
	typed_read(line, &t);
	bool hello = t.verb == TYPED_EHLO || t.verb == TYPED_HELO || t.verb == TYPED_LHLO;
	if (hello && t.rest.len == 0 && name.len) {
		buf_putf(out, STR_FMT " " STR_FMT, STR_ARG(t.word), STR_ARG(name));
		return true;
	}
	const char *key = t.verb == TYPED_MAIL ? "FROM" : "TO";
	bool keyed = str_istarts(t.rest, str_of(key)) &&
	             str_starts(str_ltrim(str_skip(t.rest, strlen(key))), STR(":"));
	if (t.address.p == NULL || (t.bracketed && keyed)) {
		buf_puts(out, line);
		return false;
	}
	buf_putf(out, "%s %s:<", typed_verb_name[t.verb], key);
	buf_puts(out, t.address);
	buf_putc(out, '>');
	if (t.params.len)
		buf_putc(out, ' ');
	buf_puts(out, t.params);
	return true;
}

bool
typed_mask(struct str line, struct buf *out)
{
	struct typed t;
	typed_read(line, &t);
	struct str rest = t.rest, mech = str_word(&rest);
	rest = str_trim(rest);
	if (t.verb != TYPED_AUTH || rest.len == 0)
		return false;
	buf_putf(out, STR_FMT " " STR_FMT " ", STR_ARG(t.word), STR_ARG(mech));
	if (str_eq(rest, STR("=")))
		buf_puts(out, rest);
	else
		typed_mask_answer(mech, 0, rest, out);
	return true;
}

void
typed_mask_answer(struct str mech, unsigned nth, struct str line, struct buf *out)
{
	line = str_trim(line);
	if (line.len == 0 || str_eq(line, STR("*")) || str_eq(line, STR("=")))
		buf_puts(out, line); /* to cancel, or to say nothing, is no secret */
	else if (str_ieq(mech, STR("LOGIN")))
		buf_putz(out, nth == 0 ? "<user name, base64>" : "<password hidden>");
	else if (str_ieq(mech, STR("PLAIN")))
		buf_putz(out, "<user name and password hidden>");
	else
		buf_putz(out, "<response hidden>");
}

bool
typed_bdat(const struct typed *t, uint64_t *ret_size, bool *ret_last)
{
	struct str rest = t->rest, number = str_word(&rest), last = str_word(&rest);
	bool is_last = str_ieq(last, STR("LAST"));
	uint64_t size;
	if (!num_u64(number, UINT64_MAX / 2, &size) || (last.len && !is_last) || str_trim(rest).len)
		return false;
	*ret_size = size;
	*ret_last = is_last;
	return true;
}
