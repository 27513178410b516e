#include "roles/auth/passwd.h"

#include "mail/address.h"
#include "roles/auth/hash.h"
#include "sys/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The folded form must be an address again: "a%b"@x is one, a%b@x would not be. */
bool
passwd_name(struct str s, char dst[PASSWD_NAME_MAX])
{
	struct addr a;
	return addr_mailbox(s, ADDR_SMTPUTF8, &a) == ADDR_OK && !a.null &&
	       addr_fold(&a, dst, PASSWD_NAME_MAX) &&
	       addr_mailbox(str_of(dst), ADDR_SMTPUTF8, &a) == ADDR_OK && !strchr(dst, '\n');
}

static void
wipe_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

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
passwd_set(struct passwd *p, const char *name, const char *hash)
{
	if (hash)
		wipe_free(map_put(&p->map, str_of(name), xstrdup(hash)));
	else
		wipe_free(map_del(&p->map, str_of(name)));
}

void
passwd_done(struct passwd *p)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&p->map, &pos, &key, &v))
		wipe_free(v);
	map_done(&p->map);
	p->map = MAP_NULL;
}

/* What is wrong with a line, and what to write instead; NULL: it is in p now. An address may
 * hold a colon, a hash never does. */
static const char *
take_line(struct passwd *p, struct str line)
{
	char name[PASSWD_NAME_MAX], hash[HASH_MAX];
	size_t colon = str_rfind(line, ':');
	if (colon == line.len)
		return "no colon; write address:hash";
	if (!passwd_name(str_first(line, colon), name))
		return "what stands before the last colon is no address; write "
		       "local-part@domain:hash";
	if (!str_copy(hash, sizeof(hash), str_skip(line, colon + 1)) || !hash_valid(hash))
		return "not a hash that crypt(3) knows; remove the line and set the password with "
		       "`pennypost user passwd`";
	if (passwd_find(p, name))
		return "this address stands above already; remove one of the two lines";
	passwd_set(p, name, hash);
	explicit_bzero(hash, sizeof(hash));
	return NULL;
}

bool
passwd_parse(struct passwd *p, struct str text, const char *shown, struct buf *err)
{
	for (unsigned n = 1; text.p; n++) {
		struct str line = str_cut(&text, '\n');
		const char *why = line.len ? take_line(p, line) : NULL;
		if (why) {
			buf_putf(err, "%s:%u: %s", shown, n, why);
			return false;
		}
	}
	return true;
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
put_line(struct buf *out, struct str name, const char *hash)
{
	if (!hash)
		return;
	buf_puts(out, name);
	buf_putc(out, ':');
	buf_putz(out, hash);
	buf_putc(out, '\n');
}

void
passwd_text(const struct passwd *p, const char *name, const char *hash, struct buf *out)
{
	size_t n;
	struct str *names = passwd_names(p, &n), changed = str_of(name);
	bool put = false;
	for (size_t i = 0; i < n; i++) {
		int order = str_cmp(changed, names[i]);
		if (order <= 0 && !put) {
			put_line(out, changed, hash);
			put = true;
		}
		if (order != 0)
			put_line(out, names[i], map_get(&p->map, names[i]));
	}
	if (!put)
		put_line(out, changed, hash);
	free(names);
}
