/* domain.add and domain.remove. */
#include "roles/store/change.h"

#include <string.h>

static bool
may_add(struct change *c, struct store_snap *sn)
{
	if (!names_is_local(c->role->conf, sn, str_of(c->name)))
		return true;
	writer_change_refuse(c, CTL_EXISTS, "domain %s exists", c->name);
	return false;
}

static void
commit_add(struct change *c)
{
	struct buf record = BUF_INIT(16);
	names_domain_put(&record);
	writer_change_commit_record(c, 'd', buf_str(&record));
	buf_done(&record);
}

struct search {
	struct str domain;
	char found[NAME_MAX_FOLDED]; /* an address in it */
};

static bool
is_in_domain(void *arg, struct str key, struct str value)
{
	struct search *s = arg;
	struct str address = str_skip(key, 2);
	if (!str_eq(names_domain_of(address), s->domain))
		return true;
	(void)str_copy(s->found, sizeof(s->found), address);
	return false;
}

static bool
may_remove(struct change *c, struct store_snap *sn)
{
	struct search s = { .domain = str_of(c->name) };
	struct str value;
	bool here = names_get(sn, 'd', s.domain, &value) == 0;
	int rc = names_scan(sn, 'u', is_in_domain, &s);
	if (rc == 0 && !s.found[0])
		rc = names_scan(sn, 'a', is_in_domain, &s);
	if (!here && names_conf_domain(c->role->conf, c->name))
		writer_change_refuse(c, CTL_REFUSED,
		    "domain %s stands in the configuration; remove it there", c->name);
	else if (!here)
		writer_change_refuse(c, CTL_NOT_FOUND, "there is no domain %s", c->name);
	else if (rc < 0)
		writer_change_refuse(c, CTL_FAILED, "the directory cannot be read: %s",
		    strerror(-rc));
	else if (s.found[0])
		writer_change_refuse(c, CTL_REFUSED,
		    "domain %s still has %s; remove its users and aliases first", c->name, s.found);
	else
		return true;
	return false;
}

static void
commit_remove(struct change *c)
{
	writer_change_commit_record(c, 'd', STR_NULL);
}

static const struct change_kind adding = { may_add, commit_add };
static const struct change_kind removing = { may_remove, commit_remove };

static void
begin(struct store_role *r, struct desk_ask *a, const struct msg_ask *m,
    const struct change_kind *kind)
{
	char name[NAME_MAX_FOLDED];
	if (names_domain(m->arg[0], name, sizeof(name)))
		writer_change_new(r, a, kind, name, NULL);
	else
		desk_done(a, CTL_INVALID,
		    "\"" STR_FMT "\" is no domain name; write one like example.com",
		    STR_ARG(str_first(m->arg[0], 256)));
}

void
writer_op_domain_add(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	begin(arg, a, m, &adding);
}

void
writer_op_domain_remove(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	begin(arg, a, m, &removing);
}
