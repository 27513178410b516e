/* auth: its file, its threads, and the role as a process of its own. */
#include "auth_kit.h"

#include "roles/auth/hash.h"
#include "roles/auth/passwd.h"
#include "roles/auth/pool.h"

/* The account "user" of RFC 7677 3, password "pencil". */
#define SCRAM                                                                                      \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
	":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

/* --- the file --- */

static const struct {
	const char *text;
	const char *err;  /* behind the path; NULL: fine */
	const char *line; /* an address that is there then */
} files[] = {
	{ "", NULL, NULL },
	{ "\n\n", NULL, NULL },
	{ "a@x.example:$y$j9T$abcd$efgh\n", NULL, "a@x.example" },
	{ "A@X.example:$6$salt$hash", NULL, "a@x.example" },
	{ "a@x.example:!\nb@x.example:*\n", NULL, "b@x.example" },
	{ "\"a:b\"@x.example:$6$salt$hash\n", NULL, "\"a:b\"@x.example" },
	{ "a@x.example\n", ":1: no colon", NULL },
	{ "a@x.example:!\nnobody:!\n", ":2: what stands before", NULL },
	{ "a@x.example:!\n\nA@x.example:!\n", ":3: this address stands above", NULL },
	{ "a@x.example:plain text\n", ":1: not a hash", NULL },
	{ "a@x.example:\n", ":1: not a hash", NULL },
	{ "a@x.example:$nonsense$\n", ":1: not a hash", NULL },
	{ "a@x.example:!\r\n", ":1: not a hash", NULL },
	{ "a@x.example:*\t" SCRAM "\tpassword-in-clear=p%20w%25\n", NULL, "a@x.example" },
	{ "<moon%AE@hot%0A>:*\n<a:b>:*\n", NULL, "moon\256@hot\n" },
	{ "<B@X.example>:*\n", NULL, "b@x.example" }, /* an address after all */
	{ "a@x.example\tx:y\n", ":1: no colon", NULL },
	{ "a@x.example:*\t\n", ":1: a field behind the hash", NULL },
	{ "a@x.example:*\tSCRAM-SHA-256$4096:x\n", ":1: a field behind the hash", NULL },
	{ "a@x.example:*\tpassword-in-clear=\n", ":1: a password in clear", NULL },
	{ "a@x.example:*\tpassword-in-clear=a%0\n", ":1: a password in clear", NULL },
	{ "a@x.example:*\tpassword-in-clear=a%00\n", ":1: a password in clear", NULL },
	{ "<>:*\n", ":1: what stands before", NULL },
	{ "<a%zz>:*\n", ":1: what stands before", NULL },
};

static void
test_file(void **state)
{
	char path[96], want[200];
	snprintf(path, sizeof(path), "%s/auth/passwd", kit_dir);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct passwd p = { .map = MAP_NULL };
		struct buf err = BUF_INIT(4096);
		assert_int_equal(file_replace(path, str_of(files[i].text), 0600), 0);
		bool ok = passwd_load(&p, path, path, &err);
		snprintf(want, sizeof(want), "%s%s", path, files[i].err ? files[i].err : "");
		if (ok != (files[i].err == NULL) ||
		    (!ok && !str_starts(buf_str(&err), str_of(want))) ||
		    (files[i].line && !passwd_find(&p, files[i].line)))
			fail_msg("row %zu: %s", i, buf_cstr(&err));
		passwd_done(&p);
		buf_done(&err);
	}
}

static void
test_file_missing(void **state)
{
	char path[96];
	struct passwd p = { .map = MAP_NULL };
	struct buf err = BUF_INIT(4096);
	snprintf(path, sizeof(path), "%s/auth/none", kit_dir);
	assert_true(passwd_load(&p, path, path, &err));
	assert_int_equal(passwd_count(&p), 0);
	snprintf(path, sizeof(path), "%s/auth", kit_dir);
	assert_false(passwd_load(&p, path, path, &err));
	buf_done(&err);
	passwd_done(&p);
}

