#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "sasl/sasl.h"

#include <pthread.h>
#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The mechanisms that the library runs, end to end with its own client in this program. */

#define HOST "mail.example.org"
#define USER "alice@example.com"
#define PASSWORD "correct horse"

static const char exporter[32] = "exporter-binding-of-32-octets-..";
static const char endpoint[32] = "endpoint-binding-of-32-octets-..";

/* --- the host: one account --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int lookups;
static char looked_up[SASL_NAME_MAX];

static void
lookup(void *arg, struct str name, struct sasl_account *ret)
{
	const char *kind = arg; /* "v": verifiers, "s": the secret, "-": nothing */
	pthread_mutex_lock(&lock);
	lookups++;
	assert_true(str_copy(looked_up, sizeof(looked_up), name));
	pthread_mutex_unlock(&lock);
	*ret = (struct sasl_account){ 0 };
	if (str_ieq(name, STR(USER))) {
		struct str salt = STR("salt-of-16-octet");
		ret->known = true;
		assert_true(str_copy(ret->name, sizeof(ret->name), STR(USER)));
		if (kind[0] == 'v') {
			sasl_scram_make(CRYPT_SHA1, STR(PASSWORD), salt, 4096, &ret->scram1);
			sasl_scram_make(CRYPT_SHA256, STR(PASSWORD), salt, 5000, &ret->scram256);
			ret->has_scram1 = ret->has_scram256 = true;
		}
		if (kind[0] == 's')
			assert_true(str_copy(ret->secret, sizeof(ret->secret), STR(PASSWORD)));
		return;
	}
	sasl_scram_made_up(CRYPT_SHA1, STR("secret"), name, &ret->scram1);
	sasl_scram_made_up(CRYPT_SHA256, STR("secret"), name, &ret->scram256);
	ret->has_scram1 = ret->has_scram256 = true;
}

/* --- the client --- */

#define CALLBACK(fn) ((sasl_callback_ft)(void (*)(void))(fn))

/* The client's modules without those that bring Kerberos along. */
static int
on_module(void *context, const char *path, sasl_verify_type_t type)
{
	bool gss = strstr(path, "libgs2") || strstr(path, "libgssapi");
	return type == SASL_VRFY_PLUGIN && !gss ? SASL_OK : SASL_CONTINUE;
}

struct who {
	const char *user, *authzid, *password;
};

static int
on_name(void *context, int id, const char **ret, unsigned *len)
{
	const struct who *w = context;
	*ret = id == SASL_CB_USER ? w->authzid : w->user;
	if (len)
		*len = (unsigned)strlen(*ret);
	return SASL_OK;
}

static int
on_pass(sasl_conn_t *conn, void *context, int id, sasl_secret_t **ret)
{
	static union {
		sasl_secret_t s;
		char room[sizeof(sasl_secret_t) + 256];
	} u;
	const struct who *w = context;
	u.s.len = strlen(w->password);
	memcpy(u.s.data, w->password, u.s.len + 1);
	*ret = &u.s;
	return SASL_OK;
}

static int
on_realm(void *context, int id, const char **realms, const char **ret)
{
	*ret = realms && realms[0] ? realms[0] : "";
	return SASL_OK;
}

static sasl_conn_t *
client_new(struct who *w, sasl_callback_t cb[5], sasl_channel_binding_t *binding)
{
	sasl_conn_t *c = NULL;
	sasl_security_properties_t props = { .maxbufsize = 4096 };
	cb[0] = (sasl_callback_t){ SASL_CB_AUTHNAME, CALLBACK(on_name), w };
	cb[1] = (sasl_callback_t){ SASL_CB_USER, CALLBACK(on_name), w };
	cb[2] = (sasl_callback_t){ SASL_CB_PASS, CALLBACK(on_pass), w };
	cb[3] = (sasl_callback_t){ SASL_CB_GETREALM, CALLBACK(on_realm), w };
	cb[4] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	assert_int_equal(sasl_client_new("smtp", HOST, NULL, NULL, cb, SASL_SUCCESS_DATA, &c),
	    SASL_OK);
	assert_int_equal(sasl_setprop(c, SASL_SEC_PROPS, &props), SASL_OK);
	if (binding)
		assert_int_equal(sasl_setprop(c, SASL_CHANNEL_BINDING, binding), SASL_OK);
	return c;
}

struct result {
	enum sasl_status status;
	int steps;
	bool client_content; /* it believes the server, too */
	char authcid[SASL_NAME_MAX], authzid[SASL_NAME_MAX];
	char shape[256]; /* the letters of the attributes that came, and lengths */
};

