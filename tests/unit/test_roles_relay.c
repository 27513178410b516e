#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "roles_relay_kit.h"

#define HELLO "S 220 mx ESMTP\nC EHLO mail.test\n"
#define PLAIN HELLO "S 250 mx\n"
#define FULL HELLO "S 250-mx\\n250-PIPELINING\\n250-8BITMIME\\n250-DSN\\n250 SIZE 100000\n"

static const char *const sets[] = { "hostname=mail.test", "dns=", "relay.reply_seconds=2",
	"relay.connect_seconds=2", NULL };

static char large[20001]; /* a letter that goes in two chunks */

/* One job, one server; what is told. */
struct row {
	const char *name, *script;
	struct relay_job job;
	struct {
		enum job_fate fate;
		int code;
		const char *status;
	} want[4];
	enum job_trouble trouble;
	bool dead;
	const char *heard;  /* must stand in what the server read */
	const char *letter; /* or NULL: the usual one */
	const char *text;   /* of the first recipient; NULL: any */
};

#define SENT                                                                                       \
	{                                                                                          \
		JOB_SENT, 250, "2.0.0"                                                             \
	}

static const struct row rows[] = {
	{ "plain",
	    PLAIN "C MAIL FROM:<alice@example.com>\nS 250 ok\nC RCPT TO:<bob@example.net>\n"
		  "S 250 ok\nC DATA\nS 354 go\nD\nS 250 taken\n",
	    { .rcpts = { "bob@example.net" } }, { SENT }, .heard = "\r\n..dot\r\n.\r\n" },
	{ "pipelined", FULL "C MAIL\nC RCPT\nC DATA\nS 250 ok\\n250 ok\\n354 go\nD\nS 250 taken\n",
	    { .rcpts = { "bob@example.net" },
		.notify = "FAILURE",
		.envid = "a+2Bb",
		.ret = "HDRS" },
	    { { JOB_RELAYED, 250, "2.0.0" } },
	    .heard = " RET=HDRS ENVID=a+2Bb\r\nRCPT TO:<bob@example.net> "
		     "NOTIFY=FAILURE\r\n" },
	{ "null sender",
	    PLAIN
	    "C MAIL FROM:<>\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 2.6.0 taken\n",
	    { .from = "", .rcpts = { "bob@example.net" } }, { { JOB_SENT, 250, "2.6.0" } } },
	{ "apart",
	    FULL "C MAIL\nC RCPT\nC RCPT\nC RCPT\nC DATA\nS 250 ok\\n450 4.2.1 later\\n250 "
		 "ok\\n550 5.1.1 nobody\\n354 go\nD\n"
		 "S 250 taken\n",
	    { .rcpts = { "a@example.net", "b@example.net", "c@example.net" } },
	    { { JOB_LATER, 450, "4.2.1" }, { JOB_RELAYED, 250, "2.0.0" },
		{ JOB_REFUSED, 550, "5.1.1" } },
	    .trouble = JOB_TROUBLE_RCPT },
	{ "sender refused", PLAIN "C MAIL\nS 553 5.1.8 no\n", { .rcpts = { "b@example.net" } },
	    { { JOB_REFUSED, 553, "5.1.8" } }, .trouble = JOB_TROUBLE_SENDER },
	{ "letter refused for now",
	    PLAIN "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 451 busy\n",
	    { .rcpts = { "b@example.net" } }, { { JOB_LATER, 451, "4.0.0" } },
	    .trouble = JOB_TROUBLE_LETTER },
	{ "greeting later", "S 421 busy\nX\n", { .rcpts = { "b@example.net" } },
	    { { JOB_LATER, 421, "4.3.2" } }, .trouble = JOB_TROUBLE_GREETING, .dead = true,
	    .text = "busy" },
	{ "greeting never", "S 554-no\\n554 mail here\nX\n", { .rcpts = { "b@example.net" } },
	    { { JOB_REFUSED, 554, "5.3.2" } }, .trouble = JOB_TROUBLE_GREETING,
	    .text = "no mail here" },
	{ "greeting without a word", "S 421\nX\n", { .rcpts = { "b@example.net" } },
	    { { JOB_LATER, 421, "4.3.2" } }, .trouble = JOB_TROUBLE_GREETING, .dead = true,
	    .text = "the server ends the session (421)" },
	{ "421 at MAIL", PLAIN "C MAIL\nS 421 4.3.2 too busy\nX\n",
	    { .rcpts = { "b@example.net" } }, { { JOB_LATER, 421, "4.3.2" } },
	    .trouble = JOB_TROUBLE_CLOSED, .dead = true, .text = "too busy" },
	{ "silent", "P 3000\n", { .rcpts = { "b@example.net" } }, { { JOB_LATER, 0, "4.4.2" } },
	    .trouble = JOB_TROUBLE_CLOSED, .dead = true },
	{ "closed at once", "X\n", { .rcpts = { "b@example.net" } }, { { JOB_LATER, 0, "4.4.2" } },
	    .trouble = JOB_TROUBLE_CLOSED, .dead = true },
	{ "closed after RCPT", PLAIN "C MAIL\nS 250 ok\nC RCPT\nX\n",
	    { .rcpts = { "b@example.net" } }, { { JOB_LATER, 0, "4.4.2" } },
	    .trouble = JOB_TROUBLE_CLOSED },
	{ "lost behind the dot",
	    PLAIN "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nX\n",
	    { .rcpts = { "b@example.net" } }, { { JOB_DOUBT, 0, "4.4.2" } },
	    .trouble = JOB_TROUBLE_CLOSED },
	{ "closed at MAIL", PLAIN "C MAIL\nX\n", { .rcpts = { "b@example.net" } },
	    { { JOB_LATER, 0, "4.4.2" } }, .trouble = JOB_TROUBLE_CLOSED, .dead = true },
	{ "421 at RCPT", PLAIN "C MAIL\nS 250 ok\nC RCPT\nS 421 4.3.2 going down\nX\n",
	    { .rcpts = { "b@example.net" } }, { { JOB_LATER, 421, "4.3.2" } },
	    .trouble = JOB_TROUBLE_RCPT },
	{ "HELO",
	    "S 220 hi\nC EHLO\nS 502 what\nC HELO\nS 250 mx\nC MAIL FROM:<alice@example.com>\nS "
	    "250 ok\n"
	    "C RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 taken\n",
	    { .rcpts = { "b@example.net" } }, { SENT } },
	{ "too large", HELLO "S 250-mx\\n250 SIZE 10\n", { .rcpts = { "b@example.net" } },
	    { { JOB_REFUSED, 0, "5.3.4" } }, .trouble = JOB_TROUBLE_LETTER },
	{ "needs UTF-8", FULL "", { .rcpts = { "b\xc3\xbc@example.net" }, .flags = ONWARD_UTF8 },
	    { { JOB_REFUSED, 0, "5.6.7" } }, .trouble = JOB_TROUBLE_LETTER },
	{ "needs DELIVERBY", FULL "",
	    { .rcpts = { "b@example.net" }, .flags = ONWARD_BY_RETURN, .by_ms = UINT64_C(1) << 42 },
	    { { JOB_REFUSED, 0, "5.4.7" } }, .trouble = JOB_TROUBLE_LETTER },
	{ "needs TLS", FULL "", { .rcpts = { "b@example.net" }, .flags = ONWARD_REQUIRETLS },
	    { { JOB_LATER, 0, "4.7.4" } }, .trouble = JOB_TROUBLE_TLS, .dead = true },
	{ "BDAT",
	    HELLO "S 250-mx\\n250-PIPELINING\\n250 CHUNKING\nC MAIL\nC RCPT\nS 250 ok\\n250 ok\nC "
		  "BDAT 33 LAST\nB 33\nS 250 taken\n",
	    { .rcpts = { "b@example.net" } }, { SENT }, .heard = "LAST\r\nSubject" },
	{ "BDAT, and the end by itself",
	    HELLO
	    "S 250-mx\\n250-PIPELINING\\n250 CHUNKING\nC MAIL\nC RCPT\nS 250 ok\\n250 ok\nC "
	    "BDAT 19000\r\nB 19000\nP 200\nS 250 more\nC BDAT 1000 LAST\r\nB 1000\nS 250 taken\n",
	    { .rcpts = { "b@example.net" } }, { SENT }, .heard = "xxx\r\nBDAT 1000 LAST\r\nxxx",
	    .letter = large },
	{ "no 8BITMIME",
	    PLAIN
	    "C MAIL FROM:<alice@example.com>\r\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\n"
	    "S 250 taken\n",
	    { .rcpts = { "b@example.net" }, .flags = ONWARD_8BIT }, { SENT },
	    .heard = "Content-Transfer-Encoding: quoted-printable\r\n\r\nf=C3=BCr\r\n",
	    .letter = "A: b\r\n\r\nf\xc3\xbcr\r\n" },
	{ "8BITMIME",
	    FULL "C MAIL FROM:<alice@example.com> SIZE=14 BODY=8BITMIME\r\nC RCPT\nC DATA\nS 250 "
		 "ok\\n250 ok\\n354 go\nD\n"
		 "S 250 taken\n",
	    { .rcpts = { "b@example.net" } }, { { JOB_RELAYED, 250, "2.0.0" } },
	    .heard = "\r\n\r\nf\xc3\xbcr\r\n", .letter = "A: b\r\n\r\nf\xc3\xbcr\r\n" },
	{ "8-bit header", PLAIN, { .rcpts = { "b@example.net" } }, { { JOB_REFUSED, 0, "5.6.3" } },
	    .trouble = JOB_TROUBLE_LETTER, .letter = "A: \xc3\xbc\r\n\r\nx\r\n" },
	{ "bare line ends",
	    PLAIN "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 taken\n",
	    { .rcpts = { "b@example.net" } }, { SENT },
	    .heard = "A: b\r\n\r\na\r\n..\r\nb\r\n..\r\nc\r\n.\r\n",
	    .letter = "A: b\r\n\r\na\n.\r\nb\r.\rc\n" },
	{ "endless",
	    "S 220-a\n"
	    "P 900\nS 220-b\nP 900\nS 220-c\nP 900\nS 220-d\nP 900\n",
	    { .rcpts = { "b@example.net" } }, { { JOB_LATER, 0, "4.4.2" } },
	    .trouble = JOB_TROUBLE_CLOSED, .dead = true },
};

