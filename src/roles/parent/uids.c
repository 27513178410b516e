#include "roles/parent/parent_priv.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
usable(const struct uids_facts *f, uid_t id, const uid_t *mine, size_t n_mine)
{
	for (size_t i = 0; i < n_mine; i++)
		if (mine[i] == id)
			return false;
	return !f->taken(f->arg, id);
}

/* The owner a directory has already, when it is one of ours, so that a second start changes
 * nothing; else the next number nobody uses. 0: none left. */
static uid_t
next(const struct uids_facts *f, uid_t owner, const uid_t *mine, size_t n_mine)
{
	if (owner >= UID_FIRST && owner <= UID_LAST && usable(f, owner, mine, n_mine))
		return owner;
	for (uid_t id = UID_FIRST; id <= UID_LAST; id++)
		if (usable(f, id, mine, n_mine))
			return id;
	return 0;
}

/* gid 0 is never given to a role, nor is root's group on a directory. */
static struct identity
as_owner(struct identity owner)
{
	return (struct identity){ owner.uid, owner.gid ? owner.gid : (gid_t)owner.uid };
}

bool
uids_choose(const struct uids_facts *f, struct uids *ret)
{
	uid_t mine[7] = { 0 };
	struct uids u = { .store = f->account };

	if (f->keep && f->store_owner.uid)
		u.store = as_owner(f->store_owner);
	else if (!f->has_account)
		u.store.uid = u.store.gid = next(f, f->store_owner.uid, mine, 0);
	mine[0] = u.store.uid;
	if (f->keep && f->auth_owner.uid)
		u.auth = as_owner(f->auth_owner);
	else
		u.auth.uid = u.auth.gid = next(f, f->auth_owner.uid, mine, 1);
	mine[1] = u.auth.uid;
	struct identity *rest[] = { &u.front, &u.dns, &u.fetch, &u.gssapi, &u.gssapi_out,
		&u.relay };
	bool all = u.store.uid && u.auth.uid;
	for (size_t i = 0; all && i < ARRAY_LEN(rest); i++) {
		rest[i]->uid = rest[i]->gid = next(f, 0, mine, 2 + i);
		all = rest[i]->uid != 0;
		if (2 + i < ARRAY_LEN(mine))
			mine[2 + i] = rest[i]->uid;
	}
	if (all)
		*ret = u;
	return all;
}

static bool
in_database(void *arg, uid_t id)
{
	return getpwuid(id) || getgrgid(id);
}

static struct identity
owner_of(const char *dir, const char *name)
{
	char path[4096];
	struct stat st;
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path) ||
	    lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return (struct identity){ 0 };
	return (struct identity){ st.st_uid, st.st_gid };
}

bool
uids_find(const struct conf *c, bool keep, struct uids *ret, struct buf *err)
{
	struct uids_facts f = { .taken = in_database, .keep = keep };

	*ret = (struct uids){ 0 };
	if (geteuid() != 0)
		return true;
	const struct passwd *pw = c->user && *c->user ? getpwnam(c->user) : NULL;
	if (pw && (pw->pw_uid == 0 || pw->pw_gid == 0)) {
		buf_putf(err,
		    "user = \"%s\" is root or in root's group; name an account without "
		    "rights, or leave the key out\n",
		    c->user);
		return false;
	}
	if (pw) {
		f.has_account = true;
		f.account = (struct identity){ pw->pw_uid, pw->pw_gid };
	}
	f.store_owner = owner_of(c->data_dir, "store");
	f.auth_owner = owner_of(c->data_dir, "auth");
	if (uids_choose(&f, ret))
		return true;
	buf_putf(err,
	    "no unused uid is left between %d and %d; make an account and name it with "
	    "the key user\n",
	    UID_FIRST, UID_LAST);
	return false;
}
