/* Names, tickets, ALPN, clients' certificates, channel bindings: what a handshake comes to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kit/tls_kit.h"

static struct kit_cert mail, wild, other, other_rsa, ca, user, stranger, no_mail;
static struct kit_signer signer = { .how = KIT_LATER };
static struct tls_ticket_key keys_a[TLS_TICKET_KEYS], keys_b[TLS_TICKET_KEYS];

struct setup {
	const char *id, *alpn;
	struct str client_ca;
};

static struct tls_certs *
certs_new(void)
{
	const struct kit_cert *all[] = { &mail, &wild, &other_rsa, &other };
	struct tls_certs *c = tls_certs_new();
	struct buf err = BUF_INIT(4096);

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (!tls_certs_add(c, buf_str(&all[i]->pem), &err))
			fail_msg("%s", buf_cstr(&err));
	assert_int_equal(tls_certs_count(c), ARRAY_LEN(all));
	return c;
}

static struct tls_server *
server(const struct setup *u, const struct tls_ticket_key *keys)
{
	struct tls_server_conf conf = {
		.alpn = u->alpn, .id = str_of(u->id), .client_ca = u->client_ca
	};
	struct tls_certs *c = certs_new();
	struct buf err = BUF_INIT(4096);
	struct tls_server *s = tls_server_new(&conf, c, kit_sign, &signer, &err);

	if (!s)
		fail_msg("%s", buf_cstr(&err));
	tls_certs_unref(c);
	if (keys)
		tls_server_tickets(s, keys);
	return s;
}

static bool
shake(struct kit_pair *p)
{
	kit_shake(p, &signer);
	return p->server == TLS_OK && p->client == SSL_ERROR_NONE;
}

/* --- names ------------------------------------------------------------------------- */

static const struct {
	const char *name;
	const struct kit_cert *cert;
} names[] = {
	{ NULL, &mail },
	{ "mail.example.net", &mail },
	{ "MAIL.Example.NET", &mail },
	{ "smtp.example.net", &mail }, /* its second name */
	{ "a.example.org", &wild },
	{ "imap.example.org", &wild },
	{ "a.b.example.org", &mail }, /* one label only; unknown: the default */
	{ "example.org", &mail },
	{ "other.example.com", &other }, /* EC before RSA */
	{ "nobody.example", &mail },
};

static void
test_names(void **state)
{
	struct tls_server *s = server(&(struct setup){ .id = "25" }, NULL);

	for (size_t i = 0; i < ARRAY_LEN(names) * 2; i++) {
		int version = i & 1 ? TLS1_3_VERSION : TLS1_2_VERSION;
		SSL_CTX *client = kit_client(version, version);
		struct kit_pair p;
		struct tls_facts f;
		kit_open(&p, s, client);
		if (names[i / 2].name)
			kit_name(p.ssl, names[i / 2].name);
		assert_true(shake(&p));
		if (X509_cmp(SSL_get0_peer_certificate(p.ssl), names[i / 2].cert->x) != 0)
			fail_msg("row %zu", i / 2);
		tls_facts(p.t, &f);
		assert_true(str_ieq(str_of(f.sni), str_of(names[i / 2].name)));
		assert_string_equal(f.version, i & 1 ? "TLSv1.3" : "TLSv1.2");
		assert_int_equal(f.bits, 256);
		assert_false(f.resumed);
		kit_close(&p);
		SSL_CTX_free(client);
	}
	tls_server_free(s);
}

/* New certificates from the next handshake on; what is open goes on, free or not. */
static void
test_new_certificates(void **state)
{
	struct tls_server *s = server(&(struct setup){ .id = "25" }, NULL);
	struct tls_certs *fresh = tls_certs_new(), *none = tls_certs_new();
	SSL_CTX *client = kit_client(TLS1_2_VERSION, TLS1_3_VERSION);
	struct buf err = BUF_INIT(4096);
	struct kit_pair a, b, c;

	assert_true(tls_certs_add(fresh, buf_str(&other.pem), &err));
	kit_open(&a, s, client);
	assert_true(shake(&a));
	kit_open(&b, s, client);
	SSL_do_handshake(b.ssl);
	b.server = tls_handshake(b.t);
	assert_int_equal(b.server, TLS_SIGN);
	assert_false(tls_server_certs(s, none, &err));
	assert_true(tls_server_certs(s, fresh, &err));
	tls_certs_unref(none);
	tls_certs_unref(fresh);
	assert_true(shake(&b));
	assert_int_equal(X509_cmp(SSL_get0_peer_certificate(b.ssl), mail.x), 0);
	kit_open(&c, s, client);
	tls_server_free(s);
	assert_true(shake(&c));
	assert_int_equal(X509_cmp(SSL_get0_peer_certificate(c.ssl), other.x), 0);
	kit_talk(&a);
	kit_talk(&b);
	kit_talk(&c);
	kit_close(&a);
	kit_close(&b);
	kit_close(&c);
	SSL_CTX_free(client);
	buf_done(&err);
}

