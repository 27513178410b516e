#include "smtp/sts.h"

#include "base/num.h"

#define NAME_MAX_LEN 253
#define LABEL_MAX 63
#define FIELD_NAME_MAX 32

const char *const sts_mode_name[STS_MODES] = { "none", "testing", "enforce" };

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
all_alnum(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]))
			return false;
	return s.len > 0;
}

/* Blanks and tabs only: a CR or LF is no white space here. */
static struct str
trim(struct str s)
{
	while (s.len && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_skip(s, 1);
	while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* --- the record in the DNS ---------------------------------------------------------------- */

bool
sts_record(struct str text, struct str *ret_id)
{
	bool found = false;

	if (!str_eq(trim(str_cut(&text, ';')), STR("v=STSv1")))
		return false;
	while (text.len) {
		struct str value = trim(str_cut(&text, ';'));
		if (value.len == 0 && text.len == 0)
			break; /* the last delimiter may stand alone */
		struct str name = trim(str_cut(&value, '='));
		if (name.len == 0 || !value.p)
			return false;
		if (found || !str_eq(name, STR("id")))
			continue;
		value = trim(value);
		if (!all_alnum(value) || value.len > STS_ID_MAX)
			return false;
		*ret_id = value;
		found = true;
	}
	return found;
}

/* --- names -------------------------------------------------------------------------------- */

/* Domain of RFC 5321 4.1.2, in A-labels. */
static bool
is_domain(struct str s)
{
	if (s.len == 0 || s.len > NAME_MAX_LEN)
		return false;
	while (s.p) {
		struct str label = str_cut(&s, '.');
		if (label.len == 0 || label.len > LABEL_MAX || label.p[0] == '-' ||
		    label.p[label.len - 1] == '-')
			return false;
		for (size_t i = 0; i < label.len; i++)
			if (!is_alnum(label.p[i]) && label.p[i] != '-')
				return false;
	}
	return true;
}

bool
sts_match(struct str pattern, struct str host)
{
	if (str_ends(host, STR(".")))
		host.len--;
	if (!is_domain(host))
		return false;
	if (!str_starts(pattern, STR("*.")))
		return str_ieq(pattern, host);
	/* RFC 8461 4.1: in place of the first label, and of no more. */
	size_t dot = str_find(host, '.');
	return dot < host.len && str_ieq(str_skip(pattern, 2), str_skip(host, dot + 1));
}

bool
sts_allows(const struct sts_policy *p, struct str host)
{
	for (size_t i = 0; i < p->n; i++)
		if (sts_match(p->mx[i], host))
			return true;
	return false;
}

/* --- the policy --------------------------------------------------------------------------- */

struct parse {
	struct sts_policy *out;
	bool version, mode, age; /* was there */
	size_t line;
	struct buf *err;
};

static bool
wrong(const struct parse *p, const char *what)
{
	buf_putf(p->err, "line %zu of the policy: %s", p->line, what);
	return false;
}

static bool
take_version(struct parse *p, struct str value)
{
	if (p->version)
		return true;
	p->version = str_eq(value, STR("STSv1"));
	return p->version || wrong(p, "the version is not STSv1");
}

static bool
take_mode(struct parse *p, struct str value)
{
	for (size_t i = 0; !p->mode && i < STS_MODES; i++)
		if (str_eq(value, str_of(sts_mode_name[i]))) {
			p->out->mode = (enum sts_mode)i;
			p->mode = true;
		}
	return p->mode || wrong(p, "the mode is none of enforce, testing and none");
}

static bool
take_age(struct parse *p, struct str value)
{
	uint64_t age;

	if (p->age)
		return true;
	if (value.len > 10 || !num_u64(value, STS_AGE_MAX, &age))
		return wrong(p, "max_age is not a number of seconds up to 31557600");
	p->out->max_age = (uint32_t)age;
	return p->age = true;
}

static bool
take_mx(struct parse *p, struct str value)
{
	struct str name = str_starts(value, STR("*.")) ? str_skip(value, 2) : value;

	if (!is_domain(name))
		return wrong(p,
		    "mx is not the name of a host, with at most one \"*.\" in front of it");
	if (p->out->n == STS_MX_MAX)
		return wrong(p, "there are too many mx lines");
	p->out->mx[p->out->n++] = value;
	return true;
}

static bool
is_field_name(struct str s)
{
	if (s.len == 0 || s.len > FIELD_NAME_MAX || !is_alnum(s.p[0]))
		return false;
	for (size_t i = 1; i < s.len; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '-' && s.p[i] != '.')
			return false;
	return true;
}

static bool
take_line(struct parse *p, struct str line)
{
	static const struct {
		const char *name;
		bool (*take)(struct parse *p, struct str value);
	} fields[] = {
		{ "version", take_version },
		{ "mode", take_mode },
		{ "max_age", take_age },
		{ "mx", take_mx },
	};
	struct str name = str_cut(&line, ':'), value = trim(line);

	if (!line.p || !is_field_name(name))
		return wrong(p, "this is not NAME: VALUE");
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f)
			return wrong(p, "there is a control character in it");
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (str_eq(name, str_of(fields[i].name)))
			return fields[i].take(p, value);
	return true;
}

static bool
take_all(struct parse *p, struct str text)
{
	while (text.len) {
		struct str line = str_cut(&text, '\n');
		p->line++;
		if (str_ends(line, STR("\r")))
			line.len--;
		if (trim(line).len && !take_line(p, line))
			return false;
	}
	const char *lacks = !p->version                                  ? "version: STSv1"
	                    : !p->mode                                   ? "a mode"
	                    : !p->age                                    ? "max_age"
	                    : p->out->n == 0 && p->out->mode != STS_NONE ? "any mx"
	                                                                 : NULL;
	if (lacks)
		buf_putf(p->err, "the policy lacks %s", lacks);
	return !lacks;
}

bool
sts_parse(struct str text, struct sts_policy *ret, struct buf *err)
{
	struct parse p = { .out = ret, .err = err };

	*ret = (struct sts_policy){ .mode = STS_NONE };
	bool ok = text.len <= STS_POLICY_MAX;
	if (!ok)
		buf_putf(err, "the policy is longer than %u octets", STS_POLICY_MAX);
	ok = ok && take_all(&p, text);
	if (!ok)
		*ret = (struct sts_policy){ .mode = STS_NONE };
	return ok;
}
