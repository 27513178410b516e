/* Options whose values have a form of their own. */
#include "base/check.h"
#include "base/num.h"
#include "base/suggest.h"
#include "client/options_priv.h"
#include "sys/listen.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

static bool
is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Which of them; -1 after a message. */
static int
choose(const struct client_options *o, const char *name, const char *value,
    const char *const *choices)
{
	struct buf all = BUF_INIT(1024);

	for (int i = 0; choices[i]; i++) {
		if (str_ieq(str_of(choices[i]), str_of(value))) {
			buf_done(&all);
			return i;
		}
		buf_putf(&all, "%s%s", i == 0 ? "" : choices[i + 1] ? ", " : " or ", choices[i]);
	}
	options_complain(o, "%s cannot be %s; write %s", name, value, buf_cstr(&all) ? all.p : "");
	buf_done(&all);
	return -1;
}

bool
options_take(struct client_options *o, const struct option *row, const char *value)
{
	void *at = (char *)o + row->at;
	uint64_t number;
	int chosen;

	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)at = true;
		return true;
	case OPTION_TEXT:
		*(const char **)at = value;
		return true;
	case OPTION_LIST:
		options_push(at, value);
		return true;
	case OPTION_NUMBER:
		if (!num_u64(str_of(value), row->max, &number) || number < row->min)
			return options_complain(o,
			    "%s cannot be %s; write a number from %" PRIu64 " to %" PRIu64,
			    row->name, value, row->min, row->max);
		*(uint64_t *)at = number;
		return true;
	case OPTION_CHOICE:
	case OPTION_WORD:
		chosen = choose(o, row->name, value, row->choices);
		if (chosen < 0)
			return false;
		if (row->kind == OPTION_CHOICE)
			memcpy(at, &chosen, sizeof(chosen)); /* an enum is as wide as an int */
		else
			*(const char **)at = row->choices[chosen];
		return true;
	case OPTION_SET:
	case OPTION_MAYBE:
	case OPTION_DO:
		return row->set(o, row->name, value);
	case OPTION_SKIP:
	case OPTION_SKIP_VALUE:
		break;
	}
	return true;
}

/* --- connection --------------------------------------------------------------------------- */

bool
options_set_family(struct client_options *o, const char *name, const char *value)
{
	int family = is(name, "-4") ? AF_INET : AF_INET6;

	if (o->link.family != AF_UNSPEC && o->link.family != family)
		return options_complain(o, "-4 and -6 do not go together");
	o->link.family = family;
	return true;
}

bool
options_set_bind(struct client_options *o, const char *name, const char *value)
{
	struct sys_addr a;
	struct str s = str_of(value);

	if (s.len > 2 && s.p[0] == '[' && s.p[s.len - 1] == ']')
		value = options_keep(o, str_n(s.p + 1, s.len - 2));
	/* A zone is for the resolver to read: fe80::1%eth0. */
	if (!strchr(value, '%') && !sys_addr_parse(value, &a))
		return options_complain(o, "%s cannot be %s; write an address of this machine",
		    name, value);
	o->link.bind = value;
	return true;
}

bool
options_set_port(struct client_options *o, const char *name, const char *value)
{
	uint16_t port = options_port(str_of(value));

	if (port == 0)
		return options_complain(o,
		    "%s cannot be %s; write a number from 1 to 65535, or smtp, submission, imap, "
		    "...",
		    name, value);
	o->port = port;
	return true;
}

static bool
set_proto(struct client_options *o, const char *name, const char *value)
{
	static const char *const words[] = { "smtp", "lmtp", "imap", "pop3", "sieve", "raw", NULL };
	int i = choose(o, name, value, words);

	if (i < 0)
		return false;
	o->proto = (enum client_proto)i;
	o->proto_given = true;
	return true;
}

bool
options_set_proto(struct client_options *o, const char *name, const char *value)
{
	return set_proto(o, name, value);
}

