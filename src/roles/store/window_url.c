/* URLs that authorize (RFC 4467): tokens for them, and the letter that one leads to. */
#include "roles/store/window.h"

#include "access/name.h"
#include "base/check.h"
#include "log/log.h"
#include "mail/imap_url.h"
#include "roles/store/names.h"
#include "sys/clock.h"

#include <errno.h>

_Static_assert(ACCESS_URL_MAX == IMAP_URL_MAX && MAIL_URL_KEY_LEN == IMAP_URL_KEY_LEN,
    "the mailbox's key is the URL's");

/* --- whose --- */

/* Is the host this server: by its name or that of a listener, or in a domain that is ours? */
static bool
is_ours(const struct conf *c, struct store_snap *directory, struct str host)
{
	char name[NAME_MAX_FOLDED];
	bool ours = str_ieq(host, str_of(c->hostname));
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct conf_listener *l = &c->listeners[i];
		ours = ours || str_ieq(host, str_of(l->host)) ||
		       str_ieq(host, str_of(l->ehlo_host)) || str_ieq(host, str_of(l->hub_host));
	}
	if (ours || !names_domain(host, name, sizeof(name)))
		return ours;
	for (struct str at = str_of(name); at.len && !ours; (void)str_cut(&at, '.'))
		ours = names_is_local(c, directory, at);
	return ours;
}

static int
account_named(struct store_snap *directory, struct str address, uint64_t *ret)
{
	char name[NAME_MAX_FOLDED];
	struct str value;
	if (!names_user(address, name, sizeof(name)))
		return -ENOENT;
	int rc = names_get(directory, 'u', str_of(name), &value);
	return rc < 0 ? rc : names_account_get(value, ret) ? 0 : -EBADMSG;
}

/* A user as a URL has it: one without a domain is in that of the URL's host, or in the one above
 * it, as at a login. */
static int
account_of(struct store_snap *directory, struct str user, struct str host, uint64_t *ret)
{
	struct str above = host;
	(void)str_cut(&above, '.');
	const struct str domains[] = { host, above };
	int rc = -ENOENT;
	if (str_find(user, '@') < user.len)
		return account_named(directory, user, ret);
	for (size_t i = 0; i < ARRAY_LEN(domains) && rc == -ENOENT; i++) {
		struct buf whole = BUF_INIT(NAME_MAX_FOLDED);
		buf_putf(&whole, STR_FMT "@" STR_FMT, STR_ARG(user), STR_ARG(domains[i]));
		rc = whole.failed ? -ENOENT : account_named(directory, buf_str(&whole), ret);
		buf_done(&whole);
	}
	return rc;
}

/* --- where --- */

/* The separator that names of mailboxes are written with in URLs: that of IMAP here. */
static char
separator(const struct conf *c)
{
	for (size_t i = 0; i < c->n_listeners; i++)
		if (conf_protocol(&c->listeners[i]) == CONF_IS_IMAP)
			return c->listeners[i].imap_separator[0] == '.' ? '.' : '/';
	return '/';
}

static enum access_status
find_mailbox(struct window *w, const struct imap_url *u, uint64_t owner)
{
	struct buf name = BUF_INIT(8 * ACCESS_NAME_MAX);
	enum access_status status = ACCESS_NOT_FOUND;
	if (!name_from_wire(u->mailbox, separator(w->conf), true, false, &name))
		status = entry_by_name(w->store, NULL, owner, buf_str(&name), ENTRY_READ, &w->at);
	buf_done(&name);
	return status;
}

static int
key_of(const struct window *w, unsigned char ret[MAIL_URL_KEY_LEN])
{
	const struct store_dom dom = store_dom_account(w->at.account);
	struct store_snap *sn;
	int rc = store_snap_open(w->store, &dom, &sn, NULL);
	if (rc < 0)
		return rc;
	rc = mail_get_url_key(sn, w->at.mailbox, ret);
	store_snap_close(sn);
	return rc;
}

/* --- may it? --- */

