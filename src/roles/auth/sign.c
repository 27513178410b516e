/* Signatures for handshakes: a thread of their own, so that they never wait behind a password. */
#include "roles/auth/auth_priv.h"
#include "roles/auth/keyset.h"

#include "log/log.h"

#include <stdlib.h>
#include <string.h>

struct signing {
	struct pool_job job;
	struct auth *auth;
	struct keyset *keys; /* a reference */
	uint64_t front;      /* front_chan->number */
	uint64_t id;
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
	if (key && tls_signable(tbs))
		s->sig_len = tls_key_sign(key, s->alg, tbs, s->sig);
}

static void
signed_(struct pool_job *job)
{
	struct signing *s = container_of(job, struct signing, job);
	struct auth *au = s->auth;
	struct front_chan *f = fronts_find(au, s->front);
	if (s->sig_len)
		au->n_signatures++;
	else if (job->ran)
		LOG(LOG_ERROR, 0, "signature-refused",
		    LOGZ("why", "no such key, or not what a handshake signs"));
	if (f)
		chan_send(f->chan, IPC_SIGNED, s->id, str_n(s->sig, s->sig_len), -1);
	au->n_signs--;
	keyset_unref(s->keys);
	free(s);
}

bool
sign_take(struct front_chan *f, const struct ipc_frame *m)
{
	struct auth *au = f->auth;
	struct msg_sign in;
	if (!msg_sign_get(m->body, &in) || in.key.len != TLS_KEY_NAME ||
	    in.tbs.len > TLS_SIGN_MAX || in.alg >= TLS_SIGN_ALG_COUNT)
		return false;
	if (au->n_signs >= SIGNS_MAX || !au->keys) {
		chan_send(f->chan, IPC_SIGNED, m->id, STR_NULL, -1);
		return true;
	}
	struct signing *s = xalloc(sizeof(*s));
	*s = (struct signing){ .job = { .work = sign, .done = signed_ },
		.auth = au,
		.keys = keyset_ref(au->keys),
		.front = f->number,
		.id = m->id,
		.alg = (enum tls_sign_alg)in.alg,
		.tbs_len = in.tbs.len };
	memcpy(s->key, in.key.p, sizeof(s->key));
	if (in.tbs.len)
		memcpy(s->tbs, in.tbs.p, in.tbs.len);
	au->n_signs++;
	check(pool_submit(au->signers, &s->job, false));
	return true;
}
