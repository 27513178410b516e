/* What a file holds besides keys: listeners, domains, aliases, replies, dialects. */
#include "conf/load_priv.h"

#include "sys/file.h"

#include <errno.h>
#include <stdlib.h>

static char *
beside(const struct loader *ld, const char *path)
{
	struct buf b = BUF_INIT(8192);
	buf_putf(&b, "%s%s%s", path[0] == '/' ? "" : ld->dir, path[0] == '/' ? "" : "/", path);
	return b.failed || buf_cstr(&b) == NULL ? NULL : b.p;
}

static void
load_domains(struct loader *ld, const config_setting_t *s)
{
	bool many = config_setting_type(s) == CONFIG_TYPE_ARRAY ||
	            config_setting_type(s) == CONFIG_TYPE_LIST;
	if (!many)
		loader_mistake(ld, s,
		    "domains is %s here; write domains = [ \"example.org\", \"example.net\" ]",
		    loader_kind(s));
	for (int i = 0; many && i < config_setting_length(s); i++) {
		const config_setting_t *d = config_setting_get_elem(s, (unsigned)i);
		struct buf why = BUF_INIT(WHY_MAX);
		bool text = config_setting_type(d) == CONFIG_TYPE_STRING;
		if (!text)
			buf_putz(&why, "a domain must be text; write it in double quotes");
		loader_verdict(ld, d,
		    text && conf_domain_add(ld->c, str_of(config_setting_get_string(d)), &why),
		    &why);
	}
}

/* What is left out in a listener's group depends on what is spoken there. */
static void
settle_listener(struct loader *ld, const config_setting_t *s, struct conf_listener *l)
{
	const config_setting_t *port = config_setting_get_member(s, "port");
	if (conf_unix_path(l) && port)
		loader_mistake(ld, port, "a unix socket has no port; remove it");
	if (!port)
		l->port = conf_default_port(l);
	if ((conf_is_lmtp(l) || conf_protocol(l) == CONF_IS_METRICS) &&
	    !config_setting_get_member(s, "address")) {
		free(l->address);
		l->address = xstrdup("127.0.0.1");
	}
}

static void
load_listener(struct loader *ld, const config_setting_t *s)
{
	if (!config_setting_is_group(s)) {
		loader_mistake(ld, s, "a listener is a group; write { port = 25; }");
	} else if (ld->c->n_listeners >= LISTENER_MAX) {
		loader_mistake(ld, s, "more than %d listeners; remove some", LISTENER_MAX);
	} else {
		struct conf_listener *l = conf_listener_add(ld->c, "*", 25, "smtp");
		loader_group(ld, s, &(struct scope){ l, true }, "", 0);
		settle_listener(ld, s, l);
	}
}

static void
load_listen(struct loader *ld, const config_setting_t *s)
{
	if (config_setting_type(s) != CONFIG_TYPE_LIST) {
		loader_mistake(ld, s,
		    "listen is %s here; write listen = ( { port = 25; }, { port = 587; } )",
		    loader_kind(s));
		return;
	}
	for (int i = 0; i < config_setting_length(s); i++)
		load_listener(ld, config_setting_get_elem(s, (unsigned)i));
}

/* Situations whose name begins another's (greeting, greeting.reject) do not fit into groups. */
void
loader_reply_list(struct loader *ld, const config_setting_t *s, struct conf_listener *l)
{
	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *r = config_setting_get_elem(s, (unsigned)i);
		const char *situation = NULL, *text = NULL;
		struct buf why = BUF_INIT(WHY_MAX);
		bool fits = config_setting_is_group(r) && config_setting_length(r) == 2 &&
		            config_setting_lookup_string(r, "situation", &situation) &&
		            config_setting_lookup_string(r, "text", &text);
		if (!fits)
			buf_putz(&why, "an entry of reply cannot be read; write { situation = "
				       "\"greeting\"; text = \"220 ready\"; }");
		loader_verdict(ld, r,
		    fits && conf_reply_set(l, str_of(situation), str_of(text), &why), &why);
	}
}

static void
load_dialect_dir(struct loader *ld, const config_setting_t *s)
{
	struct buf why = BUF_INIT(WHY_MAX);
	const char *text = config_setting_get_string(s);
	char *path = text ? beside(ld, text) : NULL;
	if (path == NULL)
		buf_putz(&why, "dialect_dir must be the name of a directory, in double quotes");
	loader_verdict(ld, s, path && conf_dialect_dir_read(ld->c, path, &why), &why);
	free(path);
}

/* --- certificates --- */

