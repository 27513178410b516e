#include "conf/conf_priv.h"

#include "base/check.h"

#include <stdlib.h>

static bool
is_listener_key(const struct conf_key *k)
{
	return (k->flags & CONF_LISTENER) != 0;
}

static void
defaults_fill(void *base, bool listener)
{
	struct buf err = BUF_INIT(4096);
	for (const struct conf_key *k = conf_keys; k->name; k++)
		if (is_listener_key(k) == listener)
			check(conf_value_set(k, base, str_of(k->def), &err));
	buf_done(&err);
}

static void
values_done(void *base, bool listener)
{
	for (const struct conf_key *k = conf_keys; k->name; k++)
		if (is_listener_key(k) == listener &&
		    (k->type == CONF_TEXT || k->type == CONF_CHOICE))
			free(*(char **)((char *)base + k->offset));
}

static void
replies_done(struct map *m)
{
	size_t pos = 0;
	struct str key;
	void *text;
	while (map_next(m, &pos, &key, &text))
		free(text);
	map_done(m);
}

static void
listener_done(struct conf_listener *l)
{
	values_done(l, true);
	replies_done(&l->replies);
}

static void
listener_copy(struct conf_listener *dst, const struct conf_listener *src)
{
	size_t pos = 0;
	struct str key;
	void *text;
	*dst = *src;
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		if (is_listener_key(k) && (k->type == CONF_TEXT || k->type == CONF_CHOICE)) {
			char **at = (char **)((char *)dst + k->offset);
			*at = xstrdup(*at);
		}
	}
	dst->replies = MAP_NULL;
	while (map_next(&src->replies, &pos, &key, &text))
		map_put(&dst->replies, key, xstrdup(text));
}

struct conf *
conf_new(void)
{
	struct conf *c = xalloc(sizeof *c);
	defaults_fill(c, false);
	defaults_fill(&c->defaults, true);
	return c;
}

void
conf_alias_clear(struct conf_alias *a)
{
	for (size_t i = 0; i < a->n_members; i++)
		free(a->members[i]);
	free(a->members);
	a->members = NULL;
	a->n_members = 0;
}

struct conf *
conf_free(struct conf *c)
{
	if (c == NULL)
		return NULL;
	values_done(c, false);
	listener_done(&c->defaults);
	for (size_t i = 0; i < c->n_listeners; i++)
		listener_done(&c->listeners[i]);
	for (size_t i = 0; i < c->n_domains; i++)
		free(c->domains[i]);
	for (size_t i = 0; i < c->n_aliases; i++) {
		conf_alias_clear(&c->aliases[i]);
		free(c->aliases[i].address);
	}
	for (size_t i = 0; i < c->n_dialects; i++) {
		free(c->dialects[i].name);
		free(c->dialects[i].text);
	}
	for (size_t i = 0; i < c->n_certs; i++) {
		free(c->certs[i].cert);
		free(c->certs[i].key);
	}
	free(c->certs);
	for (size_t i = 0; i < c->n_routes; i++)
		conf_route_clear(&c->routes[i]);
	free(c->routes);
	map_done(&c->route_at);
	for (size_t i = 0; i < c->n_texts; i++) {
		free(c->texts[i].path);
		free(c->texts[i].text);
	}
	free(c->texts);
	free(c->listeners);
	free(c->domains);
	free(c->aliases);
	free(c->dialects);
	free(c);
	return NULL;
}

struct conf_listener *
conf_listener_add(struct conf *c, const char *address, uint64_t port, const char *protocol)
{
	check(c->n_listeners < LISTENER_MAX);
	c->listeners = xrealloc(c->listeners, (c->n_listeners + 1) * sizeof *c->listeners);
	struct conf_listener *l = &c->listeners[c->n_listeners++];
	listener_copy(l, &c->defaults);
	free(l->address);
	l->address = xstrdup(address);
	l->port = port;
	free(l->protocol);
	l->protocol = xstrdup(protocol);
	l->lab = c->lab;
	return l;
}

void
conf_settle(struct conf *c)
{
	c->defaults.lab = c->lab;
	for (size_t i = 0; i < c->n_listeners; i++)
		c->listeners[i].lab = c->lab;
}

const char *
conf_unix_path(const struct conf_listener *l)
{
	struct str rest = str_of(l->address);
	return str_starts(rest, STR("unix:")) ? l->address + 5 : NULL;
}

bool
conf_same_place(const struct conf_listener *a, const struct conf_listener *b)
{
	return strcmp(a->address, b->address) == 0 && (a->port == b->port || conf_unix_path(a));
}

