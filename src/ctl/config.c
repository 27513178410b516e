#include "ctl/tls_priv.h"

#include "base/check.h"
#include "sasl/jwk.h"
#include "sys/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char *
path_of(const struct ctl_call *call)
{
	if (call->words.n)
		return call->words.v[0];
	return call->config ? call->config : CONF_PATH_DEFAULT;
}

static json_t *
json_of_lines(struct str lines)
{
	return out_json_cell(OUT_LINES, lines);
}

/* A server starts with what it has; who has asked wants to know. */
static void
warn_of_certs(const struct conf *c, struct buf *warnings)
{
	struct conf_certs certs;
	conf_certs_find(c, &certs);
	size_t n_usable = tls_pairs_look(c, &certs, warnings);
	if (n_usable == 0 && conf_needs_certificate(c) && !tls_files_hidden(c->data_dir))
		buf_putf(warnings,
		    "there is no certificate that can be used, so TLS cannot begin and nobody can "
		    "log in; make one with `pennypost tls make %s`, or name one in "
		    "tls.certificates\n",
		    c->hostname);
	conf_certs_done(&certs);
}

static void
warn_of_oauth(const struct conf *c, struct buf *warnings)
{
	struct buf text = BUF_INIT(1u << 20);
	struct jwk_set set = { 0 };
	int rc = c->oauth_keys[0] ? file_read_all(c->oauth_keys, 1u << 20, &text) : 0;
	const char *why = rc < 0             ? strerror(-rc)
	                  : c->oauth_keys[0] ? jwk_set_read(&set, buf_str(&text))
	                                     : NULL;
	if (why)
		buf_putf(warnings, "oauth.keys: %s: %s; no token is taken\n", c->oauth_keys, why);
	jwk_set_done(&set);
	buf_wipe(&text);
	buf_done(&text);
}

/* Not where we may not look: parent reads them as root. */
static void
warn_of_secret(const struct conf_route *r, struct buf *warnings)
{
	struct buf text = BUF_INIT(1u << 20);
	int rc = r->secret_file[0] ? file_read_all(r->secret_file, 1u << 20, &text) : 0;
	bool empty = str_find_any(buf_str(&text), "\r\n") == 0;
	if (rc < 0 && rc != -EACCES)
		buf_putf(warnings,
		    "route %s: secret_file %s: %s; no login works; make it, or correct its name\n",
		    r->match, r->secret_file, strerror(-rc));
	else if (rc == 0 && r->secret_file[0] && empty)
		buf_putf(warnings,
		    "route %s: secret_file %s: its first line is empty; write the password there\n",
		    r->match, r->secret_file);
	buf_wipe(&text);
	buf_done(&text);
}

/* False when one could not be read, which was said. */
static bool
read_certs(const struct conf *c, struct tls_certs *to)
{
	struct conf_certs files;
	bool all = !tls_files_hidden(c->data_dir);
	conf_certs_find(c, &files);
	for (size_t i = 0; i < files.n; i++) {
		struct buf pem = BUF_INIT(1u << 20), err = BUF_INIT(4096);
		all = file_read_all(files.row[i].cert, 1u << 20, &pem) == 0 &&
		      tls_certs_add(to, buf_str(&pem), &err) && all;
		buf_done(&pem);
		buf_done(&err);
	}
	conf_certs_done(&files);
	return all;
}

static void
warn_of_routes(const struct conf *c, struct buf *warnings)
{
	struct tls_certs *certs = NULL;
	bool all = true;
	for (size_t i = 0; i < c->n_routes; i++) {
		const struct conf_route *r = &c->routes[i];
		warn_of_secret(r, warnings);
		if (r->certificate[0] && !certs) {
			certs = tls_certs_new();
			all = read_certs(c, certs);
		}
		if (r->certificate[0] && all && !tls_certs_know(certs, r->certificate))
			buf_putf(warnings,
			    "route %s: none of our certificates has the name %s, so its mail "
			    "waits; "
			    "name one of them, or add it to tls.certificates\n",
			    r->match, r->certificate);
	}
	if (certs)
		tls_certs_unref(certs);
}

static int
check_file(struct ctl_call *call)
{
	struct buf err = BUF_INIT(64u << 20), warnings = BUF_INIT(64u << 20);
	struct conf *c = target_load(path_of(call), &(struct cli_words){ 0 }, &err, &warnings);
	if (c) {
		warn_of_certs(c, &warnings);
		warn_of_oauth(c, &warnings);
		warn_of_routes(c, &warnings);
	}
	if (call->json) {
		out_json(json_pack("{s:o, s:b, s:o, s:o}", "file",
		    out_json_text(str_of(path_of(call))), "ok", c != NULL, "errors",
		    json_of_lines(buf_str(&err)), "warnings", json_of_lines(buf_str(&warnings))));
	} else {
		fwrite(err.p ? err.p : "", 1, err.len, stdout);
		for (struct str rest = buf_str(&warnings); rest.len;) {
			struct str line = str_cut(&rest, '\n');
			printf("%s: warning: " STR_FMT "\n", path_of(call), STR_ARG(line));
		}
		if (c)
			printf("%s: ok\n", path_of(call));
	}
	int status = c ? EXIT_DONE : EXIT_REFUSED;
	conf_free(c);
	buf_done(&err);
	buf_done(&warnings);
	return status;
}

