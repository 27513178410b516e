#include "smtp/param.h"

#include "base/check.h"
#include "base/num.h"
#include "base/utf8.h"

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

bool
smtp_xtext_valid(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '!' || s.p[i] > '~' || s.p[i] == '=')
			return false;
		if (s.p[i] != '+')
			continue;
		if (s.len - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
			return false;
		i += 2;
	}
	return s.len > 0;
}

static bool
value_none(struct smtp_params *p, struct str v)
{
	p->utf8 = true;
	return v.p == NULL;
}

/* RFC 1870 4: up to 20 digits. */
static bool
value_size(struct smtp_params *p, struct str v)
{
	if (v.len == 0 || v.len > 20)
		return false;
	for (size_t i = 0; i < v.len; i++)
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
	if (!num_u64(v, UINT64_MAX, &p->size))
		p->size = UINT64_MAX;
	return true;
}

static bool
value_body(struct smtp_params *p, struct str v)
{
	static const struct str name[] = {
		[BODY_7BIT] = { "7BIT", 4 },
		[BODY_8BITMIME] = { "8BITMIME", 8 },
		[BODY_BINARYMIME] = { "BINARYMIME", 10 },
	};
	for (size_t i = 0; i < ARRAY_LEN(name); i++) {
		if (str_ieq(v, name[i])) {
			p->body = (enum smtp_body_type)i;
			return true;
		}
	}
	return false;
}

static bool
value_ret(struct smtp_params *p, struct str v)
{
	p->ret = v;
	return str_ieq(v, STR("FULL")) || str_ieq(v, STR("HDRS"));
}

static bool
value_envid(struct smtp_params *p, struct str v)
{
	p->envid = v;
	return v.len <= PARAM_ENVID_MAX && smtp_xtext_valid(v);
}

/* RFC 4954 5: nobody is authenticated here, so it is checked and then treated as <>. */
static bool
value_auth(struct smtp_params *p, struct str v)
{
	return v.len <= PARAM_AUTH_MAX && smtp_xtext_valid(v);
}

/* RFC 3461 4.1: NEVER stands alone, and nothing stands twice. */
static bool
value_notify(struct smtp_params *p, struct str v)
{
	static const struct {
		const char *name;
		unsigned bit;
	} word[] = { { "NEVER", NOTIFY_NEVER }, { "SUCCESS", NOTIFY_SUCCESS },
		{ "FAILURE", NOTIFY_FAILURE }, { "DELAY", NOTIFY_DELAY } };
	p->notify_text = v;
	do {
		struct str w = str_cut(&v, ',');
		unsigned bit = 0;
		for (size_t i = 0; i < ARRAY_LEN(word); i++)
			if (str_ieq(w, str_of(word[i].name)))
				bit = word[i].bit;
		if (!bit || (p->notify & bit))
			return false;
		p->notify |= bit;
	} while (v.p);
	return !(p->notify & NOTIFY_NEVER) || p->notify == NOTIFY_NEVER;
}

/* RFC 3461 4.2: type;xtext. RFC 6533 3: with SMTPUTF8 the type utf-8 may hold UTF-8 itself. */
static bool
value_orcpt(struct smtp_params *p, struct str v)
{
	p->orcpt = v;
	if (v.len > PARAM_ORCPT_MAX)
		return false;
	struct str type = str_cut(&v, ';');
	if (type.len == 0 || !v.p)
		return false;
	for (size_t i = 0; i < type.len; i++)
		if (type.p[i] <= ' ' || type.p[i] > '~' || strchr("()<>@,;:\\\"/[]?=.+", type.p[i]))
			return false;
	if (smtp_xtext_valid(v))
		return true;
	if (!p->utf8 || !str_ieq(type, STR("utf-8")) || !utf8_valid(v))
		return false;
	for (size_t i = 0; i < v.len; i++)
		if ((unsigned char)v.p[i] <= ' ' || memchr("\x7f+=", v.p[i], 3))
			return false;
	return v.len > 0;
}

static const struct param {
	const char *name;
	enum param_verb verb;
	bool (*value)(struct smtp_params *p, struct str v);
} params[] = {
	{ "SIZE", PARAM_MAIL, value_size },
	{ "BODY", PARAM_MAIL, value_body },
	{ "SMTPUTF8", PARAM_MAIL, value_none },
	{ "RET", PARAM_MAIL, value_ret },
	{ "ENVID", PARAM_MAIL, value_envid },
	{ "AUTH", PARAM_MAIL, value_auth },
	{ "NOTIFY", PARAM_RCPT, value_notify },
	{ "ORCPT", PARAM_RCPT, value_orcpt },
};

static enum param_verdict
param_one(struct str word, enum param_verb verb, struct smtp_params *p)
{
	struct str value = word;
	struct str name = str_cut(&value, '=');
	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		if (params[i].verb != verb || !str_ieq(name, str_of(params[i].name)))
			continue;
		unsigned bit = 1u << i;
		bool again = p->seen & bit;
		p->seen |= bit;
		if (!again && params[i].value(p, value))
			return PARAM_OK;
		if (p->bad.len == 0)
			p->bad = value.len ? value : word;
		return PARAM_VALUE;
	}
	if (p->bad.len == 0)
		p->bad = word;
	return PARAM_UNKNOWN;
}

enum param_verdict
smtp_params_parse(struct str args, enum param_verb verb, struct smtp_params *p)
{
	enum param_verdict verdict = PARAM_OK;
	for (struct str word; (word = str_word(&args)).len;) {
		enum param_verdict v = param_one(word, verb, p);
		if (verdict == PARAM_OK)
			verdict = v;
	}
	return verdict;
}
