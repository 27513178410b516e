#include "smtp/param.h"

#include "base/check.h"
#include "base/num.h"
#include "base/utf8.h"
#include "mail/when.h"
#include "mail/xtext.h"

static bool
value_utf8(struct smtp_params *p, struct str v)
{
	p->utf8 = true;
	return v.p == NULL;
}

/* XVERP, or XVERP=+=: the characters that stand in the address that is made. */
static bool
value_verp(struct smtp_params *p, struct str v)
{
	static const char marks[] = "!#$&*-/+=^_{|}~";
	p->verp = true;
	memcpy(p->verp_marks, "+=", 2);
	if (!v.p)
		return true;
	if (v.len != 2 || !memchr(marks, v.p[0], sizeof(marks) - 1) ||
	    !memchr(marks, v.p[1], sizeof(marks) - 1))
		return false;
	memcpy(p->verp_marks, v.p, 2);
	return true;
}

/* The sending program's version of the mail merge commands: there is only one. */
static bool
value_version(struct smtp_params *p, struct str v)
{
	return v.len > 0;
}

/* RFC 8689 */
static bool
value_requiretls(struct smtp_params *p, struct str v)
{
	p->requiretls = true;
	return v.p == NULL;
}

/* RFC 4865 3: one of HOLDFOR and HOLDUNTIL, and not further ahead than was advertised. */
static bool
hold_until(struct smtp_params *p, uint64_t at)
{
	uint64_t last;
	bool again = p->hold_until != 0;
	p->hold_until = at;
	return !again && at > 0 && p->wall >= 0 &&
	       !__builtin_add_overflow((uint64_t)p->wall, p->conf->hold_seconds, &last) &&
	       at <= last;
}

static bool
value_holdfor(struct smtp_params *p, struct str v)
{
	uint64_t seconds;
	if (v.len == 0 || v.len > 9 || v.p[0] == '0' || !num_u64(v, 999999999, &seconds))
		return false;
	return hold_until(p, p->wall < 0 ? 0 : (uint64_t)p->wall + seconds);
}

static bool
value_holduntil(struct smtp_params *p, struct str v)
{
	int64_t at;
	return when_rfc3339(v, &at) && at > 0 && hold_until(p, (uint64_t)at);
}

/* RFC 6710 4.1: -9 to 9, no sign before a 0 or a positive one. */
static bool
value_mt_priority(struct smtp_params *p, struct str v)
{
	bool minus = v.len == 2 && v.p[0] == '-';
	if (minus)
		v = str_skip(v, 1);
	if (v.len != 1 || v.p[0] < (minus ? '1' : '0') || v.p[0] > '9')
		return false;
	p->mt_priority = minus ? -(v.p[0] - '0') : v.p[0] - '0';
	return true;
}

/* RFC 2852 4: seconds, ; and N or R, perhaps T. With R the time must not be over. */
static bool
value_by(struct smtp_params *p, struct str v)
{
	p->deliver_by = v;
	struct str time = str_cut(&v, ';');
	bool minus = time.len && time.p[0] == '-';
	if (time.len && (time.p[0] == '-' || time.p[0] == '+'))
		time = str_skip(time, 1);
	uint64_t seconds;
	if (time.len > 9 || !num_u64(time, 999999999, &seconds))
		return false;
	bool give_back = str_ieq(v, STR("R")) || str_ieq(v, STR("RT"));
	p->return_after = give_back ? seconds : 0;
	if (give_back)
		return !minus && seconds > 0;
	return str_ieq(v, STR("N")) || str_ieq(v, STR("NT"));
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
	bool full = str_ieq(v, STR("FULL"));
	p->ret = full ? STR("FULL") : STR("HDRS");
	return full || str_ieq(v, STR("HDRS"));
}

static bool
value_envid(struct smtp_params *p, struct str v)
{
	p->envid = v;
	return v.len <= PARAM_ENVID_MAX && xtext_valid(v);
}