static void
check_row(const struct row *row, const struct msg_result *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct msg_fate f = relay_kit_fate(m, i);
		char status[16];
		str_copy(status, sizeof(status), f.status);
		if (f.fate != row->want[i].fate || f.code != row->want[i].code ||
		    strcmp(status, row->want[i].status) != 0)
			fail_msg("%s: recipient %zu: fate %d code %d status %s text " STR_FMT
				 "\n" STR_FMT,
			    row->name, i, f.fate, f.code, status, STR_ARG(f.text),
			    STR_ARG(m->history));
	}
	struct msg_fate first = relay_kit_fate(m, 0);
	if (row->text && !str_eq(first.text, str_of(row->text)))
		fail_msg("%s: " STR_FMT, row->name, STR_ARG(first.text));
	if (m->trouble != row->trouble || m->dead != row->dead)
		fail_msg("%s: trouble %d dead %d", row->name, m->trouble, m->dead);
}

static void
test_sessions(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct relay_kit r;
		struct msg_result m;
		struct buf heard = BUF_INIT(1u << 24);
		struct relay_job job = rows[i].job;
		struct puppet p = puppet_start(rows[i].script);
		char target[64];
		size_t n = 0;
		snprintf(target, sizeof(target), "smtp:[127.0.0.1]:%u", p.port);
		job.target = target;
		while (job.rcpts[n])
			n++;
		relay_kit_start(&r, sets);
		if (rows[i].letter)
			r.letter = str_of(rows[i].letter);
		relay_kit_hello(&r, 0);
		relay_kit_job(&r, 1 + i, &job);
		relay_kit_result(&r, 1 + i, &m);
		check_row(&rows[i], &m, n);
		relay_kit_stop(&r);
		if (puppet_end(&p, &heard) != 0)
			fail_msg("%s: the server was not content", rows[i].name);
		if (rows[i].heard &&
		    str_find_str(buf_str(&heard), str_of(rows[i].heard)) == heard.len)
			fail_msg("%s: the server heard\n" STR_FMT, rows[i].name,
			    STR_ARG(buf_str(&heard)));
		buf_done(&heard);
	}
}