static void
test_file_text(void **state)
{
	static const struct {
		const char *name, *hash, *text;
	} rows[] = {
		{ "c@x", "!3", "b@x:!2\nc@x:!3\nd@x:!4\n" },
		{ "a@x", "!1", "a@x:!1\nb@x:!2\nd@x:!4\n" },
		{ "e@x", "!5", "b@x:!2\nd@x:!4\ne@x:!5\n" },
		{ "b@x", "!9", "b@x:!9\nd@x:!4\n" },
		{ "b@x", NULL, "d@x:!4\n" },
		{ "z@x", NULL, "b@x:!2\nd@x:!4\n" },
	};
	struct passwd p = { .map = MAP_NULL };
	struct buf last = BUF_INIT(4096);
	passwd_set(&p, "d@x", "!4");
	passwd_set(&p, "b@x", "!1");
	passwd_set(&p, "b@x", "!2");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(4096);
		passwd_text(&p, rows[i].name, rows[i].hash, &out);
		assert_string_equal(buf_cstr(&out), rows[i].text);
		buf_done(&out);
	}
	passwd_set(&p, "b@x", NULL);
	assert_int_equal(passwd_count(&p), 1);
	passwd_text(&p, "a\t<%>\377", "*", &last);
	assert_string_equal(buf_cstr(&last), "<a%09%3C%25%3E%FF>:*\nd@x:!4\n");
	buf_done(&last);
	passwd_done(&p);
}

static void
test_keys(void **state)
{
	static const char *const texts[] = { "!", "*\t" SCRAM,
		"$6$salt$hash\t" SCRAM "\tpassword-in-clear=a%20%25%FF%01b" };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct passwd_keys k;
		struct buf b = BUF_INIT(4096);
		assert_null(passwd_keys_get(str_of(texts[i]), &k));
		passwd_keys_put(&b, &k);
		assert_string_equal(buf_cstr(&b), texts[i]);
		assert_int_equal(passwd_locked(&k), i == 0);
		assert_int_equal(k.has_scram256, i > 0);
		assert_string_equal(k.secret, i == 2 ? "a %\377\001b" : "");
		buf_done(&b);
	}
}

static void
test_resolve(void **state)
{
	static const struct {
		const char *login, *name; /* name NULL: nobody's; "": what the login folds to */
		const char *folded;
	} rows[] = {
		{ "ann@a.example", "ann@a.example", NULL },
		{ "Ann@A.EXAMPLE", "ann@a.example", NULL },
		{ "ann", "ann@a.example", NULL }, /* the host's own domain */
		{ "ANN", "ann@a.example", NULL },
		{ "bob", "bob@b.example", NULL },    /* the only one */
		{ "eve", NULL, "eve@a.example" },    /* two, and neither is the host's */
		{ "joe", "joe@mx.a.example", NULL }, /* the host itself before its domain */
		{ "raw\256@b", "raw\256@b", NULL },
		{ "raw\256", NULL, "raw\256@a.example" },
		{ "NOBODY", NULL, "nobody@a.example" },
		{ "NOBODY@A.example", NULL, "nobody@a.example" },
		{ "", NULL, "" },
		{ "a b", NULL, "a b@a.example" },
		{ "ann@", NULL, "ann@" },
	};
	static const char *const names[] = { "ann@a.example", "ann@b.example", "bob@b.example",
		"eve@b.example", "eve@c.example", "joe@a.example", "joe@mx.a.example",
		"raw\256@b" };
	struct passwd p = { .map = MAP_NULL };
	char got[PASSWD_NAME_MAX];
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		passwd_set(&p, names[i], "*");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool found = passwd_resolve(&p, str_of(rows[i].login), "mx.a.example", got);
		if (found != (rows[i].name != NULL) ||
		    strcmp(got, found ? rows[i].name : rows[i].folded) != 0)
			fail_msg("row %zu: %d %s", i, found, got);
	}
	/* One of the two goes: the other is the only one. */
	passwd_set(&p, "eve@b.example", NULL);
	assert_true(passwd_resolve(&p, STR("eve"), "mx.a.example", got));
	assert_string_equal(got, "eve@c.example");
	passwd_set(&p, "eve@c.example", NULL);
	assert_false(passwd_resolve(&p, STR("eve"), "mx.a.example", got));
	passwd_done(&p);
}

