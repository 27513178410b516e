/* What the options say of an envelope. */
#include "client/options_priv.h"
#include "client/smtp.h"

#include "base/check.h"

static const char *
sender_of(const struct client_options *o)
{
	if (o->null_sender)
		return "";
	if (o->from)
		return o->from;
	return o->user && strchr(o->user, '@') ? o->user : NULL;
}

static bool
body_of(const char *body, enum smtp_client_body *ret)
{
	static const struct {
		const char *name;
		enum smtp_client_body body;
	} names[] = {
		{ "7bit", SMTP_BODY_7BIT },
		{ "8bit", SMTP_BODY_8BIT },
		{ "8bitmime", SMTP_BODY_8BIT },
		{ "binary", SMTP_BODY_BINARY },
		{ "binarymime", SMTP_BODY_BINARY },
	};
	if (!body)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_ieq(str_of(body), str_of(names[i].name))) {
			*ret = names[i].body;
			return true;
		}
	return false;
}

/* All values of --mail-param (rcpt false) or --rcpt-param, with blanks between. */
static struct str
params_of(struct client_options *o, const char *kind)
{
	struct buf b = BUF_INIT(64u << 10);
	for (size_t i = 0; i < o->params.n; i++) {
		struct str value = str_of(o->params.v[i]);
		if (!str_starts(value, str_of(kind)))
			continue;
		if (b.len > 0)
			buf_putc(&b, ' ');
		buf_puts(&b, str_skip(value, strlen(kind)));
	}
	struct str kept = b.len ? str_of(options_keep(o, buf_str(&b))) : STR_NULL;
	buf_done(&b);
	return kept;
}

bool
smtp_run_envelope(struct client_options *o, struct smtp_client_envelope *e,
    struct smtp_client_rcpt *each, struct buf *err)
{
	const char *from = sender_of(o);
	if (!from) {
		buf_putz(err, "whom is it from? --from ADDRESS, or --null-sender");
		return false;
	}
	struct str path = str_of(from);
	if (str_starts(path, STR("<")) && str_ends(path, STR(">")))
		path = str_n(path.p + 1, path.len - 2);
	*each = (struct smtp_client_rcpt){ .notify = str_of(o->dsn_notify),
		.params = params_of(o, "rcpt:") };
	*e = (struct smtp_client_envelope){
		.from = path.p ? path : STR(""),
		.utf8 = o->smtputf8,
		.verp = o->verp,
		.chunking = o->chunking,
		.as_is = o->raw,
		.ret = str_of(o->dsn_ret),
		.envid = str_of(o->dsn_envid),
		.by = str_of(o->by),
		.priority = str_of(o->priority),
		.hold_for = str_of(o->hold_for),
		.hold_until = str_of(o->hold_until),
		.requiretls = o->requiretls,
		.params = params_of(o, "mail:"),
	};
	if (body_of(o->body, &e->body))
		return true;
	buf_putf(err, "--body is 7bit, 8bit or binary, not %s", o->body);
	return false;
}
