/* circles: aliases that lead back to themselves, and to nobody else. */
#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "mail/address.h"
#include "route/route.h"

#include <stdlib.h>

#define BLOCK_MAX (256u << 20)

static void
add_alias(struct directory_builder *b, const struct conf_alias *a)
{
	struct str *member = xalloc((a->n_members + 1) * sizeof(*member));
	struct str address = str_of(a->address);
	for (size_t i = 0; i < a->n_members; i++)
		member[i] = str_of(a->members[i]);
	directory_add_alias(b, address, member, a->n_members);
	directory_add_domain(b, str_skip(address, str_rfind(address, '@') + 1));
	free(member);
}

/* *ret_alias: there is an alias of that name; one for all of a domain is none. */
static enum route_verdict
resolve(const struct directory *d, const char *address, bool *ret_alias)
{
	struct addr a;
	struct route_result r = { .verdict = ROUTE_UNKNOWN };
	if (addr_mailbox(str_of(address), ADDR_SMTPUTF8, &a) == ADDR_OK)
		route_resolve(d, &a, &r);
	enum route_verdict v = r.verdict;
	*ret_alias = r.is_alias && !str_starts(r.fullname, STR("@"));
	route_result_done(&r);
	return v;
}

/* Who has a mailbox only the store knows: whoever is no alias may have one. */
static void
add_users(struct directory_builder *b, const struct directory *d, const struct conf *c)
{
	uint64_t account = 0;
	bool alias;
	for (size_t i = 0; i < c->n_aliases; i++)
		for (size_t m = 0; m < c->aliases[i].n_members; m++) {
			(void)resolve(d, c->aliases[i].members[m], &alias);
			if (!alias)
				directory_add_user(b, str_of(c->aliases[i].members[m]), ++account);
		}
}

static bool
build(struct directory_builder *b, struct buf *block, struct directory *ret)
{
	buf_reset(block);
	return directory_build(b, 1, block) && directory_open(ret, buf_str(block));
}

void
circles_find(const struct conf *c, struct buf *warnings)
{
	struct directory_builder *b = directory_builder_new();
	struct buf block = BUF_INIT(BLOCK_MAX);
	struct directory d = { STR_NULL };
	bool alias;
	for (size_t i = 0; i < c->n_aliases; i++)
		add_alias(b, &c->aliases[i]);
	if (build(b, &block, &d)) {
		add_users(b, &d, c);
		if (!build(b, &block, &d))
			d.block = STR_NULL;
	}
	for (size_t i = 0; d.block.len && i < c->n_aliases; i++)
		if (resolve(&d, c->aliases[i].address, &alias) == ROUTE_LOOP)
			buf_putf(warnings,
			    "alias %s leads in a circle, and its mail is refused (554 5.4.6); let "
			    "one of its members be a mailbox\n",
			    c->aliases[i].address);
	directory_builder_free(b);
	buf_done(&block);
}
