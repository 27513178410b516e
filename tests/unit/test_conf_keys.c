/* conf: every key of the table, --set, the dump, suggestions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "conf/conf_priv.h"
#include "base/suggest.h"

#include <stdio.h>
#include <stdlib.h>

static bool
set(struct conf *c, const char *assignment, struct buf *err)
{
	buf_reset(err);
	return conf_set(c, str_of(assignment), err);
}

/* Our own defaults (at least the minimums of RFC 5321). */
static const struct {
	const char *name, *value;
} defaults[] = {
	{ "limit.conns_total", "20000" },
	{ "limit.conns_per_ip", "200" },
	{ "limit.conns_listener", "off" },
	{ "limit.tls", "off" },
	{ "limit.msgs_per_session", "off" },
	{ "limit.rcpts_per_msg", "1000" },
	{ "limit.rcpts_per_hour", "off" },
	{ "max_size", "52428800" },
	{ "limit.header_bytes", "1048576" },
	{ "limit.header_lines", "10000" },
	{ "limit.bad_commands", "4" },
	{ "limit.conn_seconds", "off" },
	{ "limit.inject_seconds", "off" },
	{ "limit.idle_seconds", "300" },
	{ "limit.data_seconds", "600" },
	{ "limit.data_rate", "500" },
	{ "limit.hops", "100" },
	{ "limit.command_line", "4096" },
	{ "helo_check", "lenient" },
	{ "require_helo", "dialect" },
	{ "helo_arg", "dialect" },
	{ "angle_brackets", "dialect" },
	{ "quit_silent", "dialect" },
	{ "ipmm", "dialect" },
	{ "auth_cleartext", "deny" },
	{ "vrfy", "no" },
	{ "expn", "no" },
	{ "dot_space", "strict" },
	{ "dialect", "rfc" },
	{ "lab", "no" },
	{ "two_from", "no" },
	{ "add_missing_headers", "auto" },
};

static const void *
base_of(const struct conf *c, const struct conf_key *k)
{
	return (k->flags & CONF_LISTENER) ? (const void *)&c->defaults : (const void *)c;
}

static void
has_our_defaults(void **state)
{
	struct conf *c = conf_new();
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
		const struct conf_key *k = conf_key_find(str_of(defaults[i].name));
		struct buf v = BUF_INIT(5000);
		assert_non_null(k);
		conf_value_put(k, base_of(c, k), &v);
		assert_string_equal(buf_cstr(&v), defaults[i].value);
		buf_done(&v);
	}
	conf_free(c);
}

static void
every_key_is_whole(void **state)
{
	struct conf *c = conf_new();
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		struct buf v = BUF_INIT(5000), err = BUF_INIT(5000);
		assert_ptr_equal(conf_key_find(str_of(k->name)), k);
		assert_non_null(k->doc);
		assert_true(conf_value_is_default(k, base_of(c, k)));
		/* What is printed can be read back. */
		conf_value_put(k, base_of(c, k), &v);
		void *base = (k->flags & CONF_LISTENER) ? (void *)&c->defaults : (void *)c;
		assert_true(conf_value_set(k, base, buf_str(&v), &err));
		assert_true(conf_value_is_default(k, base_of(c, k)));
		buf_done(&v);
		buf_done(&err);
	}
	conf_free(c);
}

static void
refuse(struct conf *c, const char *name, const char *value)
{
	struct buf a = BUF_INIT(8192), err = BUF_INIT(1 << 16);
	buf_putf(&a, "%s=%s", name, value);
	if (conf_set(c, buf_str(&a), &err))
		fail_msg("%s was taken", buf_cstr(&a));
	struct buf begin = BUF_INIT(300);
	buf_putf(&begin, "--set %s: ", name);
	assert_true(str_starts(buf_str(&err), buf_str(&begin)));
	assert_true(str_ends(buf_str(&err), STR("\n")));
	if (str_find_str(buf_str(&err), STR("; ")) == err.len)
		fail_msg("no remedy in: %s", buf_cstr(&err));
	buf_done(&begin);
	buf_done(&a);
	buf_done(&err);
}