#define LETTER "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 taken\n"

static void
begin(struct relay_kit *r, struct puppet *p, const char *script, char target[64])
{
	*p = puppet_start(script);
	snprintf(target, 64, "smtp:[127.0.0.1]:%u", p->port);
	relay_kit_start(r, sets);
	relay_kit_hello(r, 0);
}

static void
expect_told(struct relay_kit *r, uint64_t lease, enum job_fate fate, const char *told)
{
	struct msg_result m;
	relay_kit_result(r, lease, &m);
	struct msg_fate f = relay_kit_fate(&m, 0);
	bool tells = !told || str_find_str(m.history, str_of(told)) < m.history.len;
	if (f.fate != fate || !tells)
		fail_msg("lease %u: fate %d: " STR_FMT "\n" STR_FMT, (unsigned)lease, f.fate,
		    STR_ARG(f.text), STR_ARG(m.history));
}

static void
expect_fate(struct relay_kit *r, uint64_t lease, enum job_fate fate)
{
	expect_told(r, lease, fate, NULL);
}

/* Letters for one destination share a connection; of each is told what TLS it needs, and why. */
static void
test_reuse(void **state)
{
	struct relay_kit r;
	struct puppet p;
	struct relay_job job = { .rcpts = { "b@example.net" } };
	char target[64];
	begin(&r, &p, PLAIN LETTER LETTER LETTER, target);
	job.target = target;
	for (unsigned i = 1; i <= 3; i++)
		relay_kit_job(&r, i, &job);
	for (unsigned i = 1; i <= 3; i++)
		expect_told(&r, i, JOB_SENT,
		    "# TLS policy: where it is offered (relay.tls = auto; neither DANE nor "
		    "MTA-STS asks for more)\n");
	relay_kit_stop(&r);
	assert_int_equal(puppet_end(&p, NULL), 0);
}

