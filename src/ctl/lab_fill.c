/* Filling a lab: domains, users, passwords; what to say about them. */
#include "ctl/lab_priv.h"

#include "base/base64.h"
#include "base/check.h"
#include "sys/clock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_MS 60000
#define STEP_MS 20

struct person {
	char *address;
	char *password; /* NULL: as set before */
};

struct fill {
	const struct lab *lab;
	struct server server;
	struct person *person;
	size_t n;
};

static void
person_add(struct fill *f, struct str address, const char *password)
{
	f->person = xrealloc(f->person, (f->n + 1) * sizeof *f->person);
	f->person[f->n++] =
	    (struct person){ str_dup(address), password ? xstrdup(password) : NULL };
}

static struct person *
person_find(struct fill *f, struct str address)
{
	for (size_t i = 0; i < f->n; i++)
		if (str_ieq(str_of(f->person[i].address), address))
			return &f->person[i];
	return NULL;
}

/* Quietly, and with a sentence of our own when it fails; an answer of `also` is fine too. */
static int
ask(struct fill *f, const char *op, const struct str *args, size_t n, enum ctl_code also)
{
	f->server.quiet = true;
	int status = server_ask(&f->server, op, args, n, NULL, NULL);
	f->server.quiet = false;
	if (status == EXIT_DONE || (status == EXIT_REFUSED && f->server.code == also))
		return EXIT_DONE;
	complain("the lab cannot be filled: " STR_FMT, STR_ARG(str_trim(buf_str(&f->server.said))));
	return status;
}

static int
wait_ready(struct fill *f)
{
	int64_t until = sys_mono_ms() + START_MS;
	int status;
	while (sys_mono_ms() < until) {
		f->server.quiet = true;
		bool ready = server_ready(&f->server, &status);
		f->server.quiet = false;
		if (ready)
			return EXIT_DONE;
		usleep(STEP_MS * 1000);
	}
	complain("the server was not ready within a minute; the lines above may say why");
	return EXIT_REACH;
}

static int
add_domain(struct fill *f, struct str domain)
{
	return ask(f, "domain.add", &domain, 1, CTL_EXISTS);
}

/* Creates the account if need be and sets the password. */
static int
add_person(struct fill *f, struct str address, const char *password, bool plain)
{
	struct str args[] = { address, str_of(password), STR("plain") };
	int status = add_domain(f, str_skip(address, str_rfind(address, '@') + 1));
	if (status == EXIT_DONE)
		status = ask(f, "user.add", args, 1, CTL_EXISTS);
	if (status == EXIT_DONE)
		status = ask(f, "auth.set", args, plain ? 3 : 2, CTL_OK);
	if (status != EXIT_DONE)
		return status;
	struct person *p = person_find(f, address);
	if (p == NULL) {
		person_add(f, address, password);
	} else {
		free(p->password);
		p->password = xstrdup(password);
	}
	return EXIT_DONE;
}

static void
user_row(void *arg, const struct msg_row *row)
{
	person_add(arg, row_field(row, 0), NULL);
}

/* u: ADDRESS:PASSWORD, with a NUL behind it. */
static int
add_user(struct fill *f, struct str u, bool plain)
{
	size_t at = str_find(u, '@'), colon = at + str_find(str_skip(u, at), ':');
	return add_person(f, str_first(u, colon), u.p + colon + 1, plain);
}

/* u: NUL, name, NUL, password, with a NUL behind it. */
static int
add_login(struct fill *f, struct str u)
{
	struct str name = str_of(u.p + 1);
	struct str args[] = { name, str_skip(u, name.len + 2), STR("plain"), STR("octets") };
	return ask(f, "auth.set", args, ARRAY_LEN(args), CTL_OK);
}

static int
add_named(struct fill *f)
{
	int status = EXIT_DONE;
	for (size_t i = 0; status == EXIT_DONE && i < f->lab->users.n; i++)
		status = add_user(f, str_of(f->lab->users.v[i]), false);
	for (size_t i = 0; status == EXIT_DONE && i < f->lab->users_plain.n; i++) {
		struct buf u = BUF_INIT(64u << 10);
		bool ok = base64_dec(&u, str_of(f->lab->users_plain.v[i])) && buf_cstr(&u);
		check(ok);
		status =
		    u.p[0] == '\0' ? add_login(f, buf_str(&u)) : add_user(f, buf_str(&u), true);
		buf_wipe(&u);
		buf_done(&u);
	}
	return status;
}

static int
add_default(struct fill *f)
{
	static const char *const names[] = { "alice@" LAB_DOMAIN, "bob@" LAB_DOMAIN };
	int status = EXIT_DONE;
	for (size_t i = 0; status == EXIT_DONE && i < ARRAY_LEN(names); i++) {
		char password[24];
		password_make(password);
		status = add_person(f, str_of(names[i]), password, false);
	}
	return status;
}

static int
make(struct fill *f)
{
	int status = EXIT_DONE;
	bool named = f->lab->users.n > 0 || f->lab->users_plain.n > 0;
	if (f->lab->domains.n == 0 && !named)
		status = add_domain(f, STR(LAB_DOMAIN));
	for (size_t i = 0; status == EXIT_DONE && i < f->lab->domains.n; i++)
		status = add_domain(f, str_of(f->lab->domains.v[i]));
	if (status == EXIT_DONE)
		status = server_ask(&f->server, "user.list", NULL, 0, user_row, f);
	if (status == EXIT_DONE)
		status = named ? add_named(f) : f->n == 0 ? add_default(f) : EXIT_DONE;
	return status;
}

static void
announce(const struct fill *f)
{
	const struct lab *lab = f->lab;
	char *usual = target_lab_dir();
	bool named = strcmp(usual, lab->dir) != 0;
	size_t wide = 0;
	printf("Pennypost %s, a lab in %s\n", PENNYPOST_VERSION, lab->dir);
	for (size_t i = 0; i < f->n; i++)
		wide = MAX(wide, strlen(f->person[i].address));
	for (size_t i = 0; i < f->n; i++) {
		const struct person *p = &f->person[i];
		printf("  user       %-*s  password %s\n", (int)wide, p->address,
		    p->password ? p->password : "as set before");
	}
	fwrite(lab->places.p, 1, lab->places.len, stdout);
	const char *who = f->n ? f->person[0].address : "postmaster";
	printf("  try        swaks --server 127.0.0.1:%u --to %s\n", (unsigned)(lab->base + 25),
	    who);
	printf("  read       pennypost mailbox show %s%s%s\n", who, named ? " --dir " : "",
	    named ? lab->dir : "");
	printf("  or         curl -k -u %s 'imaps://127.0.0.1:%u/INBOX;MAILINDEX=1'\n", who,
	    (unsigned)(lab->base + 993));
	puts("ready");
	free(usual);
}

int
lab_fill(const struct lab *lab)
{
	struct fill f = { .lab = lab };
	struct conf *c = conf_new();
	free(c->data_dir);
	c->data_dir = xstrdup(lab->dir);
	server_init(&f.server, c);
	/* Another lab may have the directory; ours is about to end then, and that one is not ours
	 * to fill. */
	f.server.only = getppid();
	int status = wait_ready(&f);
	if (status == EXIT_DONE)
		status = make(&f);
	if (status == EXIT_DONE)
		status = wait_ready(&f); /* until every front knows what was made */
	if (status == EXIT_DONE)
		announce(&f);
	server_close(&f.server);
	for (size_t i = 0; i < f.n; i++) {
		free(f.person[i].address);
		free(f.person[i].password);
	}
	free(f.person);
	return status;
}
