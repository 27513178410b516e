/*
 * domain.list, user.list and alias.list: first what the configuration holds, then the records,
 * in slices, each from a snapshot of its own that is closed before the rows go out of hand.
 */
#include "roles/store/change.h"

#include "roles/store/text.h"
#include "store/mail.h"

#include <stdlib.h>

#define SLICE 500
#define FIELD_MAX (1u << 20) /* of a row, see ipc/msg.h */

struct listing {
	struct list node; /* role->listings */
	struct store_role *role;
	struct desk_ask *ask;
	struct store_snap *sn; /* while a slice is read */
	char kind;
	char last[NAME_MAX_FOLDED]; /* folded name of the last row */
	uint32_t n;                 /* rows of this slice */
	size_t conf_at;             /* next row of the configuration */
};

static void
put_domain(struct desk_ask *a, struct str name, struct str value)
{
	const struct str row[] = { name, STR("store") };
	desk_row(a, row, ARRAY_LEN(row));
}

static void
put_user(const struct listing *l, struct str name, struct str value)
{
	uint64_t account;
	struct mail_options o;
	char num[2][TEXT_NUM];
	if (!names_account_get(value, &account))
		return;
	bool own = mail_get_options(l->sn, account, &o) == 0 && o.quota;
	const struct str row[] = { name, text_u64(num[0], account),
		own ? text_u64(num[1], o.quota) : STR("") };
	desk_row(l->ask, row, ARRAY_LEN(row));
}

static void
put_alias(struct desk_ask *a, struct str name, struct str value)
{
	struct str members;
	if (!names_alias_get(value, &members))
		return;
	const struct str row[] = { name, members, STR("store") };
	desk_row(a, row, ARRAY_LEN(row));
}

static bool
each(void *arg, struct str key, struct str value)
{
	struct listing *l = arg;
	struct str name = str_skip(key, 2);
	if (l->kind == 'd')
		put_domain(l->ask, name, value);
	else if (l->kind == 'u')
		put_user(l, name, value);
	else
		put_alias(l->ask, name, value);
	l->n++;
	return str_copy(l->last, sizeof(l->last), name) && !desk_full(l->ask);
}

static int
slice(struct listing *l)
{
	const struct store_dom dom = store_dom_directory();
	struct store_snap *sn;
	uint64_t ver;
	l->n = 0;
	int rc = store_snap_open(l->role->store, &dom, &sn, &ver);
	if (rc < 0)
		return rc;
	l->sn = sn;
	rc = names_scan_after(sn, l->kind, str_of(l->last), SLICE, each, l);
	store_snap_close(sn);
	return rc;
}

static void
put_conf_domain(struct desk_ask *a, const char *domain)
{
	const struct str row[] = { str_of(domain), STR("config") };
	desk_row(a, row, ARRAY_LEN(row));
}

static void
put_conf_alias(struct desk_ask *a, const struct conf_alias *alias)
{
	struct buf members = BUF_INIT(FIELD_MAX);
	for (size_t i = 0; i < alias->n_members; i++) {
		if (i)
			buf_putc(&members, '\n');
		buf_putz(&members, alias->members[i]);
	}
	const struct str row[] = { str_of(alias->address), buf_str(&members), STR("config") };
	desk_row(a, row, ARRAY_LEN(row));
	buf_done(&members);
}

/* The next row of the configuration; false when there is none left. */
static bool
put_conf(struct listing *l)
{
	const struct conf *c = l->role->conf;
	size_t i = l->conf_at++;
	if (l->kind == 'd' && i < c->n_domains)
		put_conf_domain(l->ask, c->domains[i]);
	else if (l->kind == 'a' && i < c->n_aliases)
		put_conf_alias(l->ask, &c->aliases[i]);
	else
		return false;
	return true;
}

static void
go_on(void *arg)
{
	struct listing *l = arg;
	int rc = 0;
	for (bool more = true; more && !desk_gone(l->ask);) {
		if (desk_full(l->ask)) {
			desk_on_room(l->ask, go_on, l);
			return;
		}
		if (put_conf(l))
			continue;
		rc = slice(l);
		writer_check(rc);
		more = rc == 0 && (l->n == SLICE || desk_full(l->ask));
	}
	if (rc < 0)
		desk_done(l->ask, CTL_FAILED, "the directory cannot be read: %s", strerror(-rc));
	else
		desk_done(l->ask, CTL_OK, "%s", "");
	list_del(&l->node);
	free(l);
}

void
writer_listings_done(struct store_role *r)
{
	list_each(n, &r->listings)
	{
		struct listing *l = list_entry(n, struct listing, node);
		desk_done(l->ask, CTL_FAILED, "the list is cut short: the server stops");
		list_del(&l->node);
		free(l);
	}
}

static void
list(struct store_role *r, struct desk_ask *a, char kind)
{
	struct listing *l = xalloc(sizeof(*l));
	*l = (struct listing){ .role = r, .ask = a, .kind = kind };
	list_add_tail(&r->listings, &l->node);
	go_on(l);
}

void
writer_op_domain_list(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	list(arg, a, 'd');
}

void
writer_op_user_list(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	list(arg, a, 'u');
}

void
writer_op_alias_list(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	list(arg, a, 'a');
}