/* RFC 4954 5: xtext of <> or of an address. */
static bool
value_auth(struct smtp_params *p, struct str v)
{
	struct buf text = BUF_INIT(PARAM_AUTH_MAX);
	struct addr addr;
	p->auth = v;
	bool good = v.len <= PARAM_AUTH_MAX && xtext_decode(&text, v) &&
	            (str_eq(buf_str(&text), STR("<>")) ||
			addr_mailbox(buf_str(&text), ADDR_SMTPUTF8, &addr) == ADDR_OK);
	buf_done(&text);
	return good;
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
	if (xtext_valid(v))
		return true;
	if (!p->utf8 || !str_ieq(type, STR("utf-8")) || !utf8_valid(v))
		return false;
	for (size_t i = 0; i < v.len; i++)
		if ((unsigned char)v.p[i] <= ' ' || memchr("\x7f+=", v.p[i], 3))
			return false;
	return v.len > 0;
}

static bool
value_prdr(struct smtp_params *p, struct str v)
{
	p->prdr = true;
	return v.p == NULL;
}

/* RFC 3865 2.2: up to 1000 octets of classes, parted by commas. */
static bool
value_solicit(struct smtp_params *p, struct str v)
{
	p->solicit = v;
	if (v.len == 0 || v.len > PARAM_SOLICIT_MAX)
		return false;
	for (size_t i = 0; i < v.len; i++)
		if (v.p[i] <= ' ' || v.p[i] > '~' || v.p[i] == ';')
			return false;
	return true;
}

static bool
on_requiretls(const struct smtp_conf *c, const struct smtp_params *p)
{
	return c->requiretls;
}

static bool
on_hold(const struct smtp_conf *c, const struct smtp_params *p)
{
	return c->hold_seconds > 0 && p->ours;
}

static bool
on_mt_priority(const struct smtp_conf *c, const struct smtp_params *p)
{
	return c->mt_priority;
}

static bool
on_deliver_by(const struct smtp_conf *c, const struct smtp_params *p)
{
	return c->deliver_by;
}

static bool
on_verp(const struct smtp_conf *c, const struct smtp_params *p)
{
	return c->verp && p->ours;
}

static bool
on_prdr(const struct smtp_conf *c, const struct smtp_params *p)
{
	return c->prdr;
}

static bool
on_solicit(const struct smtp_conf *c, const struct smtp_params *p)
{
	return c->no_soliciting.len > 0;
}

#define MAILS (PARAM_MAIL | PARAM_MERGE)
static const struct param {
	const char *name;
	unsigned verbs;
	bool (*value)(struct smtp_params *p, struct str v);
	bool (*on)(const struct smtp_conf *c, const struct smtp_params *p); /* NULL: always */
} params[] = {
	{ "SIZE", MAILS, value_size },
	{ "BODY", MAILS, value_body },
	{ "SMTPUTF8", MAILS, value_utf8 },
	{ "RET", MAILS, value_ret },
	{ "ENVID", MAILS, value_envid },
	{ "AUTH", MAILS, value_auth },
	{ "REQUIRETLS", MAILS, value_requiretls, on_requiretls },
	{ "HOLDFOR", MAILS, value_holdfor, on_hold },
	{ "HOLDUNTIL", MAILS, value_holduntil, on_hold },
	{ "MT-PRIORITY", MAILS, value_mt_priority, on_mt_priority },
	{ "BY", MAILS, value_by, on_deliver_by },
	{ "XVERP", PARAM_MAIL, value_verp, on_verp },
	{ "PRDR", PARAM_MAIL, value_prdr, on_prdr },
	{ "SOLICIT", MAILS, value_solicit, on_solicit },
	{ "VERSION", PARAM_MERGE, value_version },
	{ "VERP", PARAM_MERGE, value_verp },
	{ "NOTIFY", PARAM_RCPT, value_notify },
	{ "ORCPT", PARAM_RCPT, value_orcpt },
};

static enum param_verdict
param_one(struct str word, enum param_verb verb, struct smtp_params *p)
{
	struct str value = word;
	struct str name = str_cut(&value, '=');
	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		if (!(params[i].verbs & verb) || !str_ieq(name, str_of(params[i].name)))
			continue;
		if (params[i].on && (!p->conf || !params[i].on(p->conf, p)))
			break;
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

/* It would come back before it may be sent. */
static bool
never_leaves(const struct smtp_params *p)
{
	return p->hold_until && p->return_after && p->wall >= 0 &&
	       p->hold_until >= (uint64_t)p->wall + p->return_after;
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
	if (verdict == PARAM_OK && never_leaves(p)) {
		p->bad = p->deliver_by;
		verdict = PARAM_VALUE;
	}
	return verdict;
}