static void
load_certificate(struct loader *ld, const config_setting_t *s)
{
	const char *cert = NULL, *key = NULL;
	struct buf why = BUF_INIT(WHY_MAX);
	bool group = config_setting_is_group(s);
	bool has_cert = group && config_setting_lookup_string(s, "cert", &cert);
	bool has_key = group && config_setting_lookup_string(s, "key", &key);
	bool fits = has_cert && has_key && config_setting_length(s) == 2;
	char *c = fits ? beside(ld, cert) : NULL, *k = fits ? beside(ld, key) : NULL;
	if (!c || !k)
		buf_putf(&why,
		    "%s in tls.certificates; write { cert = \"/etc/pennypost/mail.crt\"; key = "
		    "\"/etc/pennypost/mail.key\"; }",
		    !group      ? "something else than a group"
		    : !has_cert ? "a group without the file cert"
		    : !has_key  ? "a group without the file key"
				: "a group with more than cert and key");
	loader_verdict(ld, s, c && k && conf_cert_add(ld->c, str_of(c), str_of(k), &why), &why);
	free(c);
	free(k);
}

void
loader_certificates(struct loader *ld, const config_setting_t *s)
{
	if (config_setting_type(s) != CONFIG_TYPE_LIST)
		loader_mistake(ld, s,
		    "tls.certificates is %s here; write certificates = ( { cert = \"FILE\"; key = "
		    "\"FILE\"; } )",
		    loader_kind(s));
	for (int i = 0; config_setting_type(s) == CONFIG_TYPE_LIST && i < config_setting_length(s);
	     i++)
		load_certificate(ld, config_setting_get_elem(s, (unsigned)i));
}

/* --- aliases --- */

static void
load_member(struct loader *ld, const config_setting_t *s, struct conf_alias *a)
{
	struct buf why = BUF_INIT(WHY_MAX);
	const char *text = config_setting_get_string(s);
	if (text == NULL)
		buf_putz(&why, "a member must be an address in double quotes");
	loader_verdict(ld, s, text && conf_alias_member_add(a, str_of(text), &why), &why);
}

static void
load_members(struct loader *ld, const config_setting_t *s, struct conf_alias *a)
{
	int type = config_setting_type(s);
	if (type == CONFIG_TYPE_STRING)
		load_member(ld, s, a);
	else if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST)
		loader_mistake(ld, s, "members is %s here; write members = [ \"ann@example.org\" ]",
		    loader_kind(s));
	else
		for (int i = 0; i < config_setting_length(s); i++)
			load_member(ld, config_setting_get_elem(s, (unsigned)i), a);
}

static void
load_member_lines(struct loader *ld, const char *path, struct str text, struct conf_alias *a)
{
	for (unsigned line = 1; text.p; line++) {
		struct str member = str_cut(&text, '\n');
		struct buf why = BUF_INIT(WHY_MAX);
		member = str_trim(str_first(member, str_find(member, '#')));
		if (member.len && !conf_alias_member_add(a, member, &why)) {
			buf_putf(ld->err, "%s:%u: " STR_FMT "\n", path, line,
			    STR_ARG(buf_str(&why)));
			ld->mistakes++;
		}
		buf_done(&why);
	}
}

static void
load_member_file(struct loader *ld, const config_setting_t *s, struct conf_alias *a)
{
	struct buf text = BUF_INIT(CONF_MEMBERS_FILE_MAX);
	const char *name = config_setting_get_string(s);
	char *path = name ? beside(ld, name) : NULL;
	int rc = path ? file_read_all(path, CONF_MEMBERS_FILE_MAX, &text) : -EINVAL;
	if (path == NULL)
		loader_mistake(ld, s, "file must be the name of a file, in double quotes");
	else if (rc < 0)
		loader_mistake(ld, s,
		    "cannot read %s: %s; write a file with one address per line there", path,
		    strerror(-rc));
	else
		load_member_lines(ld, path, buf_str(&text), a);
	buf_done(&text);
	free(path);
}

static void
load_alias_fields(struct loader *ld, const config_setting_t *group, struct conf_alias *a)
{
	size_t before = ld->mistakes;
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		const char *name = config_setting_name(s);
		if (strcmp(name, "members") == 0)
			load_members(ld, s, a);
		else if (strcmp(name, "file") == 0)
			load_member_file(ld, s, a);
		else if (strcmp(name, "address") != 0)
			loader_mistake(ld, s,
			    "unknown key %s in an alias; an alias has address, members and file",
			    name);
	}
	if (a->n_members == 0 && ld->mistakes == before)
		loader_mistake(ld, group,
		    "the alias %s has no member; write members = [ \"ann@example.org\" ]",
		    a->address);
}