/* Every key refuses a bad type, both sides of its range and a wrong scope. */
static void
every_key_refuses(void **state)
{
	struct conf *c = conf_new();
	conf_listener_add(c, "127.0.0.1", 25, "smtp");
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		char text[64], with_port[80];
		refuse(c, k->name, "\x01");
		snprintf(with_port, sizeof with_port, "25:%s", k->name);
		if (!(k->flags & CONF_LISTENER))
			refuse(c, with_port, k->def);
		if (k->type == CONF_TEXT)
			continue;
		refuse(c, k->name, "");
		refuse(c, k->name, "-1");
		refuse(c, k->name, "nonsense");
		refuse(c, k->name, "99999999999999999999999999");
		if (k->max && !(k->flags & CONF_PLACE)) {
			snprintf(text, sizeof text, "%llu", (unsigned long long)k->max + 1);
			refuse(c, k->name, text);
		}
		if (k->min) {
			snprintf(text, sizeof text, "%llu", (unsigned long long)k->min - 1);
			refuse(c, k->name, text);
		}
		if (k->max && !(k->flags & CONF_CAN_OFF))
			refuse(c, k->name, "off");
	}
	conf_free(c);
}

static void
sets_one_or_all(void **state)
{
	struct buf err = BUF_INIT(1 << 16);
	struct conf *c = conf_new();
	conf_listener_add(c, "127.0.0.1", 10025, "smtp");
	conf_listener_add(c, "::1", 10025, "smtp");
	conf_listener_add(c, "127.0.0.1", 10587, "smtp");
	for (size_t i = 0; i < 2; i++)
		c->listeners[i].stands_for = 25;
	assert_true(set(c, "host=my_esa.local", &err));
	assert_string_equal(c->defaults.host, "my_esa.local");
	assert_string_equal(c->listeners[2].host, "my_esa.local");
	assert_true(set(c, "10025:max_size=1000", &err));
	assert_int_equal(c->listeners[0].max_size, 1000);
	assert_int_equal(c->listeners[1].max_size, 1000);
	assert_int_equal(c->listeners[2].max_size, 52428800);
	assert_int_equal(c->defaults.max_size, 52428800);
	assert_true(set(c, "25:dialect=ironport", &err));
	assert_string_equal(c->listeners[1].dialect, "ironport");
	assert_string_equal(c->listeners[2].dialect, "rfc");
	assert_true(set(c, "limit.conns_total=1", &err));
	assert_int_equal(c->limit_conns_total, 1);
	assert_true(set(c, "limit.queue_messages=0", &err));
	assert_int_equal(c->limit_queue_messages, 0);
	assert_true(set(c, "limit.conn_seconds=2m", &err));
	assert_int_equal(c->defaults.limit_conn_seconds, 120);
	assert_true(set(c, "max_size=2k", &err));
	assert_int_equal(c->listeners[2].max_size, 2048);
	assert_true(set(c, "mechs=PLAIN LOGIN", &err));
	assert_string_equal(c->listeners[0].mechs, "PLAIN LOGIN");
	assert_true(set(c, "starttls=true", &err));
	assert_string_equal(c->listeners[0].starttls, "yes");
	assert_true(set(c, "reply.auth.user_prompt=334 VXNlcm57uWU6", &err));
	assert_string_equal(map_get(&c->listeners[0].replies, STR("auth.user_prompt")),
	    "334 VXNlcm57uWU6");
	assert_true(set(c, "reply.auth.user_prompt=334 b", &err));
	assert_string_equal(map_get(&c->listeners[0].replies, STR("auth.user_prompt")), "334 b");
	assert_true(set(c, "alias.staff@domain.com=ann@domain.com,bob@domain.com", &err));
	assert_int_equal(c->n_aliases, 1);
	assert_int_equal(c->aliases[0].n_members, 2);
	assert_true(set(c, "alias.staff@domain.com=ann@domain.com", &err));
	assert_int_equal(c->aliases[0].n_members, 1);
	assert_true(set(c, "alias.a=b@domain.com=ann=x@domain.com", &err));
	assert_string_equal(c->aliases[1].address, "a=b@domain.com");
	assert_string_equal(c->aliases[1].members[0], "ann=x@domain.com");
	assert_true(set(c, "domains=a.org, b.org", &err));
	assert_int_equal(c->n_domains, 2);
	assert_true(set(c, "lab=yes", &err));
	assert_true(c->listeners[0].lab);
	refuse(c, "26:max_size", "5");
	refuse(c, "max_siz", "5");
	refuse(c, "0:max_size", "5");
	refuse(c, "99999:max_size", "5");
	refuse(c, "alias.x", "a@b.c");
	refuse(c, "alias.x@y.z", "nobody");
	refuse(c, "alias.x@y.z", "");
	refuse(c, "reply.greeting", "hello");
	refuse(c, "reply.greeting", "199 hello");
	refuse(c, "reply.", "220 x");
	refuse(c, "reply.a b", "220 x");
	refuse(c, "domains", "a b");
	refuse(c, "dialect", "../x");
	refuse(c, "client_ip", "10.0.0");
	refuse(c, "plus_separator", "@");
	refuse(c, "plus_separator", "++");
	refuse(c, "postmaster", "ann");
	assert_false(set(c, "max_size", &err));
	assert_string_equal(buf_cstr(&err), "--set max_size: has no value; write KEY=VALUE\n");
	assert_false(set(c, "", &err));
	assert_false(set(c, "limit.conns_totl=1", &err));
	assert_non_null(strstr(buf_cstr(&err), "did you mean limit.conns_total?"));
	conf_free(c);
	buf_done(&err);
}