static void
note_shape(struct result *r, struct str out)
{
	size_t n = strlen(r->shape);
	snprintf(r->shape + n, sizeof(r->shape) - n, "%c%zu ", out.len ? out.p[0] : '-', out.len);
}

static void
converse(struct sasl *s, sasl_conn_t *c, const char *mech, struct result *r)
{
	const char *out = NULL, *chosen;
	unsigned n = 0;
	int code = sasl_client_start(c, mech, NULL, &out, &n, &chosen);
	assert_true(code == SASL_OK || code == SASL_CONTINUE);
	struct str in = str_n(out, n);
	r->status = sasl_step(s, n ? &in : NULL);
	r->steps = 1;
	while (r->status == SASL_CHALLENGE && (code == SASL_CONTINUE || code == SASL_OK)) {
		note_shape(r, sasl_out(s));
		/* An empty challenge asks for the first message, which the client has made. */
		if (sasl_out(s).len || r->steps > 1) {
			struct str ch = sasl_out(s);
			code =
			    sasl_client_step(c, ch.p ? ch.p : "", (unsigned)ch.len, NULL, &out, &n);
		}
		in = str_n(out, n);
		if (code != SASL_OK && code != SASL_CONTINUE)
			return;
		r->status = sasl_step(s, &in);
		r->steps++;
	}
	if (r->status == SASL_DONE && sasl_out(s).len) {
		note_shape(r, sasl_out(s));
		code =
		    sasl_client_step(c, sasl_out(s).p, (unsigned)sasl_out(s).len, NULL, &out, &n);
	}
	r->client_content = code == SASL_OK;
}

static struct sasl_conf
conf_of(const char *kind)
{
	char *arg = NULL;
	memcpy(&arg, &kind, sizeof(arg));
	return (struct sasl_conf){ .service = "smtp", .host = HOST, .lookup = lookup, .arg = arg };
}

static struct result
talk(const char *mech, const struct sasl_conf *conf, struct who w, sasl_channel_binding_t *binding)
{
	struct result r = { 0 };
	sasl_callback_t cb[5];
	struct sasl *s = sasl_new(sasl_mech_find(str_of(mech)), conf);
	sasl_conn_t *c = client_new(&w, cb, binding);
	converse(s, c, mech, &r);
	assert_true(str_copy(r.authcid, sizeof(r.authcid), sasl_authcid(s)));
	assert_true(str_copy(r.authzid, sizeof(r.authzid), sasl_authzid(s)));
	sasl_dispose(&c);
	s = sasl_free(s);
	return r;
}

static const struct row {
	const char *mech, *kind;
	struct who who;
	enum sasl_status status;
} rows[] = {
	{ "SCRAM-SHA-256", "v", { USER, "", PASSWORD }, SASL_DONE },
	{ "SCRAM-SHA-1", "v", { USER, "", PASSWORD }, SASL_DONE },
	{ "SCRAM-SHA-256", "v", { "ALICE@example.com", "", PASSWORD }, SASL_DONE },
	{ "SCRAM-SHA-256", "v", { USER, "staff@example.com", PASSWORD }, SASL_DONE },
	{ "SCRAM-SHA-256", "v", { USER, "", "wrong" }, SASL_FAILED },
	{ "SCRAM-SHA-1", "v", { USER, "", "wrong" }, SASL_FAILED },
	{ "SCRAM-SHA-256", "v", { "nobody@example.com", "", PASSWORD }, SASL_FAILED },
	{ "SCRAM-SHA-1", "v", { "nobody@example.com", "", PASSWORD }, SASL_FAILED },
	{ "SCRAM-SHA-256", "s", { USER, "", PASSWORD }, SASL_UNAVAILABLE },
	{ "CRAM-MD5", "s", { USER, "", PASSWORD }, SASL_DONE },
	{ "CRAM-MD5", "s", { USER, "", "wrong" }, SASL_FAILED },
	{ "CRAM-MD5", "s", { "nobody@example.com", "", PASSWORD }, SASL_FAILED },
	{ "CRAM-MD5", "v", { USER, "", PASSWORD }, SASL_UNAVAILABLE },
	{ "DIGEST-MD5", "s", { USER, "", PASSWORD }, SASL_DONE },
	{ "DIGEST-MD5", "s", { USER, "staff@example.com", PASSWORD }, SASL_DONE },
	{ "DIGEST-MD5", "s", { USER, "", "wrong" }, SASL_FAILED },
	{ "DIGEST-MD5", "s", { "nobody@example.com", "", PASSWORD }, SASL_FAILED },
	{ "DIGEST-MD5", "-", { USER, "", PASSWORD }, SASL_UNAVAILABLE },
	{ "NTLM", "s", { USER, "", PASSWORD }, SASL_DONE },
	{ "NTLM", "s", { USER, "", "wrong" }, SASL_FAILED },
	{ "NTLM", "s", { "nobody@example.com", "", PASSWORD }, SASL_FAILED },
	{ "NTLM", "v", { USER, "", PASSWORD }, SASL_UNAVAILABLE },
};

