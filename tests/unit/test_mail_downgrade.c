#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/downgrade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define U "\xc3\xbc"
#define REPORT(kind, label, body)                                                                  \
	"MIME-Version: 1.0\r\nContent-Type: multipart/" kind "; boundary=b\r\n"                    \
	"Content-Transfer-Encoding: " label "\r\n\r\n--b\r\n\r\nfailed\r\n--b\r\n" body            \
	"\r\n--b--\r\n"
#define WHOLE(header, body)                                                                        \
	"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" header "\r"      \
	"\n" body
#define HEADER                                                                                     \
	"Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
#define SIGNED "Content-Type: multipart/signed; boundary=c\r\n"
#define MIXED "Content-Type: multipart/mixed; boundary=c\r\n"

static const struct row {
	const char *name, *in, *out; /* out NULL: refused */
	enum downgrade verdict;
} rows[] = {
	{ "nothing to do", "A: b\r\n\r\nplain\r\n", "A: b\r\n\r\nplain\r\n", DOWNGRADE_OK },
	{ "no MIME", "A: b\r\n\r\nf" U "r\r\n",
	    "A: b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\nf=C3=BCr\r\n",
	    DOWNGRADE_OK },
	{ "text",
	    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-"
	    "Encoding: 8bit\r\nX: y\r\n\r\n" U " = \r\n.\r\n",
	    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nX: y\r\nContent-"
	    "Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC =3D=20\r\n.\r\n",
	    DOWNGRADE_OK },
	{ "no text", "MIME-Version: 1.0\r\nContent-Type: image/x\r\n\r\n" U "\r\n",
	    "MIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: "
	    "base64\r\n\r\nw7wNCg==\r\n",
	    DOWNGRADE_OK },
	{ "text, of no version", "Content-Type: text/html\r\n\r\n" U "\r\n",
	    "Content-Type: text/html\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: "
	    "quoted-printable\r\n\r\n=C3=BC\r\n",
	    DOWNGRADE_OK },
	{ "parts, of no version",
	    "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
	    "--b\r\n\r\n" U "\r\n--b--\r\n",
	    "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n"
	    "MIME-Version: 1.0\r\n\r\n--b\r\nContent-Transfer-Encoding: "
	    "quoted-printable\r\n\r\n=C3=BC\r\n--b--\r\n",
	    DOWNGRADE_OK },
	{ "nothing to do, of no version", "Content-Type: text/plain\r\n\r\nplain\r\n",
	    "Content-Type: text/plain\r\n\r\nplain\r\n", DOWNGRADE_OK },
	{ "parts",
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n--b\r\nContent-Type: "
	    "text/plain\r\n\r\nold\r\n--b\r\n"
	    "Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" U "\r\n--b--\r\n",
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\n--b\r\nContent-Type: "
	    "text/plain\r\n\r\nold\r\n--b\r\n"
	    "Content-Type: text/plain\r\nContent-Transfer-Encoding: "
	    "quoted-printable\r\n\r\n=C3=BC\r\n"
	    "--b--\r\n",
	    DOWNGRADE_OK },
	{ "signed",
	    "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n"
	    "Content-Type: text/plain\r\n\r\n" U "\r\n--b--\r\n",
	    NULL, DOWNGRADE_SIGNED },
	{ "header", "Subject: " U "\r\n\r\nx\r\n", NULL, DOWNGRADE_HEADER },
	/* a report brings at least the header of what it is about */
	{ "report", REPORT("report", "8bit", WHOLE("A: b\r\n", U)),
	    REPORT("report", "7bit",
		"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
		"A: b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC"),
	    DOWNGRADE_OK },
	{ "report, header", REPORT("report", "8bit", WHOLE("A: " U "\r\nC: d\r\n", U "\r\n")),
	    REPORT("report", "7bit", HEADER "A: =C3=BC\r\nC: d"), DOWNGRADE_OK },
	{ "report, header only", REPORT("report", "8bit", WHOLE("A: " U "\r\n", "")),
	    REPORT("report", "7bit", HEADER "A: =C3=BC"), DOWNGRADE_OK },
	{ "report, header of a part",
	    REPORT("report", "8bit", WHOLE(MIXED, "--c\r\nA: " U "\r\n\r\nx\r\n--c--\r\n")),
	    REPORT("report", "7bit", HEADER "Content-Type: multipart/mixed; boundary=3Dc"),
	    DOWNGRADE_OK },
	{ "report, signed",
	    REPORT("report", "8bit", WHOLE(SIGNED, "--c\r\n\r\n" U "\r\n--c--\r\n" U)),
	    REPORT("report", "7bit", HEADER "Content-Type: multipart/signed; boundary=3Dc"),
	    DOWNGRADE_OK },
	{ "no report", REPORT("mixed", "8bit", WHOLE("A: " U "\r\n", "")), NULL, DOWNGRADE_HEADER },
	{ "encoded",
	    "MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: "
	    "base64\r\n\r\n" U "\r\n",
	    NULL, DOWNGRADE_ENCODED },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = BUF_INIT(1u << 20);
		enum downgrade v = downgrade_letter(str_of(rows[i].in), true, true, &out);
		if (v != rows[i].verdict ||
		    (rows[i].out && !str_eq(buf_str(&out), str_of(rows[i].out))))
			fail_msg("%s: verdict %d:\n" STR_FMT, rows[i].name, v,
			    STR_ARG(buf_str(&out)));
		if (!rows[i].out)
			assert_int_equal(out.len, 0);
		buf_done(&out);
	}
}