static const struct {
	const char *bare_lf, *dialect;
	uint64_t port, stands_for;
	bool lab, session;
} line_ends[] = {
	{ "auto", "rfc", 25, 0, false, false },
	{ "auto", "rfc", 24, 0, false, false },
	{ "auto", "rfc", 2525, 0, false, false },
	{ "auto", "rfc", 587, 0, false, true },
	{ "auto", "rfc", 465, 0, false, true },
	{ "auto", "rfc", 10587, 587, true, true },
	{ "auto", "rfc", 10025, 25, true, false },
	{ "auto", "sendmail", 10025, 25, true, true },
	{ "auto", "sendmail", 25, 0, false, false },
	{ "reject", "sendmail", 10025, 25, true, false },
	{ "session", "rfc", 25, 0, false, true },
	{ "reject", "rfc", 587, 0, false, false },
};

static void
bare_lf_by_port(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(line_ends); i++) {
		struct conf *c = conf_new();
		struct buf err = BUF_INIT(4096), a = BUF_INIT(4096);
		c->lab = line_ends[i].lab;
		struct conf_listener *l = conf_listener_add(c, "*", line_ends[i].port, "smtp");
		l->stands_for = line_ends[i].stands_for;
		buf_putf(&a, "bare_lf=%s", line_ends[i].bare_lf);
		assert_true(conf_set(c, buf_str(&a), &err));
		buf_reset(&a);
		buf_putf(&a, "dialect=%s", line_ends[i].dialect);
		assert_true(conf_set(c, buf_str(&a), &err));
		assert_int_equal(conf_bare_lf_session(l), line_ends[i].session);
		conf_free(c);
		buf_done(&err);
		buf_done(&a);
	}
}