static void
test_mechanisms(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct sasl_conf conf = conf_of(row->kind);
		lookups = 0;
		struct result r = talk(row->mech, &conf, row->who, NULL);
		if (r.status != row->status)
			fail_msg("%s %s %s: status %d", row->mech, row->who.user, row->who.password,
			    r.status);
		assert_int_equal(lookups, 1);
		if (!str_ieq(str_of(looked_up), str_of(row->who.user)))
			fail_msg("%s: asked for %s", row->mech, looked_up);
		if (r.status != SASL_DONE)
			continue;
		assert_true(r.client_content);
		assert_string_equal(r.authcid, USER);
		assert_string_equal(r.authzid, row->who.authzid);
	}
}

/* A name nobody has: as many steps, and answers of the same form, as with a wrong password. */
static void
test_unknown_looks_the_same(void **state)
{
	static const char *const mechs[] = { "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5",
		"DIGEST-MD5", "NTLM" };
	for (size_t i = 0; i < ARRAY_LEN(mechs); i++) {
		struct sasl_conf conf = conf_of(i < 2 ? "v" : "s");
		struct result known =
		    talk(mechs[i], &conf, (struct who){ USER, "", "wrong" }, NULL);
		struct result unknown =
		    talk(mechs[i], &conf, (struct who){ "alicf@example.com", "", "wrong" }, NULL);
		assert_int_equal(known.status, unknown.status);
		assert_int_equal(known.steps, unknown.steps);
		if (i != 2) /* its challenge has a number and the time in it */
			assert_string_equal(known.shape, unknown.shape);
	}
}

static sasl_channel_binding_t
binding_of(const char *name, const char data[32])
{
	return (sasl_channel_binding_t){
		.name = name, .critical = 1, .len = 32, .data = (const unsigned char *)data
	};
}

static const struct bind_row {
	const char *mech, *name;
	const char *data;
	enum sasl_status status;
} binds[] = {
	{ "SCRAM-SHA-256-PLUS", "tls-exporter", exporter, SASL_DONE },
	{ "SCRAM-SHA-1-PLUS", "tls-exporter", exporter, SASL_DONE },
	{ "SCRAM-SHA-256-PLUS", "tls-server-end-point", endpoint, SASL_DONE },
	{ "SCRAM-SHA-1-PLUS", "tls-server-end-point", endpoint, SASL_DONE },
	{ "SCRAM-SHA-256-PLUS", "tls-exporter", endpoint, SASL_FAILED },
	{ "SCRAM-SHA-256-PLUS", "tls-server-end-point", exporter, SASL_FAILED },
	{ "SCRAM-SHA-256-PLUS", "tls-unique", exporter, SASL_FAILED }, /* we have none */
	{ "SCRAM-SHA-256-PLUS", "tls-of-mine", exporter, SASL_FAILED },
};

static void
test_bindings(void **state)
{
	struct sasl_conf conf = conf_of("v");
	conf.binding.exporter = str_n(exporter, 32);
	conf.binding.endpoint = str_n(endpoint, 32);
	for (size_t i = 0; i < ARRAY_LEN(binds); i++) {
		sasl_channel_binding_t b = binding_of(binds[i].name, binds[i].data);
		struct result r =
		    talk(binds[i].mech, &conf, (struct who){ USER, "", PASSWORD }, &b);
		if (r.status != binds[i].status)
			fail_msg("row %zu: status %d", i, r.status);
		assert_int_equal(r.client_content, r.status == SASL_DONE);
	}
	/* With nothing to bind to, -PLUS cannot succeed. */
	sasl_channel_binding_t b = binding_of("tls-exporter", exporter);
	conf = conf_of("v");
	struct result r = talk("SCRAM-SHA-256-PLUS", &conf, (struct who){ USER, "", PASSWORD }, &b);
	assert_int_equal(r.status, SASL_FAILED);
	/* A client that knows no binding may log in all the same. */
	conf.binding.exporter = str_n(exporter, 32);
	r = talk("SCRAM-SHA-256", &conf, (struct who){ USER, "", PASSWORD }, NULL);
	assert_int_equal(r.status, SASL_DONE);
}

