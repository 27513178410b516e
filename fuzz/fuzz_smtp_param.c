/*
 * ESMTP parameters: octet 0 chooses the verb, the rest are the arguments. What is accepted must
 * be strict: views into the input, xtext where xtext belongs, no octet that could end a line.
 */
#include "base/check.h"
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
	struct smtp_params p = { .utf8 = data[0] & 2 };
	enum param_verdict v = smtp_params_parse(in, data[0] & 1 ? PARAM_RCPT : PARAM_MAIL, &p);
	check_view(p.ret, in);
	check_view(p.envid, in);
	check_view(p.notify_text, in);
	check_view(p.orcpt, in);
	check_view(p.bad, in);
	if (v == PARAM_OK) {
		check_text(p.envid);
		check_text(p.orcpt);
		check_text(p.notify_text);
		check(p.envid.len == 0 || smtp_xtext_valid(p.envid));
		check(p.envid.len <= PARAM_ENVID_MAX && p.orcpt.len <= PARAM_ORCPT_MAX);
		check(!(p.notify & NOTIFY_NEVER) || p.notify == NOTIFY_NEVER);
		check(p.bad.len == 0);
	} else {
		check(p.bad.len > 0);
	}
	free(block);
	return 0;
}
