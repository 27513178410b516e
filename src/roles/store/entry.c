#include "roles/store/entry.h"

#include "access/name.h"
#include "base/check.h"
#include "log/log.h"
#include "store/mail.h"

#include <errno.h>
#include <stdlib.h>

#define ENTRIES_MAX 10000 /* accounts remembered */
#define UNSELECTABLE ((void *)1)

_Static_assert(NAME_STORED_MAX <= MAILBOX_NAME_STORED_MAX, "what is allowed can be kept");

struct entry_names {
	struct map numbers; /* of mailboxes */
	struct map names;   /* -> UNSELECTABLE, or its number and 1 */
};

static struct str
account_key(const uint64_t *account)
{
	return str_n(account, sizeof(*account));
}

static struct str
number_key(const uint32_t *mailbox)
{
	return str_n(mailbox, sizeof(*mailbox));
}

/* --- what is remembered --- */

static void
names_free(struct entry_names *n)
{
	map_done(&n->numbers);
	map_done(&n->names);
	free(n);
}

void
entries_forget(struct entries *all, uint64_t account)
{
	struct entry_names *n = map_del(&all->accounts, account_key(&account));
	if (!n)
		return;
	names_free(n);
	all->n--;
}

void
entries_done(struct entries *all)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&all->accounts, &pos, &key, &v))
		names_free(v);
	map_done(&all->accounts);
	*all = (struct entries){ 0 };
}

static bool
keep_name(void *arg, const struct mail_name *m)
{
	struct entry_names *n = arg;
	if (!m->exists)
		return true;
	map_put(&n->names, m->name,
	    m->mailbox ? (void *)((uintptr_t)m->mailbox + 1) : UNSELECTABLE);
	if (m->mailbox)
		map_put(&n->numbers, number_key(&m->mailbox), n);
	return true;
}

/* Those of an account, read if need be. */
static int
names_of(struct store *s, struct entries *all, uint64_t account, struct entry_names **ret)
{
	const struct store_dom dom = store_dom_account(account);
	struct store_snap *sn;
	*ret = map_get(&all->accounts, account_key(&account));
	if (*ret)
		return 0;
	int rc = store_snap_open(s, &dom, &sn, NULL);
	if (rc < 0)
		return rc;
	if (all->n >= ENTRIES_MAX)
		entries_done(all);
	struct entry_names *n = xalloc(sizeof(*n));
	*n = (struct entry_names){ 0 };
	rc = mail_each_name(sn, keep_name, n);
	store_snap_close(sn);
	if (rc < 0) {
		names_free(n);
		return rc;
	}
	map_put(&all->accounts, account_key(&account), n);
	all->n++;
	*ret = n;
	return 0;
}

/* --- looking: 0, -ENOENT, -EISDIR (it cannot be selected) or -errno --- */

static int
look_in(struct store *s, struct entries *all, uint64_t account, struct str name, uint32_t *ret)
{
	struct entry_names *n;
	int rc = names_of(s, all, account, &n);
	void *v = rc == 0 ? map_get(&n->names, name) : NULL;
	if (rc < 0 || !v)
		return rc < 0 ? rc : -ENOENT;
	if (v == UNSELECTABLE)
		return -EISDIR;
	*ret = (uint32_t)((uintptr_t)v - 1);
	return 0;
}

static int
find_name(struct store *s, struct entries *all, uint64_t account, struct str name, uint32_t *ret)
{
	const struct store_dom dom = store_dom_account(account);
	struct store_snap *sn;
	/* An account has its INBOX from the moment it is in the directory. */
	if (str_eq(name, STR("INBOX"))) {
		*ret = MAILBOX_INBOX;
		return 0;
	}
	if (all)
		return look_in(s, all, account, name, ret);
	int rc = store_snap_open(s, &dom, &sn, NULL);
	if (rc < 0)
		return rc;
	rc = mail_find_name(sn, name, ret);
	store_snap_close(sn);
	return rc;
}

static int
find_number(struct store *s, struct entries *all, uint64_t account, uint32_t mailbox)
{
	const struct store_dom dom = store_dom_account(account);
	struct store_snap *sn;
	struct str name;
	if (mailbox == MAILBOX_INBOX)
		return 0;
	if (mailbox == 0)
		return -ENOENT;
	if (all) {
		struct entry_names *n;
		int rc = names_of(s, all, account, &n);
		return rc < 0 ? rc : map_get(&n->numbers, number_key(&mailbox)) ? 0 : -ENOENT;
	}
	int rc = store_snap_open(s, &dom, &sn, NULL);
	if (rc < 0)
		return rc;
	rc = mail_name_of(sn, mailbox, &name);
	store_snap_close(sn);
	return rc;
}

/* --- the door --- */

int
entry_account(struct store *s, uint64_t account)
{
	const struct store_dom dom = store_dom_directory();
	struct store_snap *sn;
	struct str value;
	unsigned char key[10] = "x|";
	be64_put(key + 2, account);
	int rc = store_snap_open(s, &dom, &sn, NULL);
	if (rc < 0)
		return rc;
	rc = store_get(sn, str_n(key, sizeof(key)), &value);
	store_snap_close(sn);
	return rc == -ENOENT ? 0 : rc < 0 ? rc : -ENOENT;
}

/* What `who` may do with a mailbox of `owner`. */
static unsigned
rights_of(uint64_t who, uint64_t owner)
{
	return who == owner ? ~0u : 0;
}

static enum access_status
verdict(int rc, uint64_t who, unsigned rights, const struct entry *e)
{
	unsigned has = rights_of(who, e->account);
	/* To whom may not know of it, it is not there. */
	if (rc == -ENOENT || !(has & ENTRY_LOOKUP))
		return ACCESS_NOT_FOUND;
	if (rc == -EISDIR)
		return ACCESS_CANNOT;
	if (rc < 0) {
		LOG(LOG_ERROR, 0, "mailbox-not-found", LOGN("account", e->account),
		    LOGZ("error", strerror(-rc)));
		return ACCESS_FAILED;
	}
	return (rights & ~has) ? ACCESS_DENIED : ACCESS_OK;
}

enum access_status
entry_by_name(struct store *s, struct entries *all, uint64_t who, struct str name, unsigned rights,
    struct entry *ret)
{
	struct entry e = { .account = who };
	if (name_check(name))
		return ACCESS_CANNOT;
	int rc = find_name(s, all, e.account, name, &e.mailbox);
	enum access_status status = verdict(rc, who, rights, &e);
	if (status == ACCESS_OK)
		*ret = e;
	return status;
}

enum access_status
entry_by_number(struct store *s, struct entries *all, uint64_t who, uint32_t mailbox,
    unsigned rights, struct entry *ret)
{
	struct entry e = { .account = who, .mailbox = mailbox };
	enum access_status status =
	    verdict(find_number(s, all, e.account, mailbox), who, rights, &e);
	if (status == ACCESS_OK)
		*ret = e;
	return status;
}

enum access_status
entry_may(uint64_t who, struct str name, unsigned rights, uint64_t *ret_account)
{
	if (name_check(name))
		return ACCESS_CANNOT;
	if (rights & ~rights_of(who, who))
		return ACCESS_DENIED;
	*ret_account = who;
	return ACCESS_OK;
}
