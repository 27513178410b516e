/* explain: codes and the very texts: the 52 lines of AsyncOS, the registry, names of errors. */
#include "base/check.h"
#include "explain/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static struct explain_hit
best(const char *text)
{
	struct explain_hit hit;
	if (!explain_reply(str_of(text), &hit))
		fail_msg("nothing is known of \"%s\"", text);
	return hit;
}

static void
assert_has(struct str s, const char *what, const char *of)
{
	if (str_find_str(s, str_of(what)) == s.len)
		fail_msg("\"" STR_FMT "\" does not hold \"%s\" (%s)", STR_ARG(s), what, of);
}

/* The 52 lines, with something in the place of XXX and of the host name. */
static const char *const asyncos[] = {
	"421 #4.4.5 Too many TLS sessions at this time",
	"421 #4.4.5 Too many connections from your host",
	"421 #4.4.5 Too many connections to this host",
	"421 #4.4.5 Too many connections to this listener",
	"421 #4.x.2 Too many messages for this session",
	"421 esa.example.com Service not available, closing transaction channel",
	"421 Exceeded allowable connection time",
	"421 Exceeded bad SMTP command limit, disconnecting",
	"421 The evaluation license has expired",
	"451 #4.3.0 Server Error",
	"452 #4.3.1 queue full",
	"452 #4.3.1 server resources low - try again later",
	"452 #4.3.1 temporary system error (12)",
	"452 #4.5.3 Too many recipients",
	"454 TLS not available due to a temporary reason",
	"500 #5.5.1 command not recognized",
	"500 Line too long",
	"501 #5.0.0 EHLO requires domain address",
	"501 #5.5.2 syntax error FROM:a b",
	"501 #5.5.4 Invalid arguments to AUTH command",
	"501 Unknown command FOO",
	"501 Unknown option FOO=1",
	"501 Unknown value 9BIT",
	"503 #5.3.3 AUTH not available",
	"503 #5.5.0 AUTH not permitted during a mail transaction",
	"503 #5.5.0 Already authenticated",
	"503 #5.5.1 MAIL first",
	"503 #5.5.1 RCPT first",
	"503 Bad sequence of commands / DATA within mailmerge transaction",
	"503 Bad sequence of commands / XPRT within plain transaction",
	"503 Bad sequence of commands / now receiving parts",
	"503 Not in a mailmerge transaction",
	"504 #5.5.1 AUTH mechanism CRAM-MD5 is not available",
	"504 Command parameter FIRST unrecognized",
	"504 Invalid XDFN syntax",
	"504 Invalid part number",
	"504 Invalid part number 0",
	"504 No variable value specified",
	"504 Other parts still missing",
	"504 Reserved variable name",
	"504 Syntax error in *parts syntax",
	"504 XDFN command must not contain NULL characters",
	"530 #5.7.0 Must issue a STARTTLS command first",
	"530 #5.7.0 This sender must issue a STARTTLS command first",
	"530 Authentication required",
	"538 #5.7.11 Encryption required",
	"552 #5.3.4 message header size exceeds limit",
	"552 #5.3.4 message size exceeds limit",
	"552 size limit exceeded",
	"554 #5.3.0 Server Error",
	"554 Too many hops",
	"554 message body contains illegal bare CR/LF characters.",
};

static void
hits_every_line_of_asyncos(void **state)
{
	assert_int_equal(ARRAY_LEN(asyncos), 52);
	unsigned seen[ARRAY_LEN(asyncos)];
	for (size_t i = 0; i < ARRAY_LEN(asyncos); i++) {
		struct explain_hit hit = best(asyncos[i]);
		if (!hit.exact || !str_eq(hit.source, STR("AsyncOS")))
			fail_msg("%s: found by %d in " STR_FMT, asyncos[i], hit.match,
			    STR_ARG(hit.source));
		assert_memory_equal(hit.code.p, asyncos[i], 3);
		assert_int_equal(hit.kind,
		    asyncos[i][0] == '4' ? EXPLAIN_TEMPORARY : EXPLAIN_PERMANENT);
		seen[i] = hit.record;
		for (size_t j = 0; j < i; j++)
			if (seen[j] == hit.record)
				fail_msg("%s and %s have one record", asyncos[i], asyncos[j]);
	}
}