/* --- show --- */

static json_t *
json_keys(const void *base, bool of_listener)
{
	json_t *o = json_object();
	struct conf_pair pair;
	for (size_t i = 0; conf_key_at(i, &pair); i++) {
		struct buf v = BUF_INIT(CONF_TEXT_MAX + 1);
		if (pair.of_listener != of_listener)
			continue;
		conf_key_text(pair.name, base, &v);
		json_object_set_new(o, pair.name, out_json_text(buf_str(&v)));
		buf_done(&v);
	}
	return o;
}

static json_t *
json_strings(char *const *v, size_t n)
{
	json_t *a = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, out_json_text(str_of(v[i])));
	return a;
}

static json_t *
json_conf(const struct conf *c)
{
	json_t *root = json_keys(c, false), *listen = json_array(), *alias = json_array();
	for (size_t i = 0; i < c->n_listeners; i++)
		json_array_append_new(listen, json_keys(&c->listeners[i], true));
	for (size_t i = 0; i < c->n_aliases; i++)
		json_array_append_new(alias,
		    json_pack("{s:o, s:o}", "address", out_json_text(str_of(c->aliases[i].address)),
			"members", json_strings(c->aliases[i].members, c->aliases[i].n_members)));
	json_object_set_new(root, "domains", json_strings(c->domains, c->n_domains));
	json_object_set_new(root, "alias", alias);
	json_object_set_new(root, "listen", listen);
	return root;
}

static int
show(struct ctl_call *call)
{
	struct buf err = BUF_INIT(64u << 20), warnings = BUF_INIT(64u << 20),
		   text = BUF_INIT(64u << 20);
	struct conf *c = target_load(path_of(call), &(struct cli_words){ 0 }, &err, &warnings);
	complain_lines(buf_str(&err));
	if (c && call->json) {
		out_json(json_conf(c));
	} else if (c) {
		conf_show(c, call->all, &text);
		fwrite(text.p ? text.p : "", 1, text.len, stdout);
	}
	int status = c ? EXIT_DONE : EXIT_REFUSED;
	conf_free(c);
	buf_done(&err);
	buf_done(&warnings);
	buf_done(&text);
	return status;
}

/* --- keys --- */

static int
keys(struct ctl_call *call)
{
	struct buf text = BUF_INIT(16u << 20);
	if (call->json) {
		json_t *a = json_array();
		struct conf_pair pair;
		for (size_t i = 0; conf_key_at(i, &pair); i++)
			json_array_append_new(a, json_pack("{s:s, s:s}", "name", pair.name, "scope",
						     pair.of_listener ? "listener" : "server"));
		out_json(a);
	} else if (call->mdoc) {
		conf_describe_mdoc(&text);
	} else {
		conf_describe_text(&text);
	}
	fwrite(text.p ? text.p : "", 1, text.len, stdout);
	buf_done(&text);
	return EXIT_DONE;
}

static const struct ctl_sub subs[] = {
	{ "check", 0, 1, SUB_NO_SERVER, check_file },
	{ "show", 0, 1, SUB_NO_SERVER | SUB_ALL, show },
	{ "keys", 0, 0, SUB_NO_SERVER | SUB_MDOC, keys },
};

static int
run(int argc, char **argv)
{
	return ctl_subs_run(cli_cmd_find("config"), subs, ARRAY_LEN(subs), argc, argv);
}

const struct cli_cmd cmd_config = {
	.name = "config",
	.summary = "Check a configuration file, show what it says, list the keys",
	.usage = "check [FILE] [--json]\nshow [FILE] [--all] [--json]\nkeys [--mdoc | --json]",
	.help = "check tells every mistake at once, with its place and what to write instead.\n"
		"show prints the configuration as the server understands it, as a file again.\n"
		"FILE is /etc/pennypost/pennypost.conf when it is not named.\n\n"
		"  --all          show keys that have their default, too\n"
		"  --mdoc         the keys as they stand in pennypost.conf(5)\n"
		"  --json         print JSON\n"
		"  --config FILE  the same as FILE\n\n"
		"Exit status: 0 the file is good, 2 it has mistakes.\n",
	.words = "check show keys --all --mdoc --json --config=FILE",
	.run = run,
};