static void
test_bad_certificates(void **state)
{
	struct tls_certs *c = tls_certs_new();
	struct kit_cert weak = { .pkey = EVP_RSA_gen(1024) }, odd;
	struct buf err = BUF_INIT(4096);
	BIO *b = BIO_new(BIO_s_mem());
	char *p;

	weak.x = X509_dup(mail.x);
	X509_set_pubkey(weak.x, weak.pkey);
	X509_sign(weak.x, weak.pkey, EVP_sha256());
	PEM_write_bio_X509(b, weak.x);
	long n = BIO_get_mem_data(b, &p);
	assert_false(tls_certs_add(c, str_n(p, (size_t)n), &err));
	assert_string_equal(buf_cstr(&err), "an RSA key of 1024 bits; it must have 2048 to 8192");
	buf_reset(&err);
	odd = (struct kit_cert){ .pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
		.x = X509_dup(mail.x) };
	X509_set_pubkey(odd.x, odd.pkey);
	X509_sign(odd.x, odd.pkey, NULL);
	(void)BIO_reset(b);
	PEM_write_bio_X509(b, odd.x);
	n = BIO_get_mem_data(b, &p);
	assert_false(tls_certs_add(c, str_n(p, (size_t)n), &err));
	assert_string_equal(buf_cstr(&err),
	    "a key of type ED25519; it must be RSA or an elliptic curve");
	buf_reset(&err);
	assert_false(tls_certs_add(c, STR(""), &err));
	assert_string_equal(buf_cstr(&err), "no certificate in PEM form");
	buf_reset(&err);
	assert_false(tls_certs_add(c,
	    STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), &err));
	assert_true(err.len > 0);
	assert_int_equal(tls_certs_count(c), 0);
	tls_certs_unref(c);
	BIO_free(b);
	EVP_PKEY_free(weak.pkey);
	X509_free(weak.x);
	EVP_PKEY_free(odd.pkey);
	X509_free(odd.x);
	buf_done(&err);
}

/* --- tickets ------------------------------------------------------------------------- */

static SSL_SESSION *caught;

static int
catch_session(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION_free(caught);
	caught = session;
	return 1;
}

/* A session from one server brought to another; what both sides think of it. */
static bool
resumes(struct tls_server *first, struct tls_server *second, int version, struct tls_facts facts[3])
{
	SSL_CTX *client = kit_client(version, version);
	struct kit_pair p, q;
	char c;

	SSL_SESSION_free(caught);
	caught = NULL;
	SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(client, catch_session);
	kit_open(&p, first, client);
	kit_name(p.ssl, "a.example.org");
	assert_true(shake(&p));
	SSL_read(p.ssl, &c, 1); /* the ticket of TLS 1.3 */
	tls_facts(p.t, &facts[0]);
	kit_close(&p);
	kit_open(&q, second, client);
	kit_name(q.ssl, "a.example.org");
	if (caught)
		assert_int_equal(SSL_set_session(q.ssl, caught), 1);
	unsigned asked = signer.asked;
	assert_true(shake(&q));
	bool reused = SSL_session_reused(q.ssl);
	assert_int_equal(signer.asked - asked, reused ? 0 : 1);
	tls_facts(q.t, &facts[1]);
	assert_int_equal(facts[1].resumed, reused);
	facts[2].unique_len = SSL_get_peer_finished(q.ssl, facts[2].unique, TLS_BINDING_MAX);
	SSL_export_keying_material(q.ssl, facts[2].exporter, 32, "EXPORTER-Channel-Binding", 24,
	    (const unsigned char *)"", 0, 1);
	kit_talk(&q);
	kit_close(&q);
	SSL_CTX_free(client);
	return reused;
}