/* A server that has closed a connection that rested: the letter goes over another. */
static void
test_stale(void **state)
{
	struct relay_kit r;
	struct puppet p;
	struct relay_job job = { .rcpts = { "b@example.net" } };
	char target[64];
	begin(&r, &p, PLAIN LETTER "C MAIL\nX\nN\n" PLAIN LETTER, target);
	job.target = target;
	relay_kit_job(&r, 1, &job);
	expect_fate(&r, 1, JOB_SENT);
	relay_kit_job(&r, 2, &job);
	expect_fate(&r, 2, JOB_SENT);
	relay_kit_stop(&r);
	assert_int_equal(puppet_end(&p, NULL), 0);
}

/* The same where it says so when the letter before, which it refused, is taken back. */
static void
test_stale_at_rset(void **state)
{
	struct relay_kit r;
	struct puppet p;
	struct relay_job job = { .rcpts = { "b@example.net" } };
	char target[64];
	begin(&r, &p,
	    PLAIN "C MAIL\nS 250 ok\nC RCPT\nS 550 5.1.1 no\nC RSET\nS 421 4.3.2 bye\nX\nN\n" PLAIN
		LETTER,
	    target);
	job.target = target;
	relay_kit_job(&r, 1, &job);
	expect_fate(&r, 1, JOB_REFUSED);
	relay_kit_job(&r, 2, &job);
	expect_fate(&r, 2, JOB_SENT);
	relay_kit_stop(&r);
	assert_int_equal(puppet_end(&p, NULL), 0);
}

/* A lease that may be over: the letter is not ended. One that only lay in the socket for a while is
 * renewed. */
