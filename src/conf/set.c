/* --set: one assignment, as a name and a text. */
#include "conf/conf_priv.h"

#include "base/num.h"
#include "base/utf8.h"

static bool
set_domains(struct conf *c, struct str list, struct buf *err)
{
	while (list.p) {
		struct str name = str_trim(str_cut(&list, ','));
		if (name.len && !conf_domain_add(c, name, err))
			return false;
	}
	return true;
}

static bool
set_alias(struct conf *c, struct str address, struct str list, struct buf *err)
{
	struct conf_alias *a = conf_alias_add(c, address, err);
	if (a == NULL)
		return false;
	while (list.p) {
		struct str member = str_trim(str_cut(&list, ','));
		if (member.len && !conf_alias_member_add(a, member, err))
			return false;
	}
	if (a->n_members == 0)
		buf_putf(err,
		    "the alias %s has no member; write alias.%s=ann@example.org,bob@example.org",
		    a->address, a->address);
	return a->n_members > 0;
}

/* Walks the listeners that PORT names (0: all and the defaults) and sets the key in each. */
struct target {
	struct conf *c;
	uint64_t port;
	const struct conf_key *key; /* NULL: a reply */
	struct str situation;
};

static bool
set_one(const struct target *t, struct conf_listener *l, struct str value, struct buf *err)
{
	if (t->key)
		return conf_value_set(t->key, l, value, err);
	return conf_reply_set(l, t->situation, value, err);
}

static bool
set_listeners(const struct target *t, struct str value, struct buf *err)
{
	bool hit = t->port == 0;
	if (hit && !set_one(t, &t->c->defaults, value, err))
		return false;
	for (size_t i = 0; i < t->c->n_listeners; i++) {
		struct conf_listener *l = &t->c->listeners[i];
		if (t->port && l->port != t->port && l->stands_for != t->port)
			continue;
		hit = true;
		if (!set_one(t, l, value, err))
			return false;
	}
	if (!hit)
		buf_putf(err,
		    "no listener has port %u; leave the port out to set the key for all of them",
		    (unsigned)t->port);
	return hit;
}

static void
unknown_key(struct str name, bool listener, struct buf *err)
{
	const char *near = conf_key_nearest(name, listener);
	conf_quote(err, name);
	buf_putz(err, " is no key");
	if (str_eq(name, STR("routes")))
		buf_putz(err, " of --set; write route.DOMAIN=VIA for each of them");
	else if (near)
		buf_putf(err, "; did you mean %s?", near);
	else
		buf_putz(err, "; `pennypost config keys` lists them all");
}

static bool
set_key(struct target *t, struct str name, struct str value, struct buf *err)
{
	t->key = conf_key_find(name);
	if (t->key == NULL) {
		unknown_key(name, t->port != 0, err);
		return false;
	}
	if (t->key->flags & CONF_PLACE) {
		buf_putf(err,
		    "%s cannot be set like this; write it in the listener's group in the file",
		    t->key->name);
		return false;
	}
	if (t->key->flags & CONF_LISTENER)
		return set_listeners(t, value, err);
	if (t->port) {
		buf_putf(err, "%s is one for the whole server; leave out the port in front",
		    t->key->name);
		return false;
	}
	if (!conf_value_set(t->key, t->c, value, err))
		return false;
	conf_settle(t->c);
	return true;
}

/* "25:dialect" -> 25 and "dialect". */
static uint64_t
cut_port(struct str *name)
{
	uint64_t port = 0;
	size_t colon = str_find(*name, ':');
	if (colon < name->len && num_u64(str_first(*name, colon), 65535, &port) && port)
		*name = str_skip(*name, colon + 1);
	return port;
}

static bool
set_assignment(struct conf *c, struct str name, struct str value, struct buf *err)
{
	struct target t = { .c = c, .port = cut_port(&name) };
	if (str_starts(name, STR("reply."))) {
		t.situation = str_skip(name, 6);
		return set_listeners(&t, value, err);
	}
	if (t.port == 0 && str_starts(name, STR("alias.")))
		return set_alias(c, str_skip(name, 6), value, err);
	if (t.port == 0 && str_starts(name, STR("route.")))
		return conf_route_set(c, str_skip(name, 6), value, err);
	if (t.port == 0 && str_eq(name, STR("domains")))
		return set_domains(c, value, err);
	if (t.port == 0 && str_eq(name, STR("dialect_dir"))) {
		char path[CONF_TEXT_MAX];
		if (str_copy(path, sizeof path, value) && strlen(path) == value.len)
			return conf_dialect_dir_read(c, path, err);
	}
	return set_key(&t, name, value, err);
}

bool
conf_set(struct conf *c, struct str assignment, struct buf *err)
{
	/* An alias' local part may hold a '=': the one behind the '@' counts. */
	size_t from = str_starts(assignment, STR("alias.")) ? str_find(assignment, '@') : 0;
	size_t at = from + str_find(str_skip(assignment, from), '=');
	if (at >= assignment.len)
		at = str_find(assignment, '=');
	struct str name = str_first(assignment, at);
	struct buf one = BUF_INIT(64u << 10);
	bool ok = false;
	if (at >= assignment.len)
		buf_putz(&one, "has no value; write KEY=VALUE");
	else
		ok = set_assignment(c, name, str_skip(assignment, at + 1), &one);
	if (!ok) {
		buf_putz(err, "--set ");
		utf8_escape(err, name);
		buf_putz(err, ": ");
		buf_puts(err, buf_str(&one));
		buf_putc(err, '\n');
	}
	buf_done(&one);
	return ok;
}