static void
test_hash(void **state)
{
	/* Made by others: glibc's documentation of SHA-crypt, and Openwall's crypt_blowfish test.
	 */
	static const struct {
		const char *password, *hash;
		bool fits;
	} rows[] = {
		{ "Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
		    true },
		{ "Hello world", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
		    false },
		{ "U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", true },
		{ "", "!", false },
		{ "!", "!", false },
		{ "*0", "*0", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(hash_complete(rows[i].hash));
		if (hash_check(rows[i].password, rows[i].hash) != rows[i].fits)
			fail_msg("row %zu", i);
	}
	static const char *const whole[] = { "rl0uE0wb7nHsU", "_J9..rasmBYk8r9AiWNc",
		"$3$$8846f7eaee8fb117ad06bdd830b7586c" };
	static const char *const none[] = { "", "password", "pass-wordpass", "$6$salt", "$6$salt$",
		"_J9..rasmBYk8r9AiWN", "$nonsense$a$b", "a b", "$5$a$b:" };
	static const char *const cut[] = { "$6$rounds=5000$salt$short", "$y$j9T$salt$short",
		"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc",
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe" };
	for (size_t i = 0; i < ARRAY_LEN(whole); i++)
		assert_true(hash_valid(whole[i]));
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_false(hash_valid(none[i]));
	for (size_t i = 0; i < ARRAY_LEN(whole); i++)
		assert_true(hash_complete(whole[i]));
	for (size_t i = 0; i < ARRAY_LEN(cut); i++)
		assert_false(hash_complete(cut[i]));
	char a[HASH_MAX], b[HASH_MAX];
	assert_true(hash_make("secret", a));
	assert_true(hash_make("secret", b));
	assert_true(str_starts(str_of(a), STR("$y$")));
	assert_string_not_equal(a, b);
	assert_true(hash_complete(a));
	assert_true(hash_check("secret", a) && hash_check("secret", b));
	assert_false(hash_check("Secret", a));
}

/* --- threads --- */

#define POOL_THREADS 2
#define POOL_QUEUE_MAX 256

struct work {
	struct pool_job job;
	struct loop *loop;
	int *left;
	int in, out;
};

static void
square(struct pool_job *j)
{
	struct work *w = container_of(j, struct work, job);
	w->out = w->in * w->in;
}

static void
squared(struct pool_job *j)
{
	struct work *w = container_of(j, struct work, job);
	assert_true(j->ran);
	if (--*w->left == 0)
		loop_stop(w->loop);
}

static void
test_pool(void **state)
{
	enum { N = 200 };
	struct loop *l = loop_new();
	struct pool *p = pool_new(l, "test", POOL_THREADS, POOL_QUEUE_MAX);
	struct work *w = xalloc(N * sizeof(*w));
	int left = N;
	for (int i = 0; i < N; i++) {
		w[i] = (struct work){ .job = { .work = square, .done = squared },
			.loop = l,
			.left = &left,
			.in = i };
		assert_true(pool_submit(p, &w[i].job, i % 7 == 0));
	}
	loop_run(l);
	for (int i = 0; i < N; i++)
		assert_int_equal(w[i].out, i * i);
	pool_free(p);
	loop_free(l);
	free(w);
}

static void
slow(struct pool_job *j)
{
	usleep(100000);
}

static void
counted(struct pool_job *j)
{
	struct work *w = container_of(j, struct work, job);
	w->left[j->ran ? 0 : 1]++;
}

static void
test_pool_full(void **state)
{
	enum { N = POOL_QUEUE_MAX + POOL_THREADS + 5 };
	struct loop *l = loop_new();
	struct pool *p = pool_new(l, "test", POOL_THREADS, POOL_QUEUE_MAX);
	struct work *w = xalloc(N * sizeof(*w));
	int ended[2] = { 0, 0 }, taken = 0;
	for (int i = 0; i < N; i++) {
		w[i] = (struct work){ .job = { .work = slow, .done = counted }, .left = ended };
		taken += pool_submit(p, &w[i].job, false);
	}
	assert_in_range(taken, POOL_QUEUE_MAX, POOL_QUEUE_MAX + POOL_THREADS);
	struct work urgent = { .job = { .work = slow, .done = counted }, .left = ended };
	assert_true(pool_submit(p, &urgent.job, true));
	pool_free(p);
	assert_int_equal(ended[0] + ended[1], taken + 1);
	assert_true(ended[1] >= POOL_QUEUE_MAX - 2 * POOL_THREADS);
	loop_free(l);
	free(w);
}

/* --- the role --- */

static const struct {
	const char *words[7];
	int code;
	const char *answer; /* how it begins; NULL: nothing */
} asks[] = {
	{ { "auth.list" }, CTL_OK, NULL },
	{ { "auth.set", "alice@example.com", "one" }, CTL_OK, NULL },
	{ { "auth.check", "alice@example.com", "one" }, CTL_OK, NULL },
	{ { "auth.check", "ALICE@Example.COM", "one" }, CTL_OK, NULL },
	{ { "auth.check", "alice@example.com", "One" }, CTL_REFUSED,
	    "!no such account, or not its password" },
	{ { "auth.check", "alice@example.com", "" }, CTL_REFUSED,
	    "!no such account, or not its password" },
	{ { "auth.check", "bob@example.com", "one" }, CTL_REFUSED,
	    "!no such account, or not its password" },
	{ { "auth.check", "nonsense", "the password of nobody" }, CTL_REFUSED,
	    "!no such account, or not its" },
	{ { "auth.set", "alice@example.com", "two" }, CTL_OK, NULL },
	{ { "auth.check", "alice@example.com", "one" }, CTL_REFUSED, "!no such" },
	{ { "auth.check", "alice@example.com", "two" }, CTL_OK, NULL },
	{ { "auth.set", "Bob@example.com", "p:a s\303\244" }, CTL_OK, NULL },
	{ { "auth.check", "bob@example.com", "p:a s\303\244" }, CTL_OK, NULL },
	{ { "auth.list" }, CTL_OK, "alice@example.com|hash scram\nbob@example.com|hash scram\n" },
	{ { "auth.set", "bob", "x" }, CTL_INVALID, "!\"bob\" is no address" },
	{ { "auth.set", "bob@example.com", "" }, CTL_INVALID, "!a password has 1 to 511 octets" },
	{ { "auth.remove", "BOB@example.com" }, CTL_OK, NULL },
	{ { "auth.remove", "bob@example.com" }, CTL_NOT_FOUND,
	    "!bob@example.com has no password here" },
	{ { "auth.remove", "?" }, CTL_INVALID, "!" },
	{ { "auth.check", "alice", "two" }, CTL_OK, NULL },
	{ { "auth.list" }, CTL_OK, "alice@example.com|hash scram\n" },
	{ { "auth.set", "carl@example.com", "!", "hash" }, CTL_OK, NULL },
	{ { "auth.set", "dora@example.com", "a b", "plain" }, CTL_OK, NULL },
	{ { "auth.set", "emil@example.com", SCRAM, "scram" }, CTL_OK, NULL },
	{ { "auth.set", "moon\256@hot\254", "Ci\f\316", "octets" }, CTL_OK, NULL },
	{ { "auth.check", "moon\256@hot\254", "Ci\f\316" }, CTL_OK, NULL },
	{ { "auth.check", "moon\256@hot\254", "Ci\f" }, CTL_REFUSED, "!no such" },
	{ { "auth.check", "dora@example.com", "a b" }, CTL_OK, NULL },
	{ { "auth.list" }, CTL_OK,
	    "alice@example.com|hash scram\ncarl@example.com|locked\n"
	    "dora@example.com|hash scram password\nemil@example.com|scram\n"
	    "<moon%AE@hot%AC>|hash scram\n" },
	{ { "auth.remove", "<moon%AE@hot%AC>" }, CTL_OK, NULL },
	{ { "auth.list" }, CTL_OK,
	    "alice@example.com|hash scram\ncarl@example.com|locked\n"
	    "dora@example.com|hash scram password\nemil@example.com|scram\n" },
	{ { "auth.set", "emil@example.com", "SCRAM-SHA-256$", "scram" }, CTL_INVALID, "!not a" },
	{ { "auth.set", "emil@example.com", "$nonsense$", "hash" }, CTL_INVALID, "!not a hash" },
	{ { "auth.set", "emil@example.com", "x", "hash", "plain" }, CTL_INVALID, "!the words" },
	{ { "auth.set", "emil@example.com", "x", "simple" }, CTL_INVALID, "!the words" },
	{ { "auth.set", "x@example.com" }, CTL_INVALID,
	    "!auth: \"auth.set\" takes another number" },
	{ { "user.list" }, CTL_INVALID, "!auth: \"user.list\" is not answered here" },
};

static void
run_asks(struct kit *k)
{
	struct buf out = BUF_INIT(1u << 20);
	for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
		int code = kit_ask(k, &out, asks[i].words);
		if (code != asks[i].code ||
		    (asks[i].answer ? !str_starts(buf_str(&out), str_of(asks[i].answer))
				    : out.len > 0))
			fail_msg("row %zu (%s): %d %s", i, asks[i].words[0], code, buf_cstr(&out));
	}
	buf_done(&out);
}

static void
test_role(void **state)
{
	char path[96];
	struct stat st;
	struct kit k;
	struct buf out = BUF_INIT(4096);
	struct conf *c = kit_conf(NULL);
	start(&k, c);
	run_asks(&k);
	assert_int_equal(kit_stop(&k), 0);
	snprintf(path, sizeof(path), "%s/auth/passwd", kit_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(file_read_all(path, 4096, &out), 0);
	assert_true(str_starts(buf_str(&out), STR("alice@example.com:$y$")));
	buf_reset(&out);
	start(&k, c);
	assert_int_equal(KIT_ASK(&k, &out, "auth.check", "alice@example.com", "two"), CTL_OK);
	assert_int_equal(kit_drain(&k, 1000), 0);
	buf_done(&out);
	conf_free(c);
}

static void
test_refuses_malformed(void **state)
{
	char path[96];
	struct kit k;
	struct conf *c = kit_conf(NULL);
	free(c->log_level);
	c->log_level = xstrdup("error");
	snprintf(path, sizeof(path), "%s/auth/passwd", kit_dir);
	assert_int_equal(file_replace(path, STR("nobody:x\n"), 0600), 0);
	kit_spawn(&k, auth_main, c, ROLE_AUTH, 0);
	assert_true(kit_closed(k.sock));
	assert_int_equal(kit_stop(&k), 1);
	conf_free(c);
}

/* Passwords are hashed beside the loop: a status ask overtakes them. */
static void
test_never_blocks(void **state)
{
	enum { N = 20 };
	int fd[N], ready = 0;
	char name[32];
	struct kit k;
	struct ipc_frame f;
	struct msg_status s;
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64), out = BUF_INIT(1u << 20);
	struct conf *c = kit_conf(NULL);
	start(&k, c);
	for (int i = 0; i < N; i++) {
		fd[i] = kit_ctl(&k);
		snprintf(name, sizeof(name), "user%d@example.com", i);
		kit_send_ask(fd[i], (const char *const[]){ "auth.set", name, "pass", NULL });
	}
	assert_int_equal(chan_sync_send(k.sock, IPC_STATUS_ASK, 5, STR_NULL, -1), 0);
	assert_int_equal(kit_recv(k.sock, &f, &store), 0);
	assert_int_equal(f.type, IPC_STATUS);
	assert_true(msg_status_get(f.body, &s));
	for (int i = 0; i < N; i++)
		ready += kit_readable(fd[i], 0);
	assert_true(ready < N);
	close(fd[0]); /* goes away before its answer */
	for (int i = 1; i < N; i++) {
		assert_int_equal(kit_answer(fd[i], &out), CTL_OK);
		close(fd[i]);
	}
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "user%d@example.com", i);
		int code = KIT_ASK(&k, &out, "auth.check", name, "pass");
		assert_int_equal(code, CTL_OK);
	}
	assert_int_equal(kit_stop(&k), 0);
	buf_done(&store);
	buf_done(&out);
	conf_free(c);
}