static void
test_tickets(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_server *a = server(&(struct setup){ .id = "25" }, keys_a);
	struct tls_server *twin = server(&(struct setup){ .id = "25" }, keys_a);
	struct tls_server *port = server(&(struct setup){ .id = "587" }, keys_a);
	struct tls_server *later = server(&(struct setup){ .id = "25" }, keys_b);
	struct tls_server *bare = server(&(struct setup){ .id = "25" }, NULL);
	struct tls_ticket_key gap_keys[TLS_TICKET_KEYS], zero_keys[TLS_TICKET_KEYS] = { 0 };
	struct tls_ticket_key third_keys[TLS_TICKET_KEYS] = { keys_a[2] };
	struct tls_server *zero = server(&(struct setup){ .id = "25" }, zero_keys);
	struct tls_server *third = server(&(struct setup){ .id = "25" }, third_keys);
	struct tls_server *authority =
	    server(&(struct setup){ .id = "25", .client_ca = buf_str(&ca.pem) }, keys_a);
	struct tls_facts f[3];

	memcpy(gap_keys, keys_a, sizeof(gap_keys));
	memset(&gap_keys[1], 0, sizeof(gap_keys[1]));
	struct tls_server *gap = server(&(struct setup){ .id = "25" }, gap_keys);
	for (size_t i = 0; i < 2; i++) {
		assert_true(resumes(a, a, versions[i], f));
		assert_true(resumes(a, twin, versions[i], f));
		assert_string_equal(f[1].sni, "a.example.org");
		/* The certificate's binding holds on; those of the connection are new. */
		assert_int_equal(f[1].endpoint_len, 32);
		assert_memory_equal(f[0].endpoint, f[1].endpoint, 32);
		assert_int_equal(f[1].exporter_len, 32);
		assert_memory_equal(f[1].exporter, f[2].exporter, 32);
		assert_memory_not_equal(f[0].exporter, f[1].exporter, 32);
		if (versions[i] == TLS1_2_VERSION) {
			/* RFC 5929 3.1: resumed, the server's Finished comes first. */
			assert_int_equal(f[1].unique_len, 12);
			assert_memory_equal(f[1].unique, f[2].unique, 12);
		}
		assert_false(resumes(a, port, versions[i], f));
		assert_false(resumes(port, a, versions[i], f));
		assert_true(resumes(a, later, versions[i], f)); /* keys_a[0] is its second */
		assert_false(resumes(later, a, versions[i], f));
		assert_false(resumes(a, bare, versions[i], f));
		assert_false(resumes(bare, a, versions[i], f));
		/* The third key of keys_a, but behind none: nobody's. */
		assert_false(resumes(gap, third, versions[i], f));
		assert_false(resumes(third, gap, versions[i], f));
		assert_false(resumes(zero, zero, versions[i], f));
		assert_false(resumes(a, authority, versions[i], f));
	}
	SSL_SESSION_free(caught);
	caught = NULL;
	tls_server_free(a);
	tls_server_free(twin);
	tls_server_free(port);
	tls_server_free(later);
	tls_server_free(bare);
	tls_server_free(zero);
	tls_server_free(third);
	tls_server_free(gap);
	tls_server_free(authority);
}

/* --- ALPN ---------------------------------------------------------------------------- */

static const struct {
	const char *ours;
	struct str offer; /* as on the wire */
	bool ok;
	const char *selected;
} alpn[] = {
	{ "smtp", { NULL, 0 }, true, "" },
	{ "smtp", STR("\4smtp"), true, "smtp" },
	{ "smtp", STR("\2h2\4smtp"), true, "smtp" },
	{ "smtp", STR("\2h2\10http/1.1"), false, "" },
	{ "smtp", STR("\4imap"), false, "" },
	{ "smtp", STR("\5smtp2"), false, "" },
	{ "smtp", STR("\4SMTP"), false, "" },
	{ "imap", STR("\4imap"), true, "imap" },
	{ "pop3", STR("\4pop3"), true, "pop3" },
	{ "pop3", { NULL, 0 }, true, "" },
	{ NULL, STR("\2h2"), true, "" },
};

static void
test_alpn(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(alpn) * 2; i++) {
		struct tls_server *s =
		    server(&(struct setup){ .id = "x", .alpn = alpn[i / 2].ours }, NULL);
		int version = i & 1 ? TLS1_3_VERSION : TLS1_2_VERSION;
		SSL_CTX *client = kit_client(version, version);
		struct str o = alpn[i / 2].offer;
		struct kit_pair p;
		struct tls_facts f;
		kit_open(&p, s, client);
		if (o.len)
			SSL_set_alpn_protos(p.ssl, (const unsigned char *)o.p, (unsigned)o.len);
		if (shake(&p) != alpn[i / 2].ok)
			fail_msg("row %zu: %s", i / 2, tls_error(p.t));
		if (alpn[i / 2].ok) {
			tls_facts(p.t, &f);
			assert_string_equal(f.alpn, alpn[i / 2].selected);
		} else {
			assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()),
			    SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL);
		}
		kit_close(&p);
		SSL_CTX_free(client);
		tls_server_free(s);
	}
}

