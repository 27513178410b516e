/* What a TLS server signs, told again from the RFCs; both must agree on every octet. */
#include "base/check.h"
#include "tls/tls.h"

#include <stdlib.h>
#include <string.h>

static bool
again(const uint8_t *p, size_t n)
{
	static const char context[34] = "TLS 1.3, server CertificateVerify";
	size_t spaces = 0;

	while (spaces < n && spaces < 64 && p[spaces] == 0x20)
		spaces++;
	if (spaces == 64 && n >= 98 && memcmp(p + 64, context, 34) == 0)
		return n == 98 + 32 || n == 98 + 48;
	if (n < 69 || p[64] != 3 || p[65] != 0 || (size_t)p[67] + 68 != n)
		return false;
	if (p[66] == 29)
		return p[67] == 32;
	return p[66] >= 23 && p[66] <= 25 &&
	       p[67] == 1 + 2 * (p[66] == 23      ? 32
				    : p[66] == 24 ? 48
						  : 66) &&
	       p[68] == 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = xrealloc(NULL, size ? size : 1); /* so that a look beyond shows */

	memcpy(copy, data, size);
	check(tls_signable(str_n(copy, size)) == again(data, size));
	free(copy);
	return 0;
}