/* The same without the codes, in other letters and with blanks around it. */
static void
hits_them_by_their_words(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(asyncos); i++) {
		char text[200];
		const char *words = asyncos[i] + 4;
		words = *words == '#' ? strchr(words, ' ') + 1 : words;
		snprintf(text, sizeof text, "  s:\t%.3s  %s \r\n", asyncos[i], words);
		struct explain_hit with = best(asyncos[i]), without = best(text);
		if (with.record != without.record)
			fail_msg("%s: another record than with its code", text);
	}
}

struct registered {
	const char *code, *word;
};
static const struct registered registry[] = { { "0.0", "ndefined" }, { "1.0", "address" },
	{ "1.1", "mailbox" }, { "1.2", "domain" }, { "1.3", "written" }, { "1.4", "more than one" },
	{ "1.5", "valid" }, { "1.6", "moved" }, { "1.7", "sender's" }, { "1.8", "sender's" },
	{ "1.9", "delivery reports" }, { "1.10", "null MX" }, { "2.0", "mailbox" },
	{ "2.1", "switched off" }, { "2.2", "full" }, { "2.3", "larger" }, { "2.4", "list" },
	{ "3.0", "system" }, { "3.1", "full" }, { "3.2", "no mail now" }, { "3.3", "features" },
	{ "3.4", "larger" }, { "3.5", "set up" }, { "3.6", "priority" }, { "4.0", "network" },
	{ "4.1", "answer" }, { "4.2", "connection" }, { "4.3", "directory" }, { "4.4", "route" },
	{ "4.5", "congested" }, { "4.6", "loop" }, { "4.7", "waited" }, { "5.0", "dialogue" },
	{ "5.1", "command" }, { "5.2", "yntax" }, { "5.3", "oo many recipients" },
	{ "5.4", "argument" }, { "5.5", "version" }, { "5.6", "too long" }, { "6.0", "content" },
	{ "6.1", "kind of content" }, { "6.2", "forbidden" }, { "6.3", "not possible" },
	{ "6.4", "with loss" }, { "6.5", "failed" }, { "6.6", "fetched" }, { "6.7", "ASCII" },
	{ "6.8", "UTF-8" }, { "6.9", "UTF-8 header" }, { "6.10", "in UTF-8" }, { "7.0", "policy" },
	{ "7.1", "not allowed" }, { "7.2", "list" }, { "7.3", "onversion" },
	{ "7.4", "not supported" }, { "7.5", "cryptographic" }, { "7.6", "algorithm" },
	{ "7.7", "integrity" }, { "7.8", "password" }, { "7.9", "weak" }, { "7.10", "ncryption" },
	{ "7.11", "ncryption" }, { "7.12", "transition" }, { "7.13", "disabled" },
	{ "7.14", "trust" }, { "7.15", "priority" }, { "7.16", "priority" }, { "7.17", "owner" },
	{ "7.18", "owner" }, { "7.19", "owner" }, { "7.20", "DKIM" }, { "7.21", "DKIM" },
	{ "7.22", "DKIM" }, { "7.23", "SPF" }, { "7.24", "SPF" }, { "7.25", "everse DNS" },
	{ "7.26", "everal checks" }, { "7.27", "null MX" }, { "7.28", "flood" }, { "7.29", "ARC" },
	{ "7.30", "REQUIRETLS" } };

static void
knows_the_whole_registry(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(registry); i++)
		for (const char *c = "X245"; *c; c++) {
			char code[16];
			snprintf(code, sizeof code, "%c.%s", *c, registry[i].code);
			struct explain_hit hits[EXPLAIN_HITS_MAX];
			size_t n = explain_line(str_of(code), hits, ARRAY_LEN(hits));
			bool found = false;
			for (size_t h = 0; h < n; h++)
				found = found ||
				        (hits[h].match == EXPLAIN_BY_ENHANCED &&
					    str_find_str(hits[h].meaning,
						str_of(registry[i].word)) < hits[h].meaning.len);
			if (!found)
				fail_msg("%s is not known as \"%s\"", code, registry[i].word);
			enum explain_kind kind = *c == '2'   ? EXPLAIN_GOOD
			                         : *c == '4' ? EXPLAIN_TEMPORARY
			                         : *c == '5' ? EXPLAIN_PERMANENT
			                                     : EXPLAIN_NEUTRAL;
			assert_int_equal(hits[0].kind, kind);
		}
}

