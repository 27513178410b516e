/* Changes of the file of accounts, one at a time. */
#include "roles/auth/auth_priv.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>

struct change {
	struct list node; /* auth->changes */
	struct auth *auth;
	struct desk_ask *ask;
	char name[PASSWD_NAME_MAX];
	char *keys; /* NULL: remove */
	struct pool_job job;
	struct buf text; /* the whole file, to be written */
	int rc;
};

static void begin_first(struct auth *au);

static void
change_free(struct change *c)
{
	list_del(&c->node);
	buf_wipe(&c->text);
	buf_done(&c->text);
	if (c->keys)
		explicit_bzero(c->keys, strlen(c->keys));
	free(c->keys);
	free(c);
}

static void
write_file(struct pool_job *job)
{
	struct change *c = container_of(job, struct change, job);
	c->rc = file_replace(c->auth->path, buf_str(&c->text), PASSWD_MODE);
}

static void
written(struct pool_job *job)
{
	struct change *c = container_of(job, struct change, job);
	struct auth *au = c->auth;
	if (!job->ran) {
		desk_done(c->ask, CTL_FAILED,
		    "%s was not changed: the server stops; try again when it runs", c->name);
	} else if (c->rc < 0) {
		desk_done(c->ask, CTL_FAILED,
		    "%s was not changed: the file of passwords cannot be written: %s", c->name,
		    strerror(-c->rc));
	} else {
		accounts_set(&au->accounts, c->name, c->keys);
		desk_done(c->ask, CTL_OK, "%s", "");
	}
	change_free(c);
	au->writing = false;
	begin_first(au);
}

static void
begin(struct change *c)
{
	struct auth *au = c->auth;
	if (!c->keys && !passwd_find(&au->accounts.passwd, c->name)) {
		desk_done(c->ask, CTL_NOT_FOUND, "%s has no password here", c->name);
		change_free(c);
		return;
	}
	passwd_text(&au->accounts.passwd, c->name, c->keys, &c->text);
	if (c->text.failed) {
		desk_done(c->ask, CTL_FAILED,
		    "%s was not changed: the file of passwords would pass 64 MiB", c->name);
		change_free(c);
		return;
	}
	au->writing = true;
	(void)pool_submit(au->pool, &c->job, true);
}

static void
begin_first(struct auth *au)
{
	while (!au->writing && !list_empty(&au->changes))
		begin(list_entry(au->changes.next, struct change, node));
}

void
auth_change_new(struct auth *au, struct desk_ask *a, const char *name, const char *keys)
{
	struct change *c = xalloc(sizeof(*c));
	*c = (struct change){ .auth = au,
		.ask = a,
		.keys = keys ? xstrdup(keys) : NULL,
		.text = BUF_INIT(PASSWD_FILE_MAX),
		.job = { .work = write_file, .done = written } };
	check(str_copy(c->name, sizeof(c->name), str_of(name)));
	list_add_tail(&au->changes, &c->node);
	begin_first(au);
}

void
auth_changes_done(struct auth *au)
{
	list_each(n, &au->changes)
	{
		struct change *c = list_entry(n, struct change, node);
		desk_done(c->ask, CTL_FAILED,
		    "%s was not changed: the server stops; try again when it runs", c->name);
		change_free(c);
	}
}