static void
test_fence(void **state)
{
	struct relay_kit r;
	struct puppet p;
	struct buf heard = BUF_INIT(1u << 20);
	struct relay_job job = { .rcpts = { "b@example.net" }, .aged_ms = 250000 };
	char target[64];
	begin(&r, &p, PLAIN "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\n", target);
	job.target = target;
	relay_kit_job(&r, 1, &job);
	expect_fate(&r, 1, JOB_NOT_TRIED);
	assert_int_equal(puppet_end(&p, &heard), 0);
	assert_int_equal(str_find_str(buf_str(&heard), STR("\r\n.\r\n")), heard.len);
	buf_done(&heard);
	p = puppet_start(PLAIN LETTER);
	snprintf(target, sizeof(target), "smtp:[127.0.0.1]:%u", p.port);
	job.aged_ms = 100000;
	relay_kit_job(&r, 2, &job);
	expect_fate(&r, 2, JOB_SENT);
	relay_kit_stop(&r);
	assert_int_equal(puppet_end(&p, NULL), 0);
}

/* The store is lost behind the end mark: its successor is told what became of the letter. */
static void
test_store_lost(void **state)
{
	struct relay_kit r;
	struct puppet p;
	struct relay_job job = { .rcpts = { "b@example.net" } };
	char target[64];
	begin(&r, &p,
	    PLAIN "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nP 1200\nS 250 taken\n",
	    target);
	job.target = target;
	relay_kit_job(&r, 77, &job);
	for (int64_t until = sys_mono_ms() + 600; sys_mono_ms() < until;)
		if (kit_readable(r.reader, 100))
			relay_kit_spool(&r);
	close(r.store);
	usleep(100000);
	relay_kit_store(&r);
	relay_kit_hello(&r, 1);
	expect_fate(&r, 77, JOB_SENT);
	relay_kit_stop(&r);
	assert_int_equal(puppet_end(&p, NULL), 0);
}

/* ... before it: nothing is told, and nothing was ended. */
static void
test_store_lost_early(void **state)
{
	struct relay_kit r;
	struct puppet p;
	struct relay_job job = { .rcpts = { "b@example.net" } };
	char target[64];
	begin(&r, &p, PLAIN "C MAIL\nP 1000\nS 250 ok\n", target);
	job.target = target;
	relay_kit_job(&r, 77, &job);
	for (int64_t until = sys_mono_ms() + 400; sys_mono_ms() < until;)
		if (kit_readable(r.reader, 100))
			relay_kit_spool(&r);
	close(r.store);
	usleep(100000);
	relay_kit_store(&r);
	relay_kit_hello(&r, 0);
	relay_kit_stop(&r);
	assert_int_equal(puppet_end(&p, NULL), 0);
}

static void
test_cancel(void **state)
{
	struct relay_kit r;
	struct puppet p;
	struct relay_job job = { .rcpts = { "b@example.net" } };
	char target[64];
	begin(&r, &p, PLAIN "P 500\n", target);
	job.target = target;
	relay_kit_job(&r, 5, &job);
	relay_kit_job(&r, 6, &job); /* waits behind it */
	usleep(200000);
	for (uint64_t lease = 6; lease >= 5; lease--)
		assert_int_equal(chan_sync_send(r.store, IPC_JOB_CANCEL, lease, STR_NULL, -1), 0);
	expect_fate(&r, 6, JOB_NOT_TRIED);
	expect_fate(&r, 5, JOB_NOT_TRIED);
	relay_kit_stop(&r);
	assert_int_equal(puppet_end(&p, NULL), 0);
}

/* --- MX --- */

static struct {
	const char *name;
	unsigned preference, n;
	unsigned host[3]; /* 127.0.0.N; 0: ::1 */
	enum tlsa_verdict tlsa;
	bool has_record; /* a TLSA record */
} mx_hosts[3];
static bool mx_implicit;

