#include "ipc/certs.h"

#include "base/wire.h"
#include "io/stream.h"
#include "ipc/msg.h"
#include "log/log.h"
#include "sys/file.h"

#define CERTS_MAX ((size_t)TLS_CERTS_MAX * (TLS_CHAIN_MAX + 4))

static bool
read_all(struct str text, struct tls_certs *certs)
{
	struct wire w = wire_of(text);
	while (w.left > 0 && !w.bad) {
		struct buf err = BUF_INIT(4096);
		struct str pem = get_str(&w, TLS_CHAIN_MAX);
		if (!w.bad && !tls_certs_add(certs, pem, &err))
			LOG(LOG_ERROR, 0, "certificate-unusable",
			    LOGF("error", str_trim(buf_str(&err))));
		buf_done(&err);
	}
	return wire_done(&w);
}

struct tls_certs *
certs_take(const struct ipc_frame *m)
{
	struct str text;
	if (m->fd < 0 || memfd_map(m->fd, CERTS_MAX, &text) < 0)
		return NULL;
	struct tls_certs *certs = tls_certs_new();
	bool ok = read_all(text, certs);
	if (text.len)
		memfd_unmap(text);
	return ok ? certs : tls_certs_unref(certs);
}

bool
certs_ask(struct chan *auth, uint32_t id, const unsigned char key[TLS_KEY_NAME],
    enum tls_sign_alg alg, struct str tbs)
{
	struct buf body = BUF_INIT(4096);
	if (!auth || chan_pending(auth) > IPC_HIGH_WATER)
		return false;
	struct msg_sign m = { .key = str_n(key, TLS_KEY_NAME), .alg = (uint8_t)alg, .tbs = tbs };
	msg_sign_put(&body, &m);
	bool ok = !body.failed;
	if (ok)
		chan_send(auth, IPC_SIGN, id, buf_str(&body), -1);
	buf_done(&body);
	return ok;
}

bool
certs_signed(const struct ipc_frame *m)
{
	if (m->id > UINT32_MAX || m->body.len > TLS_SIGNATURE_MAX)
		return false;
	struct stream *s = tls_signed((uint32_t)m->id, m->body);
	if (s)
		stream_tls_resume(s);
	return true;
}

static void
wake(void *owner)
{
	stream_tls_resume(owner);
}

void
certs_signer_gone(void)
{
	tls_signer_gone(wake);
}
