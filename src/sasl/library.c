#include "base/base64.h"
#include "sasl/library.h"

#include <stdlib.h>
#include <string.h>

#define MECH_LEN 32

enum { RUN_BEGIN, RUN_CHALLENGED };

struct sasl_library {
	sasl_conn_t *conn;
	sasl_callback_t callbacks[2];
	sasl_channel_binding_t binding;      /* the library keeps a pointer to it */
	char header[SASL_NAME_MAX * 3 + 64]; /* of SCRAM's first message */
	size_t header_len;
	struct sasl_account account;
	bool asked;   /* account is what the host said */
	bool lacking; /* and it has nothing that this mechanism could use */
};

/* Who may be whom is the host's to say, afterwards. */
static int
may_be_anybody(sasl_conn_t *conn, void *context, const char *user, unsigned user_len,
    const char *authcid, unsigned authcid_len, const char *realm, unsigned realm_len,
    struct propctx *props)
{
	return SASL_OK;
}

static bool
is_scram(const struct sasl *s)
{
	return s->mech->need == SASL_NEED_VERIFIER;
}

static const struct sasl_scram *
scram_of(const struct sasl *s, const struct sasl_account *a)
{
	if (str_starts(str_of(s->mech->name), STR("SCRAM-SHA-256")))
		return a->has_scram256 ? &a->scram256 : NULL;
	return a->has_scram1 ? &a->scram1 : NULL;
}

/* An unknown name without a made-up secret gets one, so that the same work is done. */
static void
ask(struct sasl *s, struct str user)
{
	struct sasl_library *l = s->library;
	struct sasl_account *a = &l->account;
	if (l->asked)
		return;
	l->asked = true;
	if (!s->authcid[0] && !sasl_name_set(s->authcid, str_first(user, SASL_NAME_MAX - 1)))
		return;
	s->conf.lookup(s->conf.arg, str_of(s->authcid), a);
	if (s->mech->need == SASL_NEED_SECRET) {
		l->lacking = a->known && !a->secret[0];
		if (!a->known && !a->secret[0])
			memcpy(a->secret, "no password of anybody", 23);
	} else if (is_scram(s)) {
		l->lacking = !scram_of(s, a);
	}
}

static void
give_verifier(struct sasl *s, struct propctx *props, const char *name)
{
	struct buf b = BUF_INIT(1024);
	const struct sasl_scram *scram = scram_of(s, &s->library->account);
	if (!scram)
		return;
	sasl_scram_put(&b, scram);
	if (!b.failed)
		prop_set(props, name, b.p, (int)b.len);
	buf_wipe(&b);
	buf_done(&b);
}

int
sasl_library_lookup(void *glob, sasl_server_params_t *params, unsigned flags, const char *user,
    unsigned len)
{
	sasl_callback_ft proc;
	void *context;
	const sasl_utils_t *u = params->utils;
	if (flags & SASL_AUXPROP_AUTHZID)
		return SASL_OK;
	if (u->getcallback(u->conn, SASL_CB_PROXY_POLICY, &proc, &context) != SASL_OK || !context)
		return SASL_FAIL;
	struct sasl *s = context;
	ask(s, str_n(user, len));
	const struct propval *p = u->prop_get(params->propctx);
	for (; p && p->name; p++) {
		if (p->values && !(flags & SASL_AUXPROP_OVERRIDE))
			continue;
		if (is_scram(s) && strcmp(p->name, "*authPassword") == 0)
			give_verifier(s, params->propctx, p->name);
		else if (s->mech->need == SASL_NEED_SECRET && s->library->account.secret[0] &&
			 strcmp(p->name, SASL_AUX_PASSWORD) == 0)
			prop_set(params->propctx, p->name, s->library->account.secret, 0);
	}
	return SASL_OK;
}