static void
answer_mx(struct relay_kit *r, const struct ipc_frame *f)
{
	struct msg_mx_ask a;
	struct buf hosts = BUF_INIT(4096), body = BUF_INIT(8192);
	static const unsigned char digest[32]; /* of nobody's key */
	struct msg_mx_tlsa tlsa = { 3, 1, 1, str_n(digest, sizeof(digest)) };
	struct buf record = BUF_INIT(64);
	struct msg_mx m = { .verdict = MX_OK, .ttl = 1, .implicit = mx_implicit };
	msg_mx_tlsa_put(&record, &tlsa);
	assert_int_equal(f->type, IPC_MX_ASK);
	assert_true(msg_mx_ask_get(f->body, &a) && a.mx);
	for (; m.n < 3 && mx_hosts[m.n].name; m.n++) {
		struct buf addrs = BUF_INIT(64);
		for (unsigned i = 0; i < mx_hosts[m.n].n; i++) {
			unsigned h = mx_hosts[m.n].host[i];
			unsigned char v6[16] = { [15] = 1 };
			unsigned char v4[16] = {
				[10] = 0xff, [11] = 0xff, [12] = 127, [15] = (unsigned char)h
			};
			buf_put(&addrs, h ? v4 : v6, 16);
		}
		struct msg_mx_host host = { .preference = (uint16_t)mx_hosts[m.n].preference,
			.name = str_of(mx_hosts[m.n].name),
			.secure = mx_hosts[m.n].tlsa != TLSA_NONE,
			.tlsa = (uint8_t)mx_hosts[m.n].tlsa,
			.n_tlsa = mx_hosts[m.n].has_record,
			.tlsas = mx_hosts[m.n].has_record ? buf_str(&record) : STR_NULL,
			.n_addrs = (uint16_t)mx_hosts[m.n].n,
			.addrs = buf_str(&addrs) };
		m.secure = m.secure || host.secure;
		msg_mx_host_put(&hosts, &host);
		buf_done(&addrs);
	}
	m.hosts = buf_str(&hosts);
	msg_mx_put(&body, &m);
	assert_false(body.failed);
	assert_int_equal(chan_sync_send(r->dns, IPC_MX, f->id, buf_str(&body), -1), 0);
	buf_done(&hosts);
	buf_done(&body);
	buf_done(&record);
}

static void
mx_start(struct relay_kit *r, uint16_t port, const char *tls)
{
	char set[32], how[32];
	const char *const with_port[] = { "hostname=mail.test", "dns=127.0.0.1", set, how,
		"relay.reply_seconds=2", "relay.connect_seconds=2", "relay.idle_seconds=30", NULL };
	snprintf(set, sizeof(set), "relay.port=%u", port);
	snprintf(how, sizeof(how), "relay.tls=%s", tls);
	relay_kit_start(r, with_port);
	r->dns = kit_peer(&r->k, ROLE_DNS, 0);
	r->fetch = kit_peer(&r->k, ROLE_FETCH, 0);
	r->on_dns = answer_mx;
	relay_kit_hello(r, 0);
}

static void
mx_stop(struct relay_kit *r)
{
	relay_kit_stop(r);
	close(r->dns);
	close(r->fetch);
}

/* An address that refuses, a host that refuses, a host that has gone: the next one takes it. */
static void
test_next_host(void **state)
{
	struct relay_kit r;
	struct relay_job job = { .target = "mx:example.net", .rcpts = { "b@example.net" } };
	struct puppet good = puppet_start_at(4, 0, PLAIN LETTER);
	struct puppet busy = puppet_start_at(3, good.port, "S 421 busy\nX\n");
	struct msg_result m;
	memset(mx_hosts, 0, sizeof(mx_hosts));
	mx_hosts[0].name = "a.example.net"; /* nobody is there */
	mx_hosts[0].n = 2;
	mx_hosts[0].host[1] = 2;
	mx_hosts[1].name = "b.example.net";
	mx_hosts[1].preference = 10;
	mx_hosts[1].n = 1;
	mx_hosts[1].host[0] = 3;
	mx_hosts[2].name = "c.example.net";
	mx_hosts[2].preference = 20;
	mx_hosts[2].n = 3; /* the last of three addresses */
	mx_hosts[2].host[1] = 5;
	mx_hosts[2].host[2] = 4;
	mx_start(&r, good.port, "may");
	relay_kit_job(&r, 9, &job);
	relay_kit_result(&r, 9, &m);
	struct msg_fate f = relay_kit_fate(&m, 0);
	static const char *const told[] = { "# no route: MX records of example.net: "
					    "a.example.net (0), b.example.net (10), "
					    "c.example.net (20)\n",
		" from 127.0.0.1\n", "# TLS policy: where it is offered (relay.tls = may)\n" };
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		if (str_find_str(m.history, str_of(told[i])) == m.history.len)
			fail_msg("%s is not in\n" STR_FMT, told[i], STR_ARG(m.history));
	if (f.fate != JOB_SENT || !str_eq(m.mta, STR("c.example.net")) ||
	    !str_eq(m.ip, STR("127.0.0.4")))
		fail_msg("fate %d by " STR_FMT ":\n" STR_FMT, f.fate, STR_ARG(m.mta),
		    STR_ARG(m.history));
	mx_stop(&r);
	assert_int_equal(puppet_end(&good, NULL), 0);
	assert_int_equal(puppet_end(&busy, NULL), 0);
}

