/* A recorded reply becomes a template: what differs from session to session is named. */
#include "dialect/learn_priv.h"

#include "base/utf8.h"

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
is_digits(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.len > 0;
}

static bool
all_of(struct str s, const char *set)
{
	for (size_t i = 0; i < s.len; i++)
		if (!s.p[i] || !strchr(set, s.p[i]))
			return false;
	return s.len > 0;
}

/* "Fri, 12 Oct 2012 04:28:29 +0000" at the start of s: its length, or 0. */
static size_t
date_len(struct str s)
{
	struct str rest = s, w[6];
	for (size_t i = 0; i < 6; i++)
		w[i] = str_word(&rest);
	bool good = w[0].len == 4 && w[0].p == s.p && w[0].p[3] == ',' && is_digits(w[1]) &&
	            w[1].len <= 2 && w[2].len == 3 && is_digits(w[3]) && w[3].len == 4 &&
	            w[4].len == 8 && all_of(w[4], "0123456789:") && w[5].len >= 5 &&
	            (w[5].p[0] == '+' || w[5].p[0] == '-') && is_digits(str_n(w[5].p + 1, 4));
	return good ? (size_t)(w[5].p + 5 - s.p) : 0;
}

/* "[192.0.2.1]" at the start of s, or one whose last parts were made unreadable. */
static size_t
bracketed_ip(struct str s)
{
	size_t end = str_find(s, ']');
	if (end == s.len || end < 8 || s.p[0] != '[' || s.p[1] < '0' || s.p[1] > '9')
		return 0;
	return all_of(str_n(s.p + 1, end - 1), "0123456789.x:abcdefABCDEF") ? end + 1 : 0;
}

struct word {
	struct str value;
	const char *var;
};

/* The longest of the words that stands at the start of s as a whole. */
static const struct word *
word_at(struct str s, bool fresh, const struct word *words)
{
	const struct word *best = NULL;
	for (const struct word *w = words; w->var; w++) {
		bool here = w->value.len && fresh && str_starts(s, w->value) &&
		            (s.len == w->value.len || !is_alnum(s.p[w->value.len]));
		if (here && (!best || w->value.len > best->value.len))
			best = w;
	}
	return best;
}

/* What a dialect shows for an octet. */
static char
shown(char c)
{
	unsigned char u = (unsigned char)c;
	return (u < ' ' && u != '\t') || u == 0x7f ? '?' : c;
}

static void
put_octet(struct buf *out, struct str s, size_t i)
{
	if (s.p[i] == '$' && i + 1 < s.len && s.p[i + 1] == '{')
		buf_putz(out, "$${empty}");
	else
		buf_putc(out, shown(s.p[i]));
}

static void
put(struct buf *out, struct str s, const struct word *words)
{
	for (size_t i = 0; i < s.len;) {
		struct str rest = str_skip(s, i);
		bool fresh = i == 0 || !is_alnum(s.p[i - 1]);
		const struct word *w = word_at(rest, fresh, words);
		size_t date = fresh ? date_len(rest) : 0, ip = bracketed_ip(rest);
		if (date)
			buf_putz(out, "${date}");
		else if (ip)
			buf_putz(out, "[${client_ip}]");
		else if (w)
			buf_putf(out, "${%s}", w->var);
		else
			put_octet(out, s, i);
		i += date ? date : ip ? ip : w ? w->value.len : 1;
	}
}

static void
style(struct lesson *l, enum smtp_qid_style s)
{
	l->style = s;
	l->has_style = true;
}

/* <0b39248e-b2fe-4454-9dc8-d0066082b054@HUB> */
static bool
put_uuid(struct buf *out, struct lesson *l, struct str w)
{
	if (w.len < 40 || w.p[0] != '<' || w.p[37] != '@' || w.p[w.len - 1] != '>' ||
	    !all_of(str_n(w.p + 1, 36), "0123456789abcdefABCDEF-"))
		return false;
	buf_putz(out, "<${uuid}@${hub_host}>");
	style(l, QID_EXCHANGE);
	return true;
}

/* <HOST, seven letters and digits, eight hexadecimal digits@HOST> */
static bool
put_iis(struct buf *out, struct lesson *l, struct str w)
{
	size_t n = l->host.len;
	if (n == 0 || w.len != 2 * n + 18 || w.p[0] != '<' || w.p[n + 16] != '@' ||
	    !str_ieq(str_n(w.p + 1, n), l->host) || !str_ieq(str_n(w.p + n + 17, n), l->host))
		return false;
	buf_putz(out, "<${HOST}${rand7}${counter8}@${host}>");
	style(l, QID_IIS);
	return true;
}

