/* DIGEST-MD5, NTLM and GSSAPI by the client of Cyrus SASL, which is started at the first of them.
 */
#include "sasl/client_priv.h"

#include "base/check.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <stdlib.h>
#include <unistd.h>
#if __has_include(<sys/random.h>)
#include <sys/random.h> /* getentropy() of some systems is there */
#endif

struct sasl_client_library {
	sasl_conn_t *conn;
	sasl_callback_t callbacks[6];
	sasl_secret_t *secret;
	char user[SASL_NAME_MAX], authzid[SASL_NAME_MAX];
	bool done; /* it has nothing more to say, and believes the server */
};

#define CALLBACK(fn) ((sasl_callback_ft)(void (*)(void))(fn))

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int started = SASL_FAIL;
static bool no_tickets;

/* --- modules that want random octets --- */

/* The library's own generator has 48 bits, and goes to /dev/urandom for them at each exchange,
 * where a process behind a sandbox finds nothing and would be given the time of day instead,
 * without a word. So these modules are opened by us, and their exchanges get octets from the
 * kernel. */
static struct wrapped {
	const char *file;
	char *path;
	sasl_client_plug_t real, own;
} wrapped[] = { { .file = "libdigestmd5." }, { .file = "libntlm." } };
static struct wrapped *wrapping; /* while its module says what it has */

static void
own_rand(sasl_rand_t *pool, char *out, unsigned n)
{
	for (unsigned at = 0, part; at < n; at += part) {
		part = MIN(n - at, 256u); /* the most of one call */
		check(getentropy(out + at, part) == 0);
	}
}

static int
wrapped_new(void *glob, sasl_client_params_t *params, void **conn_context)
{
	const struct wrapped *w = glob;
	sasl_utils_t *u;
	memcpy(&u, &params->utils, sizeof(u)); /* it is const for modules */
	u->rand = own_rand;
	return w->real.mech_new(w->real.glob_context, params, conn_context);
}

static int
wrapped_plug(const sasl_utils_t *utils, int max_version, int *out_version,
    sasl_client_plug_t **list, int *count)
{
	struct wrapped *w = wrapping;
	void *module = dlopen(w->path, RTLD_NOW | RTLD_LOCAL);
	sasl_client_plug_init_t *init = NULL;
	void *symbol = module ? dlsym(module, "sasl_client_plug_init") : NULL;
	memcpy(&init, &symbol, sizeof(init)); /* ISO C knows no cast for it */
	int code = init ? init(utils, max_version, out_version, list, count) : SASL_NOMECH;
	if (code != SASL_OK || *count != 1)
		return code == SASL_OK ? SASL_NOMECH : code;
	w->real = w->own = **list;
	w->own.glob_context = w;
	w->own.mech_new = wrapped_new;
	w->own.mech_free = NULL;
	*list = &w->own;
	return SASL_OK;
}

static void
wrap_modules(void)
{
	for (size_t i = 0; i < ARRAY_LEN(wrapped); i++) {
		wrapping = &wrapped[i];
		if (wrapped[i].path)
			(void)sasl_client_add_plugin(wrapped[i].file, wrapped_plug);
	}
}

/* Only the modules that are asked for: others bring Berkeley DB along. */
static int
on_module(void *context, const char *path, sasl_verify_type_t type)
{
	const char *slash = strrchr(path, '/');
	struct str file = str_of(slash ? slash + 1 : path);
	if (type != SASL_VRFY_PLUGIN)
		return SASL_CONTINUE;
	for (size_t i = 0; i < ARRAY_LEN(wrapped); i++)
		if (str_starts(file, str_of(wrapped[i].file)) && !wrapped[i].path)
			wrapped[i].path = xstrdup(path);
	return !no_tickets && str_starts(file, STR("libgssapiv2.")) ? SASL_OK : SASL_CONTINUE;
}

/* It would tell syslog, with names of accounts in it. */
static int
on_log(void *context, int level, const char *message)
{
	return SASL_OK;
}

static int
on_getopt(void *context, const char *plugin, const char *option, const char **ret,
    unsigned *ret_len)
{
	if (strcmp(option, "log_level") != 0)
		return SASL_FAIL;
	*ret = "0";
	if (ret_len)
		*ret_len = 1;
	return SASL_OK;
}