#define NTLM1 "NTLMSSP\0\1\0\0\0\7\2\0\0\0\0\0\0\40\0\0\0\0\0\0\0\40\0\0\0"
#define HEX32 "0123456789abcdef0123456789abcdef"
#define DIGEST(username, rest)                                                                     \
	"username=\"" username "\",realm=\"" HOST                                                  \
	"\",cnonce=\"y\",nc=00000001,qop=auth,maxbuf=4096," rest

/* Messages that are none; the library must not be asked to make sense of them for long. */
static const struct raw_row {
	const char *mech;
	struct str msg[3];
	enum sasl_status status;
} raws[] = {
	{ "CRAM-MD5", { STR("alice " HEX32) }, SASL_MALFORMED }, /* it is not its turn */
	{ "CRAM-MD5", { { NULL, 1 }, STR("") }, SASL_MALFORMED },
	{ "CRAM-MD5", { { NULL, 1 }, STR(USER) }, SASL_MALFORMED },
	{ "CRAM-MD5", { { NULL, 1 }, STR(USER " ") }, SASL_MALFORMED },
	{ "CRAM-MD5", { { NULL, 1 }, STR(" " HEX32) }, SASL_MALFORMED },
	{ "CRAM-MD5", { { NULL, 1 }, STR(USER HEX32) }, SASL_MALFORMED },
	{ "CRAM-MD5", { { NULL, 1 }, STR(USER " " HEX32 "0") }, SASL_MALFORMED },
	{ "CRAM-MD5", { { NULL, 1 }, STR(USER " 0123456789ABCDEF0123456789ABCDEF") },
	    SASL_MALFORMED },
	{ "CRAM-MD5", { { NULL, 1 }, STR("al\0ice " HEX32) }, SASL_MALFORMED },
	{ "CRAM-MD5", { { NULL, 1 }, STR(USER " " HEX32) }, SASL_FAILED },
	{ "CRAM-MD5", { { NULL, 1 }, STR("a name with blanks " HEX32) }, SASL_FAILED },
	{ "DIGEST-MD5", { { NULL, 1 }, STR("") }, SASL_FAILED },
	{ "DIGEST-MD5", { { NULL, 1 }, STR("username=") }, SASL_FAILED },
	{ "DIGEST-MD5", { { NULL, 1 }, STR("username=\"" USER) }, SASL_FAILED },
	{ "DIGEST-MD5", { { NULL, 1 }, STR("=\"x\"") }, SASL_FAILED },
	{ "DIGEST-MD5", { { NULL, 1 }, STR("\0\0\0") }, SASL_FAILED },
	{ "DIGEST-MD5", { { NULL, 1 }, STR(DIGEST(USER, "nonce=\"x\"")) }, SASL_FAILED },
	{ "DIGEST-MD5",
	    { { NULL, 1 },
		STR(DIGEST(USER, "nonce=\"x\",digest-uri=\"smtp/" HOST "\",response=" HEX32)) },
	    SASL_FAILED },
	{ "DIGEST-MD5",
	    { { NULL, 1 },
		STR(DIGEST(USER, "nonce=\"x\",digest-uri=\"imap/" HOST "\",response=" HEX32)) },
	    SASL_FAILED },
	/* RFC 2831 2.2: an attempt to go on with what was; begins anew. */
	{ "DIGEST-MD5", { STR(DIGEST(USER, "nonce=\"x\"")) }, SASL_CHALLENGE },
	{ "NTLM", { STR("") }, SASL_MALFORMED },
	{ "NTLM", { STR("NTLMSSP") }, SASL_MALFORMED },
	{ "NTLM", { STR("NTLMSSP\0\1\0\0\0") }, SASL_MALFORMED },
	{ "NTLM", { STR(NTLM1) }, SASL_CHALLENGE },
	{ "NTLM", { { NULL, 1 }, STR(NTLM1) }, SASL_CHALLENGE },
	{ "NTLM", { STR(NTLM1), STR(NTLM1) }, SASL_MALFORMED },
	{ "NTLM", { STR(NTLM1), STR("") }, SASL_MALFORMED },
	{ "NTLM", { STR("NTLMSSP\0\3\0\0\0") }, SASL_MALFORMED },
};

static enum sasl_status
say(struct sasl *s, struct str msg)
{
	if (!msg.p)
		return sasl_step(s, NULL);
	char *copy = xmemdup(msg.p, msg.len ? msg.len : 1);
	struct str in = { copy, msg.len };
	enum sasl_status r = sasl_step(s, &in);
	free(copy);
	return r;
}

