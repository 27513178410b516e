/* mailbox.create, mailbox.rename, mailbox.subscribe and user.quota. */
#include "access/name.h"
#include "base/num.h"
#include "roles/store/change.h"
#include "roles/store/entry.h"
#include "roles/store/text.h"
#include "store/mail.h"

#include <errno.h>
#include <stdlib.h>

static bool
find_account(struct change *c, struct store_snap *sn)
{
	struct str value;
	if (names_get(sn, 'u', str_of(c->name), &value) == 0 &&
	    names_account_get(value, &c->account))
		return true;
	writer_change_refuse(c, CTL_NOT_FOUND,
	    "there is no user %s; `pennypost user list` shows who there is", c->name);
	return false;
}

static const struct change_kind limiting, renaming;

/* What a failure is about: of a rename the new name where there is one already. */
static void
put_meant(struct buf *b, const struct change *c, int rc)
{
	struct str to = str_of(c->members), from = str_cut(&to, '\n');
	struct str name = c->kind == &renaming && rc == -EEXIST ? to : from;
	buf_putz(b, c->name);
	if (name.len)
		buf_putf(b, ": \"" STR_FMT "\"", STR_ARG(str_first(name, ACCESS_NAME_MAX)));
}

/* Says what came of it; c is gone afterwards. */
static void
on_done(void *arg, const struct mail_result *res)
{
	static const struct {
		int rc;
		enum ctl_code code;
		const char *text;
	} rows[] = {
		{ -EEXIST, CTL_EXISTS, "there is a mailbox of that name" },
		{ -ENOENT, CTL_NOT_FOUND, "there is no such mailbox" },
		{ -EPERM, CTL_INVALID, "that cannot be done with INBOX" },
		{ -EINVAL, CTL_INVALID, "a mailbox cannot be called so" },
		{ -E2BIG, CTL_INVALID, "the name is too long, or there are too many mailboxes" },
		{ -ENOSPC, CTL_FAILED, "the disk is full; make room and try again" },
	};
	struct change *c = arg;
	char num[TEXT_NUM];
	writer_check(res->rc);
	entries_forget(&c->role->entries, c->account);
	writer_usage_forget(c->role);
	if (res->rc == 0 && res->mailbox) {
		const struct str row[] = { text_u64(num, res->mailbox) };
		desk_row(c->ask, row, ARRAY_LEN(row));
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (res->rc == rows[i].rc) {
			struct buf b = BUF_INIT(4096);
			put_meant(&b, c, res->rc);
			writer_change_refuse(c, rows[i].code, "%s: %s", buf_cstr(&b), rows[i].text);
			buf_done(&b);
			return;
		}
	}
	if (res->rc < 0)
		writer_change_refuse(c, CTL_FAILED, "%s was not changed: %s", c->name,
		    strerror(-res->rc));
	else if (c->kind == &limiting && !writer_directory_publish(c->role))
		writer_change_refuse(c, CTL_FAILED,
		    "the quota of %s is set, but the directory for the fronts cannot be made; the "
		    "log says why",
		    c->name);
	else
		writer_change_refuse(c, CTL_OK, "%s", "");
}

/* False after the answer. */
static bool
allowed(struct change *c, enum access_status s, struct str name)
{
	const char *why = name_check(name);
	if (s == ACCESS_OK)
		return true;
	if (why)
		writer_change_refuse(c, CTL_INVALID, "%s", why);
	else if (s == ACCESS_NOT_FOUND)
		writer_change_refuse(c, CTL_NOT_FOUND,
		    "%s has no mailbox \"" STR_FMT "\"; `pennypost mailbox list %s` shows them",
		    c->name, STR_ARG(str_first(name, ACCESS_NAME_MAX)), c->name);
	else
		writer_change_refuse(c, CTL_FAILED, "%s: this cannot be done with \"" STR_FMT "\"",
		    c->name, STR_ARG(str_first(name, ACCESS_NAME_MAX)));
	return false;
}

static void
commit_create(struct change *c)
{
	struct str name = str_of(c->members);
	uint64_t account;
	if (allowed(c, entry_may(c->account, name, ENTRY_CREATE, &account), name))
		mail_create(c->role->store, account, name, (uint32_t)c->number, on_done, c);
}

