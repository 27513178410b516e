/*
 * What parent hands in by descriptor: certificates with their keys, and keys that check tokens.
 * They are collected up to the end mark and then take the place of what was there; a set with a
 * mistake in it does not, unless there was nothing.
 */
#include "roles/auth/auth_priv.h"
#include "roles/auth/keyset.h"
#include "roles/auth/oauth.h"
#include "roles/auth/outgoing.h"

#include "ipc/role.h"
#include "log/log.h"
#include "sasl/jwk.h"
#include "sys/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX TLS_CHAIN_MAX
#define JWT_MAX (256u << 10)
#define NAME_TEXT_MAX 1025
#define ERRORS_MAX (64u << 10)

struct secrets {
	struct keyset *keys;
	struct buf jwt;
	struct buf cert; /* that waits for its key */
	char cert_name[NAME_TEXT_MAX];
	struct buf err; /* one line for each mistake */
};

static struct secrets *
secrets_new(void)
{
	struct secrets *s = xalloc(sizeof(*s));
	*s = (struct secrets){ .keys = keyset_new(),
		.jwt = BUF_INIT(JWT_MAX),
		.cert = BUF_INIT(FILE_MAX),
		.err = BUF_INIT(ERRORS_MAX) };
	return s;
}

static struct secrets *
secrets_free(struct secrets *s)
{
	if (!s)
		return NULL;
	keyset_unref(s->keys);
	buf_wipe(&s->jwt);
	buf_done(&s->jwt);
	buf_done(&s->cert);
	buf_done(&s->err);
	free(s);
	return NULL;
}

/* Room is taken at once, so that the octets never move and leave a copy. */
static bool
read_file(struct secrets *s, struct str name, int fd, size_t max, struct buf *out)
{
	check(buf_reserve(out, max));
	int rc = file_read_fd(fd, max, out);
	if (rc < 0)
		buf_putf(&s->err, STR_FMT ": %s\n", STR_ARG(name),
		    rc == -EFBIG ? "too long for what it should be" : strerror(-rc));
	return rc == 0;
}

static void
no_key(struct secrets *s)
{
	if (s->cert_name[0])
		buf_putf(&s->err, "%s: no key came with the certificate\n", s->cert_name);
	s->cert_name[0] = '\0';
	buf_reset(&s->cert);
}

static void
take_cert(struct secrets *s, struct str name, int fd)
{
	no_key(s);
	if (!read_file(s, name, fd, FILE_MAX, &s->cert) ||
	    !str_copy(s->cert_name, sizeof(s->cert_name), name))
		buf_reset(&s->cert);
}

static void
take_key(struct secrets *s, struct str name, int fd)
{
	struct buf pem = BUF_INIT(FILE_MAX);
	if (s->cert_name[0] && read_file(s, name, fd, FILE_MAX, &pem))
		(void)keyset_add(s->keys, str_of(s->cert_name), buf_str(&s->cert), name,
		    buf_str(&pem), &s->err);
	s->cert_name[0] = '\0';
	buf_reset(&s->cert);
	buf_wipe(&pem);
	buf_done(&pem);
}

static void
take_jwt(struct secrets *s, struct str name, int fd)
{
	struct jwk_set set;
	buf_reset(&s->jwt);
	if (!read_file(s, name, fd, JWT_MAX, &s->jwt))
		return;
	const char *why = jwk_set_read(&set, buf_str(&s->jwt));
	if (why)
		buf_putf(&s->err, STR_FMT ": %s\n", STR_ARG(name), why);
	jwk_set_done(&set);
}

static void
log_mistakes(struct str lines)
{
	while (lines.len) {
		struct str line = str_cut(&lines, '\n');
		LOG(LOG_ERROR, 0, "key-refused", LOGF("error", line));
	}
}

static void
publish(struct auth *au, struct secrets *s)
{
	int fd = memfd_sealed("pennypost-certs", keyset_certs(s->keys));
	if (fd < 0) {
		LOG(LOG_ERROR, 0, "certificates-not-passed", LOGZ("why", strerror(-fd)));
		return;
	}
	bool had = au->certs_fd >= 0;
	if (had)
		close(au->certs_fd);
	au->certs_fd = fd;
	keyset_unref(au->keys);
	au->keys = keyset_ref(s->keys);
	if (had || keyset_count(s->keys) > 0) {
		fronts_certs(au);
		outgoing_certs(au);
	}
	LOG(LOG_INFO, 0, "certificates", LOGN("n", keyset_count(s->keys)));
}

static void
take_end(struct auth *au)
{
	struct secrets *s = au->secrets;
	no_key(s);
	bool had = (au->keys && keyset_count(au->keys) > 0) || au->oauth;
	log_mistakes(buf_str(&s->err));
	if (s->err.len > 0 && had) {
		LOG(LOG_ERROR, 0, "keys-kept",
		    LOGZ("remedy", "those of before stay in use; mend the files and reload"));
	} else {
		publish(au, s);
		au->oauth = oauth_renew(au->oauth, au->conf, buf_str(&s->jwt));
	}
	au->secrets = secrets_free(s);
	/* From here on a front that is connected learns at once what it may show. */
	if (!au->said_ready)
		role_say_ready(au->life.parent, au->life.layers);
	au->said_ready = true;
}

bool
secrets_take(struct auth *au, struct ipc_frame *m)
{
	struct msg_secret s;
	if (m->fd < 0 || !msg_secret_get(m->body, &s))
		return false;
	int fd = role_take_fd(m);
	if (s.kind == SECRET_PASSES) {
		bool good = pass_key_read(&au->passes, fd);
		close(fd);
		return good;
	}
	if (!au->secrets)
		au->secrets = secrets_new();
	switch ((enum secret_kind)s.kind) {
	case SECRET_CERT:
		take_cert(au->secrets, s.name, fd);
		break;
	case SECRET_KEY:
		take_key(au->secrets, s.name, fd);
		break;
	case SECRET_JWT:
		take_jwt(au->secrets, s.name, fd);
		break;
	case SECRET_ROUTE:
		outgoing_secret(au, s.name, fd);
		break;
	case SECRET_SRS:
		srs_secret(au, s.name, fd);
		break;
	case SECRET_END:
		take_end(au);
		outgoing_secrets_end(au);
		break;
	case SECRET_PASSES: /* was taken above */
	case SECRET_KEYTAB: /* these are for others */
	case SECRET_KRB5_CONF:
	case SECRET_CLIENT:
	case SECRET_CA:
	case SECRET_KIND_COUNT:
		break;
	}
	close(fd);
	return true;
}

void
secrets_done(struct auth *au)
{
	au->secrets = secrets_free(au->secrets);
	au->keys = keyset_unref(au->keys);
	au->oauth = oauth_unref(au->oauth);
	if (au->certs_fd >= 0)
		close(au->certs_fd);
	au->certs_fd = -1;
	explicit_bzero(au->tickets, sizeof(au->tickets));
	pass_key_done(&au->passes);
}
