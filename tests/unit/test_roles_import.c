/* The store role's import questions: what is asked wrongly changes nothing, and ends nobody. */
#include "roles_kit.h"

#include "ipc/pack.h"
#include "roles/store/store_role.h"
#include "sys/file.h"

#include <fcntl.h>
#include <sys/mman.h>

#define JOB "000102030405060708090a0b0c0d0e0f"
#define TEXT STR("Subject: a\r\n\r\nbody\r\n")

static void
begin(struct kit *k, struct buf *out)
{
	struct conf *c = kit_conf(NULL);
	*out = BUF_INIT(1u << 20);
	kit_start(k, store_main, c, ROLE_STORE, 0);
	conf_free(c);
	assert_int_equal(KIT_ASK(k, out, "domain.add", "example.com"), CTL_OK);
	assert_int_equal(KIT_ASK(k, out, "user.add", "a@example.com"), CTL_OK);
}

static void
end(struct kit *k, struct buf *out)
{
	assert_int_equal(kit_stop(k), 0);
	buf_done(out);
}

/* Asks with a descriptor, which is closed. */
static int
ask_fd(struct kit *k, struct buf *out, int fd, const char *const *words)
{
	struct buf body = BUF_INIT(IPC_BODY_MAX);
	struct msg_ask m = { .op = str_of(words[0]) };
	int sock = kit_ctl(k);
	assert_true(fd >= 0);
	while (words[1 + m.n]) {
		m.arg[m.n] = str_of(words[1 + m.n]);
		m.n++;
	}
	msg_ask_put(&body, &m);
	assert_int_equal(chan_sync_send(sock, IPC_ASK_FD, 7, buf_str(&body), fd), 0);
	buf_reset(out);
	int code = kit_answer(sock, out);
	buf_done(&body);
	close(sock);
	close(fd);
	return code;
}
#define ASK_FD(k, out, fd, ...) ask_fd(k, out, fd, (const char *const[]){ __VA_ARGS__, NULL })

static void
put(struct buf *b, struct str octets, struct pack_letter l)
{
	if (b->len == 0)
		pack_begin(b);
	size_t at = pack_letter_begin(b);
	buf_puts(b, octets);
	l.time_ms = 1253881668000;
	l.header_len = (uint32_t)MIN(octets.len, (size_t)12);
	pack_letter_end(b, at, &l);
	assert_false(b->failed);
}

static int
sealed(struct buf *b)
{
	int fd = memfd_sealed("letters", buf_str(b));
	buf_reset(b);
	return fd;
}

static void
letters_come_in_once(void **state)
{
	struct kit k;
	struct buf out, b = BUF_INIT(8u << 20);
	begin(&k, &out);
	assert_int_equal(KIT_ASK(&k, &out, "import.open", "A@example.com", "Old", "0"),
	    CTL_NOT_FOUND);
	assert_int_equal(KIT_ASK(&k, &out, "import.open", "A@example.com", "Old", "1"), CTL_OK);
	assert_string_equal(buf_cstr(&out), "1|7|1\n");
	assert_int_equal(KIT_ASK(&k, &out, "import.open", "A@example.com", "Old", "0"), CTL_OK);
	assert_string_equal(buf_cstr(&out), "1|7|0\n");
	assert_int_equal(KIT_ASK(&k, &out, "import.open", "a@example.com", "inbox", "0"), CTL_OK);
	assert_string_equal(buf_cstr(&out), "1|1|0\n");
	for (int i = 0; i < 2; i++) {
		put(&b, TEXT, (struct pack_letter){ .value = STR("one") });
		put(&b, TEXT,
		    (struct pack_letter){ .there = true, .was = STR("one"), .value = STR("two") });
		assert_int_equal(ASK_FD(&k, &out, sealed(&b), "import.letters", "1", "7", JOB,
				     "here"),
		    i ? CTL_EXISTS : CTL_OK);
		assert_true(str_starts(buf_str(&out), i ? STR("0|0|0\n") : STR("2|40|0\n")));
	}
	assert_int_equal(KIT_ASK(&k, &out, "import.marks", "1", "7", JOB), CTL_OK);
	assert_string_equal(buf_cstr(&out), "two|\n");
	for (int i = 0; i < 2; i++) {
		put(&b, TEXT, (struct pack_letter){ .key = STR("0123456789abcdef") });
		put(&b, TEXT, (struct pack_letter){ .key = STR("0123456789abcdeg") });
		assert_int_equal(ASK_FD(&k, &out, sealed(&b), "import.letters", "1", "7", JOB,
				     "here"),
		    CTL_OK);
		assert_string_equal(buf_cstr(&out), i ? "0|0|2\n" : "2|40|0\n");
	}
	assert_int_equal(KIT_ASK(&k, &out, "import.marks", "1", "7", JOB), CTL_OK);
	assert_string_equal(buf_cstr(&out), "two|0123456789abcdef0123456789abcdeg\n");
	assert_int_equal(KIT_ASK(&k, &out, "import.forget", "1", "7", JOB), CTL_OK);
	assert_int_equal(KIT_ASK(&k, &out, "import.marks", "1", "7", JOB), CTL_OK);
	assert_string_equal(buf_cstr(&out), "");
	buf_done(&b);
	end(&k, &out);
}

