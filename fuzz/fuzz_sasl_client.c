/* A server of any challenges (parted by 0xff) against each mechanism; the first octet says which.
 */
#include "base/check.h"
#include "sasl/client.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const mechs[] = { "PLAIN", "LOGIN", "EXTERNAL", "CRAM-MD5",
		"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "XOAUTH2", "OAUTHBEARER" };
	struct buf err = BUF_INIT(1000);
	if (size == 0)
		return 0;
	struct str input = str_n(data + 1, size - 1);
	const struct sasl_client_conf conf = { .service = "smtp",
		.host = "h",
		.user = STR("us=er,"),
		.authzid = (data[0] & 128) ? STR("other") : STR_NULL,
		.secret = STR("secret"),
		.binding = { .endpoint = STR("endpoint") } };
	struct sasl_client *c =
	    sasl_client_make(str_of(mechs[(data[0] & 127) % ARRAY_LEN(mechs)]), &conf, &err);
	check(c);
	enum sasl_client_status s = sasl_client_begins(c) ? sasl_client_begin(c) : SASL_CLIENT_SEND;
	while (s == SASL_CLIENT_SEND && input.p) {
		s = sasl_client_answer(c, str_cut(&input, (char)0xff));
		check(sasl_client_masked(c).len > 0);
	}
	/* No server that does not know the password can say that it does. */
	bool scram =
	    (data[0] & 127) % ARRAY_LEN(mechs) >= 4 && (data[0] & 127) % ARRAY_LEN(mechs) <= 6;
	check(!sasl_client_end(c) || !scram);
	check(sasl_client_why(c)[0]);
	sasl_client_free(c);
	buf_done(&err);
	return 0;
}