bool
options_set_timeout(struct client_options *o, const char *name, const char *value)
{
	struct str s = str_of(value), whole = str_first(s, str_find(s, '.'));
	struct str part = str_skip(s, whole.len + 1);
	uint64_t sec = 0, tenths = 0;

	if (!num_u64(whole, 86400, &sec) ||
	    (whole.len < s.len && (part.len != 1 || !num_u64(part, 9, &tenths))) ||
	    (sec == 0 && tenths == 0))
		return options_complain(o, "%s cannot be %s; write seconds, from 0.1 to 86400",
		    name, value);
	o->link.timeout_ms = (int64_t)(sec * 1000 + tenths * 100);
	return true;
}

bool
options_set_resolve(struct client_options *o, const char *name, const char *value)
{
	struct str s = str_of(value), host = str_first(s, str_find(s, ':'));
	struct str addr = str_skip(s, host.len + 1);
	struct sys_addr a;

	if (addr.len > 2 && addr.p[0] == '[' && addr.p[addr.len - 1] == ']')
		addr = str_n(addr.p + 1, addr.len - 2);
	const char *text = options_keep(o, addr);
	if (host.len == 0 || !sys_addr_parse(text, &a))
		return options_complain(o,
		    "%s cannot be %s; write NAME:ADDRESS, as in %s mail.example.com:192.0.2.1",
		    name, value, name);
	if (o->link.n_resolve == LINK_RESOLVE_MAX)
		return options_complain(o, "%s may be given %d times at most", name,
		    LINK_RESOLVE_MAX);
	o->link.resolve[o->link.n_resolve].name = options_keep(o, host);
	o->link.resolve[o->link.n_resolve].addr = text;
	o->link.n_resolve++;
	return true;
}

bool
options_set_proxy(struct client_options *o, const char *name, const char *value)
{
	o->link.proxy = is(name, "--proxy-v1") ? 1 : 2;
	o->link.proxy_source = str_of(value);
	if (!value)
		return true;
	struct str s = str_of(value);
	uint64_t port;
	size_t colon = str_rfind(s, ':');
	if (colon == s.len || !num_u64(str_skip(s, colon + 1), 65535, &port))
		return options_complain(o,
		    "%s cannot be %s; write ADDRESS:PORT of the client that is spoken for, as in "
		    "%s=192.0.2.1:1234",
		    name, value, name);
	return true;
}

/* --- TLS ---------------------------------------------------------------------------------- */

bool
options_set_tls(struct client_options *o, const char *name, const char *value)
{
	static const char *const words[] = { "may", "must", "never", "implicit", NULL };

	o->tls_given = true;
	if (is(name, "--starttls")) {
		o->tls = CLIENT_TLS_MUST;
		o->starttls = true;
		return true;
	}
	int i = choose(o, name, value, words);
	if (i < 0)
		return false;
	o->tls = (enum client_tls)i;
	return true;
}

/* -starttls PROTO and -connect HOST:PORT. */
bool
options_set_starttls(struct client_options *o, const char *name, const char *value)
{
	if (is(name, "-connect")) {
		o->connect = value;
		return true;
	}
	o->tls = CLIENT_TLS_MUST;
	o->tls_given = true;
	o->starttls = true;
	return set_proto(o, name, value);
}

static int
version_of(const char *value)
{
	static const char *const words[] = { "1.0", "1.1", "1.2", "1.3" };
	struct str s = str_of(value);

	if (str_istarts(s, STR("TLSv")))
		s = str_skip(s, 4);
	else if (str_istarts(s, STR("tls")))
		s = str_skip(s, 3);
	for (int i = 0; i < (int)ARRAY_LEN(words); i++)
		if (str_eq(s, str_of(words[i])))
			return 0x0301 + i;
	return 0;
}

static const struct {
	const char *name;
	int min, max;
} version_flags[] = {
	{ "-tls1", 0x0301, 0x0301 },
	{ "-tls1_1", 0x0302, 0x0302 },
	{ "-tls1_2", 0x0303, 0x0303 },
	{ "-tls1_3", 0x0304, 0x0304 },
	{ "-no_tls1_2", 0x0304, 0 },
	{ "-no_tls1_3", 0, 0x0303 },
};