static void
test_malformed(void **state)
{
	struct sasl_conf conf = conf_of("s");
	for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
		const struct raw_row *r = &raws[i];
		struct sasl *s = sasl_new(sasl_mech_find(str_of(r->mech)), &conf);
		enum sasl_status status = SASL_CHALLENGE;
		for (size_t k = 0; k < 3 && (r->msg[k].p || r->msg[k].len); k++) {
			assert_int_equal(status, SASL_CHALLENGE);
			status = say(s, r->msg[k]);
		}
		if (status != r->status)
			fail_msg("%s, row %zu: status %d", r->mech, i, status);
		s = sasl_free(s);
	}
}

/* As long as a message may be, and longer. */
static void
test_bounds(void **state)
{
	struct sasl_conf conf = conf_of("s");
	char *big = xalloc(SASL_MESSAGE_MAX + 1);
	memset(big, 'x', SASL_MESSAGE_MAX + 1);
	static const char *const mechs[] = { "DIGEST-MD5", "NTLM", "SCRAM-SHA-1", "CRAM-MD5" };
	for (size_t i = 0; i < ARRAY_LEN(mechs); i++) {
		for (size_t n = SASL_MESSAGE_MAX; n <= SASL_MESSAGE_MAX + 1; n++) {
			struct sasl *s = sasl_new(sasl_mech_find(str_of(mechs[i])), &conf);
			assert_int_equal(say(s, STR_NULL), SASL_CHALLENGE);
			enum sasl_status status = say(s, str_n(big, n));
			assert_true(status == SASL_MALFORMED || status == SASL_FAILED);
			if (n > SASL_MESSAGE_MAX)
				assert_int_equal(status, SASL_MALFORMED);
			s = sasl_free(s);
		}
	}
	free(big);
}

/* Several at once, as the threads of a host have them, and one that ends in the middle. */
static void
test_interleaved(void **state)
{
	struct sasl_conf conf = conf_of("v");
	struct sasl *s[4];
	struct str first = STR("n,,n=" USER ",r=abcdefghij");
	char nonce[4][128];
	for (int i = 0; i < 4; i++) {
		s[i] = sasl_new(sasl_mech_find(STR("scram-sha-256")), &conf);
		assert_int_equal(sasl_step(s[i], &first), SASL_CHALLENGE);
	}
	for (int i = 0; i < 4; i++) {
		struct str out = sasl_out(s[i]);
		assert_true(str_starts(out, STR("r=abcdefghij")));
		assert_true(str_copy(nonce[i], sizeof(nonce[i]), str_cut(&out, ',')));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(nonce[i], nonce[k]);
		s[i] = sasl_free(s[i]);
	}
}

static void *
work(void *arg)
{
	struct sasl_conf conf = conf_of("s");
	for (int i = 0; i < 40; i++) {
		const char *mech = i % 2 ? "DIGEST-MD5" : "CRAM-MD5";
		struct sasl *s = sasl_new(sasl_mech_find(str_of(mech)), &conf);
		if (say(s, STR_NULL) == SASL_CHALLENGE &&
		    say(s, i % 2 ? STR(DIGEST(USER, "nonce=\"x\"")) : STR(USER " " HEX32)) ==
			SASL_FAILED)
			++*(int *)arg;
		s = sasl_free(s);
	}
	return NULL;
}

/* As a pool of threads has them. */
static void
test_threads(void **state)
{
	pthread_t thread[4];
	int good[4] = { 0 };
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, work, &good[i]), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_int_equal(good[i], 40);
	}
}

static void
test_ready(void **state)
{
	for (const struct sasl_mech *m = sasl_mechs; m->name; m++) {
		if (m->need != SASL_NEED_TICKET)
			assert_true(sasl_mech_ready(m));
		assert_true(strlen(m->name) < SASL_MECH_MAX);
		assert_ptr_equal(sasl_mech_find(str_of(m->name)), m);
	}
	assert_null(sasl_mech_find(STR("ANONYMOUS")));
	assert_null(sasl_mech_find(STR("")));
}

static int
open_all(void **state)
{
	struct buf err = BUF_INIT(1024);
	int r = sasl_library_open(NULL, false, &err);
	if (r)
		print_error("%s\n", buf_cstr(&err));
	buf_done(&err);
	static const sasl_callback_t callbacks[] = {
		{ SASL_CB_VERIFYFILE, CALLBACK(on_module), NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	return r ? r : sasl_client_init(callbacks);
}

static int
close_all(void **state)
{
	sasl_client_done();
	sasl_library_close();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mechanisms),
		cmocka_unit_test(test_unknown_looks_the_same),
		cmocka_unit_test(test_bindings),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_ready),
	};
	return cmocka_run_group_tests(tests, open_all, close_all);
}