/* A connection of the library's, with no layers of its own, and with our generator and log. */
static bool
open_conn(struct sasl *s)
{
	struct sasl_library *l = xalloc(sizeof(*l));
	sasl_security_properties_t props = { .maxbufsize = 4096,
		.security_flags = SASL_SEC_NOANONYMOUS };
	s->library = l;
	l->callbacks[0] = (sasl_callback_t){ SASL_CB_PROXY_POLICY,
		(sasl_callback_ft)(void (*)(void))may_be_anybody, s };
	l->callbacks[1] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	if (sasl_server_new(s->conf.service, s->conf.host, NULL, NULL, NULL, l->callbacks,
		SASL_SUCCESS_DATA, &l->conn) != SASL_OK)
		return false;
	if (sasl_setprop(l->conn, SASL_SEC_PROPS, &props) != SASL_OK)
		return false;
	sasl_server_start(l->conn, SASL_ARM_MECH, NULL, 0, NULL, NULL);
	return true;
}

static void
library_done(struct sasl *s)
{
	if (!s->library)
		return;
	if (s->library->conn)
		sasl_dispose(&s->library->conn);
	explicit_bzero(s->library, sizeof(*s->library));
	free(s->library);
	s->library = NULL;
}

/* The binding that the client names, if there is one of that name. */
static bool
set_binding(struct sasl *s, struct str name)
{
	const struct sasl_binding *b = &s->conf.binding;
	const struct {
		const char *name;
		struct str data;
	} known[] = {
		{ "tls-exporter", b->exporter },
		{ "tls-server-end-point", b->endpoint },
		{ "tls-unique", b->unique },
	};
	struct sasl_library *l = s->library;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!str_eq(name, str_of(known[i].name)) || known[i].data.len == 0)
			continue;
		l->binding = (sasl_channel_binding_t){ .name = known[i].name,
			.critical = 1,
			.len = known[i].data.len,
			.data = (const unsigned char *)known[i].data.p };
		return sasl_setprop(l->conn, SASL_CHANNEL_BINDING, &l->binding) == SASL_OK;
	}
	return false;
}

/* What the library does not look at: which flag may come with which mechanism (RFC 5802 6). */
static enum sasl_status
check_first(struct sasl *s, struct str in)
{
	struct sasl_gs2 gs2;
	const struct sasl_binding *b = &s->conf.binding;
	if (!sasl_scram_first(in, &gs2, s->authcid))
		return SASL_MALFORMED;
	if (gs2.authzid.len)
		sasl_saslname_get(gs2.authzid, s->authzid);
	if ((gs2.flag == 'p') != s->mech->binds)
		return SASL_MALFORMED;
	if (gs2.flag == 'p' && !set_binding(s, gs2.cbname))
		return SASL_FAILED;
	if (gs2.flag == 'y' && (b->exporter.len || b->endpoint.len || b->unique.len))
		return SASL_FAILED; /* somebody hid our -PLUS from it */
	if (gs2.header.len > sizeof(s->library->header))
		return SASL_MALFORMED;
	memcpy(s->library->header, gs2.header.p, gs2.header.len);
	s->library->header_len = gs2.header.len;
	return SASL_CHALLENGE;
}

/* c= repeats the header, and has nothing more where nothing is bound. */
static enum sasl_status
check_final(struct sasl *s, struct str in)
{
	struct sasl_library *l = s->library;
	struct buf b = BUF_INIT(SASL_MESSAGE_MAX);
	struct str binding, header = str_n(l->header, l->header_len);
	if (!sasl_scram_final(in, &binding))
		return SASL_MALFORMED;
	base64_dec(&b, binding);
	bool good = s->mech->binds ? str_starts(buf_str(&b), header) : str_eq(buf_str(&b), header);
	buf_done(&b);
	return good ? SASL_CHALLENGE : SASL_FAILED;
}

