/*
 * A server of any octets against the client's session. The first octet says what the client wants,
 * the rest is what the server sends, in pieces that end at 0xff; the session must end, give every
 * recipient a fate, and never send what the host did not give it a reason for.
 */
#include "base/check.h"
#include "smtp/client.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
login(struct smtp_client *c, unsigned which)
{
	static const char *const mechs[] = { "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256",
		"XOAUTH2", "OAUTHBEARER", "EXTERNAL" };
	struct buf err = BUF_INIT(1000);
	const struct sasl_client_conf conf = {
		.service = "smtp", .host = "h", .user = STR("user"), .secret = STR("secret")
	};
	struct str mech = str_of(mechs[which % ARRAY_LEN(mechs)]);
	struct sasl_client *sc = sasl_client_make(mech, &conf, &err);
	check(sc);
	smtp_client_auth(c, mech, sc);
	buf_done(&err);
}

/* True: the order is over. */
static bool
turn(struct smtp_client *c, struct str *input, unsigned which)
{
	struct smtp_client_event ev;
	switch (smtp_client_next(c, &ev)) {
	case SMTP_CLIENT_SEND:
		check(ev.octets.len > 0);
		break;
	case SMTP_CLIENT_READ:
		if (input->len > 0)
			smtp_client_feed(c, str_cut(input, (char)0xff));
		else
			smtp_client_closed(c);
		break;
	case SMTP_CLIENT_TLS:
		smtp_client_secured(c);
		break;
	case SMTP_CLIENT_AUTH:
		login(c, which);
		break;
	case SMTP_CLIENT_DATA:
		smtp_client_data(c, STR("Subject: x\n\n.x\ry"), which % 3 != 0 || !ev.begin);
		break;
	case SMTP_CLIENT_REPLY:
		check(ev.answer && ev.answer->code >= 200);
		break;
	case SMTP_CLIENT_NOTE:
		check(ev.text.len > 0);
		break;
	case SMTP_CLIENT_RESULT:
		check(ev.rcpt < 3);
		break;
	case SMTP_CLIENT_READY:
	case SMTP_CLIENT_FAILED:
	case SMTP_CLIENT_CLOSED:
		return true;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_client_rcpt rcpts[3] = { { .addr = STR("a@x") }, { .addr = STR("b@x") },
		{ .addr = STR("c@x"), .notify = STR("NEVER") } };
	if (size == 0)
		return 0;
	unsigned which = data[0];
	struct str input = str_n(data + 1, size - 1);
	const struct smtp_client_conf conf = { .name = STR("me"),
		.lmtp = which & 1,
		.pipeline = which & 2,
		.pipeline_force = (which & 6) == 6,
		.auth = which & 8,
		.no_initial = which & 16,
		.max_rcpt = (which & 32) ? 2 : 0,
		.xclient = (which & 64) ? STR("NAME=x") : STR_NULL };
	struct smtp_client *c = smtp_client_new(&conf);
	const struct smtp_client_envelope e = { .from = STR("s@x"),
		.rcpts = rcpts,
		.n_rcpts = 3,
		.size = 20,
		.chunking = which & 128,
		.body = SMTP_BODY_8BIT,
		.anyway = SMTP_LACKS_8BITMIME };
	smtp_client_letter(c, &e, SMTP_STEP_DOT);
	size_t turns = 0, most = size * 8 + 2000;
	while (!turn(c, &input, which))
		check(++turns < most);
	for (size_t i = 0; i < 3; i++)
		check(rcpts[i].fate > SMTP_FATE_ACCEPTED);
	smtp_client_quit(c);
	while (!turn(c, &input, which))
		check(++turns < most * 2);
	smtp_client_free(c);
	return 0;
}
