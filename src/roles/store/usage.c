/*
 * How much mail an account has, for those that have a quota. What comes is counted at once, what
 * goes is not: the number is never too small, and it is made anew, from the headers of all
 * mailboxes, when something would be refused because of it.
 */
#include "roles/store/store_priv.h"

#include "log/log.h"
#include "store/mail.h"
#include "sys/clock.h"

#include <stdlib.h>

#define RECOUNT_MS 1000 /* between two counts of one account */
#define USAGES_MAX 100000

struct usage {
	uint64_t limit; /* 0: none */
	uint64_t used;
	int64_t counted; /* when; 0: never */
	bool exact;      /* nothing has changed since */
};

void
writer_usage_forget(struct store_role *r)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&r->usages, &pos, &key, &v))
		free(v);
	map_done(&r->usages);
	r->usages = MAP_NULL;
}

static uint64_t
limit_of(struct store_role *r, uint64_t account)
{
	const struct store_dom dom = store_dom_directory();
	struct store_snap *sn;
	struct mail_options o = { 0 };
	/* Whoever changes it waits until it is applied. */
	int rc = store_snap_open_applied(r->store, &dom, &sn, NULL);
	if (rc == 0) {
		rc = mail_get_options(sn, account, &o);
		store_snap_close(sn);
	}
	writer_check(rc);
	uint64_t limit = rc == 0 && o.quota ? o.quota : r->conf->quota;
	return limit == UINT64_MAX ? 0 : limit;
}

static struct usage *
usage_of(struct store_role *r, uint64_t account)
{
	struct usage *u = map_get(&r->usages, id_key(&account));
	if (u)
		return u;
	if (r->usages.used >= USAGES_MAX)
		writer_usage_forget(r);
	u = xalloc(sizeof(*u));
	*u = (struct usage){ .limit = limit_of(r, account) };
	map_put(&r->usages, id_key(&account), u);
	return u;
}

uint64_t
writer_quota(struct store_role *r, uint64_t account)
{
	return usage_of(r, account)->limit;
}

void
writer_usage_add(struct store_role *r, uint64_t account, uint64_t octets)
{
	struct usage *u = map_get(&r->usages, id_key(&account));
	if (!u)
		return;
	u->exact = false;
	if (__builtin_add_overflow(u->used, octets, &u->used))
		u->used = UINT64_MAX;
}

static bool
fits(const struct usage *u, uint64_t octets)
{
	return u->used <= u->limit && octets <= u->limit - u->used;
}

static void
count(struct store_role *r, uint64_t account, struct usage *u)
{
	uint64_t messages;
	int rc = mail_usage(r->store, account, &u->used, &messages);
	writer_check(rc);
	u->counted = sys_mono_ms();
	u->exact = rc == 0;
	if (rc < 0)
		LOG_OFTEN(LOG_ERROR, 0, "usage-unknown", LOGN("account", account),
		    LOGZ("error", strerror(-rc)));
}

bool
writer_has_room(struct store_role *r, uint64_t account, uint64_t octets)
{
	struct usage *u = usage_of(r, account);
	if (u->limit == 0)
		return true;
	if (!u->counted)
		count(r, account, u);
	if (!fits(u, octets) && !u->exact && sys_mono_ms() - u->counted >= RECOUNT_MS)
		count(r, account, u);
	return fits(u, octets);
}

bool
writer_room_ask(struct front_peer *f, uint64_t id, struct str body)
{
	struct store_role *r = f->role;
	struct msg_room m;
	if (!msg_room_get(body, &m))
		return false;
	/* Of an account that is not there the accept says so. */
	unsigned char room =
	    !map_get(&r->accounts, id_key(&m.account)) || writer_has_room(r, m.account, m.octets);
	writer_front_send(f, IPC_ROOM, id, str_n(&room, 1), -1);
	return true;
}
