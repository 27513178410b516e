#include "base/base64.h"
#include "sasl/sasl_priv.h"

/* cb-name (RFC 5801 4) */
static bool
is_cbname(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		bool alnum =
		    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && c != '.' && c != '-')
			return false;
	}
	return s.len > 0;
}

bool
sasl_gs2_get(struct str *in, struct sasl_gs2 *ret)
{
	struct sasl_gs2 g = { 0 };
	struct str left = *in;
	struct str flag = str_cut(&left, ',');
	if (!left.p)
		return false;
	struct str authzid = str_cut(&left, ',');
	if (!left.p)
		return false;
	if (str_eq(flag, STR("n")) || str_eq(flag, STR("y"))) {
		g.flag = flag.p[0];
	} else {
		g.flag = 'p';
		g.cbname = str_skip(flag, 2);
		if (!str_starts(flag, STR("p=")) || !is_cbname(g.cbname))
			return false;
	}
	if (authzid.len) {
		g.authzid = str_skip(authzid, 2);
		if (!str_starts(authzid, STR("a=")) || g.authzid.len == 0)
			return false;
	}
	g.header = str_first(*in, in->len - left.len);
	*in = left;
	*ret = g;
	return true;
}

bool
sasl_saslname_get(struct str raw, char dst[SASL_NAME_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < raw.len; i++) {
		char c = raw.p[i];
		if (c == '=') {
			struct str code = str_first(str_skip(raw, i + 1), 2);
			if (!str_eq(code, STR("2C")) && !str_eq(code, STR("3D")))
				return false;
			c = code.p[0] == '2' ? ',' : '=';
			i += 2;
		}
		if (c == '\0' || n == SASL_NAME_MAX - 1)
			return false;
		dst[n++] = c;
	}
	dst[n] = '\0';
	return n > 0;
}

/* attr-val: a letter, "=", and a value without NUL (no comma: they are cut there). */
static bool
is_attribute(struct str s)
{
	return s.len > 2 &&
	       ((s.p[0] >= 'a' && s.p[0] <= 'z') || (s.p[0] >= 'A' && s.p[0] <= 'Z')) &&
	       s.p[1] == '=' && str_find(s, '\0') == s.len;
}

static bool
is_nonce(struct str s)
{
	if (!is_attribute(s) || s.p[0] != 'r')
		return false;
	for (size_t i = 2; i < s.len; i++)
		if (s.p[i] < '!' || s.p[i] > '~')
			return false;
	return true;
}

bool
sasl_scram_first(struct str in, struct sasl_gs2 *ret_gs2, char name[SASL_NAME_MAX])
{
	char authzid[SASL_NAME_MAX];
	struct str left = in;
	if (!sasl_gs2_get(&left, ret_gs2))
		return false;
	if (ret_gs2->authzid.len && !sasl_saslname_get(ret_gs2->authzid, authzid))
		return false;
	/* RFC 5802 5.1: "m=" in front is an extension that must be understood, and none is. */
	struct str user = str_cut(&left, ',');
	if (!left.p || !str_starts(user, STR("n=")) || !sasl_saslname_get(str_skip(user, 2), name))
		return false;
	struct str nonce = str_cut(&left, ',');
	if (!is_nonce(nonce))
		return false;
	while (left.p)
		if (!is_attribute(str_cut(&left, ',')))
			return false;
	return true;
}

static bool
is_base64(struct str s)
{
	struct buf b = BUF_INIT(SASL_MESSAGE_MAX);
	bool ok = base64_dec(&b, s) && b.len > 0;
	buf_done(&b);
	return ok;
}

bool
sasl_scram_final(struct str in, struct str *ret_binding)
{
	struct str left = in, last = STR_NULL;
	struct str binding = str_cut(&left, ',');
	if (!left.p || !str_starts(binding, STR("c=")) || !is_base64(str_skip(binding, 2)))
		return false;
	if (!is_nonce(str_cut(&left, ',')))
		return false;
	while (left.p) {
		last = str_cut(&left, ',');
		/* The proof is the last one and the only one. */
		if (!is_attribute(last) || (last.p[0] == 'p') != !left.p)
			return false;
	}
	if (!last.p || !is_base64(str_skip(last, 2)))
		return false;
	*ret_binding = str_skip(binding, 2);
	return true;
}