/* --- clients' certificates ------------------------------------------------------------- */

static const struct {
	const struct kit_cert *cert;
	bool ca, verified;
	const char *name, *subject;
} clients[] = {
	{ NULL, true, false, "", "" }, { &user, true, true, "user@example.net", "CN=A User" },
	{ &no_mail, true, true, "CN=No Mail", "CN=No Mail" },
	{ &stranger, true, false, "", "CN=A User" },
	{ &user, false, false, "", "" }, /* was not asked */
};

static void
test_client_certificates(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(clients) * 2; i++) {
		struct setup u = { .id = "25" };
		if (clients[i / 2].ca)
			u.client_ca = buf_str(&ca.pem);
		struct tls_server *s = server(&u, keys_a);
		int version = i & 1 ? TLS1_3_VERSION : TLS1_2_VERSION;
		SSL_CTX *client = kit_client(version, version);
		const struct kit_cert *cert = clients[i / 2].cert;
		struct tls_facts f;
		char c;
		SSL_SESSION_free(caught);
		caught = NULL;
		SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT);
		SSL_CTX_sess_set_new_cb(client, catch_session);
		for (int again = 0; again < 2; again++) { /* the second time resumed */
			struct kit_pair p;
			kit_open(&p, s, client);
			if (cert)
				assert_int_equal(SSL_use_cert_and_key(p.ssl, cert->x, cert->pkey,
						     NULL, 1),
				    1);
			if (again)
				SSL_set_session(p.ssl, caught);
			if (!shake(&p))
				fail_msg("row %zu: %s", i / 2, tls_error(p.t));
			SSL_read(p.ssl, &c, 1);
			tls_facts(p.t, &f);
			assert_int_equal(f.resumed, again);
			assert_int_equal(f.client_verified, clients[i / 2].verified);
			assert_string_equal(f.client_name, clients[i / 2].name);
			assert_string_equal(f.client_subject, clients[i / 2].subject);
			kit_talk(&p);
			kit_close(&p);
		}
		SSL_CTX_free(client);
		tls_server_free(s);
	}
	SSL_SESSION_free(caught);
	caught = NULL;
}

/* --- channel bindings -------------------------------------------------------------------- */

static void
test_bindings(void **state)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct tls_server *s = server(&(struct setup){ .id = "25" }, keys_a);
		SSL_CTX *client = kit_client(version, version);
		unsigned char want[64];
		unsigned int n = 0;
		struct kit_pair p;
		struct tls_facts f;
		kit_open(&p, s, client);
		assert_true(shake(&p));
		tls_facts(p.t, &f);
		assert_int_equal(f.exporter_len, 32);
		assert_int_equal(SSL_export_keying_material(p.ssl, want, 32,
				     "EXPORTER-Channel-Binding", 24, (const unsigned char *)"", 0,
				     1),
		    1);
		assert_memory_equal(want, f.exporter, 32);
		assert_int_equal(X509_digest(mail.x, EVP_sha256(), want, &n), 1);
		assert_int_equal(f.endpoint_len, n);
		assert_memory_equal(want, f.endpoint, n);
		if (version == TLS1_2_VERSION) {
			assert_int_equal(f.unique_len, 12);
			assert_int_equal(SSL_get_finished(p.ssl, want, sizeof(want)), 12);
			assert_memory_equal(want, f.unique, 12);
		} else {
			assert_int_equal(f.unique_len, 0);
		}
		kit_close(&p);
		SSL_CTX_free(client);
		tls_server_free(s);
	}
}

