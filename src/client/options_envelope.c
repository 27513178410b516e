/* Values of the options of an envelope: what MAIL and RCPT say, and how the letter goes. */
#include "base/check.h"
#include "base/num.h"
#include "client/options_priv.h"

static bool
is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool
dsn_words(struct str value, const char *const *words)
{
	while (value.p) {
		struct str word = str_cut(&value, ',');
		bool known = false;
		for (size_t i = 0; words[i]; i++)
			known = known || str_ieq(word, str_of(words[i]));
		if (!known)
			return false;
	}
	return true;
}

static bool
dsn_part(struct client_options *o, struct str part)
{
	static const char *const notify[] = { "never", "success", "failure", "delay", NULL };
	static const char *const ret[] = { "full", "hdrs", NULL };
	struct str key = str_first(part, str_find(part, '='));
	struct str value = str_skip(part, key.len + 1);

	if (str_ieq(key, STR("notify")) && dsn_words(value, notify))
		o->dsn_notify = options_keep(o, value);
	else if (str_ieq(key, STR("ret")) && dsn_words(value, ret))
		o->dsn_ret = options_keep(o, value);
	else if (str_ieq(key, STR("envid")) && value.len && value.len <= 100)
		o->dsn_envid = options_keep(o, value);
	else
		return false;
	return true;
}

/* "notify=success,delay,ret=hdrs,envid=x": a comma parts two keys where a '=' follows before the
 * next one, and else two words. */
bool
options_set_dsn(struct client_options *o, const char *name, const char *value)
{
	struct str rest = str_of(value);
	bool ok = rest.len > 0;

	while (ok && rest.len) {
		size_t end = 0;
		do {
			end += end < rest.len && rest.p[end] == ',';
			end += str_find(str_skip(rest, end), ',');
			struct str next = str_skip(rest, end + 1);
			next = str_first(next, str_find(next, ','));
			if (str_find(next, '=') < next.len)
				break;
		} while (end < rest.len);
		ok = dsn_part(o, str_first(rest, end));
		rest = str_skip(rest, end + 1);
	}
	return ok ||
	       options_complain(o,
		   "%s cannot be %s; write notify=never|success,failure,delay and ret=full|hdrs "
		   "and envid=TEXT, parted by commas",
		   name, value);
}

/* RFC 2852 4: seconds, up to nine digits, R or N, and perhaps T. */
bool
options_set_by(struct client_options *o, const char *name, const char *value)
{
	struct str s = str_of(value), sec = str_first(s, str_find(s, ';'));
	struct str mode = str_skip(s, sec.len + 1);
	uint64_t n;

	if (sec.len && sec.p[0] == '-')
		sec = str_skip(sec, 1);
	bool ok = num_u64(sec, 999999999, &n) &&
	          (str_ieq(mode, STR("R")) || str_ieq(mode, STR("N")) || str_ieq(mode, STR("RT")) ||
		      str_ieq(mode, STR("NT")));
	if (!ok)
		return options_complain(o,
		    "%s cannot be %s; write seconds and R (return) or N (notify): %s '120;R'", name,
		    value, name);
	o->by = value;
	return true;
}

bool
options_set_pipeline(struct client_options *o, const char *name, const char *value)
{
	if (value && !is(value, "force"))
		return options_complain(o, "%s cannot be %s; write %s or %s=force", name, value,
		    name, name);
	o->pipeline = true;
	o->pipeline_force = value != NULL;
	return true;
}

bool
options_set_chunking(struct client_options *o, const char *name, const char *value)
{
	o->chunking = true;
	o->chunk = 0;
	if (value && (!num_size(str_of(value), &o->chunk) || o->chunk == 0))
		return options_complain(o,
		    "%s cannot be %s; write the octets of a chunk, as in %s=64K", name, value,
		    name);
	return true;
}

bool
options_set_param(struct client_options *o, const char *name, const char *value)
{
	struct buf b = BUF_INIT(4096);

	for (const char *p = value; *p; p++) {
		if (*p > ' ' && *p < 0x7f)
			continue;
		return options_complain(o, "%s cannot be '%s'; write KEYWORD or KEYWORD=VALUE",
		    name, value);
	}
	buf_putf(&b, "%s:%s", is(name, "--mail-param") ? "mail" : "rcpt", value);
	bool ok = !b.failed && *value;
	if (ok)
		options_push(&o->params, options_keep(o, buf_str(&b)));
	buf_done(&b);
	return ok || options_complain(o, "%s needs a value of 4,000 octets at most", name);
}

/* RFC 6710 2: -9 to 9. */
bool
options_set_priority(struct client_options *o, const char *name, const char *value)
{
	struct str s = str_of(value);
	uint64_t n;

	if (s.len && (s.p[0] == '-' || s.p[0] == '+'))
		s = str_skip(s, 1);
	if (!num_u64(s, 9, &n))
		return options_complain(o, "%s cannot be %s; write a number from -9 to 9", name,
		    value);
	o->priority = value[0] == '+' ? value + 1 : value;
	return true;
}

/* RFC 3339 5.6, as RFC 4865 wants it: 2026-11-22T07:30:00Z, or with +01:00 for Z. */
static bool
is_moment(struct str s)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd";
	size_t n = sizeof(form) - 1;

	for (size_t i = 0; i < n; i++) {
		char c = i < s.len ? s.p[i] : '\0';
		if (form[i] == 'd' ? c < '0' || c > '9' : c != form[i])
			return false;
	}
	s = str_skip(s, n);
	if (str_eq(s, STR("Z")))
		return true;
	return s.len == 6 && (s.p[0] == '+' || s.p[0] == '-') && s.p[3] == ':';
}

/* RFC 4865 4: for so many seconds, or until then. */
bool
options_set_hold(struct client_options *o, const char *name, const char *value)
{
	struct str s = str_of(value);
	uint64_t n;

	o->hold_for = o->hold_until = NULL;
	if (num_u64(s, 999999999, &n) && n > 0)
		o->hold_for = value;
	else if (is_moment(s))
		o->hold_until = value;
	else
		return options_complain(o,
		    "%s cannot be %s; write seconds, or a moment as 2026-11-22T07:30:00Z", name,
		    value);
	return true;
}
