/* user.add and user.remove. */
#include "roles/store/change.h"
#include "store/mailbox.h"

#include <errno.h>

static bool
may_add(struct change *c, struct store_snap *sn)
{
	struct str name = str_of(c->name), domain = names_domain_of(name), value;
	if (!names_is_local(c->role->conf, sn, domain))
		writer_change_refuse(c, CTL_INVALID,
		    "domain " STR_FMT " is not local; run `pennypost domain add " STR_FMT "` first",
		    STR_ARG(domain), STR_ARG(domain));
	else if (names_conf_alias(c->role->conf, c->name))
		writer_change_refuse(c, CTL_EXISTS,
		    "%s is an alias in the configuration; remove it there first", c->name);
	else if (names_get(sn, 'a', name, &value) == 0)
		writer_change_refuse(c, CTL_EXISTS,
		    "%s is an alias; run `pennypost alias remove %s` first", c->name, c->name);
	else if (names_get(sn, 'u', name, &value) == 0)
		writer_change_refuse(c, CTL_EXISTS, "user %s exists", c->name);
	else
		return true;
	return false;
}

static void
commit_add(struct change *c)
{
	account_create(c->role->store, str_of(c->name), writer_change_committed, c);
}

static bool
may_remove(struct change *c, struct store_snap *sn)
{
	struct str value;
	if (names_get(sn, 'u', str_of(c->name), &value) == 0 &&
	    names_account_get(value, &c->account))
		return true;
	writer_change_refuse(c, CTL_NOT_FOUND, "there is no user %s", c->name);
	return false;
}

static void
removed(void *arg, const struct store_res *res)
{
	struct change *c = arg;
	/* It may be there still. */
	if (res->rc < 0 && res->rc != -EIO)
		(void)writer_directory_publish(c->role);
	writer_change_committed(c, res);
}

/* From now on nothing is taken for it: what came behind its INBOX would stay for ever. */
static void
commit_remove(struct change *c)
{
	map_del(&c->role->accounts, id_key(&c->account));
	account_remove(c->role->store, str_of(c->name), removed, c);
}

static const struct change_kind adding = { may_add, commit_add };
static const struct change_kind removing = { may_remove, commit_remove };

static void
begin(struct store_role *r, struct desk_ask *a, const struct msg_ask *m,
    const struct change_kind *kind)
{
	char name[NAME_MAX_FOLDED];
	if (names_user(m->arg[0], name, sizeof(name)))
		writer_change_new(r, a, kind, name, NULL);
	else
		desk_done(a, CTL_INVALID, "\"" STR_FMT "\" is no address; write local-part@domain",
		    STR_ARG(str_first(m->arg[0], 256)));
}

void
writer_op_user_add(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	begin(arg, a, m, &adding);
}

void
writer_op_user_remove(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	begin(arg, a, m, &removing);
}
