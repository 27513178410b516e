#include "sys/file.h"
#include "tls/tls.h"

void
tls_authorities_read(size_t max, struct buf *out)
{
	static const char *const places[] = {
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/ssl/cert.pem",
	};
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (file_read_all(places[i], max, out) == 0)
			return;
}