/* A 33rd command is turned away; the 32 go on. */
static void
test_many_commands(void **state)
{
	int fd[DESK_CHANNELS_MAX + 1];
	struct kit k;
	struct buf out = BUF_INIT(1u << 20);
	struct conf *c = kit_conf(NULL);
	start(&k, c);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		fd[i] = kit_ctl(&k);
	assert_true(kit_closed(fd[DESK_CHANNELS_MAX]));
	for (size_t i = 0; i < DESK_CHANNELS_MAX; i++) {
		kit_send_ask(fd[i], (const char *const[]){ "auth.list", NULL });
		assert_int_equal(kit_answer(fd[i], &out), CTL_OK);
	}
	/* A second question before the answer to the first. */
	kit_send_ask(fd[0], (const char *const[]){ "auth.check", "a@b.example", "c", NULL });
	kit_send_ask(fd[0], (const char *const[]){ "auth.list", NULL });
	assert_true(kit_closed(fd[0]));
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	assert_int_equal(kit_stop(&k), 0);
	buf_done(&out);
	conf_free(c);
}

static int
setup(void **state)
{
	kit_make_dir();
	return 0;
}

static int
teardown(void **state)
{
	kit_drop_dir();
	return 0;
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		ROW(test_file),
		ROW(test_file_missing),
		ROW(test_file_text),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_pool_full),
		ROW(test_role),
		ROW(test_refuses_malformed),
		ROW(test_never_blocks),
		ROW(test_many_commands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