/* Whatever the letter: no octet above 127, no line too long, and the second time nothing changes.
 */
static void
test_lines(void **state)
{
	struct buf in = BUF_INIT(1u << 20), out = BUF_INIT(1u << 20), again = BUF_INIT(1u << 20);
	buf_putz(&in, "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n");
	for (int i = 0; i < 3000; i++)
		buf_putc(&in, i % 7 ? 'a' : ' ');
	buf_putz(&in, "\r\nend\r\n");
	assert_int_equal(downgrade_letter(buf_str(&in), false, true, &out), DOWNGRADE_OK);
	struct str rest = buf_str(&out);
	while (rest.len)
		assert_true(str_cut(&rest, '\n').len <= 77);
	assert_int_equal(downgrade_letter(buf_str(&out), true, true, &again), DOWNGRADE_OK);
	assert_true(str_eq(buf_str(&out), buf_str(&again)));
	buf_reset(&again);
	assert_int_equal(downgrade_letter(buf_str(&in), true, false, &again), DOWNGRADE_OK);
	assert_true(str_eq(buf_str(&in), buf_str(&again)));
	buf_done(&in);
	buf_done(&out);
	buf_done(&again);
}

/* Where 8-bit octets may stay, a part without long lines is as it was, and so is what is said of
 * the whole. */
static void
test_lines_only(void **state)
{
	static const struct {
		const char *was, *is;
	} labels[] = { { "8bit", "8bit" }, { "binary", "8bit" } };
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		struct buf in = BUF_INIT(1u << 16), out = BUF_INIT(1u << 16);
		char want[128];
		buf_putf(&in,
		    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
		    "Content-Transfer-Encoding: %s\r\n\r\n--b\r\nContent-Type: text/plain\r\n"
		    "Content-Transfer-Encoding: 8bit\r\n\r\n" U "\r\n"
		    "--b\r\nContent-Type: text/plain\r\n\r\n",
		    labels[i].was);
		for (int n = 0; n < 2000; n++)
			buf_putc(&in, 'x');
		buf_putz(&in, "\r\n--b--\r\n");
		assert_int_equal(downgrade_letter(buf_str(&in), false, true, &out), DOWNGRADE_OK);
		snprintf(want, sizeof(want),
		    "boundary=b\r\nContent-Transfer-Encoding: %s\r\n\r\n--b", labels[i].is);
		assert_true(str_find_str(buf_str(&out), str_of(want)) < out.len);
		assert_true(str_find_str(buf_str(&out), STR(": 8bit\r\n\r\n" U "\r\n")) < out.len);
		assert_true(str_find_str(buf_str(&out), STR("quoted-printable\r\n\r\nxxx")) <
			    out.len);
		buf_done(&in);
		buf_done(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