/* RFC 9266 4.2: without RFC 7627 an exporter of TLS 1.2 binds nothing. */
static void
test_no_extended_master_secret(void **state)
{
	struct tls_server *s = server(&(struct setup){ .id = "25" }, NULL);
	SSL_CTX *client = kit_client(TLS1_2_VERSION, TLS1_2_VERSION);
	struct kit_pair p;
	struct tls_facts f;

	SSL_CTX_set_options(client, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	kit_open(&p, s, client);
	assert_true(shake(&p));
	tls_facts(p.t, &f);
	assert_int_equal(f.exporter_len, 0);
	assert_int_equal(f.unique_len, 12);
	kit_close(&p);
	SSL_CTX_free(client);
	tls_server_free(s);
}

/* --- what is not done ---------------------------------------------------------------------- */

static void
test_renegotiation(void **state)
{
	struct tls_server *s = server(&(struct setup){ .id = "25" }, NULL);
	SSL_CTX *client = kit_client(TLS1_2_VERSION, TLS1_2_VERSION);
	struct kit_pair p;
	char got[64];
	size_t n;

	kit_open(&p, s, client);
	assert_true(shake(&p));
	unsigned asked = signer.asked;
	kit_talk(&p);
	assert_int_equal(SSL_renegotiate(p.ssl), 1);
	SSL_do_handshake(p.ssl);
	enum tls_io io = tls_read(p.t, got, sizeof(got), &n);
	assert_true(io == TLS_READ || io == TLS_FAILED);
	assert_int_not_equal(SSL_do_handshake(p.ssl), 1);
	assert_int_equal(signer.asked, asked);
	kit_close(&p);
	SSL_CTX_free(client);
	tls_server_free(s);
}

/* A peer without close_notify ended like one with it; ours is sent once. */
static void
test_close(void **state)
{
	struct tls_server *s = server(&(struct setup){ .id = "25" }, NULL);
	SSL_CTX *client = kit_client(TLS1_2_VERSION, TLS1_3_VERSION);
	struct kit_pair p;
	char got[64];
	size_t n;

	for (int polite = 0; polite < 2; polite++) {
		kit_open(&p, s, client);
		assert_true(shake(&p));
		assert_int_equal(SSL_write(p.ssl, "QUIT\n", 5), 5);
		if (polite)
			SSL_shutdown(p.ssl);
		else
			shutdown(p.fd[1], SHUT_WR);
		assert_int_equal(tls_read(p.t, got, sizeof(got), &n), TLS_OK);
		assert_int_equal(n, 5);
		assert_int_equal(tls_read(p.t, got, sizeof(got), &n), TLS_CLOSED);
		assert_int_equal(tls_read(p.t, got, sizeof(got), &n), TLS_CLOSED);
		assert_int_equal(tls_write(p.t, "221\n", 4, &n), TLS_OK);
		tls_close_notify(p.t);
		tls_close_notify(p.t);
		assert_int_equal(SSL_read(p.ssl, got, sizeof(got)), 4);
		n = (size_t)SSL_read(p.ssl, got, sizeof(got));
		assert_int_equal(SSL_get_error(p.ssl, (int)n), SSL_ERROR_ZERO_RETURN);
		kit_close(&p);
	}
	SSL_CTX_free(client);
	tls_server_free(s);
}

static int
begin(void **state)
{
	tls_init();
	mail = kit_cert(EVP_EC_gen("P-256"), "x", "DNS:Mail.example.net,DNS:smtp.example.net",
	    false, NULL);
	wild = kit_cert(EVP_EC_gen("P-384"), "x", "DNS:*.example.org", false, NULL);
	other = kit_cert(EVP_EC_gen("P-256"), "other.example.com", NULL, false, NULL);
	other_rsa = kit_cert(EVP_RSA_gen(2048), "other.example.com", NULL, false, NULL);
	ca = kit_cert(EVP_EC_gen("P-256"), "Authority", NULL, true, NULL);
	user = kit_cert(EVP_EC_gen("P-256"), "A User", "DNS:a,email:user@example.net", false, &ca);
	no_mail = kit_cert(EVP_EC_gen("P-256"), "No Mail", NULL, false, &ca);
	stranger = kit_cert(EVP_EC_gen("P-256"), "A User", "email:user@example.net", false, NULL);
	signer.certs[0] = &mail;
	signer.certs[1] = &wild;
	signer.certs[2] = &other;
	signer.certs[3] = &other_rsa;
	for (size_t i = 0; i < TLS_TICKET_KEYS; i++) {
		memset(&keys_a[i], (int)(1 + i), sizeof(keys_a[i]));
		memset(&keys_b[i], i == 0 ? 100 : (int)i, sizeof(keys_b[i]));
	}
	return 0;
}

static int
end(void **state)
{
	struct kit_cert *all[] = { &mail, &wild, &other, &other_rsa, &ca, &user, &no_mail,
		&stranger };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		kit_cert_done(all[i]);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_new_certificates),
		cmocka_unit_test(test_bad_certificates),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_client_certificates),
		cmocka_unit_test(test_bindings),
		cmocka_unit_test(test_no_extended_master_secret),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_close),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