/* user SP 32 lower-case hexadecimal digits (RFC 2195 2) */
static enum sasl_status
check_cram(struct str in)
{
	size_t sp = str_rfind(in, ' ');
	struct str digest = str_skip(in, sp + 1);
	if (sp == 0 || sp >= in.len || digest.len != 32 || str_find(in, '\0') < in.len)
		return SASL_MALFORMED;
	for (size_t i = 0; i < digest.len; i++)
		if (!strchr("0123456789abcdef", digest.p[i]))
			return SASL_MALFORMED;
	return sp < SASL_NAME_MAX ? SASL_CHALLENGE : SASL_MALFORMED;
}

static enum sasl_status
check_form(struct sasl *s, const struct str *in)
{
	if (is_scram(s))
		return s->state == RUN_BEGIN ? check_first(s, *in) : check_final(s, *in);
	if (s->state != RUN_BEGIN && strcmp(s->mech->name, "CRAM-MD5") == 0)
		return check_cram(*in);
	return SASL_CHALLENGE;
}

/* A name that the library made of another; empty when it is the one that logs in. */
static void
take_authzid(struct sasl *s)
{
	const void *user = NULL, *auth = NULL;
	sasl_getprop(s->library->conn, SASL_USERNAME, &user);
	sasl_getprop(s->library->conn, SASL_AUTHUSER, &auth);
	if (!is_scram(s) && user && auth && strcmp(user, auth) != 0 &&
	    !sasl_name_set(s->authzid, str_of(user)))
		s->authzid[0] = '\0';
}

static enum sasl_status
succeed(struct sasl *s)
{
	struct sasl_library *l = s->library;
	const void *user = NULL;
	if (!l->asked && sasl_getprop(l->conn, SASL_AUTHUSER, &user) == SASL_OK && user)
		ask(s, str_of(user));
	if (!l->asked || !l->account.known || l->lacking)
		return SASL_FAILED;
	take_authzid(s);
	return sasl_name_set(s->authcid, str_of(l->account.name)) ? SASL_DONE : SASL_FAILED;
}

struct str
sasl_trouble(const struct sasl *s)
{
	const struct sasl_library *l = s->library;
	const char *text = l && l->conn && s->ended ? sasl_errdetail(l->conn) : NULL;
	return text ? str_trim(str_of(text)) : STR_NULL;
}

static enum sasl_status
fail(const struct sasl *s, int code)
{
	const struct sasl_library *l = s->library;
	if (l->lacking)
		return SASL_UNAVAILABLE;
	switch (code) {
	case SASL_BADPROT:
	case SASL_BADPARAM:
		/* Of a form that was checked; so what is wrong is in it. */
		return l->asked ? SASL_FAILED : SASL_MALFORMED;
	case SASL_NOMEM:
	case SASL_NOMECH:
	case SASL_NOTINIT:
	case SASL_UNAVAIL:
	case SASL_TRYAGAIN:
		return SASL_UNAVAILABLE;
	default:
		return SASL_FAILED;
	}
}

static enum sasl_status
library_step(struct sasl *s, const struct str *in)
{
	const char *out = NULL, *p = in ? in->len ? in->p : "" : NULL;
	unsigned n = 0, len = in ? (unsigned)in->len : 0;
	char mech[MECH_LEN];
	int code;
	if (!s->library && !open_conn(s))
		return SASL_UNAVAILABLE;
	enum sasl_status form = check_form(s, in);
	if (form != SASL_CHALLENGE)
		return form;
	if (s->state == RUN_BEGIN) {
		check(str_copy(mech, sizeof(mech), str_of(s->mech->name)));
		code = sasl_server_start(s->library->conn, mech, p, len, &out, &n);
	} else {
		code = sasl_server_step(s->library->conn, p, len, &out, &n);
	}
	s->state = RUN_CHALLENGED;
	if (code != SASL_OK && code != SASL_CONTINUE)
		return fail(s, code);
	if (out)
		buf_put(&s->out, out, n);
	if (code == SASL_CONTINUE)
		return s->library->lacking ? SASL_UNAVAILABLE : SASL_CHALLENGE;
	return succeed(s);
}

const struct sasl_kind sasl_kind_library = { .step = library_step, .done = library_done };
