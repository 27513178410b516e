#include "play/expand.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/num.h"
#include "crypt/crypt.h"

#include <stdlib.h>

static bool
fail(const char **ret_why, const char *why)
{
	*ret_why = why;
	return false;
}

bool
unescape(struct str text, struct buf *out, const char **ret_why)
{
	static const char letters[] = "rnt0\\", octets[] = "\r\n\t\0\\";

	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] != '\\') {
			buf_putc(out, text.p[i]);
			continue;
		}
		struct str esc = str_skip(text, i + 1);
		const char *hit = esc.len && esc.p[0] ? strchr(letters, esc.p[0]) : NULL;
		uint64_t hex;
		if (hit) {
			buf_putc(out, octets[hit - letters]);
			i++;
		} else if (esc.len >= 3 && esc.p[0] == 'x' && num_hex(str_n(esc.p + 1, 2), &hex)) {
			buf_putc(out, (char)hex);
			i += 3;
		} else {
			return fail(ret_why, "the escapes are \\r \\n \\t \\0 \\\\ and \\xHH");
		}
	}
	return true;
}

struct expansion {
	const struct map *vars;
	bool env;
	struct buf *out; /* NULL: only look whether it is well formed */
	const char **ret_why;
};

static bool
put_base64(const struct expansion *x, struct str arg)
{
	struct buf octets = BUF_INIT(EXPAND_MAX);
	bool ok = unescape(arg, &octets, x->ret_why);

	if (ok && x->out)
		base64_enc(x->out, buf_str(&octets));
	buf_done(&octets);
	return ok;
}

static bool
put_repeat(const struct expansion *x, struct str arg)
{
	uint64_t n;
	struct str count = str_cut(&arg, ':');

	if (!arg.p || !num_u64(count, EXPAND_MAX, &n) || n * arg.len > EXPAND_MAX)
		return fail(x->ret_why, "write {repeat:N:TEXT}; 64 MiB is the most");
	for (uint64_t i = 0; x->out && !x->out->failed && arg.len && i < n; i++)
		buf_puts(x->out, arg);
	return true;
}

/* RFC 2195 2: the user, a blank, the keyed digest of the challenge in hexadecimal. */
static bool
put_digest(struct buf *out, struct str user, struct str password, struct str challenge)
{
	unsigned char mac[CRYPT_DIGEST_MAX];
	struct buf answer = BUF_INIT(4096);

	crypt_init();
	crypt_hmac(CRYPT_MD5, password, challenge, mac);
	buf_puts(&answer, user);
	buf_putc(&answer, ' ');
	for (size_t i = 0; i < crypt_hash_size(CRYPT_MD5); i++)
		buf_putf(&answer, "%02x", mac[i]);
	bool ok = !answer.failed;
	base64_enc(out, buf_str(&answer));
	buf_done(&answer);
	return ok;
}

static bool
put_cram_md5(const struct expansion *x, struct str arg)
{
	struct str user = str_cut(&arg, ':');
	struct str password = str_cut(&arg, ':');
	struct buf challenge = BUF_INIT(4096);

	if (!user.len || !password.len || password.len > 1024 || !arg.len)
		return fail(x->ret_why, "write {cram-md5:USER:PASSWORD:VARIABLE}");
	if (!x->out)
		return true;
	const char *value = x->vars ? map_get(x->vars, arg) : NULL;
	bool ok = value && base64_dec(&challenge, str_of(value)) && challenge.len;
	if (!ok)
		fail(x->ret_why, "the variable of {cram-md5:...} holds no challenge in base64");
	else if (!put_digest(x->out, user, password, buf_str(&challenge)))
		ok = fail(x->ret_why, "the user's name in {cram-md5:...} is too long");
	buf_done(&challenge);
	return ok;
}

static const struct {
	const char *prefix;
	bool (*put)(const struct expansion *x, struct str arg);
} functions[] = {
	{ "b64:", put_base64 },
	{ "repeat:", put_repeat },
	{ "cram-md5:", put_cram_md5 },
};

/* What stands between the braces; braces that mean nothing to us stay as they are. */
static bool
put_item(const struct expansion *x, struct str item)
{
	for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
		struct str prefix = str_of(functions[i].prefix);
		if (str_starts(item, prefix))
			return functions[i].put(x, str_skip(item, prefix.len));
	}
	if (!x->out)
		return true;
	const char *value = x->vars ? map_get(x->vars, item) : NULL;
	if (str_eq(item, STR("sp")))
		buf_putc(x->out, ' ');
	else if (value)
		buf_putz(x->out, value);
	else
		buf_putf(x->out, "{" STR_FMT "}", STR_ARG(item));
	return true;
}

static bool
put_env(const struct expansion *x, struct str name)
{
	char *key = str_dup(name);
	const char *value = getenv(key);

	free(key);
	if (!value)
		return fail(x->ret_why, "the environment has no such variable");
	buf_putz(x->out, value);
	return true;
}

static bool
expand_all(const struct expansion *x, struct str text)
{
	while (text.len) {
		size_t open = str_find(text, '{');
		struct str item = str_skip(text, open + 1);
		size_t close = str_find_any(item, "{}");
		bool is_item = open < text.len && close < item.len && item.p[close] == '}' &&
		               item.p[0] >= 'a' && item.p[0] <= 'z';

		bool is_env = x->env && open > 0 && open < text.len && text.p[open - 1] == '$' &&
		              close < item.len && item.p[close] == '}' && close > 0;

		if (x->out)
			buf_puts(x->out, str_first(text, is_env    ? open - 1
							 : is_item ? open
								   : open + 1));
		if (is_env) {
			if (x->out && !put_env(x, str_first(item, close)))
				return false;
			text = str_skip(item, close + 1);
			continue;
		}
		text = item;
		if (!is_item)
			continue;
		if (!put_item(x, str_first(item, close)))
			return false;
		text = str_skip(item, close + 1);
	}
	if (x->out && x->out->failed)
		return fail(x->ret_why, "this line becomes longer than 64 MiB");
	return true;
}

bool
expand(struct str text, const struct map *vars, bool env, struct buf *out, const char **ret_why)
{
	struct expansion x = { .vars = vars, .env = env, .out = out, .ret_why = ret_why };

	return expand_all(&x, text);
}

bool
expand_check(struct str text, const char **ret_why)
{
	struct expansion x = { .ret_why = ret_why };

	return expand_all(&x, text);
}
