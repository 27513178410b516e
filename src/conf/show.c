/* The configuration as a file again. */
#include "conf/conf_priv.h"

#include "base/check.h"

#include <stdlib.h>

struct show {
	const struct conf *c;
	const struct conf_listener *l; /* whose listener keys; inside: only those that differ */
	const char *indent;
	bool inside, all;
	struct buf *out;
};

/* Text in double quotes as libconfig reads it. */
static void
put_text(struct buf *out, struct str v)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.p[i];
		if (c == '"' || c == '\\')
			buf_putf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_putf(out, "\\x%02x", c);
		else
			buf_putc(out, (char)c);
	}
	buf_putc(out, '"');
}

static void
put_value(const struct conf_key *k, const void *base, struct buf *out)
{
	struct buf v = BUF_INIT(CONF_TEXT_MAX + 1);
	conf_value_put(k, base, &v);
	struct str text = buf_str(&v);
	bool digits = text.len > 0 && text.len < 10 && text.p[0] >= '0' && text.p[0] <= '9';
	if (k->type == CONF_BOOL)
		buf_putz(out, str_eq(text, STR("yes")) ? "true" : "false");
	else if (k->type != CONF_TEXT && k->type != CONF_CHOICE && digits)
		buf_puts(out, text);
	else
		put_text(out, text);
	buf_done(&v);
}

static const void *
base_of(const struct show *s, const struct conf_key *k)
{
	return (k->flags & CONF_LISTENER) ? (const void *)s->l : (const void *)s->c;
}

static bool
same_value(const struct conf_key *k, const void *a, const void *b)
{
	struct buf x = BUF_INIT(CONF_TEXT_MAX + 1), y = BUF_INIT(CONF_TEXT_MAX + 1);
	conf_value_put(k, a, &x);
	conf_value_put(k, b, &y);
	bool same = str_eq(buf_str(&x), buf_str(&y));
	buf_done(&x);
	buf_done(&y);
	return same;
}

static bool
is_shown(const struct show *s, const struct conf_key *k)
{
	if (s->inside && conf_unix_path(s->l) && strcmp(k->name, "port") == 0)
		return false;
	if (s->inside)
		return (k->flags & CONF_LISTENER) &&
		       ((k->flags & CONF_PLACE) || !same_value(k, s->l, &s->c->defaults));
	if (k->flags & CONF_PLACE)
		return false;
	/* Keys of a lab may not even be named outside of one. */
	if ((k->flags & CONF_LAB) && !s->c->lab)
		return false;
	return s->all || !conf_value_is_default(k, base_of(s, k));
}

static struct str
group_of(const struct conf_key *k)
{
	struct str name = str_of(k->name);
	size_t dot = str_find(name, '.');
	return dot < name.len ? str_first(name, dot) : STR_NULL;
}

/* What stands in the group tls beside its keys. */
static void
put_certificates(const struct show *s)
{
	for (size_t i = 0; i < s->c->n_certs; i++) {
		buf_putz(s->out, i ? ",\n\t\t{ cert = " : "\tcertificates = (\n\t\t{ cert = ");
		put_text(s->out, str_of(s->c->certs[i].cert));
		buf_putz(s->out, "; key = ");
		put_text(s->out, str_of(s->c->certs[i].key));
		buf_putz(s->out, "; }");
	}
	buf_putz(s->out, s->c->n_certs ? "\n\t);\n" : "");
}

/* All keys of the group that first begins, in one { }: libconfig knows a name once. */
static void
put_group(const struct show *s, const struct conf_key *first)
{
	struct str group = group_of(first);
	buf_putf(s->out, "%s" STR_FMT ": {\n", s->indent, STR_ARG(group));
	for (const struct conf_key *k = first; k->name; k++) {
		if (!is_shown(s, k) || !str_eq(group_of(k), group))
			continue;
		buf_putf(s->out, "%s\t%s = ", s->indent, k->name + group.len + 1);
		put_value(k, base_of(s, k), s->out);
		buf_putz(s->out, ";\n");
	}
	if (!s->inside && str_eq(group, STR("tls")))
		put_certificates(s);
	buf_putf(s->out, "%s};\n", s->indent);
}

static bool
begins_group(const struct show *s, const struct conf_key *k)
{
	for (const struct conf_key *e = conf_keys; e != k; e++)
		if (is_shown(s, e) && str_eq(group_of(e), group_of(k)))
			return false;
	return true;
}