/* Larger than what is taken at a time, and more than are under way at a time. */
static void
many_and_large(void **state)
{
	struct kit k;
	struct buf out, b = BUF_INIT(64u << 20);
	char *large = xalloc(20u << 20);
	begin(&k, &out);
	for (int i = 0; i < 3000; i++)
		put(&b, TEXT, (struct pack_letter){ 0 });
	put(&b, str_n(large, 20u << 20), (struct pack_letter){ 0 });
	put(&b, TEXT, (struct pack_letter){ 0 });
	assert_int_equal(ASK_FD(&k, &out, sealed(&b), "import.letters", "1", "1", "", "here"),
	    CTL_OK);
	assert_string_equal(buf_cstr(&out), "3002|21031540|0\n");
	free(large);
	buf_done(&b);
	end(&k, &out);
}

static int
unsealed(void)
{
	int fd = memfd_create("letters", MFD_CLOEXEC);
	assert_int_equal(file_write_all(fd, STR("PPAK\1")), 0);
	return fd;
}

static void
nonsense_changes_nothing(void **state)
{
	static const char *const bad[][5] = {
		{ "import.letters", "x", "1", JOB, "s" },
		{ "import.letters", "1", "4294967296", JOB, "s" },
		{ "import.letters", "1", "1", "00", "s" },
		{ "import.letters", "1", "1", "zz0102030405060708090a0b0c0d0e0f", "s" },
		{ "import.letters", "9", "1", JOB, "s" },
	};
	struct kit k;
	struct buf out, b = BUF_INIT(8u << 20);
	begin(&k, &out);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put(&b, TEXT, (struct pack_letter){ 0 });
		assert_int_not_equal(ASK_FD(&k, &out, sealed(&b), bad[i][0], bad[i][1], bad[i][2],
					 bad[i][3], bad[i][4]),
		    CTL_OK);
	}
	put(&b, TEXT, (struct pack_letter){ 0 });
	assert_int_equal(ASK_FD(&k, &out, sealed(&b), "import.letters", "1", "7", JOB, "s"),
	    CTL_NOT_FOUND);
	assert_int_equal(ASK_FD(&k, &out, unsealed(), "import.letters", "1", "1", JOB, "s"),
	    CTL_INVALID);
	assert_int_equal(ASK_FD(&k, &out, open("/dev/null", O_RDWR | O_CLOEXEC), "import.letters",
			     "1", "1", JOB, "s"),
	    CTL_INVALID);
	assert_int_equal(ASK_FD(&k, &out, memfd_sealed("x", STR("")), "import.letters", "1", "1",
			     JOB, "s"),
	    CTL_INVALID);
	/* A good letter, then half of one: what is good is in, and that is said. */
	put(&b, TEXT, (struct pack_letter){ 0 });
	buf_puts(&b, STR("\0\0"));
	assert_int_equal(ASK_FD(&k, &out, sealed(&b), "import.letters", "1", "1", JOB, "s"),
	    CTL_INVALID);
	assert_true(str_starts(buf_str(&out), STR("1|20|0\n!malformed letters")));
	/* A descriptor where none belongs, and none where one does. */
	assert_int_equal(ASK_FD(&k, &out, unsealed(), "user.list"), CTL_INVALID);
	assert_int_equal(KIT_ASK(&k, &out, "import.letters", "1", "1", JOB, "s"), CTL_INVALID);
	assert_int_equal(KIT_ASK(&k, &out, "import.open", "a@example.com", "a\nb", "1"),
	    CTL_INVALID);
	assert_int_equal(KIT_ASK(&k, &out, "import.marks", "1", "1", ""), CTL_INVALID);
	buf_done(&b);
	end(&k, &out);
}

static int
set_up(void **state)
{
	kit_make_dir();
	return 0;
}

static int
tear_down(void **state)
{
	kit_drop_dir();
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(letters_come_in_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_and_large, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nonsense_changes_nothing, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