static void
load_alias(struct loader *ld, const config_setting_t *s)
{
	const char *address = NULL;
	struct buf why = BUF_INIT(WHY_MAX);
	struct conf_alias *a = NULL;
	size_t before = ld->c->n_aliases;
	if (!config_setting_is_group(s) || !config_setting_lookup_string(s, "address", &address))
		buf_putz(&why, "an alias needs an address; write { address = "
			       "\"staff@example.org\"; members = [ \"ann@example.org\" ]; }");
	else
		a = conf_alias_add(ld->c, str_of(address), &why);
	if (a && ld->c->n_aliases == before) {
		buf_putf(&why, "the alias %s is here a second time; keep one of them", address);
		a = NULL;
	}
	loader_verdict(ld, s, a != NULL, &why);
	if (a)
		load_alias_fields(ld, s, a);
}

static void
load_aliases(struct loader *ld, const config_setting_t *s)
{
	if (config_setting_type(s) != CONFIG_TYPE_LIST) {
		loader_mistake(ld, s,
		    "alias is %s here; write alias = ( { address = \"staff@example.org\"; members "
		    "= [ \"ann@example.org\" ]; } )",
		    loader_kind(s));
		return;
	}
	for (int i = 0; i < config_setting_length(s); i++)
		load_alias(ld, config_setting_get_elem(s, (unsigned)i));
}

/* --- routes --- */

static void
load_route(struct loader *ld, const config_setting_t *s)
{
	const char *match = NULL;
	struct buf why = BUF_INIT(WHY_MAX);
	struct conf_route *r = NULL;
	size_t before = ld->c->n_routes;
	if (!config_setting_is_group(s) || !config_setting_lookup_string(s, "match", &match))
		buf_putz(&why, "a route needs a match; write { match = \"example.net\"; via = "
			       "\"smtp:mail.example.net:25\"; }");
	else
		r = conf_route_add(ld->c, str_of(match), &why);
	if (r && ld->c->n_routes == before) {
		buf_putf(&why, "the route %s is here a second time; keep one of them", match);
		r = NULL;
	}
	bool ok = r != NULL;
	loader_verdict(ld, s, ok, &why);
	for (int i = 0; ok && i < config_setting_length(s); i++) {
		const config_setting_t *f = config_setting_get_elem(s, (unsigned)i);
		const char *name = config_setting_name(f);
		const struct conf_key *k = conf_route_key(str_of(name));
		if (k)
			loader_value(ld, f, k, r);
		else if (strcmp(name, "match") != 0)
			loader_mistake(ld, f,
			    "unknown key %s in a route; a route has match, via, tls, login, "
			    "secret_file, mechs, certificate, auth_cleartext, source, "
			    "max_connections, max_letters, atrn, fetch_by_atrn and fetch_every",
			    name);
	}
}

static void
load_routes(struct loader *ld, const config_setting_t *s)
{
	if (config_setting_type(s) != CONFIG_TYPE_LIST) {
		loader_mistake(ld, s,
		    "routes is %s here; write routes = ( { match = \"example.net\"; via = "
		    "\"smtp:mail.example.net:25\"; } )",
		    loader_kind(s));
		return;
	}
	for (int i = 0; i < config_setting_length(s); i++)
		load_route(ld, config_setting_get_elem(s, (unsigned)i));
}

/* --- which is which --- */

static void
load_replies(struct loader *ld, const config_setting_t *s)
{
	loader_reply_list(ld, s, &ld->c->defaults);
}

struct special {
	const char *name;
	int rank; /* listeners come last: they copy the defaults */
	void (*load)(struct loader *ld, const config_setting_t *s);
};

static const struct special specials[] = {
	{ "domains", 0, load_domains },
	{ "alias", 0, load_aliases },
	{ "routes", 0, load_routes },
	{ "dialect_dir", 0, load_dialect_dir },
	{ "reply", 0, load_replies },
	{ "listen", 1, load_listen },
};

static const struct special *
special_find(const config_setting_t *s)
{
	for (size_t i = 0; i < ARRAY_LEN(specials); i++) {
		if (strcmp(specials[i].name, config_setting_name(s)) != 0)
			continue;
		bool nested = strcmp(specials[i].name, "reply") == 0 && config_setting_is_group(s);
		return nested ? NULL : &specials[i];
	}
	return NULL;
}

bool
loader_is_special(const config_setting_t *s)
{
	return special_find(s) != NULL;
}

void
loader_specials(struct loader *ld, const config_setting_t *root)
{
	for (int rank = 0; rank < 2; rank++) {
		for (int i = 0; i < config_setting_length(root); i++) {
			const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
			const struct special *sp = special_find(s);
			if (sp && sp->rank == rank)
				sp->load(ld, s);
		}
	}
}
