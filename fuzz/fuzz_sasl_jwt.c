/*
 * Tokens and key files: the first octet chooses what the input is: header and claims (parted by a
 * NUL), which are signed with the right key, so that what stands behind the signature is reached;
 * or a token as it is; or the keys.
 */
#include "base/base64.h"
#include "base/check.h"
#include "sasl/sasl.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW 1700000000
#define TOKEN                                                                                      \
	"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"    \
	"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5dj"   \
	"xLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

static void
url64(struct buf *out, struct str s)
{
	struct buf b = BUF_INIT(1u << 20);
	base64_enc(&b, s);
	for (size_t i = 0; i < b.len && b.p[i] != '='; i++)
		buf_putc(out, b.p[i] == '+' ? '-' : b.p[i] == '/' ? '_' : b.p[i]);
	buf_done(&b);
}

static bool
try(struct str keys, struct str token, int64_t now)
{
	char name[SASL_NAME_MAX];
	struct buf why = BUF_INIT(4096);
	struct sasl_jwt_conf conf = { .keys = keys, .audience = STR("a"), .claim = "email" };
	bool good = sasl_jwt_check(&conf, token, now, name, &why);
	check(good == (why.len == 0));
	if (good)
		check(strlen(name) > 0);
	buf_done(&why);
	return good;
}

static void
as_claims(struct str in)
{
	unsigned char mac[CRYPT_DIGEST_MAX];
	struct str claims = in, header = str_cut(&claims, '\0');
	struct buf b = BUF_INIT(1u << 20);
	url64(&b, header);
	buf_putc(&b, '.');
	url64(&b, claims);
	crypt_hmac(CRYPT_SHA256, STR(SECRET), buf_str(&b), mac);
	buf_putc(&b, '.');
	url64(&b, str_n(mac, 32));
	try(STR("secret:" SECRET), buf_str(&b), NOW);
	buf_done(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	crypt_init();
	char *copy = xmemdup(data, size);
	struct str in = str_n(copy + 1, size - 1);
	switch (data[0] % 3) {
	case 0:
		as_claims(in);
		break;
	case 1:
		/* Nobody signs with a secret that he does not have. */
		check(!try(STR("secret:" SECRET), in, NOW));
		break;
	default:
		try(in, STR(TOKEN), 1300000000);
	}
	free(copy);
	return 0;
}
