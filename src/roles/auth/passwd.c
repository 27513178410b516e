#include "roles/auth/passwd.h"

#include "mail/address.h"
#include "sys/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Which account has a local part. */
struct local {
	uint32_t n;
	char *only; /* the account when there is one */
};

/* The folded form must be an address again: "a%b"@x is one, a%b@x would not be. */
bool
passwd_name(struct str s, char dst[PASSWD_NAME_MAX])
{
	struct addr a;
	return addr_mailbox(s, ADDR_SMTPUTF8, &a) == ADDR_OK && !a.null &&
	       addr_fold(&a, dst, PASSWD_NAME_MAX) &&
	       addr_mailbox(str_of(dst), ADDR_SMTPUTF8, &a) == ADDR_OK && !strpbrk(dst, "\t\n");
}

bool
passwd_octets(struct str s, char dst[PASSWD_NAME_MAX])
{
	return s.len > 0 && !memchr(s.p, 0, s.len) &&
	       (passwd_name(s, dst) || str_copy(dst, PASSWD_NAME_MAX, s));
}

static void
wipe_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

/* --- who has a local part --- */

/* Empty for a name that is no address. */
static struct str
local_of(struct str name)
{
	char folded[PASSWD_NAME_MAX];
	bool address = passwd_name(name, folded) && str_eq(str_of(folded), name);
	return address ? str_first(name, str_rfind(name, '@')) : STR_NULL;
}

static void
local_add(struct passwd *p, struct str name)
{
	struct str part = local_of(name);
	struct local *l = part.len ? map_get(&p->local, part) : NULL;
	if (part.len == 0)
		return;
	if (!l) {
		l = xalloc(sizeof(*l));
		map_put(&p->local, part, l);
	}
	free(l->only);
	l->only = ++l->n == 1 ? str_dup(name) : NULL;
}

static char *
find_only(const struct passwd *p, struct str part)
{
	size_t pos = 0;
	struct str name;
	void *v;
	while (map_next(&p->map, &pos, &name, &v))
		if (str_eq(local_of(name), part))
			return str_dup(name);
	return NULL;
}

/* The name is out of the map already. */
static void
local_del(struct passwd *p, struct str name)
{
	struct str part = local_of(name);
	struct local *l = part.len ? map_get(&p->local, part) : NULL;
	if (!l)
		return;
	free(l->only);
	l->only = --l->n == 1 ? find_only(p, part) : NULL;
	if (l->n == 0) {
		map_del(&p->local, part);
		free(l);
	}
}

/* --- the table --- */

const char *
passwd_find(const struct passwd *p, const char *name)
{
	return map_get(&p->map, str_of(name));
}

uint64_t
passwd_count(const struct passwd *p)
{
	return p->map.used;
}

void
passwd_set(struct passwd *p, const char *name, const char *keys)
{
	struct str n = str_of(name);
	char *old = keys ? map_put(&p->map, n, xstrdup(keys)) : map_del(&p->map, n);
	if (keys && !old)
		local_add(p, n);
	else if (!keys && old)
		local_del(p, n);
	wipe_free(old);
}

void
passwd_done(struct passwd *p)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&p->map, &pos, &key, &v))
		wipe_free(v);
	pos = 0;
	while (map_next(&p->local, &pos, &key, &v)) {
		struct local *l = v;
		free(l->only);
		free(l);
	}
	map_done(&p->map);
	map_done(&p->local);
	p->map = p->local = MAP_NULL;
}

static bool
at_domain(const struct passwd *p, struct str local, struct str domain, char dst[PASSWD_NAME_MAX])
{
	char name[PASSWD_NAME_MAX];
	struct buf b = BUF_INIT(PASSWD_NAME_MAX);
	buf_puts(&b, local);
	buf_putc(&b, '@');
	buf_puts(&b, domain);
	bool there =
	    domain.len && !b.failed && passwd_name(buf_str(&b), name) && passwd_find(p, name);
	buf_done(&b);
	if (there)
		memcpy(dst, name, PASSWD_NAME_MAX);
	return there;
}

