/* auth.set, auth.remove, auth.list, auth.check. */
#include "roles/auth/auth_priv.h"

#include "sys/random.h"

#include <stdlib.h>
#include <string.h>

/* A password on its way through a thread. */
struct hashing {
	struct pool_job job;
	struct auth *auth;
	struct desk_ask *ask;
	char name[PASSWD_NAME_MAX];
	char password[HASH_PASSWORD_MAX];
	struct passwd_keys keys;
	bool plain; /* the password is kept, too */
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
make_scram(enum crypt_hash hash, struct str password, struct sasl_scram *ret)
{
	unsigned char salt[16];
	random_bytes(salt, sizeof(salt));
	sasl_scram_make(hash, password, str_n(salt, sizeof(salt)), SASL_SCRAM_ROUNDS, ret);
}

static void
set_work(struct pool_job *job)
{
	struct hashing *h = container_of(job, struct hashing, job);
	struct passwd_keys *k = &h->keys;
	struct str password = str_of(h->password);
	h->ok = hash_make(h->password, k->hash);
	make_scram(CRYPT_SHA256, password, &k->scram256);
	make_scram(CRYPT_SHA1, password, &k->scram1);
	k->has_scram256 = k->has_scram1 = true;
	if (h->plain)
		memcpy(k->secret, h->password, sizeof(k->secret));
	explicit_bzero(h->password, sizeof(h->password));
}

static void
store(struct hashing *h)
{
	struct buf text = BUF_INIT(8192);
	check(buf_reserve(&text, 8191));
	passwd_keys_put(&text, &h->keys);
	const char *keys = buf_cstr(&text);
	check(keys && !text.failed);
	auth_change_new(h->auth, h->ask, h->name, keys);
	buf_wipe(&text);
	buf_done(&text);
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
		store(h);
	hashing_free(h);
}

enum { SET_PLAIN = 1u << 0, SET_HASH = 1u << 1, SET_SCRAM = 1u << 2, SET_OCTETS = 1u << 3 };

static bool
set_words(const struct msg_ask *m, unsigned *ret)
{
	static const char *const words[] = { "plain", "hash", "scram", "octets" };
	*ret = 0;
	for (size_t i = 2; i < m->n; i++) {
		size_t k = 0;
		while (k < ARRAY_LEN(words) && !str_eq(m->arg[i], str_of(words[k])))
			k++;
		if (k == ARRAY_LEN(words))
			return false;
		*ret |= 1u << k;
	}
	unsigned secret = *ret & (SET_PLAIN | SET_HASH | SET_SCRAM);
	return (secret & (secret - 1)) == 0;
}

static bool
take_scram(struct passwd_keys *k, struct str text)
{
	struct sasl_scram s;
	if (!sasl_scram_get(text, &s) || (s.hash != CRYPT_SHA1 && s.hash != CRYPT_SHA256))
		return false;
	k->hash[0] = '*';
	k->has_scram256 = s.hash == CRYPT_SHA256;
	k->has_scram1 = s.hash == CRYPT_SHA1;
	k->scram256 = k->scram1 = s;
	return true;
}

/* What is wrong with what is to be stored, or NULL; *ret_now: it needs no thread. */
static const char *
set_secret(struct hashing *h, struct str secret, unsigned words, bool *ret_now)
{
	*ret_now = words & (SET_HASH | SET_SCRAM);
	if (words & SET_HASH)
		return str_copy(h->keys.hash, sizeof(h->keys.hash), secret) &&
		               hash_complete(h->keys.hash)
		           ? NULL
		           : "not a hash that this system's crypt(3) knows, or cut short";
	if (words & SET_SCRAM)
		return take_scram(&h->keys, secret)
		           ? NULL
		           : "not a SCRAM-SHA-256 or SCRAM-SHA-1 verifier (RFC 5803)";
	h->plain = words & SET_PLAIN;
	return take_password(h, secret) ? NULL : "a password has 1 to 511 octets and no NUL";
}

_Static_assert(HASH_PASSWORD_MAX - 1 == 511, "as the message says");

static void
op_set(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct hashing *h = hashing_new(arg, a, set_work, set_done);
	unsigned words;
	bool now = false, octets;
	bool known = set_words(m, &words);
	octets = known && (words & SET_OCTETS);
	const char *why = known ? set_secret(h, m->arg[1], words, &now)
	                        : "the words behind the secret do not go together";
	if (octets ? !passwd_octets(m->arg[0], h->name) : !passwd_name(m->arg[0], h->name))
		desk_done(a, CTL_INVALID, "\"" STR_FMT "\" is no address; write local-part@domain",
		    STR_ARG(str_first(m->arg[0], 256)));
	else if (why)
		desk_done(a, CTL_INVALID, "%s", why);
	else if (now)
		store(h);
	else {
		submit(h);
		return;
	}
	hashing_free(h);
}

/* --- check --- */

static void
check_work(struct pool_job *job)
{
	struct hashing *h = container_of(job, struct hashing, job);
	struct account who;
	accounts_find(&h->auth->accounts, str_of(h->name), &who);
	h->ok = accounts_check(&h->auth->accounts, &who, str_of(h->password));
	explicit_bzero(&who, sizeof(who));
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
	struct hashing *h = hashing_new(arg, a, check_work, check_done);
	if (!take_password(h, m->arg[1]) || !str_copy(h->name, sizeof(h->name), m->arg[0]))
		h->password[0] = h->name[0] = '\0';
	submit(h);
}

/* --- remove --- */

static void
op_remove(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct auth *au = arg;
	char name[PASSWD_NAME_MAX];
	if (passwd_name_read(m->arg[0], name) ||
	    (passwd_octets(m->arg[0], name) && passwd_find(&au->accounts.passwd, name)))
		auth_change_new(au, a, name, NULL);
	else
		desk_done(a, CTL_INVALID, "\"" STR_FMT "\" is no address; write local-part@domain",
		    STR_ARG(str_first(m->arg[0], 256)));
}

/* --- list --- */

struct listing {
	struct list node; /* auth->listings */
	struct desk_ask *ask;
	struct buf names; /* name TAB what is kept, one a line: the table may change meanwhile */
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
		struct str line = str_cut(&l->rest, '\n');
		struct str row[] = { str_cut(&line, '\t'), line };
		desk_row(l->ask, row, 2);
	}
	listing_end(l, CTL_OK, "");
}

