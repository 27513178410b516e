/* Routes: where mail for other domains goes when not by MX records, and how. */
#include "conf/conf_priv.h"

#include "base/check.h"
#include "base/suggest.h"
#include "conf/self.h"
#include "queue/target.h"
#include "sys/listen.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define ROUTE_SOURCES_MAX 64

static bool
good_via(struct str v, const char **ret_want)
{
	struct target t;
	*ret_want = "mx, mx:DOMAIN, smtp:HOST:PORT, lmtp:HOST:PORT, lmtp:/PATH, turn:, hold: or "
		    "error:5.1.2 TEXT";
	return str_eq(v, STR("mx")) || (v.len < TARGET_MAX && target_parse(v, &t));
}

/* Names of hosts are compared and asked for in lower case. */
static void
fold_via(char *via)
{
	struct target t;
	if (!target_parse(str_of(via), &t) || t.host.len == 0 || t.host.p[0] == '/')
		return;
	char *host = via + (t.host.p - via);
	for (size_t i = 0; i < t.host.len; i++)
		if (host[i] >= 'A' && host[i] <= 'Z')
			host[i] |= 0x20;
}

static bool
good_line(struct str v, const char **ret_want)
{
	*ret_want = "at most 255 octets without blanks";
	return v.len <= 255 && str_find_any(v, " \t") == v.len;
}

bool
conf_good_sources(struct str v, const char **ret_want)
{
	size_t n = 0;
	*ret_want = "IP addresses of this host, parted by blanks or commas";
	while (v.len) {
		size_t len = str_find_any(v, " ,");
		char text[INET6_ADDRSTRLEN];
		unsigned char bin[16];
		struct str one = str_first(v, len);
		v = str_skip(v, len + 1);
		if (one.len == 0)
			continue;
		if (!str_copy(text, sizeof(text), one) || ++n > ROUTE_SOURCES_MAX ||
		    (inet_pton(AF_INET, text, bin) != 1 && inet_pton(AF_INET6, text, bin) != 1))
			return false;
	}
	return true;
}

/* Words parted by blanks or commas, each good by itself. */
static bool
each_good(struct str v, bool (*good)(struct str one))
{
	while (v.len) {
		size_t n = str_find_any(v, ", \t");
		if (n > 0 && !good(str_first(v, n)))
			return false;
		v = str_skip(v, n + 1);
	}
	return true;
}

static bool
good_mech(struct str v)
{
	const char *want;
	return conf_good_mechs(v, &want);
}

static bool
good_route_mechs(struct str v, const char **ret_want)
{
	(void)conf_good_mechs(STR(""), ret_want);
	return each_good(v, good_mech);
}

static bool
good_account(struct str v)
{
	size_t at = str_rfind(v, '@');
	return at > 0 && at < v.len && conf_good_domain(str_skip(v, at + 1));
}

static bool
good_accounts(struct str v, const char **ret_want)
{
	*ret_want = "addresses of accounts, parted by blanks or commas";
	return each_good(v, good_account);
}

static bool
good_domains(struct str v, const char **ret_want)
{
	*ret_want = "domains, parted by blanks or commas";
	return v.len <= 4096 && each_good(v, conf_good_domain);
}

#define R(field) offsetof(struct conf_route, field)
const struct conf_key conf_route_keys[] = {
	{ "via", CONF_TEXT, 0, R(via), .def = "mx", .good = good_via, .fold = fold_via,
	    .doc = "Where mail for the domain is brought." },
	{ "tls", CONF_CHOICE, 0, R(tls), .choices = "auto never may must verify", .def = "auto",
	    .doc = "auto: DANE, MTA-STS, else TLS where it is offered. may: TLS where it is "
		   "offered. must: TLS with any certificate. verify: TLS with a certificate that "
		   "an authority vouches for. never: no TLS." },
	{ "login", CONF_TEXT, 0, R(login), .def = "", .good = good_line,
	    .doc = "The name to log in with. Empty: no login. With EXTERNAL and GSSAPI the "
		   "certificate or the keytab says who we are." },
	{ "secret_file", CONF_TEXT, 0, R(secret_file), .def = "", .good = conf_good_path_or_empty,
	    .doc = "A file whose first line is the password." },
	{ "mechs", CONF_TEXT, 0, R(mechs), .def = "", .good = good_route_mechs,
	    .doc = "The mechanisms that may be used to log in, best first. Empty: all but the weak "
		   "ones, those with tokens, and GSSAPI, which must be written here and is then "
		   "taken before the others (gssapi.client_keytab)." },
	{ "certificate", CONF_TEXT, 0, R(certificate), .def = "", .good = good_line,
	    .doc = "A name in one of our certificates (tls.certificates, or DIR/tls), which is "
		   "shown to a server that asks for one in TLS 1.3; with a login, EXTERNAL is then "
		   "possible. Empty: none is shown." },
	{ "auth_cleartext", CONF_CHOICE, 0, R(auth_cleartext), .choices = "allow deny",
	    .def = "deny",
	    .doc = "Whether the password may go in clear (PLAIN, LOGIN, tokens) to a server that "
		   "is not "
		   "verified, or without TLS." },
	{ "source", CONF_TEXT, 0, R(source), .def = "", .good = conf_good_sources,
	    .doc = "Addresses of this host that connections come from, in turn." },
	{ "max_connections", CONF_NUMBER, 0, R(max_connections), 0, 1000, .def = "0",
	    .doc = "Connections at the same time. 0: as queue.window_most says." },
	{ "max_letters", CONF_NUMBER, 0, R(max_letters), 0, 1000000, .def = "0",
	    .doc = "Letters of one connection. 0: as relay.letters says." },
	{ "atrn", CONF_TEXT, 0, R(atrn), .def = "", .good = good_accounts,
	    .doc =
		"Accounts that may fetch the mail of this domain with ATRN (RFC 2645), parted by "
		"blanks or commas. With via = turn: it waits until they do." },
	{ "fetch_by_atrn", CONF_TEXT, 0, R(fetch_by_atrn), .def = "", .good = good_domains,
	    .doc =
		"Domains whose mail is fetched with ATRN (RFC 2645) from the host that via names "
		"(smtp:HOST:366), with login and secret_file." },
	{ "fetch_every", CONF_SECONDS, 0, R(fetch_every), 0, 86400, .def = "0",
	    .doc = "The time between two fetches. 0: only when pennypost queue fetch says so." },
	{ NULL },
};

