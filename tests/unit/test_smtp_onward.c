/* What a server with a queue understands: ETRN, PRDR, XVERP, NO-SOLICITING, and for whom. */
#include "kit/dialogue_kit.h"

static struct smtp_wording *rfc;

static void
all_on(struct smtp_conf *c)
{
	c->etrn = c->prdr = c->verp = true;
	c->no_soliciting = STR("org.example:ADV,org.example:ADV:ADLT");
	c->hold_seconds = 1000;
}

static void
etrn_for_all(struct smtp_conf *c)
{
	c->etrn = c->etrn_all = true;
}

#define ALL_OK                                                                                     \
	"250-|250-|250-|250-|250-|250-|250-|250-|250-|250-|250-PRDR|250-NO-SOLICITING "            \
	"org.example:ADV,org.example:ADV:ADLT|250 HELP|"
#define ALL "220 |" ALL_OK
#define P_MAIL "MAIL FROM:<a@example.org> PRDR\r\n"
#define ANN "RCPT TO:<ann@example.com>\r\n"
#define FULL "RCPT TO:<full@example.com>\r\n"

static const struct row rows[] = {
	/* RFC 1985 */
	{ "ETRN: how many", HI "ETRN example.net\r\n",
	    ALL "253 2.0.0 1 messages for node example.net", .set = all_on },
	{ "ETRN: none", HI "ETRN none.example.net\r\n", ALL "251 2.0.0 no messages",
	    .set = all_on },
	{ "ETRN: all below", HI "ETRN @example.net\r\n", ALL "252 2.0.0 ", .set = all_on },
	{ "ETRN: a queue", HI "ETRN #night\r\n", ALL "459 4.7.1 node #night", .set = all_on },
	{ "ETRN: no node", HI "ETRN\r\n", ALL "501 5.5.4 ", .set = all_on },
	{ "ETRN: no domain", HI "ETRN -x.example\r\n", ALL "501 5.5.4 ", .set = all_on },
	{ "ETRN: two words", HI "ETRN a.example b.example\r\n", ALL "501 5.5.4 ", .set = all_on },
	{ "ETRN: nothing behind @", HI "ETRN @\r\nETRN #\r\n", ALL "501 5.5.4 |501 5.5.4 ",
	    .set = all_on },
	{ "RFC 1985 4: not in a transaction", HI MAIL "ETRN example.net\r\nNOOP\r\nRSET\r\n",
	    ALL "250 |503 5.5.1 ETRN|250 |250 ", .set = all_on },
	{ "ETRN needs EHLO", "ETRN example.net\r\n", "220 |503 5.5.1 ", .set = all_on },
	{ "ETRN is off", HI "ETRN example.net\r\n", "220 |" HI_OK "459 " },
	{ "ETRN is shown where anybody may ask", HI,
	    "220 |250-|250-|250-|250-|250-|250-|250-|250-|250-|250-ETRN|250-|250 HELP|",
	    .set = etrn_for_all },
	{ "HELP knows it", HI "HELP ETRN\r\n", ALL "214 2.0.0 ETRN node", .set = all_on },
	/* draft-hall-prdr-00 */
	{ "PRDR: a reply for each, and one for all", HI P_MAIL ANN RCPT "DATA\r\nhi\r\n.\r\n",
	    ALL
	    "250 |250 |250 |354 |353 |250 2.1.5 <ann@|250 2.1.5 <b@|250 2.0.0 ok queued as QID1",
	    "hi\r\n--\n", .set = all_on },
	{ "PRDR: one of them fails", HI P_MAIL ANN FULL RCPT "DATA\r\nhi\r\n.\r\nNOOP\r\n",
	    ALL "250 |250 |250 |250 |354 |353 |250 2.1.5 <ann@|452 4.2.2 <full@|250 2.1.5 <b@|250 "
		"2.0.0 ok queued "
		"as QID1, not for all|250 2.0.0",
	    "hi\r\n--\n", .set = all_on },
	{ "PRDR: a single recipient has a single reply", HI P_MAIL ANN "DATA\r\nhi\r\n.\r\n",
	    ALL "250 |250 |354 |250 2.0.0 ok queued", "hi\r\n--\n", .set = all_on },
	{ "PRDR: refused whole", HI P_MAIL ANN RCPT "DATA\r\na\nb\r\n.\r\nNOOP\r\n",
	    ALL "250 |250 |250 |354 |554 5.6.0|250 ", .drops = 1, .set = all_on },
	{ "PRDR: chunks", HI P_MAIL ANN RCPT "BDAT 4\r\nhi\r\nBDAT 0 LAST\r\n",
	    ALL "250 |250 |250 |250 2.0.0 4|353 |250 2.1.5 |250 2.1.5 |250 2.0.0 ", "hi\r\n--\n",
	    .set = all_on },
	{ "PRDR not asked for", HI MAIL ANN RCPT "DATA\r\nhi\r\n.\r\n",
	    ALL "250 |250 |250 |354 |250 2.0.0 ", "hi\r\n--\n", .set = all_on },
	{ "PRDR is off", HI P_MAIL, "220 |" HI_OK "555 5.5.4 " },
	/* RFC 3865 */
	{ "a class that is refused",
	    HI "MAIL FROM:<a@b.org> SOLICIT=net.example:ADV,ORG.example:adv\r\n" MAIL,
	    ALL "550 5.7.1 no soliciting here: SOLICIT=ORG.example:adv|250 ", .set = all_on },
	{ "another class", HI "MAIL FROM:<a@b.org> SOLICIT=org.example:ADV:HEALTH\r\n", ALL "250 ",
	    .set = all_on },
	{ "no class", HI "MAIL FROM:<a@b.org> SOLICIT=\r\n", ALL "501 5.5.4 ", .set = all_on },
	{ "NO-SOLICITING is off", HI "MAIL FROM:<a@b.org> SOLICIT=a:b\r\n", "220 |" HI_OK "555 " },
	/* for our own people only */
	{ "XVERP of a stranger", HI "MAIL FROM:<a@b.org> XVERP\r\n", ALL "555 5.5.4 ",
	    .set = all_on },
	{ "HOLDFOR of a stranger", HI "MAIL FROM:<a@b.org> HOLDFOR=60\r\n", ALL "555 5.5.4 ",
	    .set = all_on },
};