static void
commit_rename(struct change *c)
{
	struct str to = str_of(c->members), from = str_cut(&to, '\n');
	uint64_t account;
	if (allowed(c, entry_may(c->account, from, ENTRY_DELETE, &account), from) &&
	    allowed(c, entry_may(c->account, to, ENTRY_CREATE, &account), to))
		mail_rename(c->role->store, account, from, to, on_done, c);
}

static void
commit_subscribe(struct change *c)
{
	struct str name = str_of(c->members);
	uint64_t account;
	if (allowed(c, entry_may(c->account, name, ENTRY_LOOKUP, &account), name))
		mail_subscribe(c->role->store, account, name, c->number != 0, on_done, c);
}

static void
commit_quota(struct change *c)
{
	const struct mail_options o = { .quota = c->number };
	mail_put_options(c->role->store, c->account, &o, on_done, c);
}

static const struct change_kind creating = { find_account, commit_create };
static const struct change_kind renaming = { find_account, commit_rename };
static const struct change_kind subscribing = { find_account, commit_subscribe };
static const struct change_kind limiting = { find_account, commit_quota };

static void
begin(void *arg, struct desk_ask *a, const struct msg_ask *m, const struct change_kind *kind,
    char *names, uint64_t number)
{
	char name[NAME_MAX_FOLDED];
	if (names_user(m->arg[0], name, sizeof(name))) {
		writer_change_new(arg, a, kind, name, names)->number = number;
		return;
	}
	desk_done(a, CTL_INVALID, "\"" STR_FMT "\" is no address; write local-part@domain",
	    STR_ARG(str_first(m->arg[0], 256)));
	free(names);
}

static bool
use_of(struct str word, uint64_t *ret)
{
	static const struct {
		const char *word;
		uint64_t use;
	} rows[] = { { "", 0 }, { "drafts", MAIL_USE_DRAFTS }, { "sent", MAIL_USE_SENT },
		{ "trash", MAIL_USE_TRASH }, { "junk", MAIL_USE_JUNK },
		{ "archive", MAIL_USE_ARCHIVE } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_ieq(word, str_of(rows[i].word))) {
			*ret = rows[i].use;
			return true;
		}
	}
	return false;
}

/* Looked at as octets, before it is a string. False after the answer. */
static bool
good_name(struct desk_ask *a, struct str name)
{
	const char *why = name_check(name);
	if (why)
		desk_done(a, CTL_INVALID, "%s", why);
	return why == NULL;
}

void
writer_op_mailbox_create(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	uint64_t use = 0;
	if (!good_name(a, m->arg[1]))
		return;
	if (use_of(m->arg[2], &use))
		begin(arg, a, m, &creating, str_dup(m->arg[1]), use);
	else
		desk_done(a, CTL_INVALID,
		    "\"" STR_FMT "\" is no special use; write drafts, sent, trash, junk or archive",
		    STR_ARG(str_first(m->arg[2], 256)));
}

void
writer_op_mailbox_rename(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct buf names = BUF_INIT(4 * ACCESS_NAME_MAX);
	buf_puts(&names, m->arg[1]);
	buf_putc(&names, '\n'); /* which no name holds */
	buf_puts(&names, m->arg[2]);
	if (good_name(a, m->arg[1]) && good_name(a, m->arg[2]))
		begin(arg, a, m, &renaming, str_dup(buf_str(&names)), 0);
	buf_done(&names);
}

void
writer_op_mailbox_subscribe(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	if (good_name(a, m->arg[1]))
		begin(arg, a, m, &subscribing, str_dup(m->arg[1]), str_eq(m->arg[2], STR("1")));
}

void
writer_op_user_quota(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	uint64_t octets;
	if (num_u64(m->arg[1], INT64_MAX, &octets))
		begin(arg, a, m, &limiting, NULL, octets);
	else
		desk_done(a, CTL_INVALID, "\"" STR_FMT "\" is no number of octets",
		    STR_ARG(str_first(m->arg[1], 256)));
}
