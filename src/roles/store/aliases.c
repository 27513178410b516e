/* alias.add and alias.remove. */
#include "roles/store/change.h"

#include "base/map.h"
#include "mail/address.h"
#include "route/directory.h"

#include <stdlib.h>
#include <string.h>

#define CIRCLE_MAX (1u << 20) /* octets of members looked at */

/* The member is an alias, and its own members stand behind `todo`. */
static bool
leads_on(const struct change *c, struct store_snap *sn, struct str member, struct buf *todo)
{
	char name[NAME_MAX_FOLDED];
	struct str value, members;
	if (!names_user(member, name, sizeof(name)) ||
	    names_get(sn, 'u', str_of(name), &value) == 0)
		return false;
	if (strcmp(name, c->name) == 0)
		return true;
	const struct conf_alias *a = names_conf_alias(c->role->conf, name);
	for (size_t i = 0; a && i < a->n_members; i++)
		buf_putf(todo, "%s\n", a->members[i]);
	if (a)
		return true;
	if (names_get(sn, 'a', str_of(name), &value) != 0 || !names_alias_get(value, &members))
		return false;
	buf_puts(todo, members);
	buf_putc(todo, '\n');
	return true;
}

/* Through however many aliases it leads to none but these: nobody would get its mail. */
static bool
closes_circle(const struct change *c, struct store_snap *sn)
{
	struct buf todo = BUF_INIT(CIRCLE_MAX);
	struct map seen = MAP_NULL;
	bool alone = true;
	buf_putf(&todo, "%s\n", c->members);
	for (size_t at = 0; alone && at < todo.len;) {
		struct str rest = str_skip(buf_str(&todo), at), member = str_cut(&rest, '\n');
		at += member.len + 1;
		if (member.len && map_put(&seen, member, &todo) == NULL)
			alone = leads_on(c, sn, member, &todo) && !todo.failed;
	}
	map_done(&seen);
	buf_done(&todo);
	return alone;
}

static bool
may_add(struct change *c, struct store_snap *sn)
{
	struct str name = str_of(c->name), domain = names_domain_of(name), value;
	if (!names_is_local(c->role->conf, sn, domain))
		writer_change_refuse(c, CTL_INVALID,
		    "domain " STR_FMT " is not local; run `pennypost domain add " STR_FMT "` first",
		    STR_ARG(domain), STR_ARG(domain));
	else if (names_get(sn, 'u', name, &value) == 0)
		writer_change_refuse(c, CTL_EXISTS,
		    "%s is a user; an alias needs an address of its own", c->name);
	else if (names_conf_alias(c->role->conf, c->name))
		writer_change_refuse(c, CTL_EXISTS,
		    "alias %s exists in the configuration; change it there", c->name);
	else if (names_get(sn, 'a', name, &value) == 0)
		writer_change_refuse(c, CTL_EXISTS,
		    "alias %s exists; run `pennypost alias remove %s` first", c->name, c->name);
	else if (closes_circle(c, sn))
		writer_change_refuse(c, CTL_INVALID,
		    "%s would lead in a circle, and its mail to nobody; let one of the members be "
		    "a mailbox",
		    c->name);
	else
		return true;
	return false;
}

static void
commit_add(struct change *c)
{
	struct buf record = BUF_INIT(STORE_VALUE_MAX);
	names_alias_put(&record, str_of(c->members));
	check(!record.failed);
	writer_change_commit_record(c, 'a', buf_str(&record));
	buf_done(&record);
}

static bool
may_remove(struct change *c, struct store_snap *sn)
{
	struct str value;
	if (names_get(sn, 'a', str_of(c->name), &value) == 0)
		return true;
	if (names_conf_alias(c->role->conf, c->name))
		writer_change_refuse(c, CTL_REFUSED,
		    "alias %s stands in the configuration; remove it there", c->name);
	else
		writer_change_refuse(c, CTL_NOT_FOUND, "there is no alias %s", c->name);
	return false;
}

static void
commit_remove(struct change *c)
{
	writer_change_commit_record(c, 'a', STR_NULL);
}

static const struct change_kind adding = { may_add, commit_add };
static const struct change_kind removing = { may_remove, commit_remove };

/* Reads members of alias `name`, one a line, into out in the same form. False after it has
 * answered. */
static bool
read_members(struct desk_ask *a, const char *name, struct str lines, struct buf *out)
{
	char folded[NAME_MAX_FOLDED];
	size_t n = 0;
	while (lines.p) {
		struct str line = str_trim(str_cut(&lines, '\n'));
		struct addr member;
		if (line.len == 0)
			continue;
		if (addr_mailbox(line, ADDR_SMTPUTF8, &member) != ADDR_OK || member.null) {
			desk_done(a, CTL_INVALID,
			    "member \"" STR_FMT "\" is no address; write local-part@domain",
			    STR_ARG(str_first(line, 256)));
			return false;
		}
		if (addr_fold(&member, folded, sizeof(folded)) && strcmp(folded, name) == 0) {
			desk_done(a, CTL_INVALID,
			    "%s would lead to itself; name the mailbox it stands for", name);
			return false;
		}
		if (n++)
			buf_putc(out, '\n');
		buf_puts(out, line);
	}
	if (n > 0 && n <= ALIAS_MEMBERS_MAX && !out->failed)
		return true;
	if (n == 0)
		desk_done(a, CTL_INVALID, "an alias needs at least one member");
	else
		desk_done(a, CTL_INVALID,
		    "an alias may have %u members in %u KiB; put some of them into an alias of "
		    "their own",
		    ALIAS_MEMBERS_MAX, STORE_VALUE_MAX >> 10);
	return false;
}

static bool
read_name(struct desk_ask *a, struct str s, char name[NAME_MAX_FOLDED])
{
	if (names_alias(s, name, NAME_MAX_FOLDED))
		return true;
	desk_done(a, CTL_INVALID,
	    "\"" STR_FMT "\" is no address; write local-part@domain, or @domain for a catch-all",
	    STR_ARG(str_first(s, 256)));
	return false;
}

void
writer_op_alias_add(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	char name[NAME_MAX_FOLDED];
	struct buf members = BUF_INIT(STORE_VALUE_MAX - 1); /* the version octet stands in front */
	if (read_name(a, m->arg[0], name) && read_members(a, name, m->arg[1], &members))
		writer_change_new(arg, a, &adding, name, str_dup(buf_str(&members)));
	buf_done(&members);
}

void
writer_op_alias_remove(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	char name[NAME_MAX_FOLDED];
	if (read_name(a, m->arg[0], name))
		writer_change_new(arg, a, &removing, name, NULL);
}
