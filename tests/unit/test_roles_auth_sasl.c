/* auth: SASL exchanges as fronts ask for them, tokens, keys and signatures. */
#include "auth_kit.h"

#include "base/base64.h"
#include "base/wire.h"
#include "crypt/crypt.h"
#include "ipc/pass.h"
#include "sasl/sasl.h"
#include "sys/clock.h"
#include "tls/tls.h"

#include <time.h>

/* Listeners: 0 the default mechanisms, with TLS; 1 everything, and in clear; 2 PLAIN alone. */
static struct conf *
conf_of(const char *const *more)
{
	struct buf err = BUF_INIT(4096);
	struct conf *c = kit_conf(more);
	free(c->hostname);
	c->hostname = xstrdup("mx.example.com");
	for (unsigned i = 0; i < 3; i++)
		conf_listener_add(c, "127.0.0.1", 10001 + i, "smtp");
	if (!conf_set(c, STR("10002:mechs=PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 OAUTHBEARER"), &err) ||
	    !conf_set(c, STR("10002:auth_cleartext=allow"), &err) ||
	    !conf_set(c, STR("10003:mechs=PLAIN"), &err))
		fail_msg("%s", buf_cstr(&err));
	buf_done(&err);
	return c;
}

struct front {
	struct kit *kit;
	int fd;
	struct buf store;
	struct ipc_frame frame;
	struct msg_sasl last;
	uint64_t id;
};

static void
front_begin(struct front *f, struct kit *k)
{
	*f = (struct front){
		.kit = k, .fd = kit_peer(k, ROLE_FRONT, 0), .store = BUF_INIT(IPC_BODY_MAX + 64)
	};
	kit_expect(f->fd, IPC_CERTS, &f->store); /* none */
	kit_expect(f->fd, IPC_TICKETS, &f->store);
}

static void
front_end(struct front *f)
{
	close(f->fd);
	buf_done(&f->store);
}

static void
front_send(struct front *f, enum ipc_type type, struct str body)
{
	assert_int_equal(chan_sync_send(f->fd, type, f->id, body, -1), 0);
}

static enum sasl_verdict
front_wait(struct front *f)
{
	assert_int_equal(kit_recv(f->fd, &f->frame, &f->store), 0);
	assert_int_equal(f->frame.type, IPC_SASL);
	assert_int_equal(f->frame.id, f->id);
	assert_true(msg_sasl_get(f->frame.body, &f->last));
	return (enum sasl_verdict)f->last.verdict;
}

static void
front_start(struct front *f, const struct msg_sasl_start *m)
{
	struct buf b = BUF_INIT(64u << 10);
	f->id++;
	msg_sasl_start_put(&b, m);
	front_send(f, IPC_SASL_START, buf_str(&b));
	buf_done(&b);
}

static enum sasl_verdict
front_step(struct front *f, struct str octets)
{
	front_send(f, IPC_SASL_STEP, octets);
	return front_wait(f);
}

#define FROM(n) .service = STR("smtp"), .tls = true, .peer = STR("192.0.2.1"), .listener = (n)

#define SET(k, ...)                                                                                \
	do {                                                                                       \
		struct buf out_ = BUF_INIT(4096);                                                  \
		assert_int_equal(KIT_ASK(k, &out_, "auth.set", __VA_ARGS__), CTL_OK);              \
		buf_done(&out_);                                                                   \
	} while (0)

/* --- one message --- */

#define Z(lit)                                                                                     \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}

