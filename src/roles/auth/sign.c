/* Signatures for handshakes: a thread of their own, so that they never wait behind a password. */
#include "roles/auth/auth_priv.h"
#include "roles/auth/keyset.h"

#include "log/log.h"

#include <stdlib.h>
#include <string.h>

struct signing {
	struct pool_job job;
	struct list node; /* asker->signings */
	struct auth *auth;
	struct keyset *keys; /* a reference */
	struct asker *asker; /* NULL: it is gone, and with it `to` */
	struct chan *to;
	uint64_t id;
	bool client;
	unsigned char key[TLS_KEY_NAME];
	enum tls_sign_alg alg;
	unsigned char tbs[TLS_SIGN_MAX];
	size_t tbs_len;
	unsigned char sig[TLS_SIGNATURE_MAX];
	size_t sig_len; /* 0: refused */
};

static void
sign(struct pool_job *job)
{
	struct signing *s = container_of(job, struct signing, job);
	const struct tls_key *key = keyset_find(s->keys, str_n(s->key, sizeof(s->key)));
	struct str tbs = str_n(s->tbs, s->tbs_len);
	if (key && (s->client ? tls_signable_by_client(tbs) : tls_signable(tbs)))
		s->sig_len = tls_key_sign(key, s->alg, tbs, s->sig);
}

static void
refused(const char *why)
{
	LOG(LOG_ERROR, 0, "signature-refused", LOGZ("why", why));
}

static void
answer(struct chan *to, uint64_t id, struct str sig)
{
	chan_send(to, IPC_SIGNED, id, sig, -1);
}

static void
forget(struct signing *s)
{
	list_del(&s->node);
	s->asker->n--;
	s->asker = NULL;
}

static void
signed_(struct pool_job *job)
{
	struct signing *s = container_of(job, struct signing, job);
	struct auth *au = s->auth;
	if (s->sig_len)
		au->n_signatures++;
	else if (job->ran)
		refused("no such key, or not what a handshake signs");
	if (s->asker) {
		answer(s->to, s->id, str_n(s->sig, s->sig_len));
		forget(s);
	}
	au->n_signs--;
	keyset_unref(s->keys);
	free(s);
}

void
sign_asker_gone(struct asker *a)
{
	list_each(n, &a->signings) forget(list_entry(n, struct signing, node));
}

/* The key of a certificate that a relay may show to others. */
static bool
is_shown(const struct auth *au, const unsigned char key[TLS_KEY_NAME])
{
	for (size_t i = 0; i < au->conf->n_routes; i++) {
		const char *name = au->conf->routes[i].certificate;
		if (*name && keyset_is_for(au->keys, name, key))
			return true;
	}
	return false;
}

static bool
take(struct auth *au, struct chan *from, struct asker *a, bool client, const struct ipc_frame *m)
{
	struct msg_sign in;
	if (!msg_sign_get(m->body, &in) || in.key.len != TLS_KEY_NAME ||
	    in.tbs.len > TLS_SIGN_MAX || in.alg >= TLS_SIGN_ALG_COUNT)
		return false;
	size_t most = client ? SIGNS_RELAY_MAX : SIGNS_FRONT_MAX;
	if (au->n_signs >= SIGNS_MAX || a->n >= most || !au->keys) {
		answer(from, m->id, STR_NULL);
		return true;
	}
	const unsigned char *key = (const unsigned char *)in.key.p;
	if (client && !is_shown(au, key)) {
		refused("a relay asks for a certificate that no route names");
		answer(from, m->id, STR_NULL);
		return true;
	}
	struct signing *s = xalloc(sizeof(*s));
	*s = (struct signing){ .job = { .work = sign, .done = signed_ },
		.auth = au,
		.keys = keyset_ref(au->keys),
		.asker = a,
		.to = from,
		.id = m->id,
		.client = client,
		.alg = (enum tls_sign_alg)in.alg,
		.tbs_len = in.tbs.len };
	memcpy(s->key, key, sizeof(s->key));
	if (in.tbs.len)
		memcpy(s->tbs, in.tbs.p, in.tbs.len);
	list_add_tail(&a->signings, &s->node);
	a->n++;
	au->n_signs++;
	check(pool_submit(au->signers, &s->job, false));
	return true;
}

bool
sign_take(struct front_chan *f, const struct ipc_frame *m)
{
	return take(f->auth, f->chan, &f->asker, false, m);
}

bool
sign_as_client(struct auth *au, struct chan *from, struct asker *a, const struct ipc_frame *m)
{
	return take(au, from, a, true, m);
}