bool
options_set_version(struct client_options *o, const char *name, const char *value)
{
	struct tls_client_conf *t = &o->link.tls;

	for (size_t i = 0; i < ARRAY_LEN(version_flags); i++) {
		if (!is(name, version_flags[i].name))
			continue;
		t->min_version = version_flags[i].min ? version_flags[i].min : t->min_version;
		t->max_version = version_flags[i].max ? version_flags[i].max : t->max_version;
		return true;
	}
	int version = version_of(value);
	if (version == 0)
		return options_complain(o, "%s cannot be %s; write 1.0, 1.1, 1.2 or 1.3", name,
		    value);
	if (is(name, "--tls-min"))
		t->min_version = version;
	else
		t->max_version = version;
	return true;
}

/* What makes no sense unless certificates are verified. */
bool
options_set_verify(struct client_options *o, const char *name, const char *value)
{
	struct options_memory *m = o->memory;

	m->verify = true;
	if (value && !*value)
		return options_complain(o, "%s needs a value", name);
	if (is(name, "--ca") || is(name, "-CAfile") || is(name, "-CApath"))
		o->link.tls.ca_file = value;
	else if (value)
		o->link.verify_name = value;
	return true;
}

bool
options_set_pin(struct client_options *o, const char *name, const char *value)
{
	if (!link_pin_valid(str_of(value)))
		return options_complain(o,
		    "%s cannot be %s; write the SHA-256 of the public key in base64 or "
		    "hexadecimal: `pennypost cert HOST` shows it",
		    name, value);
	if (o->link.n_pins == LINK_PINS_MAX)
		return options_complain(o, "%s may be given %d times at most", name, LINK_PINS_MAX);
	o->link.pins[o->link.n_pins++] = str_of(value);
	return true;
}

/* --- auth --------------------------------------------------------------------------------- */

bool
options_set_auth(struct client_options *o, const char *name, const char *value)
{
	o->auth = true;
	o->mechs = value && *value ? value : NULL;
	return true;
}

bool
options_set_token(struct client_options *o, const char *name, const char *value)
{
	o->secret.command = value;
	o->oauth = true;
	return true;
}

bool
options_set_password(struct client_options *o, const char *name, const char *value)
{
	return options_complain(o,
	    "a password never stands on the command line, where others can read it: give nothing "
	    "and it is asked for, or use --password-file FILE, --password-fd N or "
	    "$PENNYPOST_PASSWORD");
}

/* --- wire and output ---------------------------------------------------------------------- */

bool
options_set_segments(struct client_options *o, const char *name, const char *value)
{
	uint64_t n;

	if (is(value, "keystroke")) {
		o->link.segment = 1;
		return true;
	}
	if (!num_u64(str_of(value), 1u << 20, &n) || n == 0)
		return options_complain(o,
		    "%s cannot be %s; write the octets of a segment, or keystroke", name, value);
	o->link.segment = (size_t)n;
	return true;
}

bool
options_set_color(struct client_options *o, const char *name, const char *value)
{
	static const char *const words[] = { "auto", "always", "never", NULL };
	int i = choose(o, name, value, words);

	if (i < 0)
		return false;
	o->color = (enum show_color)i;
	return true;
}

static const struct {
	const char *name, *us, *them;
} label_rows[] = {
	{ "c:", "c: ", "s: " },
	{ "C:", "C: ", "S: " },
	{ "->", "-> ", "<- " },
	{ "none", "", "" },
};

bool
options_set_labels(struct client_options *o, const char *name, const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(label_rows); i++) {
		if (!is(value, label_rows[i].name))
			continue;
		o->labels = true;
		o->show.us = label_rows[i].us;
		o->show.them = label_rows[i].them;
		return true;
	}
	return options_complain(o, "%s cannot be %s; write c:, C:, -> or none", name, value);
}

bool
options_set_format(struct client_options *o, const char *name, const char *value)
{
	o->format_given = transcript_format_find(str_of(value), &o->format);
	return o->format_given ||
	       options_complain(o, "%s cannot be %s; write telnet, conv, json or html", name,
		   value);
}