/* What an account can be logged in with. */
static void
put_keeps(struct buf *b, const char *text)
{
	struct passwd_keys k;
	check(passwd_keys_get(str_of(text), &k) == NULL);
	if (passwd_locked(&k)) {
		buf_putz(b, "locked");
	} else {
		const char *kinds[] = { k.hash[0] != '*' ? "hash" : NULL,
			k.has_scram256 || k.has_scram1 ? "scram" : NULL,
			k.secret[0] ? "password" : NULL };
		const char *blank = "";
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
			buf_putf(b, "%s%s", kinds[i] ? blank : "", kinds[i] ? kinds[i] : "");
			blank = kinds[i] ? " " : blank;
		}
	}
	explicit_bzero(&k, sizeof(k));
}

static void
op_list(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct auth *au = arg;
	struct listing *l = xalloc(sizeof(*l));
	size_t n;
	*l = (struct listing){ .ask = a, .names = BUF_INIT(2 * PASSWD_FILE_MAX) };
	struct str *names = passwd_names(&au->accounts.passwd, &n);
	for (size_t i = 0; i < n; i++) {
		passwd_name_put(&l->names, names[i]);
		buf_putc(&l->names, '\t');
		put_keeps(&l->names, map_get(&au->accounts.passwd.map, names[i]));
		buf_putc(&l->names, '\n');
	}
	free(names);
	check(!l->names.failed); /* the file with the keys fits into half of it */
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
