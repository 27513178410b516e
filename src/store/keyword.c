#include "store/keyword.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/mail.h"

#include <errno.h>

bool
keyword_fits(struct str name)
{
	static const char specials[] = "(){%*\"\\]";
	if (name.len == 0 || name.len > MAIL_KEYWORD_LEN_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.p[i];
		if (c <= ' ' || c >= 0x7f || memchr(specials, c, sizeof(specials) - 1))
			return false;
	}
	return true;
}

bool
keywords_begin(struct str value, struct wire *ret, unsigned *ret_n)
{
	struct wire w = wire_of(value);
	uint8_t version = get_u8(&w), n = get_u8(&w);
	if (w.bad || version != 1 || n > MAIL_KEYWORDS_MAX)
		return false;
	*ret = w;
	*ret_n = n;
	for (unsigned i = 0; i < n; i++)
		if (!keyword_fits(get_str(&w, MAIL_KEYWORD_LEN_MAX)))
			return false;
	return wire_done(&w);
}

int
keywords_read(struct keywords *k, const struct view *v, const struct store_dom *d)
{
	struct str value;
	struct wire w;
	*k = (struct keywords){ .octets = BUF_INIT(KEYWORDS_OCTETS_MAX) };
	int r = v->get(v->arg, d, KEYWORDS_KEY, &value);
	if (r != 1)
		return r;
	if (!keywords_begin(value, &w, &k->n))
		return -EBADMSG;
	buf_puts(&k->octets, get_rest(&w));
	if (k->octets.failed) {
		keywords_done(k);
		return -ENOMEM;
	}
	return 0;
}

void
keywords_done(struct keywords *k)
{
	buf_done(&k->octets);
}

int
keywords_bit(struct keywords *k, struct str name, bool make)
{
	struct wire w = wire_of(buf_str(&k->octets));
	for (unsigned i = 0; i < k->n; i++)
		if (str_ieq(get_str(&w, MAIL_KEYWORD_LEN_MAX), name))
			return (int)(MAILBOX_KEYWORD_FIRST + i);
	if (!make)
		return -ENOENT;
	if (!keyword_fits(name))
		return -EINVAL;
	if (k->n == MAIL_KEYWORDS_MAX)
		return -E2BIG;
	put_str(&k->octets, name);
	if (k->octets.failed)
		return -ENOMEM;
	k->changed = true;
	return (int)(MAILBOX_KEYWORD_FIRST + k->n++);
}

struct str
keywords_name(const struct keywords *k, unsigned bit)
{
	struct wire w = wire_of(buf_str(&k->octets));
	struct str name = STR_NULL;
	if (bit < MAILBOX_KEYWORD_FIRST || bit - MAILBOX_KEYWORD_FIRST >= k->n)
		return STR_NULL;
	for (unsigned i = 0; i <= bit - MAILBOX_KEYWORD_FIRST; i++)
		name = get_str(&w, MAIL_KEYWORD_LEN_MAX);
	return name;
}

uint32_t
keywords_put(struct buf *out, const struct keywords *k)
{
	if (!k->changed)
		return 0;
	size_t at = batch_record_put_begin(out, KEYWORDS_KEY);
	put_u8(out, 1);
	put_u8(out, (uint8_t)k->n);
	buf_puts(out, buf_str(&k->octets));
	batch_record_put_end(out, at);
	return 1;
}