/* a.example.net at 127.0.0.2, and perhaps b.example.net at 127.0.0.3. */
static void
mx_two(enum tlsa_verdict a, enum tlsa_verdict b, size_t n)
{
	memset(mx_hosts, 0, sizeof(mx_hosts));
	mx_implicit = false;
	for (size_t i = 0; i < n; i++) {
		mx_hosts[i].name = i ? "b.example.net" : "a.example.net";
		mx_hosts[i].preference = 10 * (unsigned)i;
		mx_hosts[i].n = 1;
		mx_hosts[i].host[0] = 2 + (unsigned)i;
		mx_hosts[i].tlsa = i ? b : a;
	}
}

/* A host that DANE or MTA-STS bars takes letters with TLS-Required: No, and no others; these are
 * told what the others say. */
static void
test_barred(void **state)
{
	static const struct {
		enum tlsa_verdict a, b;
		size_t n;
		const char *sts;
		unsigned server; /* 127.0.0.N; it takes a letter, or says 554 */
		bool refuses;
		struct {
			uint32_t flags;
			enum job_fate fate;
			const char *status, *told;
		} letter[3];
	} cases[] = {
		{ TLSA_FAILED, TLSA_NONE, 2, NULL, 3, false,
		    { { 0, JOB_SENT, "2.0.0",
			": a.example.net (0, left out), b.example.net (10)\n" } } },
		{ TLSA_FAILED, TLSA_NONE, 2, NULL, 2, false,
		    { { ONWARD_TLS_OPTIONAL, JOB_SENT, "2.0.0",
			": a.example.net (0), b.example.net (10)\n" } } },
		{ TLSA_NONE, TLSA_FAILED, 2, NULL, 2, true,
		    { { 0, JOB_REFUSED, "5.3.2", "b.example.net (10, left out)\n" } } },
		{ TLSA_FAILED, TLSA_NONE, 1, NULL, 2, false,
		    { { ONWARD_TLS_OPTIONAL, JOB_SENT, "2.0.0",
			  "(the letter says TLS-Required: No)\n" },
			{ 0, JOB_LATER, "4.4.4", "its TLSA records cannot be had" },
			{ ONWARD_TLS_OPTIONAL | ONWARD_REQUIRETLS, JOB_LATER, "4.4.4",
			    "a.example.net (0, left out)\n" } } },
		{ TLSA_NONE, TLSA_NONE, 1,
		    "version: STSv1\nmode: enforce\nmx: mx.example.net\nmax_age: 86400\n", 2, false,
		    { { ONWARD_TLS_OPTIONAL, JOB_SENT, "2.0.0",
			  "(the letter says TLS-Required: No)\n" },
			{ 0, JOB_LATER, "4.7.5", "allows none of its mail servers" } } },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct relay_kit r;
		struct msg_result m;
		struct puppet p = puppet_start_at(cases[i].server, 0,
		    cases[i].refuses ? "S 554 no\nX\n" : PLAIN LETTER);
		mx_two(cases[i].a, cases[i].b, cases[i].n);
		mx_start(&r, p.port, "auto");
		r.sts = cases[i].sts;
		for (size_t k = 0; k < 3 && cases[i].letter[k].told; k++) {
			struct relay_job job = { .target = "mx:example.net",
				.rcpts = { "b@example.net" },
				.flags = cases[i].letter[k].flags };
			struct str told = str_of(cases[i].letter[k].told);
			relay_kit_job(&r, 1 + k, &job);
			relay_kit_result(&r, 1 + k, &m);
			struct msg_fate f = relay_kit_fate(&m, 0);
			if (f.fate != cases[i].letter[k].fate ||
			    !str_eq(f.status, str_of(cases[i].letter[k].status)) ||
			    str_find_str(m.history, told) == m.history.len ||
			    str_find_str(m.history, STR("refused\n")) < m.history.len)
				fail_msg("case %zu, letter %zu: fate %d " STR_FMT "\n" STR_FMT, i,
				    k, f.fate, STR_ARG(f.status), STR_ARG(m.history));
		}
		mx_stop(&r);
		assert_int_equal(puppet_end(&p, NULL), 0);
	}
}