static void
dialogues(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		row_play(&rows[i], rfc);
}

static void
our_own_people(void **state)
{
	static const struct {
		const char *args, *want, marks[3];
	} rows_[] = {
		{ "XVERP", "250 ", "+=" },
		{ "XVERP=-=", "250 ", "-=" },
		{ "XVERP=+", "501 ", "" },
		{ "XVERP=", "501 ", "" },
		{ "XVERP=+@", "501 ", "" },
		{ "XVERP XVERP", "501 ", "" },
		{ "HOLDFOR=60", "250 ", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows_); i++) {
		struct kit k;
		char line[128];
		kit_open(&k, rfc);
		all_on(&k.conf);
		kit_greet(&k);
		k.s.ours = true;
		kit_say(&k, HI);
		assert_true(str_find_str(buf_str(&k.out), STR("250-ETRN\r\n")) < k.out.len);
		assert_true(str_find_str(buf_str(&k.out), STR("250-XVERP\r\n")) < k.out.len);
		assert_true(str_find_str(buf_str(&k.out), STR("250-FUTURERELEASE 1000 ")) <
			    k.out.len);
		buf_reset(&k.out);
		snprintf(line, sizeof(line), "MAIL FROM:<a@b.org> %s\r\n", rows_[i].args);
		kit_say(&k, line);
		kit_expect_lines(rows_[i].args, buf_str(&k.out), rows_[i].want);
		if (rows_[i].marks[0]) {
			assert_true(k.s.txn->verp);
			assert_memory_equal(k.s.txn->verp_marks, rows_[i].marks, 2);
		}
		kit_close(&k);
	}
}

static void
solicitation(void **state)
{
	static const struct {
		const char *refused, *classes, *found;
	} rows_[] = {
		{ "", "a:b", NULL },
		{ "a:b", "", NULL },
		{ "a:b", "a:b", "a:b" },
		{ "a:b", "A:B", "A:B" },
		{ "a:b,c:d", "x:y, c:d", "c:d" },
		{ "a:b c:d", "x:y,\r\n c:d,a:b", "c:d" },
		{ "a:b", "a:bc,a,:b", NULL },
		{ ",,", ",,", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows_); i++) {
		struct str found = STR_NULL;
		bool is = smtp_solicits(str_of(rows_[i].refused), str_of(rows_[i].classes), &found);
		assert_int_equal(is, rows_[i].found != NULL);
		if (is)
			assert_true(str_eq(found, str_of(rows_[i].found)));
	}
}

static int
setup(void **state)
{
	rfc = kit_wording("rfc");
	return 0;
}

static int
teardown(void **state)
{
	rfc = dialect_free(rfc);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogues),
		cmocka_unit_test(our_own_people),
		cmocka_unit_test(solicitation),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
