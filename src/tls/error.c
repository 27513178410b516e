#include "tls/tls_priv.h"

#include <openssl/err.h>

/* The oldest is the cause, the others are who passed it on. The texts are libcrypto's and last. */
const char *
tls_reason(void)
{
	unsigned long e = ERR_peek_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return text ? text : "unknown error";
}