/* A value that the key takes, chosen by r. */
static void
some_value(const struct conf_key *k, unsigned r, struct buf *out)
{
	static const char *const texts[] = { "", "a b", "x\\y", "\xc3\xa4=#", "10.0.0.1",
		"mail.example.org", "*", "ann@example.org", "rfc", "+", "0640" };
	const char *want;
	struct str rest = str_of(k->choices ? k->choices : ""), word;
	switch (k->type) {
	case CONF_BOOL:
		buf_putz(out, r & 1 ? "yes" : "no");
		break;
	case CONF_NUMBER:
	case CONF_SIZE:
	case CONF_SECONDS:
		if ((k->flags & CONF_CAN_OFF) && r % 4 == 0)
			buf_putz(out, "off");
		else
			buf_putf(out, "%llu",
			    (unsigned long long)(k->min + (uint64_t)r * 2654435761u %
							      (k->max - k->min + 1)));
		break;
	case CONF_CHOICE:
		for (unsigned i = 0; (word = str_word(&rest)).len; i++)
			if (i == 0 || r % 3 == i) {
				buf_reset(out);
				buf_puts(out, word);
			}
		break;
	case CONF_TEXT:
		for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
			struct str t = str_of(texts[(r + i) % ARRAY_LEN(texts)]);
			if (!k->good || k->good(t, &want)) {
				buf_puts(out, t);
				return;
			}
		}
		fail_msg("%s takes none of the texts", k->name);
	}
}

static void
some_listener(struct conf_listener *l, unsigned *seed)
{
	struct buf v = BUF_INIT(4096), err = BUF_INIT(4096);
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		if (!(k->flags & CONF_LISTENER))
			continue;
		buf_reset(&v);
		some_value(k, (unsigned)rand_r(seed), &v);
		assert_true(conf_value_set(k, l, buf_str(&v), &err));
	}
	for (int i = 0; i < 3; i++) {
		buf_reset(&v);
		buf_putf(&v, "s%d", rand_r(seed) % 9);
		assert_true(conf_reply_set(l, buf_str(&v), STR("250 a\\b\nc"), &err));
	}
	buf_done(&v);
	buf_done(&err);
}

static struct conf *
some_conf(unsigned seed)
{
	struct conf *c = conf_new();
	struct buf v = BUF_INIT(4096), err = BUF_INIT(4096);
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		if (k->flags & CONF_LISTENER)
			continue;
		buf_reset(&v);
		some_value(k, (unsigned)rand_r(&seed), &v);
		assert_true(conf_value_set(k, c, buf_str(&v), &err));
	}
	c->lab = true;
	some_listener(&c->defaults, &seed);
	for (int i = rand_r(&seed) % 4; i > 0; i--)
		some_listener(conf_listener_add(c, "*", 1, "smtp"), &seed);
	for (int i = rand_r(&seed) % 4; i > 0; i--) {
		buf_reset(&v);
		buf_putf(&v, "d%d.example", i);
		assert_true(conf_domain_add(c, buf_str(&v), &err));
		buf_reset(&v);
		buf_putf(&v, "a%d@d.example", i);
		struct conf_alias *a = conf_alias_add(c, buf_str(&v), &err);
		for (int m = i; m > 0; m--)
			assert_true(conf_alias_member_add(a, STR("x\\=\xc3\xa4@d.example"), &err));
		assert_true(conf_dialect_add(c, str_n("abcd", (size_t)i),
		    STR("dialect = x\r\n\tb\\c\n=\x7f\xff"), &err));
	}
	buf_done(&v);
	buf_done(&err);
	return c;
}

static void
dump_round_trips(void **state)
{
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct buf x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20), err = BUF_INIT(1 << 16);
		struct conf *c = some_conf(seed);
		conf_dump(c, &x);
		struct conf *d = conf_undump(buf_str(&x), &err);
		if (d == NULL)
			fail_msg("%s\n%s", buf_cstr(&err), buf_cstr(&x));
		conf_dump(d, &y);
		assert_string_equal(buf_cstr(&x), buf_cstr(&y));
		conf_free(c);
		conf_free(d);
		buf_done(&x);
		buf_done(&y);
		buf_done(&err);
	}
}