/* From the special to the general, and what is private to one provider before all patterns. */
static void
orders_them(void **state)
{
	struct explain_hit hits[EXPLAIN_HITS_MAX];
	size_t n = explain_line(STR("550 5.7.1 nothing of which anybody heard"), hits, 16);
	assert_true(n >= 4);
	assert_int_equal(hits[0].match, EXPLAIN_BY_BOTH);
	assert_int_equal(hits[1].match, EXPLAIN_BY_ENHANCED);
	assert_int_equal(hits[2].match, EXPLAIN_BY_CODE);
	for (size_t i = 1; i < n; i++)
		assert_true(hits[i].match >= hits[i - 1].match);
	assert_int_equal(explain_line(STR("550 5.7.1"), hits, 2), 2);
	assert_int_equal(explain_line(STR("550 5.7.1"), hits, 0), 0);
	assert_has(best("550 5.7.606 Access denied").source, "Exchange", "range");
	assert_has(best("550 5.7.705 Access denied").meaning, "tenant sent more", "one of a range");
	assert_has(best("550 5.7.720 Access denied").meaning, "restricted", "range");
	assert_has(best("5.9.9").meaning, "permanent failure", "class of an unknown subject");
	assert_has(best("5.7.299").meaning, "policy", "subject of an unknown code");
	assert_int_equal(best("599 what?").match, EXPLAIN_BY_CLASS);
	assert_int_equal(best("5").match, EXPLAIN_BY_CLASS);
	assert_int_equal(best("4xx").match, EXPLAIN_BY_CLASS);
}

static void
knows_nothing_of_nonsense(void **state)
{
	static const char *const rows[] = { "", " ", "\n", "zzz", "999", "699 no", "192.0.2.5",
		"127.0.0.1 is fine", "the quick brown fox", "\x01\xff\x80" };
	struct explain_hit hit = { .record = 77 };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (explain_reply(str_of(rows[i]), &hit))
			fail_msg("\"%s\" is known as " STR_FMT, rows[i], STR_ARG(hit.meaning));
	assert_int_equal(hit.record, 77);
	assert_false(explain_reply(STR_NULL, &hit));
}

struct name_row {
	const char *asked, *word;
	enum explain_proto proto;
};
static const struct name_row names[] = {
	{ "X509_V_ERR_CERT_HAS_EXPIRED", "expired", EXPLAIN_TLS },
	{ "verify error:num=20:unable to get local issuer certificate", "issuer", EXPLAIN_TLS },
	{ "    Verify return code: 21 (unable to verify the first certificate)", "chain",
	    EXPLAIN_TLS },
	{ "error:0A00010B:SSL routines::wrong version number", "does not speak TLS", EXPLAIN_TLS },
	{ "error:0A000126:SSL routines::unexpected eof while reading", "farewell", EXPLAIN_TLS },
	{ "SSL routines::no shared cipher", "cipher", EXPLAIN_TLS },
	{ "SSL routines::dh key too small", "Diffie-Hellman", EXPLAIN_TLS },
	{ "SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:SSL alert number 40",
	    "handshake", EXPLAIN_TLS },
	{ "sts-policy-fetch-error", "fetched", EXPLAIN_TLS },
	{ "tlsa-invalid", "TLSA", EXPLAIN_TLS },
	{ "getaddrinfo: Name or service not known", "does not exist", EXPLAIN_DNS },
	{ "getaddrinfo: Temporary failure in name resolution", "resolver", EXPLAIN_DNS },
	{ "EAI_AGAIN", "resolver", EXPLAIN_DNS },
	{ "NXDOMAIN", "does not exist", EXPLAIN_DNS },
	{ ";; ->>HEADER<<- opcode: QUERY, status: SERVFAIL, id: 1", "look-up failed", EXPLAIN_DNS },
	{ "status: REFUSED", "refuses", EXPLAIN_DNS },
	{ "connect: Connection refused", "nobody listens", EXPLAIN_OS },
	{ "connect to 192.0.2.1 port 25: Connection timed out", "No answer", EXPLAIN_OS },
	{ "ehostunreach", "cannot be reached", EXPLAIN_OS },
	{ "Socket error code 10061", "nobody listens", EXPLAIN_OS },
	{ "errno 28", "disk is full", EXPLAIN_OS },
	{ "EPIPE", "closed", EXPLAIN_OS },
	{ "75", "75", EXPLAIN_OS },
	{ "EX_NOUSER", "no such user", EXPLAIN_OS },
	{ "exit status 67", "no such user", EXPLAIN_OS },
};

