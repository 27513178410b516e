/*
 * The files of certificates, keys and secrets: opened here, with the rights of parent, and handed
 * on unread to the role that may know them. One that cannot be opened is said and left out; the
 * rest goes on. And the key of tickets and passes, which lives as long as parent does and never
 * on a disk.
 */
#include "roles/parent/parent_priv.h"

#include "ipc/pass.h"
#include "log/log.h"
#include "mail/srs.h"
#include "sys/file.h"
#include "sys/random.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_MAX ((off_t)4 << 20) /* octets of such a file */
#define IN_FLIGHT_MAX 32            /* descriptors on their way at a time */

static int
open_secret(const char *path)
{
	struct stat st;
	/* Not to be held up by a pipe that has this name. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	int r = fstat(fd, &st) < 0        ? -errno
	        : !S_ISREG(st.st_mode)    ? -EINVAL
	        : st.st_size > SECRET_MAX ? -EFBIG
	                                  : 0;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static const char *
why_not(int r)
{
	return r == -EINVAL ? "it is no regular file" : strerror(-r);
}

static void
complain(const char *path, int r)
{
	LOG(LOG_ERROR, 0, "file-not-opened", LOGZ("file", path), LOGZ("why", why_not(r)),
	    LOGZ("remedy", "make it, or correct its name or rights, then `pennypost reload`"));
}

static void
give(struct child *c, enum secret_kind kind, const char *name, int fd)
{
	struct msg_secret m = { .kind = (uint8_t)kind,
		.name = str_first(str_of(name), CONF_PATH_MAX) };
	struct buf b = BUF_INIT(CONF_PATH_MAX + 64);
	msg_secret_put(&b, &m);
	check(!b.failed);
	if (c->chan)
		chan_send(c->chan, IPC_SECRET, 0, buf_str(&b), fd);
	buf_done(&b);
	close(fd);
}

static void
give_file(struct child *c, enum secret_kind kind, const char *path)
{
	if (!*path)
		return;
	int fd = open_secret(path);
	if (fd < 0)
		complain(path, fd);
	else
		give(c, kind, path, fd);
}

static void
give_pair(struct child *c, const struct conf_cert *pair)
{
	int cert = open_secret(pair->cert), key = open_secret(pair->key);
	if (cert < 0)
		complain(pair->cert, cert);
	if (key < 0)
		complain(pair->key, key);
	if (cert >= 0 && key >= 0) {
		give(c, SECRET_CERT, pair->cert, cert);
		give(c, SECRET_KEY, pair->key, key);
		return;
	}
	if (cert >= 0)
		close(cert);
	if (key >= 0)
		close(key);
}

/* Each file once, though several routes name it. */
static void
give_routes(struct child *c, const struct conf *conf)
{
	for (size_t i = 0, n = 0; i < conf->n_routes; i++) {
		const char *path = conf->routes[i].secret_file;
		bool given = !*path;
		for (size_t j = 0; j < i && !given; j++)
			given = strcmp(conf->routes[j].secret_file, path) == 0;
		if (given)
			continue;
		give_file(c, SECRET_ROUTE, path);
		if (++n % (IN_FLIGHT_MAX / 2) == 0 && c->chan)
			chan_flush(c->chan);
	}
}

static void give_srs(struct child *c, const struct conf *conf);

/* Made at the first start. Keys that are put in front of it make addresses from then on; those
 * behind them are still known. */
static void
make_srs_key(const char *path)
{
	unsigned char key[SRS_KEY_LEN];
	struct buf text = BUF_INIT(512);
	random_bytes(key, sizeof(key));
	buf_putz(&text,
	    "# Keys of the sender addresses that lead back (SRS). The first makes them, all "
	    "check them.\n");
	for (size_t i = 0; i < sizeof(key); i++)
		buf_putf(&text, "%02x", key[i]);
	buf_putc(&text, '\n');
	int r = file_replace(path, buf_str(&text), 0600);
	if (r < 0)
		LOG(LOG_ERROR, 0, "file-not-made", LOGZ("file", path), LOGZ("why", strerror(-r)));
	explicit_bzero(key, sizeof(key));
	buf_wipe(&text);
	buf_done(&text);
}

static void
give_srs(struct child *c, const struct conf *conf)
{
	struct buf path = BUF_INIT(CONF_TEXT_MAX + 16);
	buf_putf(&path, "%s/srs.key", conf->data_dir);
	const char *name = buf_cstr(&path);
	if (conf->srs && name) {
		if (access(name, F_OK) < 0 && errno == ENOENT)
			make_srs_key(name);
		give_file(c, SECRET_SRS, name);
	}
	buf_done(&path);
}

static void
give_auth(struct child *c, const struct conf *conf)
{
	struct conf_certs certs;
	conf_certs_find(conf, &certs);
	if (certs.n == 0 && conf_needs_certificate(conf))
		LOG(LOG_WARN, 0, "no-certificate",
		    LOGZ("why", "TLS cannot begin, nobody can log in"),
		    LOGZ("remedy", "`pennypost tls make NAME` or tls.certificates, then `pennypost "
				   "tls reload`"));
	for (size_t i = 0; i < certs.n; i++) {
		give_pair(c, &certs.row[i]);
		if (i % (IN_FLIGHT_MAX / 2) == 0 && c->chan)
			chan_flush(c->chan);
	}
	conf_certs_done(&certs);
	give_file(c, SECRET_JWT, conf->oauth_keys);
	give_routes(c, conf);
	give_srs(c, conf);
}

static void
give_fetch(struct child *c, const struct conf *conf)
{
	give_file(c, SECRET_CLIENT, conf->oauth_introspect_secret_file);
	give_file(c, SECRET_CA, conf->oauth_introspect_ca);
}

static void
give_gssapi(struct child *c, const struct conf *conf)
{
	static const char usual[] = "/etc/krb5.conf";
	const char *krb5_conf = conf->gssapi_krb5_conf;
	give_file(c, SECRET_KEYTAB,
	    c->role == ROLE_GSSAPI ? conf->gssapi_keytab : conf->gssapi_client_keytab);
	give_file(c, SECRET_KRB5_CONF,
	    *krb5_conf                 ? krb5_conf
	    : access(usual, F_OK) == 0 ? usual
				       : "");
}

static const struct {
	enum ipc_role role;
	bool passes; /* gets the key of tickets and passes */
	void (*give)(struct child *c, const struct conf *conf); /* files; NULL: it gets none */
} rows[] = {
	{ ROLE_AUTH, true, give_auth },
	{ ROLE_FETCH, false, give_fetch },
	{ ROLE_GSSAPI, true, give_gssapi },
	{ ROLE_GSSAPI_OUT, false, give_gssapi },
	{ ROLE_STORE, true, NULL },
	{ ROLE_READER, true, NULL },
};

static void
give_passes(struct child *c)
{
	int fd = fcntl(c->parent->passes_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		child_kill(c, "the key of passes cannot be handed to it");
	else
		give(c, SECRET_PASSES, "", fd);
}

int
handout_passes_new(void)
{
	char key[PASS_KEY_LEN];
	random_bytes(key, sizeof(key));
	int fd = memfd_sealed("pennypost-passes", str_n(key, sizeof(key)));
	explicit_bzero(key, sizeof(key));
	return fd;
}

void
handout_secrets(struct child *c)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].role != c->role)
			continue;
		if (rows[i].passes)
			give_passes(c);
		if (!rows[i].give)
			continue;
		if (!c->parent->options->maintenance)
			rows[i].give(c, c->parent->conf);
		int end = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (end < 0)
			child_kill(c, "/dev/null cannot be opened");
		else
			give(c, SECRET_END, "", end);
	}
}