static bool
good_match(struct str v)
{
	if (str_eq(v, STR("*")))
		return true;
	if (str_starts(v, STR("*.")))
		v = str_skip(v, 2);
	if (v.len > 2 && v.p[0] == '[' && v.p[v.len - 1] == ']')
		return v.len <= 255 && str_find_any(v, " \t<>@") == v.len;
	return str_find(v, '*') == v.len && conf_good_domain(v);
}

#define MATCH_MAX 255

/* In lower case, as a match is kept; what is longer than any of them is nothing. */
static struct str
folded(char room[MATCH_MAX], struct str s)
{
	if (s.len > MATCH_MAX)
		return STR_NULL;
	for (size_t i = 0; i < s.len; i++)
		room[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
	return str_n(room, s.len);
}

static struct conf_route *
route_at(const struct conf *c, struct str match)
{
	uintptr_t i = (uintptr_t)map_get(&c->route_at, match);
	return i ? &c->routes[i - 1] : NULL;
}

struct conf_route *
conf_route_find(const struct conf *c, struct str match)
{
	char room[MATCH_MAX];
	return route_at(c, folded(room, match));
}

struct conf_route *
conf_route_add(struct conf *c, struct str match, struct buf *err)
{
	struct conf_route *r = conf_route_find(c, match);
	char room[MATCH_MAX];
	if (r)
		return r;
	if (!good_match(match)) {
		conf_quote(err, match);
		buf_putz(err, " is nothing that a route can be for; write example.net, "
			      "*.example.net or *");
		return NULL;
	}
	if (c->n_routes >= CONF_ROUTES_MAX) {
		buf_putf(err,
		    "more than %d routes; let one pattern such as *.example.net stand for "
		    "many",
		    CONF_ROUTES_MAX);
		return NULL;
	}
	c->routes = xrealloc(c->routes, (c->n_routes + 1) * sizeof(*c->routes));
	r = &c->routes[c->n_routes++];
	*r = (struct conf_route){ .match = str_dup(folded(room, match)) };
	map_put(&c->route_at, str_of(r->match), (void *)(uintptr_t)c->n_routes);
	for (const struct conf_key *k = conf_route_keys; k->name; k++)
		check(conf_value_set(k, r, str_of(k->def), err));
	return r;
}

void
conf_route_clear(struct conf_route *r)
{
	free(r->match);
	for (const struct conf_key *k = conf_route_keys; k->name; k++)
		if (k->type == CONF_TEXT || k->type == CONF_CHOICE)
			free(*(char **)((char *)r + k->offset));
}

const struct conf_key *
conf_route_key(struct str name)
{
	for (const struct conf_key *k = conf_route_keys; k->name; k++)
		if (str_eq(str_of(k->name), name))
			return k;
	return NULL;
}

/* What was read as a domain may end in a key that is misspelt. */
static void
hint_key(struct str name, size_t dot, struct buf *err)
{
	struct suggest s;
	suggest_init(&s, str_skip(name, dot + 1));
	for (const struct conf_key *k = conf_route_keys; k->name; k++)
		suggest_offer(&s, k->name);
	if (suggest_best(&s))
		buf_putf(err, "; did you mean route." STR_FMT ".%s?", STR_ARG(str_first(name, dot)),
		    suggest_best(&s));
}

/* "example.net" is its way; "example.net.tls" one of its keys. */
bool
conf_route_set(struct conf *c, struct str name, struct str value, struct buf *err)
{
	size_t dot = str_rfind(name, '.');
	const struct conf_key *k = dot < name.len ? conf_route_key(str_skip(name, dot + 1)) : NULL;
	struct conf_route *r = conf_route_add(c, k ? str_first(name, dot) : name, err);
	if (r && conf_value_set(k ? k : &conf_route_keys[0], r, value, err))
		return true;
	if (r && !k)
		hint_key(name, dot, err);
	return false;
}

/* The longest match. It is asked for each recipient, job and domain, so however many routes there
 * are only those are looked up that may fit. */
const struct conf_route *
conf_route_for(const struct conf *c, struct str domain)
{
	char room[1 + MATCH_MAX]; /* '*' and then the domain, or its end */
	struct str name = folded(room + 1, domain);
	const struct conf_route *r = route_at(c, name);
	for (size_t i = 1; !r && i < name.len; i++) {
		if (room[1 + i] != '.')
			continue;
		room[i] = '*';
		r = route_at(c, str_n(room + i, name.len - i + 1));
	}
	return r ? r : route_at(c, STR("*"));
}

/* Mail that we would bring to ourselves. */
static bool
leads_back(const struct self *s, const struct conf_route *r)
{
	char text[INET6_ADDRSTRLEN];
	struct sys_addr a;
	struct target t;
	if (!target_parse(str_of(r->via), &t))
		return false;
	if (t.kind == TARGET_MX && !t.literal)
		return self_has_name(s, t.host);
	if (t.port == 0 || !self_has_port(s, t.port))
		return false;
	if (!t.literal)
		return self_has_name(s, t.host);
	return str_copy(text, sizeof(text), t.host) && sys_addr_parse(text, &a) &&
	       self_has_place(s, a.ip, t.port, false);
}

static bool
has_ticket(const struct conf_route *r)
{
	return conf_lists(r->mechs, STR("GSSAPI"));
}

static bool
check_login(const struct conf_route *r, struct buf *err)
{
	bool never = strcmp(r->tls, "never") == 0, deny = strcmp(r->auth_cleartext, "deny") == 0;
	bool known = r->secret_file[0] || r->certificate[0] || has_ticket(r);
	if (r->login[0] && !known)
		buf_putf(err,
		    "route %s: login is set and secret_file is not; name a file with the "
		    "password (or a certificate, or write GSSAPI into mechs)\n",
		    r->match);
	if (r->login[0] && never && deny)
		buf_putf(err,
		    "route %s: tls = never would send the password in clear; write tls = "
		    "verify, or auth_cleartext = allow if the way there is safe\n",
		    r->match);
	return !r->login[0] || (known && !(never && deny));
}

static bool
check_turn(const struct conf_route *r, struct buf *err)
{
	bool one = r->match[0] != '*' && r->match[0] != '[';
	bool can_fetch = str_starts(str_of(r->via), STR("smtp:")) && r->login[0];
	if (r->atrn[0] && !one)
		buf_putf(err,
		    "route %s: atrn is for one domain; write a route for each domain that is "
		    "fetched\n",
		    r->match);
	if (r->fetch_by_atrn[0] && !can_fetch)
		buf_putf(err,
		    "route %s: fetch_by_atrn needs via = smtp:HOST:366, a login and a "
		    "secret_file\n",
		    r->match);
	return (!r->atrn[0] || one) && (!r->fetch_by_atrn[0] || can_fetch);
}

static bool
is_ours(const struct conf *c, const char *domain)
{
	for (size_t i = 0; i < c->n_domains; i++)
		if (str_ieq(str_of(c->domains[i]), str_of(domain)))
			return true;
	return false;
}

static void
warn(const struct conf *c, const struct self *self, const struct conf_route *r,
    struct buf *warnings)
{
	if (is_ours(c, r->match))
		buf_putf(warnings,
		    "route %s: it has no effect, for the domain is in domains and its mail stays "
		    "here; remove it from one of them\n",
		    r->match);
	if (strcmp(r->via, "turn:") == 0 && !r->atrn[0])
		buf_putf(warnings,
		    "route %s: its mail waits for ATRN, and nobody may ask for it; name accounts "
		    "in "
		    "atrn\n",
		    r->match);
	if (!r->login[0] && r->secret_file[0])
		buf_putf(warnings, "route %s: secret_file has no effect without login\n", r->match);
	if (has_ticket(r) && !c->gssapi_client_keytab[0])
		buf_putf(warnings,
		    "route %s: GSSAPI in mechs does not work without gssapi.client_keytab\n",
		    r->match);
	if (!c->dns[0] && str_starts(str_of(r->via), STR("mx")))
		buf_putf(warnings,
		    "route %s: dns is empty, so no MX record is ever found; its mail waits\n",
		    r->match);
	if (leads_back(self, r))
		buf_putf(warnings,
		    "route %s: %s is this server, so its mail comes back to the sender (5.4.6); "
		    "name another host, or add the domain with `pennypost domain add`\n",
		    r->match, r->via);
}

bool
conf_check_routes(const struct conf *c, struct buf *err, struct buf *warnings)
{
	struct self self = { 0 };
	bool ok = true;
	self_look(&self);
	self_take(&self, c);
	for (size_t i = 0; i < c->n_routes; i++) {
		ok = check_login(&c->routes[i], err) && ok;
		ok = check_turn(&c->routes[i], err) && ok;
		if (warnings)
			warn(c, &self, &c->routes[i], warnings);
	}
	self_done(&self);
	return ok;
}