static void
start(void)
{
	static const sasl_callback_t callbacks[] = {
		{ SASL_CB_VERIFYFILE, CALLBACK(on_module), NULL },
		{ SASL_CB_LOG, CALLBACK(on_log), NULL },
		{ SASL_CB_GETOPT, CALLBACK(on_getopt), NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	started = sasl_client_init(callbacks);
	if (started == SASL_OK)
		wrap_modules();
}

void
sasl_client_preload(bool tickets)
{
	no_tickets = !tickets;
	pthread_once(&once, start);
}

static int
on_name(void *context, int id, const char **ret, unsigned *len)
{
	const struct sasl_client_library *l = context;
	*ret = id == SASL_CB_USER ? l->authzid : l->user;
	if (len)
		*len = (unsigned)strlen(*ret);
	return SASL_OK;
}

static int
on_pass(sasl_conn_t *conn, void *context, int id, sasl_secret_t **ret)
{
	const struct sasl_client_library *l = context;
	*ret = l->secret;
	return SASL_OK;
}

static int
on_realm(void *context, int id, const char **realms, const char **ret)
{
	*ret = realms && realms[0] ? realms[0] : "";
	return SASL_OK;
}

static bool
library_open(struct sasl_client *c, struct buf *err)
{
	sasl_security_properties_t props = { .max_ssf = 0, .maxbufsize = 0 };
	pthread_once(&once, start);
	if (started != SASL_OK) {
		buf_putf(err, "Cyrus SASL does not start: %s", sasl_errstring(started, NULL, NULL));
		return false;
	}
	struct sasl_client_library *l = xalloc(sizeof(*l));
	c->library = l;
	check(str_copy(l->user, sizeof(l->user), c->conf.user));
	check(str_copy(l->authzid, sizeof(l->authzid), c->conf.authzid));
	l->secret = xalloc(sizeof(*l->secret) + c->conf.secret.len + 1);
	l->secret->len = c->conf.secret.len;
	memcpy(l->secret->data, c->conf.secret.p ? c->conf.secret.p : "", c->conf.secret.len);
	l->callbacks[0] = (sasl_callback_t){ SASL_CB_AUTHNAME, CALLBACK(on_name), l };
	l->callbacks[1] = (sasl_callback_t){ SASL_CB_USER, CALLBACK(on_name), l };
	l->callbacks[2] = (sasl_callback_t){ SASL_CB_PASS, CALLBACK(on_pass), l };
	l->callbacks[3] = (sasl_callback_t){ SASL_CB_GETREALM, CALLBACK(on_realm), l };
	l->callbacks[4] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	int code = sasl_client_new(c->conf.service, c->conf.host[0] ? c->conf.host : "localhost",
	    NULL, NULL, l->callbacks, 0, &l->conn);
	if (code == SASL_OK)
		code = sasl_setprop(l->conn, SASL_SEC_PROPS, &props);
	if (code == SASL_OK)
		return true;
	buf_putf(err, "Cyrus SASL has no exchange for us: %s", sasl_errstring(code, NULL, NULL));
	return false;
}

static void
library_done(struct sasl_client *c)
{
	struct sasl_client_library *l = c->library;
	if (!l)
		return;
	if (l->conn)
		sasl_dispose(&l->conn);
	if (l->secret) {
		explicit_bzero(l->secret->data, l->secret->len);
		free(l->secret);
	}
	explicit_bzero(l, sizeof(*l));
	free(l);
	c->library = NULL;
}

static enum sasl_client_status
took(struct sasl_client *c, int code, const char *out, unsigned n)
{
	struct sasl_client_library *l = c->library;
	if (code == SASL_NOMECH)
		return sasl_client_fail(c,
		    "Cyrus SASL has no %s, or it cannot be used: install "
		    "libsasl2-modules (for GSSAPI libsasl2-modules-gssapi-mit, and "
		    "get a ticket by kinit)",
		    c->mech->name);
	if (code != SASL_OK && code != SASL_CONTINUE) {
		const char *detail = sasl_errdetail(l->conn);
		return sasl_client_fail(c, "%s: %.300s", c->mech->name,
		    detail ? detail : sasl_errstring(code, NULL, NULL));
	}
	l->done = code == SASL_OK;
	c->proved = l->done;
	if (out)
		buf_put(&c->out, out, n);
	return sasl_client_send(c, n ? "<answer hidden>" : "<nothing more>");
}

static enum sasl_client_status
library_start(struct sasl_client *c)
{
	const char *out = NULL, *chosen;
	unsigned n = 0;
	int code = sasl_client_start(c->library->conn, c->mech->name, NULL, &out, &n, &chosen);
	c->state = 1;
	return took(c, code, out, n);
}

static enum sasl_client_status
library_answer(struct sasl_client *c, struct str challenge)
{
	struct sasl_client_library *l = c->library;
	const char *out = NULL;
	unsigned n = 0;
	if (c->state == 0 && library_start(c) == SASL_CLIENT_FAILED)
		return SASL_CLIENT_FAILED;
	if (l->done)
		return sasl_client_fail(c, "the server asks for more than %s has", c->mech->name);
	if (++c->state > SASL_STEPS_MAX)
		return sasl_client_fail(c, "%s does not come to an end", c->mech->name);
	const char *p = challenge.len ? challenge.p : "";
	int code = sasl_client_step(l->conn, p, (unsigned)challenge.len, NULL, &out, &n);
	buf_reset(&c->out);
	return took(c, code, out, n);
}

const struct sasl_client_kind sasl_client_cyrus = { true, library_start, library_answer,
	library_open, library_done };
const struct sasl_client_kind sasl_client_cyrus_later = { false, NULL, library_answer, library_open,
	library_done };
