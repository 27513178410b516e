#include "roles/store/names.h"

#include "base/wire.h"
#include "mail/address.h"

#include <errno.h>

#define RECORD_VERSION 1

/* A key takes the kind and '|' in front, and leaves one octet for scanning behind it. */
#define NAME_LEN_MAX (STORE_KEY_MAX - 3)

/* The folded form must be an address again: "a%b"@x is one, a%b@x would not be. */
bool
names_user(struct str s, char *dst, size_t n)
{
	struct addr a;
	return s.len <= NAME_LEN_MAX && addr_mailbox(s, ADDR_SMTPUTF8, &a) == ADDR_OK && !a.null &&
	       !a.literal && a.domain.len > 0 && addr_fold(&a, dst, n) &&
	       addr_mailbox(str_of(dst), ADDR_SMTPUTF8, &a) == ADDR_OK;
}

bool
names_domain(struct str s, char *dst, size_t n)
{
	if (s.len > NAME_LEN_MAX || addr_domain(s, ADDR_SMTPUTF8) != ADDR_OK ||
	    !str_copy(dst, n, s))
		return false;
	for (char *p = dst; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
	return true;
}

bool
names_alias(struct str s, char *dst, size_t n)
{
	if (s.len == 0 || s.p[0] != '@')
		return names_user(s, dst, n);
	dst[0] = '@';
	return s.len <= NAME_LEN_MAX && names_domain(str_skip(s, 1), dst + 1, n - 1);
}

struct str
names_domain_of(struct str address)
{
	return str_skip(address, str_rfind(address, '@') + 1);
}

bool
names_key(struct buf *b, char kind, struct str name)
{
	buf_putc(b, kind);
	buf_putc(b, '|');
	buf_puts(b, name);
	return !b->failed;
}

int
names_get(struct store_snap *sn, char kind, struct str name, struct str *ret)
{
	struct buf key = BUF_INIT(STORE_KEY_MAX);
	int rc = names_key(&key, kind, name) ? store_get(sn, buf_str(&key), ret) : -ENOENT;
	buf_done(&key);
	return rc;
}

int
names_scan_after(struct store_snap *sn, char kind, struct str after, uint32_t limit,
    store_scan_fn *fn, void *arg)
{
	const char end[2] = { kind, '|' + 1 };
	struct buf from = BUF_INIT(STORE_KEY_MAX);
	buf_putc(&from, kind);
	buf_putc(&from, '|');
	buf_puts(&from, after);
	if (after.len)
		buf_putc(&from, '\0'); /* the least key behind it */
	int rc = from.failed ? -EINVAL
	                     : store_scan(sn, buf_str(&from), str_n(end, 2), limit, false, fn, arg);
	buf_done(&from);
	return rc;
}

int
names_scan(struct store_snap *sn, char kind, store_scan_fn *fn, void *arg)
{
	return names_scan_after(sn, kind, STR_NULL, 0, fn, arg);
}

void
names_domain_put(struct buf *b)
{
	put_u8(b, RECORD_VERSION);
}

void
names_alias_put(struct buf *b, struct str members)
{
	put_u8(b, RECORD_VERSION);
	buf_puts(b, members);
}

bool
names_alias_get(struct str value, struct str *ret_members)
{
	if (value.len < 1 || value.p[0] != RECORD_VERSION)
		return false;
	*ret_members = str_skip(value, 1);
	return true;
}

bool
names_account_get(struct str value, uint64_t *ret)
{
	if (value.len < 8)
		return false;
	*ret = be64_get((const unsigned char *)value.p);
	return true;
}

bool
names_conf_domain(const struct conf *c, const char *domain)
{
	char folded[NAME_MAX_FOLDED];
	for (size_t i = 0; i < c->n_domains; i++)
		if (names_domain(str_of(c->domains[i]), folded, sizeof(folded)) &&
		    strcmp(folded, domain) == 0)
			return true;
	return false;
}

const struct conf_alias *
names_conf_alias(const struct conf *c, const char *address)
{
	char folded[NAME_MAX_FOLDED];
	for (size_t i = 0; i < c->n_aliases; i++)
		if (names_alias(str_of(c->aliases[i].address), folded, sizeof(folded)) &&
		    strcmp(folded, address) == 0)
			return &c->aliases[i];
	return NULL;
}

bool
names_is_local(const struct conf *c, struct store_snap *sn, struct str domain)
{
	char name[NAME_MAX_FOLDED];
	struct str value;
	return (str_copy(name, sizeof(name), domain) && names_conf_domain(c, name)) ||
	       names_get(sn, 'd', domain, &value) == 0;
}
