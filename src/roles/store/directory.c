/*
 * The directory that fronts answer RCPT from: made from the G domain and the configuration,
 * sealed, and sent to every front at its start and after each change.
 * An alias of the configuration stands in front of one of the store with the same address.
 */
#include "roles/store/store_priv.h"

#include "base/crc32c.h"
#include "log/log.h"
#include "roles/store/names.h"
#include "route/directory.h"
#include "store/mail.h"
#include "store/mailbox.h"
#include "sys/file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct gather {
	struct store_role *role;
	struct store_snap *snap;
	struct directory_builder *builder;
	struct map accounts;
	uint64_t n_users;
	uint64_t domains; /* a sum over their names */
	uint64_t first_account;
	struct buf first_user; /* postmaster, when none is named */
};

static bool
add_domain(void *arg, struct str key, struct str value)
{
	struct gather *g = arg;
	g->domains += crc32c(0, key.p, key.len);
	directory_add_domain(g->builder, str_skip(key, 2));
	return true;
}

static bool
is_limited(struct gather *g, uint64_t account)
{
	struct mail_options o;
	int rc = mail_get_options(g->snap, account, &o);
	writer_check(rc);
	return rc == 0 && o.quota != 0;
}

static bool
add_user(void *arg, struct str key, struct str value)
{
	struct gather *g = arg;
	uint64_t account;
	struct str address = str_skip(key, 2);
	if (!names_account_get(value, &account)) {
		LOG(LOG_ERROR, 0, "directory-damaged", LOGF("key", key));
		return true;
	}
	if (is_limited(g, account))
		directory_add_limited(g->builder, address, account);
	else
		directory_add_user(g->builder, address, account);
	map_put(&g->accounts, id_key(&account), g->role);
	g->n_users++;
	if (g->first_user.len == 0 || account < g->first_account) {
		g->first_account = account;
		buf_reset(&g->first_user);
		buf_puts(&g->first_user, address);
	}
	return true;
}

static bool
add_alias(void *arg, struct str key, struct str value)
{
	struct gather *g = arg;
	struct str members;
	if (!names_alias_get(value, &members)) {
		LOG(LOG_ERROR, 0, "directory-damaged", LOGF("key", key));
		return true;
	}
	struct str *member = xalloc(ALIAS_MEMBERS_MAX * sizeof(*member));
	size_t n = 0;
	while (members.p && n < ALIAS_MEMBERS_MAX) {
		struct str line = str_cut(&members, '\n');
		if (line.len)
			member[n++] = line;
	}
	directory_add_alias(g->builder, str_skip(key, 2), member, n);
	free(member);
	return true;
}

static void
add_elsewhere(struct gather *g)
{
	const struct conf *c = g->role->conf;
	struct str text = conf_text_of(c, c->relay_recipients), address;
	unsigned line = 0;
	while (conf_recipient_next(&text, &address, &line))
		directory_add_elsewhere(g->builder, address);
}

static void
add_conf(struct gather *g)
{
	const struct conf *c = g->role->conf;
	for (size_t i = 0; i < c->n_domains; i++) {
		g->domains += crc32c(1, c->domains[i], strlen(c->domains[i]));
		directory_add_domain(g->builder, str_of(c->domains[i]));
	}
	for (size_t i = 0; i < c->n_aliases; i++) {
		const struct conf_alias *a = &c->aliases[i];
		size_t n = MIN(a->n_members, (size_t)ALIAS_MEMBERS_MAX);
		struct str *member = xalloc((n + 1) * sizeof(*member));
		for (size_t k = 0; k < n; k++)
			member[k] = str_of(a->members[k]);
		directory_add_alias(g->builder, str_of(a->address), member, n);
		free(member);
	}
	add_elsewhere(g);
}

static int
gather(struct gather *g, uint64_t *ret_ver)
{
	const struct store_dom dom = store_dom_directory();
	struct store_snap *sn;
	int rc = store_snap_open(g->role->store, &dom, &sn, ret_ver);
	if (rc < 0)
		return rc;
	g->snap = sn;
	rc = names_scan(sn, 'd', add_domain, g);
	if (rc == 0)
		rc = names_scan(sn, 'u', add_user, g);
	if (rc == 0)
		rc = names_scan(sn, 'a', add_alias, g);
	store_snap_close(sn);
	g->snap = NULL;
	add_conf(g);
	const struct conf *c = g->role->conf;
	struct str postmaster =
	    c->postmaster && *c->postmaster ? str_of(c->postmaster) : buf_str(&g->first_user);
	directory_set_options(g->builder, c->plus_separator ? *c->plus_separator : 0, postmaster);
	return rc;
}

static void
take_accounts(struct store_role *r, struct gather *g)
{
	map_done(&r->accounts);
	r->accounts = g->accounts;
	r->n_accounts = g->n_users;
	g->accounts = MAP_NULL;
}

static int
seal(struct store_role *r, struct gather *g, uint64_t version)
{
	struct buf block = BUF_INIT(DIRECTORY_MAX);
	int fd = directory_build(g->builder, version, &block)
	             ? memfd_sealed("directory", buf_str(&block))
	             : -E2BIG;
	buf_done(&block);
	if (fd < 0)
		return fd;
	if (r->directory_fd >= 0)
		close(r->directory_fd);
	r->directory_fd = fd;
	r->directory_version = version;
	return 0;
}

bool
writer_directory_publish(struct store_role *r)
{
	struct gather g = { .role = r, .first_user = BUF_INIT(NAME_MAX_FOLDED) };
	uint64_t ver;
	g.builder = directory_builder_new();
	int rc = gather(&g, &ver);
	writer_check(rc);
	if (rc == 0)
		rc = seal(r, &g, ver + r->directory_reloads);
	if (rc == 0) {
		take_accounts(r, &g);
		if (g.domains != r->domains) /* mail for them goes elsewhere now */
			writer_queue_directory(r);
		r->domains = g.domains;
		for (size_t i = 0; i < FRONT_MAX; i++)
			writer_directory_send(&r->front[i]);
		LOG(LOG_DEBUG, 0, "directory", LOGN("version", r->directory_version),
		    LOGN("users", r->n_accounts));
	} else {
		LOG(LOG_ERROR, 0, "directory-failed", LOGZ("error", strerror(-rc)));
	}
	map_done(&g.accounts);
	buf_done(&g.first_user);
	directory_builder_free(g.builder);
	return rc == 0;
}

void
writer_directory_send(struct front_peer *f)
{
	const struct store_role *r = f->role;
	if (f->chan && r->directory_fd >= 0)
		writer_front_send(f, IPC_DIRECTORY, r->directory_version, STR_NULL,
		    r->directory_fd);
}

void
writer_directory_done(struct store_role *r)
{
	if (r->directory_fd >= 0)
		close(r->directory_fd);
	map_done(&r->accounts);
}
