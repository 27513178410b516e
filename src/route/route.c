#include "route/route.h"

#include "base/check.h"
#include "base/map.h"
#include "route/directory_priv.h"

#include <stdlib.h>

#define STEPS_MAX (4 * ALIAS_MEMBERS_MAX) /* alias members looked at for one recipient */
#define MEMBER_MAX 1024
#define MEMBER_FLAGS (ADDR_SMTPUTF8 | ADDR_BARE_POSTMASTER)

/* One recipient at work. `seen` holds the mailboxes and remote addresses that are targets
 * already, and the aliases: on the way down (a second meeting is a loop) or done. */
struct expansion {
	const struct directory *d;
	struct route_result *ret;
	struct map seen;
	char on_path, done; /* values in seen */
	size_t cap, steps;
	int depth;
	bool loop, too_many;
};

static void expand(struct expansion *x, const struct addr *a);

static void
add_target(struct expansion *x, const struct route_target *t)
{
	struct route_result *r = x->ret;
	if (r->n_target == ROUTE_TARGETS_MAX) {
		x->too_many = true;
		return;
	}
	if (r->n_target == x->cap) {
		x->cap = MAX((size_t)4, x->cap * 2);
		r->target = xrealloc(r->target, x->cap * sizeof(*r->target));
	}
	r->target[r->n_target++] = *t;
}

/* True the first time. Outside aliases there is one target only, so nothing to remember. */
static bool
is_new(struct expansion *x, struct str key)
{
	return x->depth == 0 || map_put(&x->seen, key, &x->done) == NULL;
}

static void
add_local(struct expansion *x, struct wire entry, struct str address)
{
	struct str name = get_str(&entry, MEMBER_MAX);
	uint64_t number = get_u64(&entry), account = number & ~DIRECTORY_LIMITED;
	unsigned char key[9] = { 'L' };
	if (entry.bad)
		return;
	if (x->depth == 0)
		x->ret->fullname = name;
	be64_put(key + 1, account);
	if (is_new(x, str_n(key, sizeof(key))))
		add_target(x,
		    &(struct route_target){
			.limited = number != account, .account = account, .address = address });
}

static void
add_remote(struct expansion *x, const struct addr *a)
{
	struct directory_key key = directory_key_addr(DIRECTORY_ALIAS, a);
	key.b[0] = 'R';
	if (is_new(x, str_n(key.b, key.len)))
		add_target(x, &(struct route_target){ .remote = true, .address = a->whole });
}

/* One step down, into an alias of n members. False when it was met before or is too much. */
static bool
descend(struct expansion *x, const struct directory_key *key, uint32_t n)
{
	struct str k = { key->b, key->len };
	void *met = map_get(&x->seen, k);
	x->loop |= met == &x->on_path;
	if (met)
		return false;
	if (n > ALIAS_MEMBERS_MAX || x->depth == ALIAS_DEPTH_MAX) {
		x->too_many = true;
		return false;
	}
	map_put(&x->seen, k, &x->on_path);
	x->depth++;
	return true;
}

static void
ascend(struct expansion *x, const struct directory_key *key)
{
	x->depth--;
	map_put(&x->seen, str_n(key->b, key->len), &x->done);
}

static void
expand_members(struct expansion *x, struct wire entry, uint32_t n)
{
	for (; n && !x->too_many; n--) {
		struct addr a;
		struct str member = get_str(&entry, MEMBER_MAX);
		if (entry.bad)
			return;
		x->too_many = ++x->steps > STEPS_MAX;
		if (addr_mailbox(member, MEMBER_FLAGS, &a) == ADDR_OK)
			expand(x, &a);
	}
}

static void
expand_alias(struct expansion *x, const struct directory_key *key, struct wire entry)
{
	struct str name = get_str(&entry, MEMBER_MAX);
	uint32_t n = get_u32(&entry);
	if (x->depth == 0) {
		x->ret->fullname = name;
		x->ret->is_alias = true;
	}
	if (entry.bad || !descend(x, key, n))
		return;
	expand_members(x, entry, n);
	ascend(x, key);
}

static bool
try_user(struct expansion *x, const struct addr *a, struct str address)
{
	struct directory_key key = directory_key_addr(DIRECTORY_USER, a);
	struct wire entry;
	if (!directory_find(x->d, &key, &entry))
		return false;
	add_local(x, entry, address);
	return true;
}

static bool
try_alias(struct expansion *x, struct directory_key key)
{
	struct wire entry;
	if (!directory_find(x->d, &key, &entry))
		return false;
	expand_alias(x, &key, entry);
	return true;
}

static bool
try_exact(struct expansion *x, const struct addr *a, struct str address)
{
	return try_user(x, a, address) || try_alias(x, directory_key_addr(DIRECTORY_ALIAS, a));
}

/* R-POST (RFC 5321 4.5.1): what the configuration names stands in like the one member of an
 * alias; a name that leads back here is a loop. */
static void
try_postmaster(struct expansion *x, const struct addr *a)
{
	struct str name = directory_postmaster(x->d);
	struct directory_key key = directory_key_addr(DIRECTORY_ALIAS, a);
	struct addr to;
	key.b[0] = 'P';
	if (!str_ieq(a->local, STR("postmaster")) ||
	    addr_mailbox(name, MEMBER_FLAGS, &to) != ADDR_OK)
		return;
	if (x->depth == 0) {
		x->ret->fullname = a->whole;
		x->ret->is_alias = true;
	}
	if (!descend(x, &key, 1))
		return;
	expand(x, &to);
	ascend(x, &key);
}

static void
expand(struct expansion *x, const struct addr *a)
{
	struct addr base = *a;
	bool bare = a->domain.len == 0;
	if (!bare && !directory_is_local(x->d, a->domain)) {
		add_remote(x, a);
		return;
	}
	if (try_exact(x, a, a->whole))
		return;
	if (directory_without_detail(x->d, a, &base) && try_exact(x, &base, a->whole))
		return;
	if (!bare && try_alias(x, directory_key_domain(DIRECTORY_CATCHALL, a->domain)))
		return;
	try_postmaster(x, &base);
}

static enum route_verdict
judge(const struct expansion *x)
{
	const struct route_result *r = x->ret;
	if (x->too_many)
		return ROUTE_TOO_MANY;
	for (size_t i = 0; i < r->n_target; i++)
		if (!r->target[i].remote)
			return ROUTE_LOCAL;
	if (r->n_target)
		return ROUTE_REMOTE;
	return x->loop ? ROUTE_LOOP : ROUTE_UNKNOWN;
}

void
route_resolve(const struct directory *d, const struct addr *rcpt, struct route_result *ret)
{
	struct expansion x = { .d = d, .ret = ret, .seen = MAP_NULL };
	*ret = (struct route_result){ .fullname = rcpt->whole };
	if (rcpt->local.len)
		expand(&x, rcpt);
	map_done(&x.seen);
	enum route_verdict v = judge(&x);
	if (v == ROUTE_TOO_MANY)
		route_result_done(ret);
	ret->verdict = v;
}

void
route_result_done(struct route_result *r)
{
	free(r->target);
	*r = (struct route_result){ .verdict = ROUTE_UNKNOWN };
}