static const struct {
	const char *mech;
	struct str initial;
	uint16_t listener;
	bool clear; /* without TLS */
	enum sasl_verdict verdict;
	const char *account;
	struct str external;
} singles[] = {
	{ "PLAIN", Z("\0ann@example.com\0secret"), 0, false, SASL_V_OK, "ann@example.com" },
	{ "PLAIN", Z("\0ANN@Example.COM\0secret"), 0, false, SASL_V_OK, "ann@example.com" },
	{ "PLAIN", Z("\0ann\0secret"), 0, false, SASL_V_OK, "ann@example.com" },
	{ "PLAIN", Z("ann@example.com\0ann\0secret"), 0, false, SASL_V_OK, "ann@example.com" },
	{ "PLAIN", Z("bob@example.com\0ann\0secret"), 0, false, SASL_V_FAIL },
	{ "PLAIN", Z("\0ann@example.com\0Secret"), 0, false, SASL_V_FAIL },
	{ "PLAIN", Z("\0ann@example.com\n\0secret"), 0, false, SASL_V_FAIL },
	{ "PLAIN", Z("\0nobody@example.com\0secret"), 0, false, SASL_V_FAIL },
	{ "PLAIN", Z("\0eve@example.com\0secret"), 0, false, SASL_V_FAIL }, /* locked */
	{ "PLAIN", Z("\0moon\256@hot\254.com\0Ci\f\316"), 0, false, SASL_V_OK,
	    "moon\256@hot\254.com" },
	{ "PLAIN", Z("\0moon\256@hot\254.com\0Ci\f\317"), 0, false, SASL_V_FAIL },
	{ "PLAIN", Z("ann"), 0, false, SASL_V_MALFORMED },
	{ "plain", Z("\0ann@example.com\0secret"), 0, false, SASL_V_OK, "ann@example.com" },
	{ "PLAIN", Z("\0ann@example.com\0secret"), 0, true, SASL_V_BADMECH },
	{ "PLAIN", Z("\0ann@example.com\0secret"), 1, true, SASL_V_OK, "ann@example.com" },
	{ "PLAIN", Z("\0ann@example.com\0secret"), 2, false, SASL_V_OK, "ann@example.com" },
	{ "PLAIN", Z("\0ann@example.com\0secret"), 3, false, SASL_V_TEMPFAIL }, /* no listener */
	{ "LOGIN", Z("ann"), 2, false, SASL_V_BADMECH },
	{ "CRAM-MD5", STR_NULL, 0, false, SASL_V_BADMECH }, /* weak: only where it is named */
	{ "GSSAPI", STR_NULL, 0, false, SASL_V_BADMECH },
	{ "OAUTHBEARER", Z("n,,\1auth=Bearer x\1\1"), 1, false, SASL_V_BADMECH }, /* no keys */
	{ "X-NONE", STR_NULL, 0, false, SASL_V_BADMECH },
	{ "EXTERNAL", Z(""), 0, false, SASL_V_OK, "ann@example.com", Z("ANN@example.com") },
	{ "EXTERNAL", Z("ann"), 0, false, SASL_V_OK, "ann@example.com", Z("ann@example.com") },
	{ "EXTERNAL", Z("bob@example.com"), 0, false, SASL_V_FAIL, NULL, Z("ann@example.com") },
	{ "EXTERNAL", Z(""), 0, false, SASL_V_FAIL, NULL, Z("ann") },
	{ "EXTERNAL", Z(""), 0, false, SASL_V_FAIL, NULL, Z("eve@example.com") },
	{ "EXTERNAL", Z(""), 0, false, SASL_V_FAIL },
	{ "EXTERNAL", Z(""), 1, true, SASL_V_BADMECH, NULL, Z("ann@example.com") },
};

static void
fill(struct kit *k)
{
	SET(k, "ann@example.com", "secret");
	SET(k, "bob@example.com", "pencil", "plain");
	SET(k, "eve@example.com", "!", "hash");
	SET(k, "moon\256@hot\254.com", "Ci\f\316", "octets");
}

