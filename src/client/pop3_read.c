#include "client/pop3.h"

#include "base/num.h"
#include "crypt/crypt.h"

#include <string.h>

void
pop_answer_read(struct str line, struct pop_answer *ret)
{
	struct str s = line;
	while (s.len && (s.p[s.len - 1] == '\n' || s.p[s.len - 1] == '\r'))
		s.len--;
	*ret = (struct pop_answer){ .status = POP_STRANGE, .text = s };
	struct str word = str_first(s, str_find(s, ' '));
	if (str_ieq(word, STR("+OK")))
		ret->status = POP_OK;
	else if (str_ieq(word, STR("-ERR")))
		ret->status = POP_ERR;
	else if (str_eq(word, STR("+")))
		ret->status = POP_CHALLENGE;
	else
		return;
	s = str_ltrim(str_skip(s, word.len));
	size_t close = str_find(s, ']');
	if (ret->status != POP_CHALLENGE && s.len && s.p[0] == '[' && close < s.len &&
	    str_find(str_first(s, close), ' ') == close) {
		ret->code = str_n(s.p + 1, close - 1);
		s = str_ltrim(str_skip(s, close + 1));
	}
	ret->text = s;
}

bool
pop_stamp(struct str text, struct str *ret)
{
	struct str s = str_skip(text, str_find(text, '<'));
	size_t end = str_find(s, '>');
	if (end == s.len)
		return false;
	s = str_first(s, end + 1);
	size_t at = str_find(s, '@');
	if (at == s.len || at < 2 || at + 2 >= s.len || str_find_any(s, " \t") < s.len)
		return false;
	*ret = s;
	return true;
}

void
pop_apop_digest(struct str stamp, struct str secret, struct buf *out)
{
	unsigned char sum[CRYPT_DIGEST_MAX];
	struct crypt_sum *s;
	crypt_init();
	s = crypt_sum_new(CRYPT_MD5);
	crypt_sum_add(s, stamp);
	crypt_sum_add(s, secret);
	(void)crypt_sum_end(s, sum);
	for (size_t i = 0; i < crypt_hash_size(CRYPT_MD5); i++)
		buf_putf(out, "%02x", sum[i]);
	explicit_bzero(sum, sizeof(sum));
}

/* RFC 1939 5, RFC 2449 5: with an argument LIST and UIDL answer in one line. */
bool
pop_many_lines(struct str command)
{
	struct str verb = str_word(&command), arg = str_trim(command);
	if (str_ieq(verb, STR("RETR")) || str_ieq(verb, STR("TOP")) || str_ieq(verb, STR("CAPA")))
		return true;
	bool list = str_ieq(verb, STR("LIST")) || str_ieq(verb, STR("UIDL"));
	/* "AUTH" alone lists mechanisms where there is no CAPA (RFC 1734). */
	return arg.len == 0 && (list || str_ieq(verb, STR("AUTH")));
}

bool
pop_pair(struct str line, uint64_t *ret_number, struct str *ret_rest)
{
	struct str first = str_word(&line);
	if (!num_u64(first, UINT64_MAX, ret_number))
		return false;
	*ret_rest = str_trim(line);
	return true;
}

enum { BOL, LINE, DOT, DOT_CR };

static const struct str cr = { "\r", 1 };

static void
inside(struct pop_dot *d, struct str *in, void (*fn)(void *arg, struct str piece), void *arg)
{
	size_t lf = str_find(*in, '\n');
	size_t n = lf < in->len ? lf + 1 : lf;
	d->state = lf < in->len ? BOL : LINE;
	fn(arg, str_first(*in, n));
	*in = str_skip(*in, n);
}

bool
pop_dot_feed(struct pop_dot *d, struct str *in, void (*fn)(void *arg, struct str piece), void *arg)
{
	while (in->len && !d->ended) {
		char c = in->p[0];
		if (d->state == LINE || (d->state == BOL && c != '.')) {
			inside(d, in, fn, arg);
		} else if (d->state == BOL) {
			d->state = DOT;
			*in = str_skip(*in, 1);
		} else if (c == '\n') {
			d->ended = true;
			*in = str_skip(*in, 1);
		} else if (d->state == DOT && c == '\r') {
			d->state = DOT_CR;
			*in = str_skip(*in, 1);
		} else {
			/* The dot was put in, or it is not a line of its own (". \r\n"). */
			if (d->state == DOT_CR)
				fn(arg, cr);
			d->state = LINE;
		}
	}
	return d->ended;
}
