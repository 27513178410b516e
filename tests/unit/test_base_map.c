#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/map.h"

#include <stdio.h>

#define MANY 5000
static char value[MANY][2]; /* addresses to store; two for each key */

static struct str
key_of(size_t i, char text[32])
{
	return str_n(text, (size_t)snprintf(text, 32, "key %zu", i));
}

static void
basics(void **state)
{
	struct map m = MAP_NULL;
	assert_null(map_get(&m, STR("a")));
	assert_null(map_del(&m, STR("a")));
	assert_null(map_put(&m, STR("a"), value[0]));
	assert_ptr_equal(map_put(&m, STR("a"), value[1]), value[0]);
	assert_null(map_put(&m, STR(""), value[2]));
	assert_null(map_put(&m, STR("a\0b"), value[3]));
	assert_ptr_equal(map_get(&m, STR("a")), value[1]);
	assert_ptr_equal(map_get(&m, STR_NULL), value[2]);
	assert_ptr_equal(map_get(&m, STR("a\0b")), value[3]);
	assert_null(map_get(&m, STR("a\0c")));
	assert_null(map_get(&m, STR("A")));
	assert_ptr_equal(map_del(&m, STR("a")), value[1]);
	assert_null(map_get(&m, STR("a")));
	assert_int_equal(m.used, 2);
	map_done(&m);
	map_done(&m);
	assert_null(map_get(&m, STR("")));
}

static void
keys_are_copied(void **state)
{
	struct map m = MAP_NULL;
	char key[] = "key";
	map_put(&m, str_of(key), value[0]);
	key[0] = 'x';
	assert_ptr_equal(map_get(&m, STR("key")), value[0]);
	map_done(&m);
}

static void
many(void **state)
{
	struct map m = MAP_NULL;
	char text[32];
	for (size_t i = 0; i < MANY; i++)
		assert_null(map_put(&m, key_of(i, text), &value[i][0]));
	for (size_t i = 0; i < MANY; i += 2)
		assert_ptr_equal(map_del(&m, key_of(i, text)), &value[i][0]);
	for (size_t i = 1; i < MANY; i += 4)
		assert_ptr_equal(map_put(&m, key_of(i, text), &value[i][1]), &value[i][0]);
	assert_int_equal(m.used, MANY / 2);
	for (size_t i = 0; i < MANY; i++)
		assert_ptr_equal(map_get(&m, key_of(i, text)),
		    i % 2 == 0 ? NULL : &value[i][i % 4 == 1]);
	map_done(&m);
}

/* Coming and going for ever must not fill the table with removed places. */
static void
churn(void **state)
{
	struct map m = MAP_NULL;
	char text[32];
	for (size_t i = 0; i < 200000; i++) {
		assert_null(map_put(&m, key_of(i, text), value[0]));
		if (i >= 10)
			assert_ptr_equal(map_del(&m, key_of(i - 10, text)), value[0]);
	}
	assert_int_equal(m.used, 10);
	assert_true(m.cap <= 64);
	map_done(&m);
}

static void
walks(void **state)
{
	struct map m = MAP_NULL;
	char text[32];
	static char seen[MANY];
	struct str key;
	void *v;
	size_t pos = 0, n = 0;
	assert_false(map_next(&m, &pos, &key, &v));
	for (size_t i = 0; i < MANY; i++)
		map_put(&m, key_of(i, text), value[i]);
	for (pos = 0; map_next(&m, &pos, &key, &v); n++) {
		size_t i = (size_t)((char(*)[2])v - value);
		assert_int_equal(seen[i]++, 0);
		assert_true(str_eq(key, key_of(i, text)));
		if (i % 3 == 0)
			assert_ptr_equal(map_del(&m, key_of(i, text)), value[i]);
	}
	assert_int_equal(n, MANY);
	assert_int_equal(m.used, MANY - (MANY + 2) / 3);
	map_done(&m);
}

/* The vectors of the authors' reference: key 00..0f, text 00, 00 01, ... */
static void
siphash_vectors(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} rows[] = { { 0, 0x726fdb47dd0e0e31 }, { 1, 0x74f839c593dc67fd },
		{ 7, 0xab0200f58b01d137 }, { 8, 0x93f5f5799a932462 }, { 15, 0xa129ca6149be45e5 } };
	unsigned char key[16];
	char text[16];
	for (int i = 0; i < 16; i++)
		text[i] = (char)(key[i] = (unsigned char)i);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_true(siphash(key, str_n(text, rows[i].len)) == rows[i].hash);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(basics),
		cmocka_unit_test(keys_are_copied),
		cmocka_unit_test(many),
		cmocka_unit_test(churn),
		cmocka_unit_test(walks),
		cmocka_unit_test(siphash_vectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