/* The way is looked up anew: DANE, then none, then DANE again. A session in clear takes what may go
 * in clear, and stays what it is. */
static void
test_reuse_raises_nothing(void **state)
{
	static const struct {
		uint32_t flags;
		bool dane;
		enum job_fate fate;
	} letters[] = { { ONWARD_TLS_OPTIONAL, true, JOB_SENT }, { 0, false, JOB_SENT },
		{ 0, true, JOB_LATER } };
	struct relay_kit r;
	struct puppet p = puppet_start_at(2, 0, PLAIN LETTER LETTER "N\n" PLAIN);
	mx_two(TLSA_NONE, TLSA_NONE, 1);
	mx_start(&r, p.port, "auto");
	for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
		struct msg_result m;
		struct relay_job job = { .target = "mx:example.net",
			.rcpts = { "b@example.net" },
			.flags = letters[i].flags };
		if (i > 0)
			usleep(5200000); /* an answer is kept for five seconds */
		mx_hosts[0].tlsa = letters[i].dane ? TLSA_SECURE : TLSA_NONE;
		mx_hosts[0].has_record = letters[i].dane;
		relay_kit_job(&r, 1 + i, &job);
		relay_kit_result(&r, 1 + i, &m);
		struct msg_fate f = relay_kit_fate(&m, 0);
		bool dane =
		    str_find_str(m.history, STR("that a TLSA record names")) < m.history.len;
		if (f.fate != letters[i].fate || dane != (f.fate == JOB_LATER))
			fail_msg("letter %zu: fate %d\n" STR_FMT, i, f.fate, STR_ARG(m.history));
	}
	mx_stop(&r);
	assert_int_equal(puppet_end(&p, NULL), 0);
}

/* The domain itself is its host, and that is us. */
static void
test_loop(void **state)
{
	struct relay_kit r;
	struct relay_job job = { .target = "mx:example.net", .rcpts = { "b@example.net" } };
	struct msg_result m;
	memset(mx_hosts, 0, sizeof(mx_hosts));
	mx_hosts[0].name = "mail.test";
	mx_hosts[0].n = 1;
	mx_hosts[0].host[0] = 1;
	mx_implicit = true;
	mx_start(&r, 2525, "may");
	relay_kit_job(&r, 9, &job);
	relay_kit_result(&r, 9, &m);
	struct msg_fate f = relay_kit_fate(&m, 0);
	assert_int_equal(f.fate, JOB_REFUSED);
	assert_true(str_eq(f.status, STR("5.4.6")));
	assert_true(str_find_str(f.text, STR("loops")) < f.text.len);
	assert_true(str_find_str(m.history,
			STR("# no route: no MX records of example.net, so its own address\n")) <
		    m.history.len);
	mx_stop(&r);
}

static int
setup(void **state)
{
	kit_make_dir();
	return 0;
}

static int
teardown(void **state)
{
	kit_drop_dir();
	return 0;
}

int
main(void)
{
	memset(large, 'x', sizeof(large) - 1);
	memcpy(large, "A: b\r\n\r\n", 8);
	for (size_t i = 98; i < sizeof(large) - 1; i += 100)
		memcpy(large + i, "\r\n", 2);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_stale_at_rset),
		cmocka_unit_test(test_fence),
		cmocka_unit_test(test_store_lost),
		cmocka_unit_test(test_store_lost_early),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_next_host),
		cmocka_unit_test(test_barred),
		cmocka_unit_test(test_reuse_raises_nothing),
		cmocka_unit_test(test_loop),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
