#include "base/check.h"
#include "tls/tls_priv.h"

#include <openssl/async.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

OSSL_LIB_CTX *tls_lib;
EVP_CIPHER *tls_ticket_cipher;

/* A context of each side, once: libssl fetches its algorithms then. */
static void
warm_up(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new_ex(tls_lib, TLS_PROPS, method);

	check(ctx);
	SSL *ssl = SSL_new(ctx);
	check(ssl);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

void
tls_init(void)
{
	unsigned char some[16];

	if (tls_lib)
		return;
	crypt_init();
	check(OPENSSL_init_ssl(0, NULL) == 1);
	check(ASYNC_is_capable() && ASYNC_init_thread(TLS_OPEN_SIGNS_MAX, 0) == 1);
	tls_lib = OSSL_LIB_CTX_new();
	check(tls_lib && OSSL_PROVIDER_load(tls_lib, "default"));
	check(tls_provider_load(tls_lib));
	tls_ticket_cipher = EVP_CIPHER_fetch(tls_lib, "AES-256-CBC", TLS_PROPS);
	check(tls_ticket_cipher);
	check(RAND_bytes_ex(tls_lib, some, sizeof(some), 0) == 1);
	check(RAND_bytes(some, sizeof(some)) == 1);
	check(tls_conn_init());
	warm_up(TLS_server_method());
	warm_up(TLS_client_method());
}
