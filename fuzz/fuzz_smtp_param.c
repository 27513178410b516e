/*
 * ESMTP parameters: octet 0 chooses the verb, the rest are the arguments. What is accepted must
 * be strict: views into the input, xtext where xtext belongs, no octet that could end a line.
 */
#include "base/check.h"
#include "mail/xtext.h"
#include "smtp/param.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_view(struct str s, struct str in)
{
	if (!s.p)
		return;
	check(s.p >= in.p && s.p + s.len <= in.p + in.len);
}

static void
check_text(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		check((unsigned char)s.p[i] > ' ' && s.p[i] != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *block = size > 1 ? xmemdup(data + 1, size - 1) : NULL;
	struct str in = { block, size - 1 };
	static const struct smtp_conf on = { .requiretls = true,
		.mt_priority = true,
		.deliver_by = true,
		.hold_seconds = 1000,
		.verp = true,
		.prdr = true,
		.no_soliciting = { "a:b,c:d", 7 } };
	struct smtp_params p = { .utf8 = data[0] & 2,
		.conf = data[0] & 4 ? &on : NULL,
		.ours = data[0] & 8,
		.wall = 1000000000 };
	enum param_verdict v = smtp_params_parse(in, data[0] & 1 ? PARAM_RCPT : PARAM_MAIL, &p);
	check(p.ret.len == 0 || str_eq(p.ret, STR("FULL")) || str_eq(p.ret, STR("HDRS")));
	check_view(p.solicit, in);
	check_view(p.envid, in);
	check_view(p.notify_text, in);
	check_view(p.orcpt, in);
	check_view(p.bad, in);
	if (v == PARAM_OK) {
		struct str class;
		check_text(p.solicit);
		(void)smtp_solicits(on.no_soliciting, p.solicit, &class);
		check_text(p.envid);
		check_text(p.orcpt);
		check_text(p.notify_text);
		check(p.envid.len == 0 || xtext_valid(p.envid));
		check(p.envid.len <= PARAM_ENVID_MAX && p.orcpt.len <= PARAM_ORCPT_MAX);
		check(!(p.notify & NOTIFY_NEVER) || p.notify == NOTIFY_NEVER);
		check(p.bad.len == 0);
	} else {
		check(p.bad.len > 0);
	}
	free(block);
	return 0;
}
