/* Lines of passwd and shadow files and of Dovecot's passwd-files. */
#include "ctl/user_priv.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SHA5 "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define STORED "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SERVER "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static const struct {
	const char *line, *domain;
	enum user_kind kind;
	const char *address, *secret; /* with BAD: how `why` begins */
} rows[] = {
	{ "", NULL, USER_NONE, "", "" },
	{ "  ", NULL, USER_NONE, "", "" },
	{ "# a comment", NULL, USER_NONE, "", "" },
	{ "daemon:*:19000:0:99999:7:::", NULL, USER_NONE, "", "" },
	{ "sshd:!:19000::::::", NULL, USER_NONE, "", "" },
	{ "joe:!!:19000::::::", NULL, USER_NONE, "", "" },
	{ "ann:" SHA5 ":19000:0:99999:7:::", "example.org", USER_HASH, "ann@example.org", SHA5 },
	{ "ann:" SHA5 "\r", "example.org", USER_HASH, "ann@example.org", SHA5 },
	{ "Ann@Example.COM:" SHA5, "example.org", USER_HASH, "ann@example.com", SHA5 },
	{ "ann:!" SHA5 ":1::::::", "example.org", USER_LOCKED, "ann@example.org", "!" SHA5 },
	{ "ann@example.org:{SHA256-CRYPT}" SHA5 ":1000:1000::/home/ann::x=y", NULL, USER_HASH,
	    "ann@example.org", SHA5 },
	{ "ann@example.org:{crypt}" SHA5, NULL, USER_HASH, "ann@example.org", SHA5 },
	{ "ann@example.org:$6$salt$short", NULL, USER_BAD, "",
	    "not a hash that this system's crypt(3) knows, or cut short" },
	{ "ann@example.org:{PLAIN}pass word:1:1", NULL, USER_PASSWORD, "ann@example.org",
	    "pass word" },
	{ "ann@example.org:{cleartext}x", NULL, USER_PASSWORD, "ann@example.org", "x" },
	{ "ann@example.org:{PLAIN.b64}cDphc3M=", NULL, USER_PASSWORD, "ann@example.org", "p:ass" },
	{ "ann@example.org:{PLAIN.hex}703a", NULL, USER_PASSWORD, "ann@example.org", "p:" },
	{ "ann@example.org:{SCRAM-SHA-256}4096," SALT "," STORED "," SERVER, NULL, USER_SCRAM,
	    "ann@example.org", "SCRAM-SHA-256$4096:" SALT "$" STORED ":" SERVER },
	{ "ann@example.org:{PLAIN}", NULL, USER_BAD, NULL, "a password has" },
	{ "ann@example.org:{PLAIN.b64}AHg=", NULL, USER_BAD, NULL, "a password has" },
	{ "ann@example.org:{PLAIN.b64}cD", NULL, USER_BAD, NULL, "the secret is not encoded" },
	{ "ann@example.org:{PLAIN.hex}7", NULL, USER_BAD, NULL, "the secret is not encoded" },
	{ "ann@example.org:{PLAIN.xyz}cD", NULL, USER_BAD, NULL, "the secret is not encoded" },
	{ "ann@example.org:{SCRAM-SHA-256}4096,x", NULL, USER_BAD, NULL, "not a SCRAM" },
	{ "ann@example.org:{ARGON2ID}$argon2id$v=19$x", NULL, USER_BAD, NULL, "a scheme that" },
	{ "ann@example.org:{}x", NULL, USER_BAD, NULL, "a scheme that" },
	{ "ann@example.org:{x", NULL, USER_BAD, NULL, "not a hash" },
	{ "ann@example.org:plain text", NULL, USER_BAD, NULL, "not a hash" },
	{ "ann@example.org::1:1", NULL, USER_BAD, NULL, "no hash" },
	{ "ann:x:1000:1000::/home/ann:/bin/sh", "example.org", USER_BAD, NULL, "the hash is in" },
	{ "ann", "example.org", USER_BAD, NULL, "no colon" },
	{ "ann:" SHA5, NULL, USER_BAD, NULL, "the name has no domain" },
	{ "a b:" SHA5, "example.org", USER_BAD, NULL, "the name makes no address" },
	{ ":" SHA5, "example.org", USER_BAD, NULL, "the name makes no address" },
};

static void
test_lines(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct user_line u;
		user_line_parse(str_of(rows[i].line), rows[i].domain, &u);
		bool ok = u.kind == rows[i].kind;
		if (rows[i].kind == USER_BAD)
			ok = ok && str_starts(str_of(u.why), str_of(rows[i].secret));
		else
			ok = ok && strcmp(u.address, rows[i].address) == 0 &&
			     strcmp(u.secret, rows[i].secret) == 0;
		if (!ok)
			fail_msg("row %zu: %d %s %s %s", i, u.kind, u.address, u.secret, u.why);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_lines) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