uint64_t
conf_files_wanted(const struct conf *c)
{
	uint64_t front = MIN(c->limit_conns_total, (uint64_t)CONF_CONNS_SANE);
	uint64_t relay = 2 * c->queue_jobs;
	return MAX(front, relay) + CONF_SPARE_FILES;
}

static uint64_t
port_meant(const struct conf_listener *l)
{
	return l->stands_for ? l->stands_for : l->port;
}

static bool
one_of(uint64_t port, const uint64_t *ports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ports[i] == port)
			return true;
	return false;
}

/* yes, no, or what auto comes to. */
static bool
choose(const char *value, bool automatic)
{
	return strcmp(value, "auto") == 0 ? automatic : strcmp(value, "yes") == 0;
}

static bool
is_submission_port(const struct conf_listener *l)
{
	static const uint64_t ports[] = { 465, 587 };
	return conf_protocol(l) == CONF_IS_SMTP && one_of(port_meant(l), ports, ARRAY_LEN(ports));
}

/* RFC 2645 4 */
static bool
is_odmr_port(const struct conf_listener *l)
{
	return conf_protocol(l) == CONF_IS_SMTP && port_meant(l) == 366;
}

bool
conf_lists(const char *list, struct str word)
{
	struct str all = str_of(list);
	while (all.len) {
		size_t n = str_find_any(all, ", \t");
		if (n > 0 && str_ieq(str_first(all, n), word))
			return true;
		all = str_skip(all, n + 1);
	}
	return false;
}

/* What another system did in a conversation must not fail on our own rules. */
static bool
imitates(const struct conf_listener *l)
{
	return l->lab && strcmp(l->dialect, "rfc") != 0;
}

bool
conf_tls_implicit(const struct conf_listener *l)
{
	static const uint64_t ports[] = { 465, 993, 995 };
	return !conf_unix_path(l) && conf_protocol(l) != CONF_IS_METRICS &&
	       choose(l->tls_implicit, one_of(port_meant(l), ports, ARRAY_LEN(ports)));
}

bool
conf_starttls(const struct conf_listener *l)
{
	return !conf_unix_path(l) && !conf_tls_implicit(l) && conf_protocol(l) != CONF_IS_METRICS &&
	       choose(l->starttls, !conf_is_lmtp(l));
}

/* A key at the top of the file must not stop the mail that another server hands over. */
bool
conf_tls_required(const struct conf_listener *l)
{
	return l->tls_required && conf_protocol(l) != CONF_IS_METRICS &&
	       (!conf_is_lmtp(l) || conf_tls_implicit(l) || conf_starttls(l));
}

bool
conf_auth(const struct conf_listener *l)
{
	bool asked_for = l->mechs[0] || strcmp(l->auth_cleartext, "allow") == 0 ||
	                 strcmp(l->auth_unadvertised, "accept") == 0 ||
	                 strcmp(l->auth_required, "yes") == 0;
	if (conf_protocol(l) == CONF_IS_METRICS)
		return false;
	if (conf_reads_mail(l))
		return true; /* whoever comes there comes to log in */
	bool automatic = is_submission_port(l) || is_odmr_port(l) || asked_for;
	return !conf_is_lmtp(l) && choose(l->auth, automatic);
}

bool
conf_auth_required(const struct conf_listener *l)
{
	bool on = (is_submission_port(l) || is_odmr_port(l)) && conf_auth(l) && !imitates(l);
	return conf_protocol(l) == CONF_IS_SMTP && choose(l->auth_required, on);
}

bool
conf_submission(const struct conf_listener *l)
{
	return conf_protocol(l) == CONF_IS_SMTP && choose(l->submission, is_submission_port(l));
}

bool
conf_atrn(const struct conf *c, const struct conf_listener *l)
{
	bool any = false;
	for (size_t i = 0; i < c->n_routes; i++)
		any = any || c->routes[i].atrn[0];
	bool on = is_odmr_port(l) || (any && is_submission_port(l));
	return conf_protocol(l) == CONF_IS_SMTP && conf_auth(l) && choose(l->atrn, on);
}

bool
conf_needs_certificate(const struct conf *c)
{
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct conf_listener *l = &c->listeners[i];
		bool secret = conf_auth(l) && strcmp(l->auth_cleartext, "allow") != 0;
		if (conf_tls_implicit(l) || conf_tls_required(l) || secret)
			return true;
	}
	return false;
}

bool
conf_bare_lf_session(const struct conf_listener *l)
{
	static const uint64_t trusted[] = { 465, 587, 143, 110, 993, 995 };
	if (strcmp(l->bare_lf, "auto") != 0)
		return strcmp(l->bare_lf, "session") == 0;
	return conf_reads_mail(l) || one_of(port_meant(l), trusted, ARRAY_LEN(trusted)) ||
	       imitates(l);
}
