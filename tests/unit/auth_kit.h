/* auth_kit: auth as a child, with what parent gives it. Included by its tests. */
#pragma once

#include "roles_kit.h"

#include "roles/auth/auth.h"
#include "tls/tls.h"

#include <fcntl.h>

static void
give_secret(struct kit *k, enum secret_kind kind, const char *path)
{
	struct msg_secret m = { .kind = (uint8_t)kind, .name = str_of(path) };
	struct buf body = BUF_INIT(4096);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	msg_secret_put(&body, &m);
	assert_int_equal(chan_sync_send(k->sock, IPC_SECRET, 0, buf_str(&body), fd), 0);
	close(fd);
	buf_done(&body);
}

/* It is ready when it knows that there are no keys. */
__attribute__((unused)) static void
start(struct kit *k, const struct conf *c)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	kit_spawn(k, auth_main, c, ROLE_AUTH, 0);
	give_secret(k, SECRET_END, "/dev/null");
	kit_expect(k->sock, IPC_READY, &store);
	buf_done(&store);
}

__attribute__((unused)) static void
write_file(char path[96], const char *name, struct str text)
{
	snprintf(path, 96, "%s/%s", kit_dir, name);
	assert_int_equal(file_replace(path, text, 0600), 0);
}

/* --- keys --- */

struct pair {
	struct buf key, cert;
	unsigned char name[TLS_KEY_NAME];
};

__attribute__((unused)) static void
make_pair(struct pair *p, const char *name)
{
	struct buf err = BUF_INIT(4096);
	struct str names[] = { str_of(name) };
	p->key = BUF_INIT(64u << 10);
	p->cert = BUF_INIT(64u << 10);
	if (!tls_make_self_signed(names, 1, 30, &p->key, &p->cert, &err))
		fail_msg("%s", buf_cstr(&err));
	struct tls_key *key = tls_key_read(buf_str(&p->key), &err);
	assert_non_null(key);
	tls_key_name(key, p->name);
	tls_key_free(key);
	buf_done(&err);
}

__attribute__((unused)) static void
pair_done(struct pair *p)
{
	buf_done(&p->key);
	buf_done(&p->cert);
}

__attribute__((unused)) static void
give_pair(struct kit *k, const struct pair *cert, const struct pair *key)
{
	char path[96];
	write_file(path, "cert.pem", buf_str(&cert->cert));
	give_secret(k, SECRET_CERT, path);
	write_file(path, "key.pem", buf_str(&key->key));
	give_secret(k, SECRET_KEY, path);
}