/* Cut anywhere or with one line spoiled it is refused, and nothing leaks. */
static void
undump_refuses(void **state)
{
	struct buf x = BUF_INIT(1 << 20), err = BUF_INIT(1 << 16);
	struct conf *c = some_conf(7);
	conf_dump(c, &x);
	for (size_t n = 0; n < x.len; n += 1 + n / 50) {
		buf_reset(&err);
		assert_null(conf_undump(str_first(buf_str(&x), n), &err));
		assert_true(err.len > 0);
	}
	static const char *const spoiled[] = {
		"pennypost-conf 1\nport=99\nend\n",
		"pennypost-conf 1\nlimit.hops=1\nend\n",
		"pennypost-conf 1\nx=y\nend\n",
		"pennypost-conf 1\nmember=a@b.c\nend\n",
		"pennypost-conf 1\nreply=220 x\nend\n",
		"pennypost-conf 2\nend\n",
		"pennypost-conf 1\nend\nend\n",
		"pennypost-conf 1\nhostname=a\\0\nend\n",
		"pennypost-conf 1\nhostname=a\\00b\nend\n",
		"pennypost-conf 1\nhostname=a\\zz\nend\n",
		"pennypost-conf 1\nfronts=65\nend\n",
		"pennypost-conf 1\ndefaults=\ncounter=5\nend\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(spoiled); i++)
		assert_null(conf_undump(str_of(spoiled[i]), &err));
	struct buf many = BUF_INIT(1 << 20);
	buf_putz(&many, "pennypost-conf 1\n");
	for (int i = 0; i <= LISTENER_MAX; i++)
		buf_putz(&many, "listener=\n");
	buf_putz(&many, "end\n");
	assert_null(conf_undump(buf_str(&many), &err));
	conf_free(c);
	buf_done(&many);
	buf_done(&x);
	buf_done(&err);
}

static const struct {
	const char *a, *b;
	unsigned distance;
} pairs[] = {
	{ "", "", 0 },
	{ "a", "", 1 },
	{ "", "abc", 3 },
	{ "host", "hots", 1 },
	{ "HOST", "host", 0 },
	{ "kitten", "sitting", 3 },
	{ "max-size", "max_size", 0 },
	{ "ab", "ba", 1 },
};

static void
measures_words(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		assert_int_equal(suggest_distance(str_of(pairs[i].a), str_of(pairs[i].b)),
		    pairs[i].distance);
		assert_int_equal(suggest_distance(str_of(pairs[i].b), str_of(pairs[i].a)),
		    pairs[i].distance);
	}
	assert_string_equal(conf_key_nearest(STR("required_senders"), true),
	    "tls.required_senders");
	assert_string_equal(conf_key_nearest(STR("helo_chekc"), true), "helo_check");
	assert_string_equal(conf_key_nearest(STR("listner"), false), "listen");
	assert_null(conf_key_nearest(STR("zzzzzzzz"), false));
	assert_null(conf_key_nearest(STR(""), false));
}

static void
describes_every_key(void **state)
{
	struct buf mdoc = BUF_INIT(1 << 20), text = BUF_INIT(1 << 20);
	conf_describe_mdoc(&mdoc);
	conf_describe_text(&text);
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		struct buf item = BUF_INIT(200);
		buf_putf(&item, ".It Ic %s\n", k->name);
		assert_non_null(strstr(buf_cstr(&mdoc), buf_cstr(&item)));
		assert_non_null(strstr(buf_cstr(&text), k->doc));
		buf_done(&item);
	}
	buf_done(&mdoc);
	buf_done(&text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_our_defaults),
		cmocka_unit_test(every_key_is_whole),
		cmocka_unit_test(every_key_refuses),
		cmocka_unit_test(sets_one_or_all),
		cmocka_unit_test(bare_lf_by_port),
		cmocka_unit_test(dump_round_trips),
		cmocka_unit_test(undump_refuses),
		cmocka_unit_test(measures_words),
		cmocka_unit_test(describes_every_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
