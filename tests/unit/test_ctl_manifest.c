/* The manifest of a backup: written and read back, and refused when anything in it is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "ctl/backup_priv.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
	char dir[64], path[96];
	int at;
};

static int
set_up(void **state)
{
	struct place *p = xalloc(sizeof(*p));
	check(str_copy(p->dir, sizeof(p->dir), STR("/tmp/pennypost-test-XXXXXX")));
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->path, sizeof(p->path), STR_FMT "/" MANIFEST_NAME, STR_ARG(str_of(p->dir)));
	p->at = open(p->dir, O_RDONLY | O_DIRECTORY);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	unlink(p->path);
	close(p->at);
	rmdir(p->dir);
	free(p);
	return 0;
}

static int
load(struct place *p, struct str text, struct manifest *m)
{
	assert_int_equal(file_replace(p->path, text, 0600), 0);
	return manifest_load(p->at, m);
}

static const char *const names[] = { "log/00000001.seg", "auth/passwd~0badcafe",
	"blob/0000000000000007", "conf/pennypost.conf", "blob/0000000000000008~00000000" };

static void
example(struct manifest *m, struct buf *text)
{
	*m = (struct manifest){ .lsn = 0x100000040, .time_ms = 1780000000123 };
	for (size_t i = 0; i < sizeof(m->id); i++)
		m->id[i] = (unsigned char)(i * 17);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char name[64];
		struct manifest_file f = { .name = name, .size = i * 1000, .crc = (uint32_t)i };
		check(str_copy(name, sizeof(name), str_of(names[i])));
		memset(f.sha, 'a' + (int)i, SHA_LEN - 1);
		manifest_add(m, &f);
	}
	manifest_sort(m);
	manifest_text(m, text);
	assert_false(text->failed);
}

static void
test_back(void **state)
{
	struct manifest m, got = { 0 };
	struct buf text = BUF_INIT(1u << 20), again = BUF_INIT(1u << 20);
	example(&m, &text);
	assert_int_equal(load(*state, buf_str(&text), &got), 0);
	assert_memory_equal(got.id, m.id, sizeof(m.id));
	assert_int_equal(got.lsn, m.lsn);
	assert_int_equal(got.time_ms, m.time_ms);
	assert_int_equal(got.n, ARRAY_LEN(names));
	manifest_text(&got, &again);
	assert_true(str_eq(buf_str(&text), buf_str(&again)));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(manifest_find(&got, names[i])->size, i * 1000);
	assert_null(manifest_find(&got, "auth/passwd"));
	assert_int_equal(manifest_find_as(&got, "auth/passwd")->size, 1000);
	assert_int_equal(manifest_find_as(&got, "blob/0000000000000007")->size, 2000);
	assert_null(manifest_find_as(&got, "auth/pass"));
	manifest_done(&m);
	manifest_done(&got);
	buf_done(&text);
	buf_done(&again);
}

static void
test_every_damage(void **state)
{
	struct manifest m, got = { 0 };
	struct buf text = BUF_INIT(1u << 20);
	example(&m, &text);
	for (size_t i = 0; i < text.len; i++) {
		text.p[i] ^= 1;
		int rc = load(*state, buf_str(&text), &got);
		/* The number of the format is looked at first. */
		assert_true(rc == -EBADMSG || rc == -EPROTONOSUPPORT);
		text.p[i] ^= 1;
		assert_int_equal(load(*state, str_first(buf_str(&text), i), &got), -EBADMSG);
	}
	buf_putc(&text, '\n');
	assert_int_equal(load(*state, buf_str(&text), &got), -EBADMSG);
	manifest_done(&m);
	buf_done(&text);
}

static void
test_names(void **state)
{
	static const struct {
		const char *name;
		bool ok;
	} rows[] = {
		{ "log/00000001.seg", true },
		{ "log/00000001.seg~00000000", false },
		{ "log/0000001.seg", false },
		{ "log/0000000G.seg", false },
		{ "log/.seg", false },
		{ "log/", false },
		{ "log", false },
		{ "", false },
		{ "blob/0123456789abcdef", true },
		{ "blob/0123456789abcdef~01234567", true },
		{ "blob/0123456789abcdef~0123456", false },
		{ "blob/0123456789ABCDEF", false },
		{ "auth/passwd", true },
		{ "auth/../passwd", false },
		{ "auth/..", false },
		{ "auth/.hidden", false },
		{ "auth/a/b", false },
		{ "auth/a b", false },
		{ "auth/", false },
		{ "conf/pennypost.conf", true },
		{ "/etc/passwd", false },
		{ "../log/00000001.seg", false },
		{ "README", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (manifest_name_ok(str_of(rows[i].name)) != rows[i].ok)
			fail_msg("%s", rows[i].name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_damage, set_up, tear_down),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
