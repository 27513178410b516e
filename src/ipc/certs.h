/*
 * certs: certificates whose keys are auth's, for those who show them: fronts as servers, relays as
 * clients. auth says which there are, and makes the signature of each handshake.
 */
#pragma once

#include "ipc/chan.h"
#include "tls/tls.h"

/* Of IPC_CERTS; one that cannot be used is left out (auth has said so already). NULL: a breach. */
struct tls_certs *certs_take(const struct ipc_frame *m);
/* For tls_sign_fn. auth: the channel, or NULL: it is away. */
bool certs_ask(struct chan *auth, uint32_t id, const unsigned char key[TLS_KEY_NAME],
    enum tls_sign_alg alg, struct str tbs);
/* IPC_SIGNED: the stream whose handshake waited goes on. False: a breach. */
bool certs_signed(const struct ipc_frame *m);
/* The channel to auth is gone: handshakes that wait for it fail. */
void certs_signer_gone(void);