static bool
without_domain(const struct passwd *p, struct str login, const char *hostname,
    char dst[PASSWD_NAME_MAX])
{
	struct str host = str_of(hostname), part;
	char folded[PASSWD_NAME_MAX];
	if (!str_copy(folded, sizeof(folded), login))
		return false;
	for (char *c = folded; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
	part = str_of(folded);
	if (at_domain(p, part, host, dst) ||
	    at_domain(p, part, str_skip(host, str_find(host, '.') + 1), dst))
		return true;
	const struct local *l = map_get(&p->local, part);
	return l && l->only && str_copy(dst, PASSWD_NAME_MAX, str_of(l->only));
}

/* Nobody's name without a domain is completed as somebody's most often is: else two ways to write
 * it, with failures counted apart and salts that differ, would tell that there is no account. */
static void
nobody_whole(const char *hostname, char dst[PASSWD_NAME_MAX])
{
	struct str host = str_of(hostname), domain = str_skip(host, str_find(host, '.') + 1);
	char whole[PASSWD_NAME_MAX];
	struct buf b = BUF_INIT(PASSWD_NAME_MAX);
	buf_putz(&b, dst);
	buf_putc(&b, '@');
	buf_puts(&b, domain.len ? domain : host);
	if (!b.failed && passwd_octets(buf_str(&b), whole))
		memcpy(dst, whole, sizeof(whole));
	buf_done(&b);
}

bool
passwd_resolve(const struct passwd *p, struct str login, const char *hostname,
    char dst[PASSWD_NAME_MAX])
{
	char whole[PASSWD_NAME_MAX];
	dst[0] = '\0';
	if (!passwd_octets(login, dst))
		return false;
	if (passwd_find(p, dst))
		return true;
	if (str_find(login, '@') < login.len)
		return false;
	if (without_domain(p, login, hostname, whole)) {
		memcpy(dst, whole, sizeof(whole));
		return true;
	}
	nobody_whole(hostname, dst);
	return false;
}

/* --- the file --- */

static int
by_name(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct str *
passwd_names(const struct passwd *p, size_t *ret_n)
{
	struct str *names = xalloc((p->map.used + 1) * sizeof(*names));
	size_t pos = 0, n = 0;
	void *v;
	while (map_next(&p->map, &pos, &names[n], &v))
		n++;
	qsort(names, n, sizeof(*names), by_name);
	*ret_n = n;
	return names;
}

static void
put_line(struct buf *out, struct str name, const char *keys)
{
	if (!keys)
		return;
	passwd_name_put(out, name);
	buf_putc(out, ':');
	buf_putz(out, keys);
	buf_putc(out, '\n');
}

void
passwd_text(const struct passwd *p, const char *name, const char *keys, struct buf *out)
{
	size_t n;
	struct str *names = passwd_names(p, &n), changed = str_of(name);
	bool put = false;
	for (size_t i = 0; i < n; i++) {
		int order = str_cmp(changed, names[i]);
		if (order <= 0 && !put) {
			put_line(out, changed, keys);
			put = true;
		}
		if (order != 0)
			put_line(out, names[i], map_get(&p->map, names[i]));
	}
	if (!put)
		put_line(out, changed, keys);
	free(names);
}

bool
passwd_load(struct passwd *p, const char *path, const char *shown, struct buf *err)
{
	struct buf text = BUF_INIT(PASSWD_FILE_MAX);
	bool ok = true;
	int rc = file_read_all(path, PASSWD_FILE_MAX, &text);
	if (rc == 0) {
		ok = passwd_parse(p, buf_str(&text), shown, err);
	} else if (rc != -ENOENT) {
		buf_putf(err, "%s: %s", shown,
		    rc == -EFBIG ? "larger than 64 MiB; no more accounts fit into one server"
				 : strerror(-rc));
		ok = false;
	}
	buf_wipe(&text);
	buf_done(&text);
	return ok;
}
