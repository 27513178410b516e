/*
 * The configuration as lines of key=value, for the roles. Values are escaped so that a line is
 * a line; the order is: version, keys of the whole, domains, aliases, routes, dialects, files, the
 * defaults of listeners, the listeners, end. Reading it back checks every value as a file's is.
 */
#include "conf/conf_priv.h"

#include "base/check.h"
#include "base/num.h"

#include <stdlib.h>

#define DUMP_HEAD "pennypost-conf 1"

static void
put_line(struct buf *out, const char *key, struct str v)
{
	buf_putz(out, key);
	buf_putc(out, '=');
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.p[i];
		if (c < 0x20 || c == 0x7f || c == '\\')
			buf_putf(out, "\\%02x", c);
		else
			buf_putc(out, (char)c);
	}
	buf_putc(out, '\n');
}

static void
put_keys(const void *base, bool listener, struct buf *out)
{
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		if (((k->flags & CONF_LISTENER) != 0) != listener)
			continue;
		struct buf v = BUF_INIT(CONF_TEXT_MAX + 1);
		conf_value_put(k, base, &v);
		check(!v.failed);
		put_line(out, k->name, buf_str(&v));
		buf_done(&v);
	}
}

static void
put_listener(const struct conf_listener *l, const char *title, struct buf *out)
{
	size_t n;
	struct conf_reply *replies = conf_replies_sorted(l, &n);
	put_line(out, title, STR_NULL);
	put_keys(l, true, out);
	for (size_t i = 0; i < n; i++) {
		put_line(out, "situation", replies[i].situation);
		put_line(out, "reply", str_of(replies[i].text));
	}
	free(replies);
}

static void
put_route(const struct conf_route *r, struct buf *out)
{
	put_line(out, "route", str_of(r->match));
	for (const struct conf_key *k = conf_route_keys; k->name; k++) {
		struct buf v = BUF_INIT(CONF_TEXT_MAX + 1), name = BUF_INIT(64);
		buf_putf(&name, "route.%s", k->name);
		conf_value_put(k, r, &v);
		check(!v.failed && buf_cstr(&name));
		put_line(out, name.p, buf_str(&v));
		buf_done(&v);
		buf_done(&name);
	}
}

void
conf_dump(const struct conf *c, struct buf *out)
{
	buf_putz(out, DUMP_HEAD "\n");
	put_keys(c, false, out);
	for (size_t i = 0; i < c->n_domains; i++)
		put_line(out, "domain", str_of(c->domains[i]));
	for (size_t i = 0; i < c->n_aliases; i++) {
		put_line(out, "alias", str_of(c->aliases[i].address));
		for (size_t m = 0; m < c->aliases[i].n_members; m++)
			put_line(out, "member", str_of(c->aliases[i].members[m]));
	}
	for (size_t i = 0; i < c->n_routes; i++)
		put_route(&c->routes[i], out);
	for (size_t i = 0; i < c->n_dialects; i++) {
		put_line(out, "dialect.name", str_of(c->dialects[i].name));
		put_line(out, "dialect.text", str_of(c->dialects[i].text));
	}
	for (size_t i = 0; i < c->n_texts; i++) {
		put_line(out, "file.name", str_of(c->texts[i].path));
		put_line(out, "file.text", str_of(c->texts[i].text));
	}
	put_listener(&c->defaults, "defaults", out);
	for (size_t i = 0; i < c->n_listeners; i++)
		put_listener(&c->listeners[i], "listener", out);
	buf_putz(out, "end\n");
}

/* --- and back --- */

struct reader {
	struct conf *c;
	struct conf_listener *listener; /* NULL before "defaults" */
	struct conf_alias *alias;
	struct conf_route *route;
	struct buf held; /* the name that waits for its text; CONF_PATH_MAX octets */
	struct buf *err;
};

static bool
put_unescaped(struct str v, struct buf *out)
{
	while (v.len) {
		size_t n = str_find(v, '\\');
		uint64_t octet;
		buf_puts(out, str_first(v, n));
		v = str_skip(v, n);
		if (v.len == 0)
			break;
		if (v.len < 3 || !num_hex(str_n(v.p + 1, 2), &octet) || octet == 0)
			return false;
		buf_putc(out, (char)octet);
		v = str_skip(v, 3);
	}
	return !out->failed;
}

