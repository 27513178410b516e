#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kit/port_kit.h"
#include "roles/parent/parent_priv.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
in_list(void *arg, uid_t id)
{
	for (const uid_t *u = arg; *u; u++)
		if (*u == id)
			return true;
	return false;
}

static void
uids_are_chosen(void **state)
{
	static const struct {
		uid_t taken[6];
		uid_t account; /* 0: none is configured */
		uid_t store_owner, auth_owner;
		bool keep;
		uid_t store, auth, front; /* what comes out */
	} rows[] = {
		/* a first start */
		{ { 0 }, 0, 0, 0, false, 61000, 61001, 61002 },
		/* accounts have some of them */
		{ { 61000, 61002 }, 0, 0, 0, false, 61001, 61003, 61004 },
		/* a second start, after accounts went or came */
		{ { 0 }, 0, 61001, 61003, false, 61001, 61003, 61000 },
		{ { 61004 }, 0, 61000, 61001, false, 61000, 61001, 61002 },
		/* what was ours belongs to an account now */
		{ { 61000 }, 0, 61000, 61001, false, 61001, 61002, 61003 },
		/* made without root, or by somebody else */
		{ { 0 }, 0, 1000, 1000, false, 61000, 61001, 61002 },
		{ { 0 }, 0, 62000, 0, false, 61000, 61001, 61002 },
		/* both directories have one owner */
		{ { 0 }, 0, 61005, 61005, false, 61005, 61000, 61001 },
		/* the account that is configured */
		{ { 110 }, 110, 0, 0, false, 110, 61000, 61001 },
		{ { 110 }, 110, 61000, 61001, false, 110, 61001, 61000 },
		/* maintenance by root of what a user made, or root, or nobody yet */
		{ { 1000 }, 0, 1000, 1000, true, 1000, 1000, 61000 },
		{ { 110 }, 110, 61000, 61001, true, 61000, 61001, 61002 },
		{ { 110 }, 110, 0, 0, true, 110, 61000, 61001 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uid_t taken[6];
		memcpy(taken, rows[i].taken, sizeof(taken));
		struct uids_facts f = { .has_account = rows[i].account != 0,
			.account = { rows[i].account, 120 },
			.store_owner = { rows[i].store_owner, 0 },
			.auth_owner = { rows[i].auth_owner, 0 },
			.keep = rows[i].keep,
			.taken = in_list,
			.arg = taken };
		struct uids u;
		assert_true(uids_choose(&f, &u));
		assert_int_equal(u.store.uid, rows[i].store);
		assert_int_equal(u.store.gid,
		    rows[i].store == rows[i].account ? 120 : rows[i].store);
		assert_int_equal(u.auth.uid, rows[i].auth);
		assert_int_equal(u.auth.gid, rows[i].auth);
		assert_int_equal(u.front.uid, rows[i].front);
		assert_int_equal(u.front.gid, rows[i].front);
	}
}

static bool
all_but_two(void *arg, uid_t id)
{
	return id > UID_FIRST + 1;
}

static void
uids_may_run_out(void **state)
{
	struct uids_facts f = { .taken = all_but_two };
	struct uids u = { .store = { 7, 7 } };
	assert_false(uids_choose(&f, &u));
	assert_int_equal(u.store.uid, 7);
}

static void
backoff_grows_and_stops(void **state)
{
	static const int64_t rows[] = { 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000 };
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(child_backoff_ms(i), rows[i]);
	assert_int_equal(child_backoff_ms(UINT32_MAX), 5000);
}

static void
early_deaths_end_it(void **state)
{
	static const struct {
		int64_t step; /* ms from one death to the next */
		bool ready;
		unsigned gives_up_at; /* 0: never, in 30 deaths */
	} rows[] = {
		{ 1, false, CHILD_EARLY_DEATHS },
		{ 5000, false, CHILD_EARLY_DEATHS },
		{ 8000, false, 0 },
		{ 1, true, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct child c = { .ever_ready = rows[i].ready };
		unsigned at = 0;
		for (unsigned n = 1; n <= 30 && !at; n++)
			if (child_early_death(&c, n * rows[i].step))
				at = n;
		assert_int_equal(at, rows[i].gives_up_at);
	}
}

/* "127.0.0.1:25 [::1]:25" in short; the old rows carry real addresses. */
#define MATCH_MAX 4
struct place {
	const char *address;
	uint16_t port;
};

static void
listeners_are_matched(void **state)
{
	static const struct {
		struct place old[MATCH_MAX], want[MATCH_MAX];
		int match[MATCH_MAX];
	} rows[] = {
		{ { { "127.0.0.1", 25 } }, { { "127.0.0.1", 25 } }, { 0 } },
		{ { { "127.0.0.1", 25 }, { "::1", 25 } }, { { "::1", 25 }, { "127.0.0.1", 25 } },
		    { 1, 0 } },
		{ { { "127.0.0.1", 25 } }, { { "127.0.0.1", 26 } }, { -1 } },
		{ { { "127.0.0.1", 25 } }, { { "*", 25 } }, { -1 } },
		{ { { "*", 25 } }, { { "::", 25 } }, { -1 } },
		{ { { "*", 25 } }, { { "*", 25 } }, { 0 } },
		{ { { "::1", 25 } }, { { "0:0:0:0:0:0:0:1", 25 } }, { 0 } },
		{ { { "::1", 25 } }, { { "::1", 25 }, { "0::1", 25 } }, { 0, -1 } },
		{ { { NULL, 0 } }, { { "::1", 25 } }, { -1 } },
		{ { { "::1", 25 } }, { { "mail.example.com", 25 } }, { -1 } },
		{ { { "unix:a", 24 }, { "unix:b", 24 } }, { { "unix:b", 24 }, { "unix:c", 24 } },
		    { 1, -1 } },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf_listener old[MATCH_MAX] = { 0 }, want[MATCH_MAX] = { 0 };
		struct listener row[MATCH_MAX] = { 0 };
		struct listeners ls = { .row = row };
		size_t n = 0;
		int ret[MATCH_MAX];
		for (; ls.n < MATCH_MAX && rows[i].old[ls.n].address; ls.n++) {
			old[ls.n].address = xstrdup(rows[i].old[ls.n].address);
			row[ls.n].address = old[ls.n].address;
			row[ls.n].port = rows[i].old[ls.n].port;
		}
		for (; n < MATCH_MAX && rows[i].want[n].address; n++) {
			want[n].address = xstrdup(rows[i].want[n].address);
			want[n].port = rows[i].want[n].port;
		}
		listeners_match(&ls, want, n, ret);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(ret[k], rows[i].match[k]);
		for (size_t k = 0; k < MATCH_MAX; k++) {
			free(old[k].address);
			free(want[k].address);
		}
	}
}

static void
conf_listens(struct conf *c, const struct place *p, size_t n)
{
	for (size_t i = 0; i < c->n_listeners; i++)
		free(c->listeners[i].address);
	for (size_t i = 0; i < n; i++)
		c->listeners[i] =
		    (struct conf_listener){ .address = xstrdup(p[i].address), .port = p[i].port };
	c->n_listeners = n;
}

static bool
answers(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
	close(fd);
	return ok;
}

static void
sockets_go_on_over_a_reload(void **state)
{
	struct conf_listener room[2] = { 0 };
	struct conf c = { .listeners = room };
	struct listeners a = { 0 }, b = { 0 };
	struct buf err = BUF_INIT(4096);
	uint16_t p1 = free_port(), p2 = free_port();

	conf_listens(&c, &(struct place){ "127.0.0.1", p1 }, 1);
	assert_true(listeners_open(&a, &c, 3, NULL, 0, &err));
	assert_int_equal(a.row[0].n_sock, 3);
	assert_true(answers(p1));
	int kept = a.row[0].sock[2];

	/* A stranger has the second port: nothing changes. */
	conf_listens(&c, (struct place[]){ { "127.0.0.1", p2 }, { "127.0.0.1", p1 } }, 2);
	struct listeners stranger = { 0 };
	struct conf_listener their_room[1] = { 0 };
	struct conf theirs = { .listeners = their_room };
	conf_listens(&theirs, &(struct place){ "127.0.0.1", p2 }, 1);
	assert_true(listeners_open(&stranger, &theirs, 2, NULL, 0, &err));
	assert_false(listeners_open(&b, &c, 3, &a, 0, &err));
	assert_int_equal(a.row[0].sock[2], kept);
	assert_true(str_find_str(buf_str(&err), STR("in use")) < err.len);
	listeners_close(&stranger);
	buf_reset(&err);

	assert_true(listeners_open(&b, &c, 3, &a, 0, &err));
	assert_int_equal(err.len, 0);
	assert_int_equal(b.row[1].sock[2], kept);
	assert_null(a.row[0].address);
	listeners_close(&a);
	assert_true(answers(p1) && answers(p2));

	/* "*" takes the place of an address of ours. */
	conf_listens(&c, &(struct place){ "*", p1 }, 1);
	assert_true(listeners_open(&a, &c, 3, &b, 0, &err));
	listeners_close(&b);
	assert_true(answers(p1));
	assert_false(answers(p2));
	listeners_close(&a);
	assert_false(answers(p1));

	/* And stands beside one, in either order. */
	conf_listens(&c, (struct place[]){ { "127.0.0.1", p1 }, { "*", p1 } }, 2);
	assert_true(listeners_open(&a, &c, 3, NULL, 0, &err));
	listeners_close(&a);
	conf_listens(&c, (struct place[]){ { "*", p1 }, { "127.0.0.1", p1 } }, 2);
	assert_true(listeners_open(&a, &c, 3, NULL, 0, &err));
	assert_true(answers(p1));

	listeners_close(&a);
	assert_false(answers(p1));
	conf_listens(&c, NULL, 0);
	conf_listens(&theirs, NULL, 0);
	buf_done(&err);
}

/* Two fronts take from one socket; a reload keeps it, with the rights that are written now. */
static void
unix_sockets(void **state)
{
	char dir[] = "/tmp/pennypost-parent.XXXXXX", text[4][96], mode[] = "0640", none[] = "";
	char group[24];
	assert_non_null(mkdtemp(dir));
	snprintf(group, sizeof(group), "%u", geteuid() == 0 ? 7 : (unsigned)getegid());
	snprintf(text[0], sizeof(text[0]), "unix:%s/run/lmtp", dir);
	snprintf(text[1], sizeof(text[1]), "unix:near");
	struct conf_listener room[2];
	struct conf c = { .listeners = room, .n_listeners = 2, .data_dir = dir };
	for (int i = 0; i < 2; i++)
		room[i] = (struct conf_listener){ .address = text[i],
			.port = 24,
			.socket_mode = mode,
			.socket_user = none,
			.socket_group = i == 0 ? group : none };
	struct listeners a = { 0 }, b = { 0 };
	struct buf err = BUF_INIT(4096);
	struct stat st;
	int fd;
	assert_true(listeners_open(&a, &c, 2, NULL, 0, &err));
	assert_string_equal(a.row[0].path, text[0] + 5);
	snprintf(text[2], sizeof(text[2]), "%s/near", dir);
	assert_string_equal(a.row[1].path, text[2]);
	assert_int_equal(stat(a.row[0].path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(st.st_gid, strtoul(group, NULL, 10));
	assert_int_equal(unix_connect(a.row[0].path, &fd), 0);
	for (unsigned i = 0; i < 2; i++) {
		int conn = accept(a.row[0].sock[1 - i], NULL, NULL);
		assert_int_equal(conn >= 0, i == 0);
		if (conn >= 0)
			close(conn);
	}
	close(fd);

	/* The first goes on with other rights, the second goes. */
	mode[2] = '0';
	room[0].socket_group = none;
	int kept = a.row[0].sock[0];
	c.n_listeners = 1;
	assert_true(listeners_open(&b, &c, 2, &a, 0, &err));
	assert_int_equal(b.row[0].sock[0], kept);
	listeners_close(&a);
	assert_int_equal(stat(text[2], &st), -1);
	assert_int_equal(stat(b.row[0].path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_gid, getegid());

	/* Ours is in the way of ours by another name; nobody has that group. */
	snprintf(text[3], sizeof(text[3]), "unix:run/lmtp");
	room[0].address = text[3];
	assert_false(listeners_open(&a, &c, 2, NULL, 0, &err));
	assert_non_null(strstr(buf_cstr(&err), "another server answers there"));
	char nobody[] = "no-such-group";
	room[0].socket_group = nobody;
	assert_false(listeners_open(&a, &c, 2, NULL, 0, &err));
	assert_non_null(strstr(buf_cstr(&err), "there is no group no-such-group"));
	assert_int_equal(stat(b.row[0].path, &st), 0);
	snprintf(text[2], sizeof(text[2]), "%s/run", dir);
	listeners_close(&b);
	assert_int_equal(rmdir(text[2]), 0);
	assert_int_equal(rmdir(dir), 0);
	buf_done(&err);
}

static void
mistakes_are_named(void **state)
{
	static const struct {
		struct place place;
		const char *says;
	} rows[] = {
		{ { "mail.example.com", 2525 }, "write an IPv4 or IPv6 address" },
		{ { "192.0.2.1", 2525 }, "no interface of this machine" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf_listener room[1] = { 0 };
		struct conf c = { .listeners = room };
		struct listeners ls = { 0 };
		struct buf err = BUF_INIT(4096);
		conf_listens(&c, &rows[i].place, 1);
		assert_false(listeners_open(&ls, &c, 1, NULL, 0, &err));
		assert_non_null(strstr(buf_cstr(&err), rows[i].says));
		assert_non_null(strstr(buf_cstr(&err), rows[i].place.address));
		assert_non_null(strstr(buf_cstr(&err), "2525"));
		conf_listens(&c, NULL, 0);
		buf_done(&err);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(uids_are_chosen),
		cmocka_unit_test(uids_may_run_out),
		cmocka_unit_test(backoff_grows_and_stops),
		cmocka_unit_test(early_deaths_end_it),
		cmocka_unit_test(listeners_are_matched),
		cmocka_unit_test(sockets_go_on_over_a_reload),
		cmocka_unit_test(unix_sockets),
		cmocka_unit_test(mistakes_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
