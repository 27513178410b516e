/* Which files hold the certificates and their keys. */
#include "conf/conf_priv.h"

#include "base/check.h"
#include "tls/tls.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define FIRST "default" /* in DIR/tls, this name comes before all others */

bool
conf_cert_add(struct conf *c, struct str cert, struct str key, struct buf *err)
{
	if (cert.len == 0 || key.len == 0 || cert.len > CONF_PATH_MAX || key.len > CONF_PATH_MAX) {
		buf_putf(err,
		    "cert and key must be names of files of at most %d octets; write { cert = "
		    "\"/etc/pennypost/a.crt\"; key = \"/etc/pennypost/a.key\"; }",
		    CONF_PATH_MAX);
		return false;
	}
	if (c->n_certs >= TLS_CERTS_MAX) {
		buf_putf(err, "more than %d certificates; remove some", TLS_CERTS_MAX);
		return false;
	}
	c->certs = xrealloc(c->certs, (c->n_certs + 1) * sizeof *c->certs);
	c->certs[c->n_certs++] = (struct conf_cert){ str_dup(cert), str_dup(key) };
	return true;
}

static void
push(struct conf_certs *l, char *cert, char *key)
{
	l->row = xrealloc(l->row, (l->n + 1) * sizeof *l->row);
	l->row[l->n++] = (struct conf_cert){ cert, key };
}

static char *
path_in(const char *dir, struct str name, const char *end)
{
	struct buf b = BUF_INIT(CONF_TEXT_MAX + 512);
	buf_putf(&b, "%s/tls/" STR_FMT "%s", dir, STR_ARG(name), end);
	check(buf_cstr(&b) && !b.failed);
	return b.p;
}

static int
by_name(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	bool fx = strcmp(x, FIRST) == 0, fy = strcmp(y, FIRST) == 0;
	return fx != fy ? (int)fy - (int)fx : strcmp(x, y);
}

/* The names in DIR/tls that end in .crt, without that. */
static size_t
names_in(const char *dir, char ***ret)
{
	char *path = path_in(dir, STR(""), "");
	char **names = NULL;
	size_t n = 0;
	DIR *d = opendir(path);
	free(path);
	for (struct dirent *e; d && n < TLS_CERTS_MAX && (e = readdir(d));) {
		struct str name = str_of(e->d_name);
		if (name.len <= 4 || !str_ends(name, STR(".crt")) || name.p[0] == '.')
			continue;
		names = xrealloc(names, (n + 1) * sizeof *names);
		names[n++] = str_dup(str_first(name, name.len - 4));
	}
	if (d)
		closedir(d);
	if (n)
		qsort(names, n, sizeof *names, by_name);
	*ret = names;
	return n;
}

void
conf_certs_find(const struct conf *c, struct conf_certs *ret)
{
	char **names;
	*ret = (struct conf_certs){ 0 };
	for (size_t i = 0; i < c->n_certs; i++)
		push(ret, xstrdup(c->certs[i].cert), xstrdup(c->certs[i].key));
	size_t n = names_in(c->data_dir, &names);
	for (size_t i = 0; i < n; i++) {
		if (ret->n < TLS_CERTS_MAX)
			push(ret, path_in(c->data_dir, str_of(names[i]), ".crt"),
			    path_in(c->data_dir, str_of(names[i]), ".key"));
		free(names[i]);
	}
	free(names);
}

void
conf_certs_done(struct conf_certs *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->row[i].cert);
		free(l->row[i].key);
	}
	free(l->row);
	*l = (struct conf_certs){ 0 };
}