static bool
has_tls_group(const struct show *s)
{
	for (const struct conf_key *k = conf_keys; k->name; k++)
		if (is_shown(s, k) && str_eq(group_of(k), STR("tls")))
			return true;
	return false;
}

static void
put_keys(const struct show *s)
{
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		if (!is_shown(s, k))
			continue;
		if (group_of(k).len == 0) {
			buf_putf(s->out, "%s%s = ", s->indent, k->name);
			put_value(k, base_of(s, k), s->out);
			buf_putz(s->out, ";\n");
		} else if (begins_group(s, k)) {
			put_group(s, k);
		}
	}
}

static void
put_replies(const struct show *s)
{
	size_t n;
	const char *sep = "";
	struct conf_reply *replies = conf_replies_sorted(s->l, &n);
	for (size_t i = 0; i < n; i++) {
		const char *top =
		    s->inside ? map_get(&s->c->defaults.replies, replies[i].situation) : NULL;
		if (top && strcmp(top, replies[i].text) == 0)
			continue;
		buf_putf(s->out, "%s%s{ situation = ", *sep ? sep : s->indent,
		    *sep ? s->indent : "reply = (\n");
		put_text(s->out, replies[i].situation);
		buf_putz(s->out, "; text = ");
		put_text(s->out, str_of(replies[i].text));
		buf_putz(s->out, "; }");
		sep = ",\n";
	}
	if (*sep)
		buf_putz(s->out, " );\n");
	free(replies);
}

static void
put_strings(struct buf *out, char *const *v, size_t n)
{
	buf_putz(out, "[");
	for (size_t i = 0; i < n; i++) {
		buf_putz(out, i ? ", " : " ");
		put_text(out, str_of(v[i]));
	}
	buf_putz(out, " ]");
}

static void
put_aliases(const struct conf *c, struct buf *out)
{
	for (size_t i = 0; i < c->n_aliases; i++) {
		buf_putz(out, i ? ",\n\t{ address = " : "alias = (\n\t{ address = ");
		put_text(out, str_of(c->aliases[i].address));
		buf_putz(out, "; members = ");
		put_strings(out, c->aliases[i].members, c->aliases[i].n_members);
		buf_putz(out, "; }");
	}
	if (c->n_aliases)
		buf_putz(out, "\n);\n");
}

static void
put_routes(const struct conf *c, struct buf *out)
{
	for (size_t i = 0; i < c->n_routes; i++) {
		buf_putz(out, i ? ",\n\t{ match = " : "routes = (\n\t{ match = ");
		put_text(out, str_of(c->routes[i].match));
		for (const struct conf_key *k = conf_route_keys; k->name; k++) {
			if (conf_value_is_default(k, &c->routes[i]) && strcmp(k->name, "via") != 0)
				continue;
			buf_putf(out, "; %s = ", k->name);
			put_value(k, &c->routes[i], out);
		}
		buf_putz(out, "; }");
	}
	if (c->n_routes)
		buf_putz(out, "\n);\n");
}

void
conf_show(const struct conf *c, bool all, struct buf *out)
{
	struct show top = { c, &c->defaults, "", false, all, out };
	put_keys(&top);
	if (c->n_certs && !has_tls_group(&top)) {
		buf_putz(out, "tls: {\n");
		put_certificates(&top);
		buf_putz(out, "};\n");
	}
	put_replies(&top);
	if (c->n_domains) {
		buf_putz(out, "domains = ");
		put_strings(out, c->domains, c->n_domains);
		buf_putz(out, ";\n");
	}
	put_aliases(c, out);
	put_routes(c, out);
	for (size_t i = 0; i < c->n_listeners; i++) {
		struct show in = { c, &c->listeners[i], "\t\t", true, all, out };
		buf_putz(out, i ? ",\n\t{\n" : "listen = (\n\t{\n");
		put_keys(&in);
		put_replies(&in);
		buf_putz(out, "\t}");
	}
	if (c->n_listeners)
		buf_putz(out, "\n);\n");
}

bool
conf_key_at(size_t i, struct conf_pair *ret)
{
	for (size_t n = 0; n <= i; n++)
		if (conf_keys[n].name == NULL)
			return false;
	*ret = (struct conf_pair){ conf_keys[i].name, (conf_keys[i].flags & CONF_LISTENER) != 0 };
	return true;
}

void
conf_key_text(const char *name, const void *base, struct buf *out)
{
	const struct conf_key *k = conf_key_find(str_of(name));
	check(k);
	conf_value_put(k, base, out);
}
