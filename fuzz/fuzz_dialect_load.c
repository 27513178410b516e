/*
 * A dialect file from an administrator: it loads completely or not at all; what loads renders
 * every situation, with variables that mean harm, as lines of at most 510 octets, and keeps the
 * class of every reply.
 */
#include "dialect/dialect.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
find(void *arg, struct str name, struct str *ret_text)
{
	const struct str *text = arg;
	if (str_eq(name, STR("x"))) {
		*ret_text = *text;
		return true;
	}
	return dialect_find_builtin(NULL, name, ret_text);
}

static void
check_lines(struct str out)
{
	check(out.len > 0);
	while (out.len) {
		size_t nl = str_find_str(out, STR("\r\n"));
		check(nl < out.len && nl >= 4 && nl <= SMTP_REPLY_LINE_MAX);
		for (size_t i = 0; i < nl; i++)
			check((unsigned char)out.p[i] >= ' ' || out.p[i] == '\t');
		check(out.p[3] == (out.len > nl + 2 ? '-' : ' '));
		out = str_skip(out, nl + 2);
	}
}

static void
check_wording(const struct smtp_wording *w)
{
	char big[600];
	struct smtp_vars vars;
	struct buf out = BUF_INIT(1u << 22);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = "x\r\n\0\xff\xc3\xa9\x1b"[i % 8];
	for (int i = 0; i < SMTP_VAR_COUNT; i++)
		vars.v[i] = str_n(big, sizeof(big));
	for (int i = 0; i < SMTP_SITUATION_COUNT; i++) {
		enum smtp_situation s = (enum smtp_situation)i;
		char class = smtp_situation_class(s);
		int digit = smtp_reply_code(w, s) / 100;
		bool vrfy = smtp_reply_code(w, s) == 252 &&
		            str_starts(str_of(smtp_situation_key[i]), STR("vrfy."));
		check(class == 'r' ? digit == 4 || digit == 5 || vrfy
				   : digit == class - '0' || vrfy);
		buf_reset(&out);
		smtp_reply_put(&out, w, s, &vars);
		check_lines(buf_str(&out));
	}
	for (int on = 0; on < 2; on++) {
		bool cond[SMTP_COND_COUNT];
		memset(cond, on, sizeof(cond));
		buf_reset(&out);
		smtp_ehlo_put(&out, w, &vars, cond);
		check_lines(buf_str(&out));
	}
	buf_done(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_n(data, size);
	struct buf err = BUF_INIT(1u << 22);
	struct smtp_wording *w = dialect_load(STR("x"), find, &text, &err);
	check((w == NULL) == (err.len > 0));
	if (w)
		check_wording(w);
	dialect_free(w);
	buf_done(&err);
	return 0;
}