static bool
put_qid(struct buf *out, struct lesson *l, struct str before, struct str w)
{
	bool sendmail = w.len == 14 && is_digits(str_n(w.p + 8, 6)) && !is_digits(w);
	if (str_ieq(before, STR("Message")) && is_digits(w)) {
		buf_putz(out, "${counter}");
		style(l, QID_IRONPORT);
		return true;
	}
	if (!sendmail && !str_ieq(before, STR("as")))
		return false;
	if (sendmail)
		style(l, QID_SENDMAIL);
	else if (w.len == 22)
		style(l, QID_B64URL22);
	else
		style(l, all_of(w, "0123456789ABCDEF") ? QID_POSTFIX : QID_HEX);
	buf_putz(out, "${qid}");
	return true;
}

static bool
put_counter(struct buf *out, struct str w)
{
	struct str begin = STR("[InternalId=");
	if (!str_starts(w, begin) || w.p[w.len - 1] != ']')
		return false;
	buf_putz(out, "[InternalId=${counter}]");
	return true;
}

/* The letter is accepted: one of its words may be a queue id. */
static void
put_accepted(struct buf *out, struct lesson *l, struct str text, const struct word *words)
{
	struct str before = STR_NULL;
	while (text.len) {
		size_t blanks = 0;
		while (blanks < text.len && text.p[blanks] == ' ')
			blanks++;
		buf_puts(out, str_first(text, blanks));
		text = str_skip(text, blanks);
		struct str w = str_first(text, str_find(text, ' '));
		text = str_skip(text, w.len);
		if (w.len && !put_uuid(out, l, w) && !put_iis(out, l, w) && !put_counter(out, w) &&
		    !put_qid(out, l, before, w))
			put(out, w, words);
		before = w;
	}
}

/* A template must not end in a blank that nobody sees. */
static void
end_blank(struct buf *out, size_t from)
{
	size_t n = 0;
	while (out->len > from && out->p[out->len - 1] == ' ') {
		buf_trunc(out, out->len - 1);
		n++;
	}
	while (n-- > 0)
		buf_putz(out, "${sp}");
}

static bool
is_text(struct str s)
{
	return utf8_valid(s) && s.len <= SMTP_REPLY_LINE_MAX;
}

void
learn_template(struct buf *out, struct lesson *l, enum smtp_situation s, struct str text)
{
	bool hello = s == SMTP_HELO_OK;
	const char *key = smtp_situation_key[s];
	bool mail = str_starts(str_of(key), STR("mail.")),
	     rcpt = str_starts(str_of(key), STR("rcpt."));
	const struct word words[] = {
		{ l->host, "host" },
		{ hello ? l->helo : STR_NULL, "helo" },
		{ mail ? l->from : STR_NULL, "from" },
		{ rcpt ? l->to : STR_NULL, "to" },
		{ STR_NULL, NULL },
	};
	size_t from = out->len;
	if (!is_text(text))
		buf_putz(out, "${empty}");
	else if (s == SMTP_DATA_OK)
		put_accepted(out, l, text, words);
	else
		put(out, text, words);
	end_blank(out, from);
}

void
learn_cap(struct buf *out, struct lesson *l, struct str text)
{
	const struct word words[] = { { l->host, "host" }, { l->helo, "helo" },
		{ STR_NULL, NULL } };
	const struct word none[] = { { STR_NULL, NULL } };
	size_t from = out->len;
	bool first = l->n_cap == 0 && !l->first.len;
	if (text.len && shown(text.p[0]) == '?')
		buf_putz(out, "${empty}"); /* it would be a condition */
	struct str rest = text, keyword = str_word(&rest), size = str_word(&rest);
	if (!is_text(text)) {
		buf_putz(out, "${empty}");
	} else if (!first && str_ieq(keyword, STR("SIZE")) && is_digits(size)) {
		l->size_at = size;
		buf_putf(out, STR_FMT " ${max_size}", STR_ARG(keyword));
	} else if (first && keyword.len && !word_at(text, true, words) && keyword.p == text.p &&
		   (keyword.len == text.len || str_find(keyword, '.') < keyword.len)) {
		/* Some say another name here than in the greeting. */
		l->ehlo_host_at = keyword;
		buf_putz(out, "${ehlo_host}");
		put(out, str_skip(text, keyword.len), words);
	} else {
		put(out, text, first ? words : none);
	}
	end_blank(out, from);
}
