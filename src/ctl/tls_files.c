#include "ctl/tls_priv.h"

#include "base/check.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MAX (1u << 20) /* octets of a file */
#define SOON_S (14 * 86400)

static bool PRINTF(2, 3) wrong(struct tls_pair *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&p->wrong, fmt, ap);
	buf_putc(&p->wrong, '\n');
	va_end(ap);
	return false;
}

static bool
read_file(struct tls_pair *p, const char *path, struct buf *text)
{
	int r = file_read_all(path, KEY_MAX, text);
	return r == 0 || wrong(p, "%s: cannot be read: %s", path, strerror(-r));
}

static bool
look_cert(struct tls_pair *p, const char *path)
{
	struct buf text = BUF_INIT(KEY_MAX), err = BUF_INIT(4096);
	p->has_cert = read_file(p, path, &text) &&
	              (tls_cert_read(buf_str(&text), &p->info, &p->names, &err) ||
			  wrong(p, "%s: " STR_FMT, path, STR_ARG(str_trim(buf_str(&err)))));
	buf_done(&text);
	buf_done(&err);
	return p->has_cert;
}

/* And whether the key is that of the certificate. */
static bool
look_key(struct tls_pair *p, const char *path)
{
	struct buf text = BUF_INIT(KEY_MAX), err = BUF_INIT(4096);
	unsigned char name[TLS_KEY_NAME];
	struct tls_key *key = NULL;
	if (read_file(p, path, &text)) {
		key = tls_key_read(buf_str(&text), &err);
		if (!key)
			wrong(p, "%s: " STR_FMT, path, STR_ARG(str_trim(buf_str(&err))));
	}
	bool ok = key != NULL;
	if (ok)
		tls_key_name(key, name);
	if (ok && p->has_cert && memcmp(name, p->info.key, sizeof(name)) != 0)
		ok = wrong(p, "%s: is not the key of the certificate", path);
	tls_key_free(key);
	buf_wipe(&text);
	buf_done(&text);
	buf_done(&err);
	return ok;
}

static bool
covers(struct str name, struct str host)
{
	if (str_ieq(name, host))
		return true;
	size_t dot = str_find(host, '.');
	return str_starts(name, STR("*.")) && dot < host.len &&
	       str_ieq(str_skip(name, 2), str_skip(host, dot + 1));
}

static bool
names_cover(const struct tls_pair *p, const char *hostname)
{
	for (struct str rest = buf_str(&p->names); rest.len;)
		if (covers(str_cut(&rest, '\n'), str_of(hostname)))
			return true;
	return false;
}

void
tls_pair_look(const struct conf_cert *files, const char *hostname, int64_t now_s,
    struct tls_pair *ret)
{
	struct tls_pair *p = ret;
	struct stat st;
	*p = (struct tls_pair){ .names = BUF_INIT(1u << 20), .wrong = BUF_INIT(64u << 10) };
	bool cert = look_cert(p, files->cert), key = look_key(p, files->key);
	p->usable = cert && key;
	if (stat(files->key, &st) == 0 && (st.st_mode & 077))
		wrong(p, "%s: others than its owner may read it; run chmod 600 on it", files->key);
	if (!p->has_cert)
		return;
	if (p->info.not_after < now_s)
		wrong(p, "%s: has expired", files->cert);
	else if (p->info.not_after < now_s + SOON_S)
		wrong(p, "%s: expires in less than %d days", files->cert, SOON_S / 86400);
	if (p->info.not_before > now_s)
		wrong(p, "%s: is not valid yet", files->cert);
	if (*hostname && !names_cover(p, hostname))
		wrong(p, "%s: is the default and does not have the server's name, %s", files->cert,
		    hostname);
}

void
tls_pair_done(struct tls_pair *p)
{
	buf_done(&p->names);
	buf_done(&p->wrong);
}

size_t
tls_pairs_look(const struct conf *c, const struct conf_certs *certs, struct buf *wrong)
{
	int64_t now = sys_wall_ms() / 1000;
	size_t n_usable = 0;
	tls_init();
	for (size_t i = 0; i < certs->n; i++) {
		struct tls_pair p;
		tls_pair_look(&certs->row[i], n_usable == 0 ? c->hostname : "", now, &p);
		buf_puts(wrong, buf_str(&p.wrong));
		n_usable += p.usable;
		tls_pair_done(&p);
	}
	return n_usable;
}

char *
tls_files_path(const char *dir, const char *file, const char *end)
{
	char *path = NULL;
	check(asprintf(&path, "%s/tls%s%s%s", dir, *file ? "/" : "", file, end) >= 0);
	return path;
}

bool
tls_files_hidden(const char *dir)
{
	char *path = tls_files_path(dir, "", "");
	bool hidden = access(path, R_OK | X_OK) < 0 && errno == EACCES;
	if (hidden)
		complain("%s: Permission denied; run this as root", path);
	free(path);
	return hidden;
}

/* The key first: a certificate without its key is worth nothing. */
static bool
write_both(const char *dir, const char *file, struct str key, struct str cert, struct buf *err)
{
	char *tls = tls_files_path(dir, "", ""), *k = tls_files_path(dir, file, ".key");
	char *c = tls_files_path(dir, file, ".crt");
	const char *what = tls;
	int r = dir_make(tls, 0700);
	if (r == 0)
		r = file_replace(what = k, key, 0600);
	if (r == 0)
		r = file_replace(what = c, cert, 0644);
	if (r < 0)
		buf_putf(err, "%s: cannot be made: %s\n", what, strerror(-r));
	free(tls);
	free(k);
	free(c);
	return r == 0;
}

bool
tls_files_make(const char *dir, const char *file, const struct str *names, size_t n,
    struct buf *err)
{
	struct buf key = BUF_INIT(64u << 10), cert = BUF_INIT(TLS_CHAIN_MAX);
	tls_init();
	bool ok = tls_make_self_signed(names, n, TLS_MADE_DAYS, &key, &cert, err) &&
	          write_both(dir, file, buf_str(&key), buf_str(&cert), err);
	buf_wipe(&key);
	buf_done(&key);
	buf_done(&cert);
	return ok;
}