static bool
permits(const struct window *w, struct store_snap *directory, const struct imap_url *u)
{
	uint64_t who, may;
	if (u->expires && sys_wall_ms() > u->expire * 1000)
		return false;
	if (u->access == IMAP_URL_ANONYMOUS)
		return true;
	if (account_named(directory, w->ask->name, &who) < 0)
		return false;
	return u->access == IMAP_URL_AUTHUSER ||
	       ((u->access == IMAP_URL_USER || (u->access == IMAP_URL_SUBMIT && w->ask->submit)) &&
		   account_of(directory, u->may, u->host, &may) == 0 && may == who);
}

/* RFC 4467 6: whether there is such a mailbox is not to be told by the time that it takes. */
static bool
is_authentic(struct window *w, const struct imap_url *u, uint64_t owner)
{
	unsigned char key[MAIL_URL_KEY_LEN] = { 0 };
	bool known = owner && find_mailbox(w, u, owner) == ACCESS_OK && key_of(w, key) == 0;
	bool same = imap_url_authentic(u, str_n(key, sizeof(key)));
	explicit_bzero(key, sizeof(key));
	return known && same;
}

/* RFC 5092 5: a mailbox of another UIDVALIDITY is another mailbox. */
static enum access_status
check_validity(struct window *w, const struct imap_url *u)
{
	struct store_snap *sn;
	struct mailbox_head h;
	int rc = u->uidvalidity ? window_snap(w, &sn) : 0;
	if (rc < 0)
		return ACCESS_FAILED;
	if (!u->uidvalidity)
		return ACCESS_OK;
	rc = window_head(w, sn, &h);
	store_snap_close(sn);
	return rc < 0                            ? ACCESS_FAILED
	       : h.uidvalidity == u->uidvalidity ? ACCESS_OK
	                                         : ACCESS_NOT_FOUND;
}

static enum access_status
judge(struct window *w, struct store_snap *directory, const struct imap_url *u)
{
	uint64_t owner = 0;
	if (!is_ours(w->conf, directory, u->host))
		return ACCESS_CANNOT;
	int rc = account_of(directory, u->user, u->host, &owner);
	if (rc < 0 && rc != -ENOENT)
		return ACCESS_FAILED;
	if (w->ask->kind == ACCESS_TOKEN)
		return rc == 0 && owner == w->account ? find_mailbox(w, u, owner) : ACCESS_DENIED;
	bool authentic = is_authentic(w, u, owner);
	if (!authentic || !permits(w, directory, u))
		return ACCESS_DENIED;
	w->uid = u->uid;
	return check_validity(w, u);
}

enum access_status
window_url_enter(struct window *w)
{
	const struct store_dom dom = store_dom_directory();
	struct store_snap *directory;
	struct imap_url u;
	if (imap_url_parse(w->ask->url, &u) || u.access == IMAP_URL_NO_ACCESS)
		return ACCESS_BAD;
	if (store_snap_open(w->store, &dom, &directory, NULL) < 0)
		return ACCESS_FAILED;
	enum access_status status = judge(w, directory, &u);
	store_snap_close(directory);
	return status;
}

/* --- answers --- */

int
window_token(struct window *w)
{
	unsigned char key[MAIL_URL_KEY_LEN];
	char token[IMAP_URL_TOKEN_LEN];
	struct access_token t = { .mailbox = w->at.mailbox };
	int rc = key_of(w, key);
	if (rc == 0) {
		imap_url_token(str_n(key, sizeof(key)), w->ask->url, token);
		t.token = str_n(token, sizeof(token));
	}
	access_token_put(&w->out, &t);
	explicit_bzero(key, sizeof(key));
	return rc == -ENOENT ? 0 : rc;
}

int
window_url(struct window *w)
{
	const struct access_ask *by_url = w->ask;
	struct access_ask ask = *by_url;
	unsigned char uids[8];
	be32_put(uids, w->uid);
	be32_put(uids + 4, w->uid);
	ask.uids = str_n(uids, sizeof(uids));
	w->ask = &ask;
	int rc = window_letters(w);
	w->ask = by_url;
	return rc;
}
