/* ctl: what is checked in and also comes from tables: completion scripts, the keys in the manual.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "conf/conf.h"
#include "conf/conf_priv.h"
#include "ctl/ctl_priv.h"
#include "sys/file.h"

#include <string.h>

/* A file of the source tree, found from where this one is. */
static void
read_source(const char *name, struct buf *out)
{
	struct buf path = BUF_INIT(4096);
	struct str here = str_of(__FILE__);
	size_t slash = str_rfind(here, '/');
	assert_true(slash < here.len);
	buf_puts(&path, str_first(here, slash));
	buf_putf(&path, "/../../%s", name);
	int rc = file_read_all(buf_cstr(&path), 1u << 20, out);
	if (rc < 0)
		fail_msg("%s: %s", buf_cstr(&path), strerror(-rc));
	buf_done(&path);
}

static const struct {
	const char *shell, *file;
} scripts[] = {
	{ "bash", "data/completion/pennypost.bash" },
	{ "zsh", "data/completion/_pennypost" },
	{ "fish", "data/completion/pennypost.fish" },
};

static void
completion_is_as_generated(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		struct buf made = BUF_INIT(1u << 20), kept = BUF_INIT(1u << 20);
		assert_true(completion_put(&made, scripts[i].shell));
		read_source(scripts[i].file, &kept);
		if (!str_eq(buf_str(&made), buf_str(&kept)))
			fail_msg("%s is old; run: pennypost completion %s > %s", scripts[i].file,
			    scripts[i].shell, scripts[i].file);
		buf_done(&made);
		buf_done(&kept);
	}
}

static void
manual_has_the_keys_as_generated(void **state)
{
	struct buf made = BUF_INIT(1u << 20), page = BUF_INIT(1u << 20);
	conf_describe_mdoc(&made);
	read_source("man/pennypost.conf.5", &page);
	if (str_find_str(buf_str(&page), buf_str(&made)) == page.len)
		fail_msg("man/pennypost.conf.5 is old; put the output of `pennypost config keys "
			 "--mdoc` into it");
	buf_done(&made);
	buf_done(&page);
}

static void
manual_has_the_keys_of_routes(void **state)
{
	struct buf page = BUF_INIT(1u << 20);
	read_source("man/pennypost.conf.5", &page);
	struct str section =
	    str_skip(buf_str(&page), str_find_str(buf_str(&page), STR(".It Ic routes")));
	section = str_first(section, str_find_str(section, STR(".Sh KEYS")));
	for (const struct conf_key *k = conf_route_keys; k->name; k++) {
		struct buf tag = BUF_INIT(128), next = BUF_INIT(128);
		buf_putf(&tag, ".It Ic %s", k->name);
		buf_putf(&next, " , %s", k->name);
		if (str_find_str(section, buf_str(&tag)) == section.len &&
		    str_find_str(section, buf_str(&next)) == section.len)
			fail_msg("man/pennypost.conf.5 does not have the key %s of routes",
			    k->name);
		buf_done(&tag);
		buf_done(&next);
	}
	buf_done(&page);
}

static void
manual_has_every_command_and_option(void **state)
{
	static const char *const pages[] = { "pennypost.1", "pennypost-lab.1", "pennypost-talk.1",
		"pennypost-send.1", "pennypost-probe.1", "pennypost-run.1", "pennypost-explain.1",
		"pennypost-merge.1", "pennypost-roundtrip.1", "pennypost-b64.1" };
	struct buf page = BUF_INIT(4u << 20);
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		struct buf name = BUF_INIT(256);
		buf_putf(&name, "man/%s", pages[i]);
		read_source(buf_cstr(&name), &page);
		buf_done(&name);
	}
	for (const struct cli_cmd *const *c = cli_cmds; *c; c++) {
		struct str rest = str_of((*c)->words), word;
		struct buf want = BUF_INIT(256);
		buf_putf(&want, "%s", (*c)->name);
		if (str_find_str(buf_str(&page), buf_str(&want)) == page.len)
			fail_msg("no %s in the manual", (*c)->name);
		while ((word = str_word(&rest)).len) {
			word = str_first(word, str_find(word, '='));
			bool option = str_starts(word, STR("-"));
			struct str name = str_skip(word, option);
			buf_reset(&want);
			buf_putf(&want, "%s" STR_FMT, option ? "Fl " : "", STR_ARG(name));
			if (str_find_str(buf_str(&page), buf_str(&want)) == page.len)
				fail_msg("%s: no %.*s in the manual", (*c)->name, (int)word.len,
				    word.p);
		}
		buf_done(&want);
	}
	buf_done(&page);
}

static void
example_is_good(void **state)
{
	struct buf err = BUF_INIT(1u << 20), warnings = BUF_INIT(1u << 20), path = BUF_INIT(4096);
	struct str here = str_of(__FILE__);
	buf_puts(&path, str_first(here, str_rfind(here, '/')));
	buf_putz(&path, "/../../data/pennypost.conf.example");
	struct conf *c = target_load(buf_cstr(&path), &(struct cli_words){ 0 }, &err, &warnings);
	if (c == NULL || warnings.len)
		fail_msg("%s%s", err.len ? buf_cstr(&err) : "",
		    warnings.len ? buf_cstr(&warnings) : "");
	conf_free(c);
	buf_done(&err);
	buf_done(&warnings);
	buf_done(&path);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(completion_is_as_generated),
		cmocka_unit_test(manual_has_the_keys_as_generated),
		cmocka_unit_test(manual_has_the_keys_of_routes),
		cmocka_unit_test(manual_has_every_command_and_option),
		cmocka_unit_test(example_is_good),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
