#include "dialect/text_priv.h"

#include "base/arena.h"
#include "base/utf8.h"

static bool
var_known(struct str name)
{
	for (size_t i = 0; i < SMTP_VAR_COUNT; i++)
		if (str_eq(name, str_of(smtp_var_name[i])))
			return true;
	return false;
}

const char *
dialect_template_check(struct str text)
{
	if (!utf8_valid(text))
		return "the text is not UTF-8";
	for (size_t i = 0; i < text.len; i++)
		if (((unsigned char)text.p[i] < ' ' && text.p[i] != '\t') || text.p[i] == 0x7f)
			return "a control character in the text; only \\n and tab may stand there";
	for (size_t at; (at = str_find_str(text, STR("${"))) < text.len;) {
		text = str_skip(text, at + 2);
		size_t end = str_find(text, '}');
		if (end == text.len)
			return "${ without }";
		if (!var_known(str_first(text, end)))
			return "no such variable; pennypost.conf(5) lists them";
		text = str_skip(text, end + 1);
	}
	return NULL;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Success stays success, refusal stays refusal, and what closes keeps its class. VRFY may
 * always say 252: that answer accepts nothing (RFC 5321 3.5.3). */
static const char *
class_guard(enum smtp_situation s, struct str code)
{
	char class = smtp_situation_class(s), digit = code.p[0];
	bool vrfy = s == SMTP_VRFY_UNKNOWN || s == SMTP_VRFY_NOARG || s == SMTP_VRFY_DISABLED;
	if (vrfy && str_eq(code, STR("252")))
		return NULL;
	if (class == 'r')
		return digit == '4' || digit == '5'
		           ? NULL
		           : "a refusal must stay one; begin the text with 4xx or 5xx";
	if (class == digit)
		return NULL;
	if (class == '4' || class == '5')
		return "a closing reply must keep the first digit of its code, 4 or 5";
	return "a success must keep the first digit of its code, 2 or 3";
}

const char *
dialect_reply_check(enum smtp_situation s, struct str text)
{
	if (text.len < 4 || text.p[0] < '2' || text.p[0] > '5' || !is_digit(text.p[1]) ||
	    !is_digit(text.p[2]) || text.p[3] != ' ')
		return "a reply is three digits, a blank and text";
	const char *wrong = class_guard(s, str_first(text, 3));
	for (text = str_skip(text, 4); text.p && !wrong;) {
		struct str line = str_cut(&text, '\n');
		wrong = line.len + 4 > SMTP_REPLY_LINE_MAX ? "a line is longer than 510 octets"
		                                           : dialect_template_check(line);
	}
	return wrong;
}

struct str
dialect_text_keep(struct smtp_wording *w, struct str text, bool notation)
{
	char *p = arena_alloc(w->text, text.len + 1);
	size_t n = 0;
	if (!p)
		return STR_NULL;
	for (size_t i = 0; i < text.len; i++) {
		bool feed = notation && str_starts(str_skip(text, i), STR("\\n"));
		p[n++] = feed ? '\n' : text.p[i];
		i += feed;
	}
	return str_n(p, n);
}