static bool
read_domain(struct reader *r, struct str v)
{
	return conf_domain_add(r->c, v, r->err);
}

static bool
read_alias(struct reader *r, struct str v)
{
	r->alias = conf_alias_add(r->c, v, r->err);
	return r->alias != NULL;
}

static bool
read_member(struct reader *r, struct str v)
{
	return r->alias && conf_alias_member_add(r->alias, v, r->err);
}

static bool
read_route(struct reader *r, struct str v)
{
	r->route = conf_route_add(r->c, v, r->err);
	return r->route != NULL;
}

static bool
read_held(struct reader *r, struct str v)
{
	buf_reset(&r->held);
	buf_puts(&r->held, v);
	return !r->held.failed;
}

static bool
read_dialect(struct reader *r, struct str v)
{
	return conf_dialect_add(r->c, buf_str(&r->held), v, r->err);
}

static bool
read_text(struct reader *r, struct str v)
{
	return conf_text_add(r->c, buf_str(&r->held), v, r->err);
}

static bool
read_reply(struct reader *r, struct str v)
{
	return r->listener && conf_reply_set(r->listener, buf_str(&r->held), v, r->err);
}

static bool
read_defaults(struct reader *r, struct str v)
{
	r->listener = &r->c->defaults;
	return v.len == 0;
}

static bool
read_listener(struct reader *r, struct str v)
{
	if (v.len || r->c->n_listeners >= LISTENER_MAX)
		return false;
	r->listener = conf_listener_add(r->c, "*", 25, "smtp");
	/* It brings all its replies; those of the defaults would only be in the way. */
	size_t pos = 0;
	struct str key;
	void *text;
	while (map_next(&r->listener->replies, &pos, &key, &text))
		free(text);
	map_done(&r->listener->replies);
	r->listener->replies = MAP_NULL;
	return true;
}

static const struct {
	const char *name;
	bool (*read)(struct reader *r, struct str v);
} lines[] = {
	{ "domain", read_domain },
	{ "alias", read_alias },
	{ "member", read_member },
	{ "route", read_route },
	{ "dialect.name", read_held },
	{ "dialect.text", read_dialect },
	{ "file.name", read_held },
	{ "file.text", read_text },
	{ "situation", read_held },
	{ "reply", read_reply },
	{ "defaults", read_defaults },
	{ "listener", read_listener },
};

static bool
read_pair(struct reader *r, struct str key, struct str v)
{
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (str_eq(str_of(lines[i].name), key))
			return lines[i].read(r, v);
	const struct conf_key *of_route =
	    str_starts(key, STR("route.")) ? conf_route_key(str_skip(key, 6)) : NULL;
	if (of_route)
		return r->route && conf_value_set(of_route, r->route, v, r->err);
	const struct conf_key *k = conf_key_find(key);
	if (k == NULL || ((k->flags & CONF_LISTENER) && r->listener == NULL))
		return false;
	return conf_value_set(k, (k->flags & CONF_LISTENER) ? (void *)r->listener : (void *)r->c, v,
	    r->err);
}

static bool
read_line(struct reader *r, struct str line)
{
	size_t eq = str_find(line, '=');
	struct buf v = BUF_INIT(CONF_TEXT_FILE_MAX);
	bool ok = eq < line.len && put_unescaped(str_skip(line, eq + 1), &v) &&
	          read_pair(r, str_first(line, eq), buf_str(&v));
	buf_done(&v);
	return ok;
}

struct conf *
conf_undump(struct str text, struct buf *err)
{
	struct reader r = { .c = conf_new(), .err = err, .held = BUF_INIT(CONF_PATH_MAX) };
	unsigned line = 1;
	bool ok = str_eq(str_cut(&text, '\n'), STR(DUMP_HEAD)), ended = false;
	while (ok && text.p && !ended) {
		struct str l = str_cut(&text, '\n');
		line++;
		ended = str_eq(l, STR("end"));
		ok = ended || read_line(&r, l);
	}
	buf_done(&r.held);
	ok = ok && ended && text.len == 0;
	if (ok) {
		conf_settle(r.c);
		ok = conf_check_lab(r.c, err);
	} else {
		buf_putf(err, "%sline %u of the configuration from parent cannot be read\n",
		    err->len ? ": " : "", line);
	}
	return ok ? r.c : conf_free(r.c);
}