static void
test_singles(void **state)
{
	struct kit k;
	struct front f;
	struct conf *c = conf_of(NULL);
	start(&k, c);
	fill(&k);
	front_begin(&f, &k);
	for (size_t i = 0; i < ARRAY_LEN(singles); i++) {
		front_start(&f, &(struct msg_sasl_start){ .service = STR("smtp"),
				    .mech = str_of(singles[i].mech),
				    .has_initial = singles[i].initial.p,
				    .initial = singles[i].initial,
				    .tls = !singles[i].clear,
				    .listener = singles[i].listener,
				    .peer = STR("192.0.2.1"),
				    .external = singles[i].external });
		enum sasl_verdict v = front_wait(&f);
		if (v != singles[i].verdict ||
		    !str_eq(f.last.account, str_of(singles[i].account ? singles[i].account : "")) ||
		    (v == SASL_V_OK) != (f.last.why.len == 0))
			fail_msg("row %zu: %d, account %.*s, %.*s", i, v, STR_ARG(f.last.account),
			    STR_ARG(f.last.why));
	}
	front_end(&f);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

/* Who gets in gets a ticket for the front that asked, and nobody else gets one. */
static void
test_tickets(void **state)
{
	static const char octets[PASS_KEY_LEN + 1] = "0123456789abcdef0123456789abcdef";
	struct pass_key key = { .known = true };
	struct kit k;
	struct front f;
	struct conf *c = conf_of(NULL);
	struct buf b = BUF_INIT(64);
	memcpy(key.octets, octets, PASS_KEY_LEN);
	crypt_init();
	start(&k, c);
	fill(&k);
	int fd = memfd_sealed("passes", str_n(octets, PASS_KEY_LEN));
	msg_secret_put(&b, &(struct msg_secret){ .kind = SECRET_PASSES });
	assert_int_equal(chan_sync_send(k.sock, IPC_SECRET, 0, buf_str(&b), fd), 0);
	close(fd);
	buf_done(&b);
	front_begin(&f, &k);
	for (int good = 0; good < 2; good++) {
		front_start(&f,
		    &(struct msg_sasl_start){ FROM(0), .mech = STR("PLAIN"), .has_initial = true,
			.initial = good ? STR("\0ANN\0secret") : STR("\0ann\0guess") });
		assert_int_equal(front_wait(&f), good ? SASL_V_OK : SASL_V_FAIL);
		uint64_t now = (uint64_t)sys_wall_ms(), ms = f.last.ticket_ms;
		struct str ann = STR("ann@example.com"), mac = f.last.ticket;
		assert_int_equal(ticket_good(&key, 0, ann, ms, mac, now), good);
		assert_false(ticket_good(&key, 1, ann, ms, mac, now));
		assert_int_equal(mac.len, good ? PASS_MAC_LEN : 0);
	}
	front_end(&f);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

/* --- several messages --- */

static void
test_prompts(void **state)
{
	struct kit k;
	struct front f;
	struct conf *c = conf_of(NULL);
	start(&k, c);
	fill(&k);
	front_begin(&f, &k);
	front_start(&f, &(struct msg_sasl_start){ FROM(0), .mech = STR("PLAIN") });
	assert_int_equal(front_wait(&f), SASL_V_CHALLENGE);
	assert_int_equal(f.last.text.len, 0);
	assert_int_equal(front_step(&f, STR("\0ann\0secret")), SASL_V_OK);
	front_start(&f, &(struct msg_sasl_start){ FROM(0), .mech = STR("LOGIN"),
			    .user_prompt = STR("Who\303\251?"), .pass_prompt = STR("And?") });
	assert_int_equal(front_wait(&f), SASL_V_CHALLENGE);
	assert_true(str_eq(f.last.text, STR("Who\303\251?")));
	assert_int_equal(front_step(&f, STR("ann")), SASL_V_CHALLENGE);
	assert_true(str_eq(f.last.text, STR("And?")));
	assert_int_equal(front_step(&f, STR("secret")), SASL_V_OK);
	/* What comes behind the end is of no exchange. */
	front_send(&f, IPC_SASL_STEP, STR("more"));
	/* A client that goes away: nothing is answered, and the number may come again. */
	front_start(&f, &(struct msg_sasl_start){ FROM(0), .mech = STR("LOGIN") });
	front_send(&f, IPC_SASL_DROP, STR_NULL);
	f.id--;
	front_start(&f, &(struct msg_sasl_start){ FROM(0), .mech = STR("PLAIN"),
			    .has_initial = true, .initial = STR("\0ann\0secret") });
	while (front_wait(&f) == SASL_V_CHALLENGE) /* of the dropped one, already on its way */
		;
	assert_int_equal(f.last.verdict, SASL_V_OK);
	/* Not in step: it is not believed any more, and all its exchanges go. */
	front_start(&f, &(struct msg_sasl_start){ FROM(0), .mech = STR("LOGIN") });
	front_send(&f, IPC_SASL_STEP, STR("ann"));
	(void)chan_sync_send(f.fd, IPC_SASL_STEP, f.id, STR("ann"), -1); /* or it has seen enough */
	assert_true(kit_closed(f.fd));
	front_end(&f);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

static void
hex(struct buf *b, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_putf(b, "%02x", p[i]);
}

static enum sasl_verdict
cram(struct front *f, const char *name, const char *password)
{
	unsigned char mac[CRYPT_DIGEST_MAX];
	struct buf b = BUF_INIT(512);
	front_start(f, &(struct msg_sasl_start){ FROM(1), .mech = STR("CRAM-MD5") });
	if (front_wait(f) != SASL_V_CHALLENGE)
		return (enum sasl_verdict)f->last.verdict;
	crypt_hmac(CRYPT_MD5, str_of(password), f->last.text, mac);
	buf_putf(&b, "%s ", name);
	hex(&b, mac, crypt_hash_size(CRYPT_MD5));
	enum sasl_verdict v = front_step(f, buf_str(&b));
	buf_done(&b);
	return v;
}

static void
test_cram(void **state)
{
	static const struct {
		const char *name, *password;
		enum sasl_verdict verdict;
	} rows[] = {
		{ "bob@example.com", "pencil", SASL_V_OK }, { "bob", "pencil", SASL_V_OK },
		{ "bob@example.com", "Pencil", SASL_V_FAIL },
		{ "nobody@example.com", "pencil", SASL_V_FAIL },
		{ "ann@example.com", "secret", SASL_V_WEAK }, /* keeps no password */
	};
	struct kit k;
	struct front f;
	struct conf *c = conf_of(NULL);
	crypt_init();
	start(&k, c);
	fill(&k);
	front_begin(&f, &k);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum sasl_verdict v = cram(&f, rows[i].name, rows[i].password);
		if (v != rows[i].verdict)
			fail_msg("row %zu: %d %.*s", i, v, STR_ARG(f.last.why));
	}
	front_end(&f);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

/* --- SCRAM (RFC 5802, RFC 7677) --- */

static struct str
attribute(struct str message, char name)
{
	while (message.p) {
		struct str one = str_cut(&message, ',');
		if (one.len > 2 && one.p[0] == name && one.p[1] == '=')
			return str_skip(one, 2);
	}
	return STR_NULL;
}

static void
scram_final(struct str first_bare, struct str server_first, const char *password, struct buf *out)
{
	unsigned char salted[CRYPT_DIGEST_MAX], client[CRYPT_DIGEST_MAX], stored[CRYPT_DIGEST_MAX],
	    sig[CRYPT_DIGEST_MAX];
	struct buf salt = BUF_INIT(256), auth = BUF_INIT(4096);
	const size_t n = crypt_hash_size(CRYPT_SHA256);
	assert_true(base64_dec(&salt, attribute(server_first, 's')));
	assert_true(str_eq(attribute(server_first, 'i'), STR("4096")));
	crypt_pbkdf2(CRYPT_SHA256, str_of(password), buf_str(&salt), 4096, salted, n);
	crypt_hmac(CRYPT_SHA256, str_n(salted, n), STR("Client Key"), client);
	crypt_digest(CRYPT_SHA256, str_n(client, n), stored);
	buf_putf(out, "c=biws,r=" STR_FMT, STR_ARG(attribute(server_first, 'r')));
	buf_putf(&auth, STR_FMT "," STR_FMT "," STR_FMT, STR_ARG(first_bare), STR_ARG(server_first),
	    STR_ARG(buf_str(out)));
	crypt_hmac(CRYPT_SHA256, str_n(stored, n), buf_str(&auth), sig);
	for (size_t i = 0; i < n; i++)
		client[i] ^= sig[i];
	buf_putz(out, ",p=");
	base64_enc(out, str_n(client, n));
	buf_done(&salt);
	buf_done(&auth);
}

/* salt: of the server's first message, to be compared. */
static enum sasl_verdict
scram(struct front *f, const char *name, const char *password, struct buf *salt)
{
	struct buf first = BUF_INIT(512), final = BUF_INIT(512);
	buf_putf(&first, "n,,n=%s,r=abcdefghijklmnop", name);
	front_start(f, &(struct msg_sasl_start){ FROM(0), .mech = STR("SCRAM-SHA-256"),
			   .has_initial = true, .initial = buf_str(&first) });
	assert_int_equal(front_wait(f), SASL_V_CHALLENGE);
	buf_reset(salt);
	buf_puts(salt, attribute(f->last.text, 's'));
	scram_final(str_skip(buf_str(&first), 3), f->last.text, password, &final);
	enum sasl_verdict v = front_step(f, buf_str(&final));
	buf_done(&first);
	buf_done(&final);
	return v;
}

static void
test_scram(void **state)
{
	struct kit k;
	struct front f;
	struct buf one = BUF_INIT(128), two = BUF_INIT(128), other = BUF_INIT(128);
	struct conf *c = conf_of(NULL);
	crypt_init();
	for (int round = 0; round < 2; round++) {
		start(&k, c);
		fill(&k);
		SET(&k, "old@example.com",
		    "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "hash");
		front_begin(&f, &k);
		assert_int_equal(scram(&f, "ann@example.com", "secret", &one), SASL_V_OK);
		assert_true(f.last.text.len > 2 && str_starts(f.last.text, STR("v=")));
		assert_true(str_eq(f.last.account, STR("ann@example.com")));
		assert_int_equal(scram(&f, "ann", "secret", &one), SASL_V_OK);
		assert_int_equal(scram(&f, "ann", "Secret", &one), SASL_V_FAIL);
		/* An account without a verifier looks like none. */
		assert_int_equal(scram(&f, "old@example.com", "x", &one), SASL_V_FAIL);
		/* Nobody's salt is made up, and the same after a new start. */
		assert_int_equal(scram(&f, "nobody@example.com", "x", &one), SASL_V_FAIL);
		assert_true(one.len > 0);
		if (round > 0)
			assert_true(str_eq(buf_str(&one), buf_str(&two)));
		buf_reset(&two);
		buf_puts(&two, buf_str(&one));
		assert_int_equal(scram(&f, "nobody2@example.com", "x", &one), SASL_V_FAIL);
		assert_false(str_eq(buf_str(&one), buf_str(&two)));
		/* Nor does a name without its domain tell who is here: it is the same account. */
		for (size_t i = 0; i < 2; i++) {
			static const char *const names[] = { "old", "nobody" };
			char whole[32];
			snprintf(whole, sizeof(whole), "%s@example.com", names[i]);
			assert_int_equal(scram(&f, names[i], "x", &one), SASL_V_FAIL);
			buf_reset(&other);
			buf_puts(&other, buf_str(&one));
			assert_int_equal(scram(&f, whole, "x", &one), SASL_V_FAIL);
			assert_true(str_eq(buf_str(&one), buf_str(&other)));
		}
		front_end(&f);
		assert_int_equal(kit_stop(&k), 0);
	}
	buf_done(&one);
	buf_done(&two);
	buf_done(&other);
	conf_free(c);
}

/* --- failures --- */

static int64_t
now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum sasl_verdict
plain(struct front *f, struct str prefix, const char *name, const char *password, int64_t *ret_ms)
{
	struct buf b = BUF_INIT(512);
	buf_putc(&b, '\0');
	buf_putz(&b, name);
	buf_putc(&b, '\0');
	buf_putz(&b, password);
	int64_t began = now_ms();
	front_start(f, &(struct msg_sasl_start){ FROM(0), .mech = STR("PLAIN"), .prefix = prefix,
			   .has_initial = true, .initial = buf_str(&b) });
	enum sasl_verdict v = front_wait(f);
	*ret_ms = now_ms() - began;
	buf_done(&b);
	return v;
}

static void
test_delays(void **state)
{
	const struct str bad = STR("\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\1"),
			 good = STR("\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\2");
	char password[16];
	int64_t ms;
	struct kit k;
	struct front f, g, h;
	struct conf *c = conf_of(NULL);
	start(&k, c);
	fill(&k);
	front_begin(&f, &k);
	for (int i = 0; i < 4; i++) {
		snprintf(password, sizeof(password), "guess%d", i);
		assert_int_equal(plain(&f, bad, "ann@example.com", password, &ms), SASL_V_FAIL);
	}
	assert_true(ms >= 1000);
	/* More guesses, whose answers nobody waits for: now it is 15 s. */
	front_begin(&g, &k);
	front_begin(&h, &k);
	for (int i = 0; i < 6; i++) {
		char initial[64];
		int n = snprintf(initial, sizeof(initial), "%cann@example.com%cmore%d", 0, 0, i);
		front_start(&f,
		    &(struct msg_sasl_start){ FROM(0), .mech = STR("PLAIN"), .prefix = bad,
			.has_initial = true, .initial = str_n(initial, (size_t)n) });
	}
	/* From an address without failures the right password is not held up: it overtakes the
	 * same one from the address that guesses. */
	assert_int_equal(plain(&g, good, "bob@example.com", "pencil", &ms), SASL_V_OK);
	front_start(&h, &(struct msg_sasl_start){ FROM(0), .mech = STR("PLAIN"), .prefix = bad,
			    .has_initial = true, .initial = STR("\0ann@example.com\0secret") });
	assert_int_equal(plain(&g, good, "ann@example.com", "secret", &ms), SASL_V_OK);
	assert_int_equal(plain(&g, good, "ann@example.com", "secret", &ms), SASL_V_OK);
	assert_true(!kit_readable(h.fd, 0) || ms > 5000);
	front_send(&h, IPC_SASL_DROP, STR_NULL);
	front_end(&h);
	front_end(&f);
	front_end(&g);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

/* One password for many accounts is as much a guess as many for one; the same one again for the
 * same account is none. */
static void
test_spray(void **state)
{
	const struct str bad = STR("\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\3");
	char name[32];
	int64_t ms;
	struct kit k;
	struct front f;
	struct conf *c = conf_of(NULL);
	start(&k, c);
	fill(&k);
	front_begin(&f, &k);
	for (int i = 0; i < 4; i++)
		assert_int_equal(plain(&f, bad, "ann@example.com", "Summer26", &ms), SASL_V_FAIL);
	assert_int_equal(plain(&f, bad, "ann@example.com", "secret", &ms), SASL_V_OK);
	assert_true(ms < 1000);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "u%d@example.com", i);
		assert_int_equal(plain(&f, bad, name, "Summer26", &ms), SASL_V_FAIL);
	}
	assert_true(ms >= 1000);
	front_end(&f);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

/* Who leaves before the answer has guessed all the same. */
static void
test_leaving(void **state)
{
	enum { N = 6 };
	const struct str bad = STR("\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\4");
	char initial[64];
	int64_t ms;
	struct kit k;
	struct front f;
	struct conf *c = conf_of(NULL);
	start(&k, c);
	fill(&k);
	front_begin(&f, &k);
	for (int i = 0; i < N; i++) {
		int n = snprintf(initial, sizeof(initial), "%cann@example.com%cguess%d", 0, 0, i);
		front_start(&f,
		    &(struct msg_sasl_start){ FROM(0), .mech = STR("PLAIN"), .prefix = bad,
			.has_initial = true, .initial = str_n(initial, (size_t)n) });
		front_send(&f, IPC_SASL_DROP, STR_NULL);
	}
	do /* behind the others; one of them may have had an answer before it was dropped */
		(void)plain(&f, STR_NULL, "bob@example.com", "pencil", &ms);
	while (f.last.verdict != SASL_V_OK);
	assert_int_equal(plain(&f, bad, "bob@example.com", "pencil", &ms), SASL_V_OK);
	assert_true(ms >= 1000);
	front_end(&f);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

/* Who guesses cannot fill the queue that the others stand in. */
static void
test_guessers_wait_outside(void **state)
{
	enum { GUESSES = 4, N = 120 };
	const struct str bad = STR("\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\5"),
			 good = STR("\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\6");
	char password[16], initial[64];
	int64_t ms;
	struct kit k;
	struct front f, g;
	struct conf *c = conf_of(NULL);
	start(&k, c);
	fill(&k);
	front_begin(&f, &k);
	front_begin(&g, &k);
	for (int i = 0; i < GUESSES; i++) {
		snprintf(password, sizeof(password), "guess%d", i);
		(void)plain(&f, bad, "ann@example.com", password, &ms);
	}
	for (int i = 0; i < N; i++) {
		int n = snprintf(initial, sizeof(initial), "%cann@example.com%cmore%d", 0, 0, i);
		front_start(&f,
		    &(struct msg_sasl_start){ FROM(0), .mech = STR("PLAIN"), .prefix = bad,
			.has_initial = true, .initial = str_n(initial, (size_t)n) });
	}
	assert_int_equal(kit_recv(f.fd, &f.frame, &f.store), 0);
	assert_true(msg_sasl_get(f.frame.body, &f.last));
	assert_int_equal(f.last.verdict, SASL_V_TEMPFAIL);
	assert_int_equal(plain(&g, good, "bob@example.com", "pencil", &ms), SASL_V_OK);
	front_end(&f);
	front_end(&g);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

/* More than the queue holds: told so at once, and the rest is served. */
static void
test_overload(void **state)
{
	enum { N = 600 };
	struct kit k;
	struct front f;
	int n[SASL_V_COUNT] = { 0 };
	struct buf b = BUF_INIT(4096);
	struct conf *c = conf_of(NULL);
	start(&k, c);
	fill(&k);
	front_begin(&f, &k);
	for (uint64_t i = 0; i < N; i++)
		front_start(&f, &(struct msg_sasl_start){ FROM(0), .mech = STR("LOGIN") });
	for (uint64_t i = 0; i < N; i++) {
		struct msg_sasl m;
		assert_int_equal(kit_recv(f.fd, &f.frame, &f.store), 0);
		assert_true(msg_sasl_get(f.frame.body, &m));
		n[m.verdict]++;
	}
	assert_int_equal(n[SASL_V_CHALLENGE] + n[SASL_V_TEMPFAIL], N);
	assert_true(n[SASL_V_CHALLENGE] >= 256);
	int64_t ms;
	assert_int_equal(plain(&f, STR_NULL, "ann@example.com", "secret", &ms), SASL_V_OK);
	front_end(&f); /* and all exchanges with it */
	front_begin(&f, &k);
	assert_int_equal(plain(&f, STR_NULL, "ann@example.com", "secret", &ms), SASL_V_OK);
	front_end(&f);
	assert_int_equal(kit_stop(&k), 0);
	buf_done(&b);
	conf_free(c);
}

/* --- tokens --- */

static void
put_b64url(struct buf *out, struct str s)
{
	size_t from = out->len;
	base64_enc(out, s);
	for (size_t i = from; i < out->len; i++)
		out->p[i] = out->p[i] == '+' ? '-' : out->p[i] == '/' ? '_' : out->p[i];
	while (out->len > from && out->p[out->len - 1] == '=')
		buf_trunc(out, out->len - 1);
}

static void
make_jwt(struct buf *out, const char *claims, const char *key)
{
	unsigned char mac[CRYPT_DIGEST_MAX];
	put_b64url(out, STR("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"));
	buf_putc(out, '.');
	put_b64url(out, str_of(claims));
	crypt_hmac(CRYPT_SHA256, str_of(key), buf_str(out), mac);
	buf_putc(out, '.');
	put_b64url(out, str_n(mac, crypt_hash_size(CRYPT_SHA256)));
}

static enum sasl_verdict
bearer_send(struct front *f, const char *user, struct str token)
{
	struct buf b = BUF_INIT(16u << 10);
	buf_putf(&b, "n,%s%s,\1auth=Bearer " STR_FMT "\1\1", *user ? "a=" : "", user,
	    STR_ARG(token));
	front_start(f, &(struct msg_sasl_start){ FROM(0), .mech = STR("OAUTHBEARER"),
			   .has_initial = true, .initial = buf_str(&b) });
	buf_done(&b);
	return SASL_V_CHALLENGE;
}

static enum sasl_verdict
bearer_end(struct front *f)
{
	enum sasl_verdict v = front_wait(f);
	return v == SASL_V_CHALLENGE ? front_step(f, STR("\1")) : v;
}

static void
test_jwt(void **state)
{
	static const char key[] = "0123456789abcdef0123456789abcdef";
	static const struct {
		const char *user, *claims, *key;
		enum sasl_verdict verdict;
	} rows[] = {
		{ "", "{\"email\":\"ann@example.com\",\"exp\":4000000000}", key, SASL_V_OK },
		{ "ann@example.com", "{\"email\":\"Ann@example.com\",\"exp\":4000000000}", key,
		    SASL_V_OK },
		{ "bob@example.com", "{\"email\":\"ann@example.com\",\"exp\":4000000000}", key,
		    SASL_V_FAIL },
		{ "", "{\"email\":\"ann\",\"exp\":4000000000}", key, SASL_V_FAIL },
		{ "", "{\"email\":\"nobody@example.com\",\"exp\":4000000000}", key, SASL_V_FAIL },
		{ "", "{\"email\":\"eve@example.com\",\"exp\":4000000000}", key, SASL_V_FAIL },
		{ "", "{\"email\":\"ann@example.com\",\"exp\":1000000000}", key, SASL_V_FAIL },
		{ "", "{\"email\":\"ann@example.com\",\"exp\":4000000000}",
		    "another key, as long as the other", SASL_V_FAIL },
	};
	char path[96], secret[64];
	struct kit k;
	struct front f;
	struct conf *c = conf_of(NULL);
	crypt_init();
	start(&k, c);
	fill(&k);
	snprintf(secret, sizeof(secret), "secret:%s", key);
	write_file(path, "jwt", str_of(secret));
	give_secret(&k, SECRET_JWT, path);
	give_secret(&k, SECRET_END, "/dev/null");
	front_begin(&f, &k);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf token = BUF_INIT(4096);
		make_jwt(&token, rows[i].claims, rows[i].key);
		bearer_send(&f, rows[i].user, buf_str(&token));
		enum sasl_verdict v = bearer_end(&f);
		if (v != rows[i].verdict)
			fail_msg("row %zu: %d %.*s", i, v, STR_ARG(f.last.why));
		buf_done(&token);
	}
	front_end(&f);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

static void
fetched(int fd, struct front *f, uint16_t status, const char *json, struct str form)
{
	struct ipc_frame m;
	struct msg_fetch in;
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64), b = BUF_INIT(4096);
	assert_int_equal(kit_recv(fd, &m, &store), 0);
	assert_int_equal(m.type, IPC_FETCH);
	assert_true(msg_fetch_get(m.body, &in));
	assert_int_equal(in.what, FETCH_INTROSPECT);
	assert_true(str_ends(in.form, form));
	struct msg_fetched out = {
		.status = status, .body = str_of(json), .error = status ? STR("") : STR("no answer")
	};
	msg_fetched_put(&b, &out);
	assert_int_equal(chan_sync_send(fd, IPC_FETCHED, m.id, buf_str(&b), -1), 0);
	buf_done(&b);
	buf_done(&store);
}

static void
test_introspection(void **state)
{
	static const char *const sets[] = { "oauth.introspect_url=https://idp.example.com/check",
		"oauth.audience=mail", NULL };
	static const struct {
		uint16_t status;
		const char *json;
		enum sasl_verdict verdict;
	} rows[] = {
		{ 200, "{\"active\":true,\"email\":\"ann@example.com\",\"aud\":\"mail\"}",
		    SASL_V_OK },
		{ 200, "{\"active\":true,\"email\":\"ann@example.com\",\"aud\":[\"x\",\"mail\"]}",
		    SASL_V_OK },
		{ 200, "{\"active\":true,\"email\":\"ann@example.com\"}", SASL_V_FAIL },
		{ 200, "{\"active\":false,\"email\":\"ann@example.com\",\"aud\":\"mail\"}",
		    SASL_V_FAIL },
		{ 200, "{\"active\":1,\"email\":\"ann@example.com\",\"aud\":\"mail\"}",
		    SASL_V_FAIL },
		{ 200, "{\"active\":true,\"email\":\"a@b.example\",\"aud\":\"mail\"}",
		    SASL_V_FAIL },
		{ 200, "{\"active\":true,\"email\":7,\"aud\":\"mail\"}", SASL_V_FAIL },
		{ 200,
		    "{\"active\":true,\"email\":\"ann@example.com\",\"aud\":\"mail\","
		    "\"email_verified\":false}",
		    SASL_V_FAIL },
		{ 200, "{\"active\":true,\"exp\":5,\"email\":\"ann@example.com\",\"aud\":\"mail\"}",
		    SASL_V_FAIL },
		{ 200, "[]", SASL_V_FAIL },
		{ 200, "", SASL_V_FAIL },
		{ 500, "{\"active\":true,\"email\":\"ann@example.com\",\"aud\":\"mail\"}",
		    SASL_V_TEMPFAIL },
		{ 0, "", SASL_V_TEMPFAIL },
	};
	struct kit k;
	struct front f;
	struct conf *c = conf_of(sets);
	start(&k, c);
	fill(&k);
	front_begin(&f, &k);
	/* Nobody to ask. */
	bearer_send(&f, "", STR("abc"));
	assert_int_equal(front_wait(&f), SASL_V_TEMPFAIL);
	int fd = kit_peer(&k, ROLE_FETCH, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bearer_send(&f, "", STR("a+b/c="));
		fetched(fd, &f, rows[i].status, rows[i].json, STR("token=a%2Bb%2Fc%3D"));
		enum sasl_verdict v = bearer_end(&f);
		if (v != rows[i].verdict)
			fail_msg("row %zu: %d %.*s", i, v, STR_ARG(f.last.why));
	}
	/* The one who is asked goes away; a client goes away meanwhile. */
	bearer_send(&f, "", STR("abc"));
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	kit_expect(fd, IPC_FETCH, &store);
	close(fd);
	assert_int_equal(front_wait(&f), SASL_V_TEMPFAIL);
	fd = kit_peer(&k, ROLE_FETCH, 0);
	bearer_send(&f, "", STR("abc"));
	kit_expect(fd, IPC_FETCH, &store);
	front_send(&f, IPC_SASL_DROP, STR_NULL);
	bearer_send(&f, "", STR("def"));
	fetched(fd, &f, 200, rows[0].json, STR("token=def"));
	assert_int_equal(bearer_end(&f), SASL_V_OK);
	close(fd);
	buf_done(&store);
	front_end(&f);
	assert_int_equal(kit_stop(&k), 0);
	conf_free(c);
}

/* --- keys --- */

/* The certificates that a front is sent. */
static void
expect_certs(struct front *f, const struct pair *const *pairs, size_t n)
{
	struct buf want = BUF_INIT(256u << 10);
	struct str got;
	assert_int_equal(kit_recv(f->fd, &f->frame, &f->store), 0);
	assert_int_equal(f->frame.type, IPC_CERTS);
	assert_int_equal(memfd_map(f->frame.fd, 1u << 20, &got), 0);
	for (size_t i = 0; i < n; i++)
		put_str(&want, buf_str(&pairs[i]->cert));
	assert_true(str_eq(got, buf_str(&want)));
	memfd_unmap(got);
	close(f->frame.fd);
	buf_done(&want);
}

static size_t
ask_signature(struct front *f, const struct pair *p, struct str tbs)
{
	struct msg_sign m = {
		.key = str_n(p->name, sizeof(p->name)), .alg = TLS_SIGN_ECDSA_SHA256, .tbs = tbs
	};
	struct buf b = BUF_INIT(4096);
	f->id++;
	msg_sign_put(&b, &m);
	front_send(f, IPC_SIGN, buf_str(&b));
	buf_done(&b);
	assert_int_equal(kit_recv(f->fd, &f->frame, &f->store), 0);
	assert_int_equal(f->frame.type, IPC_SIGNED);
	assert_int_equal(f->frame.id, f->id);
	return f->frame.body.len;
}

static void
test_keys(void **state)
{
	struct pair one, two;
	const struct pair *both[] = { &one, &two };
	struct kit k;
	struct front f;
	char tbs13[64 + 34 + 32];
	struct conf *c = conf_of(NULL);
	tls_init();
	make_pair(&one, "one.example.com");
	make_pair(&two, "two.example.com");
	memset(tbs13, ' ', 64);
	memcpy(tbs13 + 64, "TLS 1.3, server CertificateVerify", 34);
	memset(tbs13 + 98, 7, 32);
	const struct str tbs = str_n(tbs13, sizeof(tbs13));

	start(&k, c);
	front_begin(&f, &k);
	assert_int_equal(ask_signature(&f, &one, tbs), 0);
	give_pair(&k, &one, &one);
	give_pair(&k, &two, &two);
	give_secret(&k, SECRET_END, "/dev/null");
	expect_certs(&f, both, 2);
	assert_true(ask_signature(&f, &one, tbs) > 32);
	assert_true(ask_signature(&f, &two, tbs) > 32);
	/* Nothing else is signed, and by nothing else. */
	assert_int_equal(ask_signature(&f, &one, STR("From: me")), 0);
	assert_int_equal(ask_signature(&f, &(struct pair){ .name = "x" }, tbs), 0);

	/* A set with a mistake: the old one stays. */
	give_pair(&k, &one, &two);
	give_secret(&k, SECRET_END, "/dev/null");
	assert_true(ask_signature(&f, &two, tbs) > 32);
	/* A good one takes its place; the key of the old signs no more. */
	give_pair(&k, &two, &two);
	give_secret(&k, SECRET_END, "/dev/null");
	expect_certs(&f, &both[1], 1);
	assert_int_equal(ask_signature(&f, &one, tbs), 0);
	assert_true(ask_signature(&f, &two, tbs) > 32);
	front_end(&f);
	/* A front that comes later. */
	f = (struct front){ .fd = kit_peer(&k, ROLE_FRONT, 1),
		.store = BUF_INIT(IPC_BODY_MAX + 64) };
	expect_certs(&f, &both[1], 1);
	kit_expect(f.fd, IPC_TICKETS, &f.store);
	/* What is no question of a front. */
	front_send(&f, IPC_SIGN, STR("short"));
	assert_true(kit_closed(f.fd));
	front_end(&f);
	assert_int_equal(kit_stop(&k), 0);
	pair_done(&one);
	pair_done(&two);
	conf_free(c);
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

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		ROW(test_singles),
		ROW(test_tickets),
		ROW(test_prompts),
		ROW(test_cram),
		ROW(test_scram),
		ROW(test_delays),
		ROW(test_spray),
		ROW(test_leaving),
		ROW(test_guessers_wait_outside),
		ROW(test_overload),
		ROW(test_jwt),
		ROW(test_introspection),
		ROW(test_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
