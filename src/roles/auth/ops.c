/* auth.set, auth.remove, auth.list, auth.check. */
#include "roles/auth/auth_priv.h"

#include <stdlib.h>
#include <string.h>

/* A password on its way through a thread. */
struct hashing {
	struct pool_job job;
	struct auth *auth;
	struct desk_ask *ask;
	char name[PASSWD_NAME_MAX];
	char password[HASH_PASSWORD_MAX];
	char hash[HASH_MAX];
	bool known; /* the account is there */
	bool ok;
};

static void
hashing_free(struct hashing *h)
{
	explicit_bzero(h, sizeof(*h));
	free(h);
}

/* False when crypt(3) takes no such password. */
static bool
take_password(struct hashing *h, struct str s)
{
	return s.len > 0 && !memchr(s.p, 0, s.len) && str_copy(h->password, sizeof(h->password), s);
}

static struct hashing *
hashing_new(struct auth *au, struct desk_ask *a, void (*work)(struct pool_job *),
    void (*done)(struct pool_job *))
{
	struct hashing *h = xalloc(sizeof(*h));
	*h = (struct hashing){ .job = { .work = work, .done = done }, .auth = au, .ask = a };
	return h;
}

static void
submit(struct hashing *h)
{
	if (pool_submit(h->auth->pool, &h->job, false))
		return;
	desk_done(h->ask, CTL_FAILED,
	    "too many passwords wait to be checked; try again in a moment");
	hashing_free(h);
}

/* --- set --- */

static void
set_work(struct pool_job *job)
{
	struct hashing *h = container_of(job, struct hashing, job);
	h->ok = hash_make(h->password, h->hash);
	explicit_bzero(h->password, sizeof(h->password));
}

static void
set_done(struct pool_job *job)
{
	struct hashing *h = container_of(job, struct hashing, job);
	if (!job->ran)
		desk_done(h->ask, CTL_FAILED,
		    "%s was not changed: the server stops; try again when it runs", h->name);
	else if (!h->ok)
		desk_done(h->ask, CTL_FAILED,
		    "the password of %s could not be hashed; the system's crypt(3) refuses "
		    "yescrypt",
		    h->name);
	else
		auth_change_new(h->auth, h->ask, h->name, h->hash);
	hashing_free(h);
}

static void
op_set(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct hashing *h = hashing_new(arg, a, set_work, set_done);
	if (!passwd_name(m->arg[0], h->name)) {
		desk_done(a, CTL_INVALID, "\"" STR_FMT "\" is no address; write local-part@domain",
		    STR_ARG(str_first(m->arg[0], 256)));
		hashing_free(h);
	} else if (!take_password(h, m->arg[1])) {
		desk_done(a, CTL_INVALID, "a password has 1 to %d octets and no NUL",
		    HASH_PASSWORD_MAX - 1);
		hashing_free(h);
	} else {
		submit(h);
	}
}

/* --- check --- */

static void
check_work(struct pool_job *job)
{
	struct hashing *h = container_of(job, struct hashing, job);
	h->ok = hash_check(h->password, h->hash) && h->known;
	explicit_bzero(h->password, sizeof(h->password));
}

static void
check_done(struct pool_job *job)
{
	struct hashing *h = container_of(job, struct hashing, job);
	if (!job->ran) {
		desk_done(h->ask, CTL_FAILED, "the server stops; try again when it runs");
	} else if (h->ok) {
		h->auth->n_logins++;
		desk_done(h->ask, CTL_OK, "%s", "");
	} else {
		h->auth->n_failed++;
		desk_done(h->ask, CTL_REFUSED, "no such account, or not its password");
	}
	hashing_free(h);
}

/* The same work and the same answer whatever is wrong, so that neither tells who is here. */
static void
op_check(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct auth *au = arg;
	struct hashing *h = hashing_new(au, a, check_work, check_done);
	const char *hash =
	    passwd_name(m->arg[0], h->name) ? passwd_find(&au->passwd, h->name) : NULL;
	bool taken = take_password(h, m->arg[1]);
	h->known = hash && hash[0] != '!' && hash[0] != '*' && taken;
	check(str_copy(h->hash, sizeof(h->hash), str_of(h->known ? hash : au->dummy)));
	submit(h);
}

/* --- remove --- */

static void
op_remove(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	char name[PASSWD_NAME_MAX];
	if (passwd_name(m->arg[0], name))
		auth_change_new(arg, a, name, NULL);
	else
		desk_done(a, CTL_INVALID, "\"" STR_FMT "\" is no address; write local-part@domain",
		    STR_ARG(str_first(m->arg[0], 256)));
}

/* --- list --- */

struct listing {
	struct list node; /* auth->listings */
	struct desk_ask *ask;
	struct buf names; /* one a line, copied: the table may change meanwhile */
	struct str rest;
};

static void
listing_end(struct listing *l, enum ctl_code code, const char *text)
{
	desk_done(l->ask, code, "%s", text);
	list_del(&l->node);
	buf_done(&l->names);
	free(l);
}

static void
go_on(void *arg)
{
	struct listing *l = arg;
	while (l->rest.len && !desk_gone(l->ask)) {
		if (desk_full(l->ask)) {
			desk_on_room(l->ask, go_on, l);
			return;
		}
		struct str row[] = { str_cut(&l->rest, '\n') };
		desk_row(l->ask, row, 1);
	}
	listing_end(l, CTL_OK, "");
}

static void
op_list(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct auth *au = arg;
	struct listing *l = xalloc(sizeof(*l));
	size_t n;
	*l = (struct listing){ .ask = a, .names = BUF_INIT(PASSWD_FILE_MAX) };
	struct str *names = passwd_names(&au->passwd, &n);
	for (size_t i = 0; i < n; i++) {
		buf_puts(&l->names, names[i]);
		buf_putc(&l->names, '\n');
	}
	free(names);
	check(!l->names.failed); /* the file with the hashes fits into as much */
	l->rest = buf_str(&l->names);
	list_add_tail(&au->listings, &l->node);
	go_on(l);
}

void
auth_listings_done(struct auth *au)
{
	list_each(n, &au->listings) listing_end(list_entry(n, struct listing, node), CTL_FAILED,
	    "the list is cut short: the server stops");
}

const struct desk_op auth_ops[] = {
	{ "auth.set", op_set, true },
	{ "auth.remove", op_remove, false },
	{ "auth.list", op_list, false },
	{ "auth.check", op_check, true },
	{ NULL, NULL, false },
};