static void
knows_errors_by_name_number_and_words(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct explain_hit hit = best(names[i].asked);
		assert_has(hit.meaning, names[i].word, names[i].asked);
		assert_int_equal(hit.proto, names[i].proto);
	}
	struct explain_hit hits[8];
	assert_true(explain_line(STR("8"), hits, 8) >= 2);
	assert_int_equal(explain_line_of(EXPLAIN_TLS, STR("10"), hits, 8), 1);
	assert_has(hits[0].meaning, "expired", "10 of TLS");
}

/* Every record is found by what it says of itself. */
static void
finds_every_record(void **state)
{
	struct explain_record_view v;
	unsigned n = 0, with_words = 0;
	for (; explain_record(n, &v); n++) {
		assert_true(v.hit.meaning.len > 0 && v.hit.source.len > 0 && v.file.len > 0);
		assert_true(v.hit.who.len > 0);
		bool words = v.pattern.len > 0;
		with_words += words;
		struct buf b = BUF_INIT(4096);
		buf_putf(&b, STR_FMT " " STR_FMT " ", STR_ARG(v.hit.code), STR_ARG(v.hit.enhanced));
		for (size_t i = 0; i < v.pattern.len; i++)
			if (v.pattern.p[i] == '*')
				buf_putz(&b, " q ");
			else
				buf_putc(&b, v.pattern.p[i] == '%' ? 'q' : v.pattern.p[i]);
		const char *text = buf_cstr(&b);
		struct explain_hit hits[EXPLAIN_HITS_MAX];
		size_t have =
		    words || strpbrk(text, "xX-") == NULL
			? explain_line_of(v.hit.proto, str_of(text), hits, ARRAY_LEN(hits))
			: 0;
		bool found = !words;
		for (size_t h = 0; h < have; h++)
			found = found || hits[h].record == n;
		if (!found)
			fail_msg("record %u of " STR_FMT " is not found by \"%s\"", n,
			    STR_ARG(v.file), text);
		buf_done(&b);
	}
	assert_true(n > 1000 && with_words > 500);
	assert_false(explain_record(n, &v));
}

static void
says_it_in_one_line(void **state)
{
	static const char *const rows[][2] = {
		{ "452 #4.3.1 server resources low - try again later",
		    "452 4.3.1 temporary, server side (AsyncOS resource conservation: memory or "
		    "queue "
		    "over its watermark). Sender should retry." },
		/* Anybody says so. */
		{ "452 4.2.2 mailbox full",
		    "452 4.2.2 temporary, server side (The mailbox is full). Sender should "
		    "retry." },
		{ "554 5.2.2 mailbox full;STOREDRV.Deliver.Exception:QuotaExceededException",
		    "554 5.2.2 permanent, server side (Exchange: the recipient's mailbox is full). "
		    "To act: recipient." },
		{ "250 2.1.5 Ok", "250 2.1.5 good (The recipient is accepted)." },
		{ "a1 NO [OVERQUOTA] full", "NO [OVERQUOTA] permanent, server side (Over quota: "
					    "nothing more can be stored). "
					    "To act: recipient." },
		{ "ENOSPC", "ENOSPC temporary (The disk is full, or has no free inodes). Try again "
			    "later." },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(4096);
		struct explain_hit hit = best(rows[i][0]);
		explain_short(&hit, &b);
		assert_string_equal(buf_cstr(&b), rows[i][1]);
		buf_done(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hits_every_line_of_asyncos),
		cmocka_unit_test(hits_them_by_their_words),
		cmocka_unit_test(knows_the_whole_registry),
		cmocka_unit_test(orders_them),
		cmocka_unit_test(knows_nothing_of_nonsense),
		cmocka_unit_test(knows_errors_by_name_number_and_words),
		cmocka_unit_test(finds_every_record),
		cmocka_unit_test(says_it_in_one_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
