#include "sasl/library.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if __has_include(<sys/random.h>)
#include <sys/random.h> /* getentropy() of some systems is there */
#endif

#define MODULES "libsasl2-modules"

/* Answers to what its configuration files would say; no file is read. */
static const struct {
	const char *option, *value;
} options[] = {
	{ "auxprop_plugin", "pennypost" },
	{ "canon_user_plugin", "INTERNAL" },
	{ "reauth_timeout", "0" }, /* DIGEST-MD5: nothing is remembered */
	{ "log_level", "0" },
};

static int
on_getopt(void *context, const char *plugin, const char *option, const char **ret,
    unsigned *ret_len)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (strcmp(options[i].option, option) != 0)
			continue;
		*ret = options[i].value;
		if (ret_len)
			*ret_len = (unsigned)strlen(options[i].value);
		return SASL_OK;
	}
	return SASL_FAIL;
}

/* It would tell syslog, with names of accounts in it. */
static int
on_log(void *context, int level, const char *message)
{
	return SASL_OK;
}

/* Only these modules: others bring Berkeley DB and Kerberos along. */
static const struct {
	struct str file;
	bool ticket;
} modules[] = {
	{ { "libscram.so", 11 }, false },
	{ { "libcrammd5.so", 13 }, false },
	{ { "libdigestmd5.so", 15 }, false },
	{ { "libntlm.so", 10 }, false },
	{ { "libgssapiv2.so", 14 }, true },
};

static bool with_tickets;

static int
on_module(void *context, const char *path, sasl_verify_type_t type)
{
	struct str file = str_of(path);
	size_t slash = str_rfind(file, '/');
	file = slash < file.len ? str_skip(file, slash + 1) : file;
	if (type != SASL_VRFY_PLUGIN)
		return SASL_CONTINUE;
	for (size_t i = 0; i < ARRAY_LEN(modules); i++)
		if (str_starts(file, modules[i].file) && (with_tickets || !modules[i].ticket))
			return SASL_OK;
	return SASL_CONTINUE;
}

static sasl_callback_t callbacks[] = {
	{ SASL_CB_GETOPT, (sasl_callback_ft)(void (*)(void))on_getopt, NULL },
	{ SASL_CB_VERIFYFILE, (sasl_callback_ft)(void (*)(void))on_module, NULL },
	{ SASL_CB_LOG, (sasl_callback_ft)(void (*)(void))on_log, NULL },
	{ SASL_CB_LIST_END, NULL, NULL },
};

static void *
mutex_new(void)
{
	pthread_mutex_t *m = xalloc(sizeof(*m));
	check(pthread_mutex_init(m, NULL) == 0);
	return m;
}

static int
mutex_lock(void *m)
{
	return pthread_mutex_lock(m) ? SASL_FAIL : SASL_OK;
}

static int
mutex_unlock(void *m)
{
	return pthread_mutex_unlock(m) ? SASL_FAIL : SASL_OK;
}

static void
mutex_free(void *m)
{
	pthread_mutex_destroy(m);
	free(m);
}

static int
on_auxprop(const sasl_utils_t *utils, int max_version, int *out_version, sasl_auxprop_plug_t **plug,
    const char *name)
{
	static char own_name[] = "pennypost";
	static sasl_auxprop_plug_t own = { .auxprop_lookup = sasl_library_lookup,
		.name = own_name };
	if (max_version < SASL_AUXPROP_PLUG_VERSION)
		return SASL_BADVERS;
	*out_version = SASL_AUXPROP_PLUG_VERSION;
	*plug = &own;
	return SASL_OK;
}

static void
own_rand(sasl_rand_t *pool, char *out, unsigned n)
{
	for (unsigned at = 0, part; at < n; at += part) {
		part = MIN(n - at, 256u); /* the most of one call */
		check(getentropy(out + at, part) == 0);
	}
}

/* Modules also tell syslog without asking anybody, with names of accounts. */
static void
own_log(sasl_conn_t *conn, int level, const char *fmt, ...)
{
}

/* Called with what one connection's modules will call; they are ours alone. Its own generator has
 * 48 bits, and goes to /dev/urandom for them. */
static int
arm(void *glob, sasl_server_params_t *params, void **conn_context)
{
	sasl_utils_t *u;
	memcpy(&u, &params->utils, sizeof(u)); /* it is const for modules */
	u->rand = own_rand;
	u->log = own_log;
	return SASL_NOMECH; /* and that is all there is to it */
}

static int
never_new(void *glob, sasl_server_params_t *params, const char *challenge, unsigned len,
    void **conn_context)
{
	return SASL_NOMECH;
}

static int
never_step(void *conn_context, sasl_server_params_t *params, const char *in, unsigned in_len,
    const char **out, unsigned *out_len, sasl_out_params_t *oparams)
{
	return SASL_NOMECH;
}

static int
on_arm_plugin(const sasl_utils_t *utils, int max_version, int *out_version,
    sasl_server_plug_t **list, int *count)
{
	static sasl_server_plug_t own = {
		.mech_name = SASL_ARM_MECH,
		.security_flags = SASL_SEC_NOANONYMOUS,
		.mech_new = never_new,
		.mech_step = never_step,
		.mech_avail = arm,
	};
	if (max_version < SASL_SERVER_PLUG_VERSION)
		return SASL_BADVERS;
	*out_version = SASL_SERVER_PLUG_VERSION;
	*list = &own;
	*count = 1;
	return SASL_OK;
}

bool
sasl_mech_ready(const struct sasl_mech *m)
{
	static const char plus[] = "-PLUS";
	struct str name = str_of(m->name);
	if (m->need == SASL_NEED_PASSWORD || m->need == SASL_NEED_TOKEN ||
	    m->need == SASL_NEED_EXTERNAL || m->pop)
		return true;
	if (m->binds)
		name = str_first(name, name.len - strlen(plus));
	const char **list = sasl_global_listmech();
	for (; list && *list; list++)
		if (str_ieq(str_of(*list), name))
			return true;
	return false;
}

static int
mechs_there(bool gssapi, struct buf *err)
{
	for (const struct sasl_mech *m = sasl_mechs; m->name; m++) {
		bool ticket = m->need == SASL_NEED_TICKET;
		if ((ticket && !gssapi) || sasl_mech_ready(m))
			continue;
		buf_putf(err, "Cyrus SASL has no %s: install %s", m->name,
		    ticket ? MODULES "-gssapi-mit" : MODULES);
		return -ENOENT;
	}
	return 0;
}

int
sasl_library_open(const char *plugin_dir, bool gssapi, struct buf *err)
{
	size_t hash_seed;
	crypt_init();
	/* The JSON library would open /dev/urandom with the first object. */
	check(getentropy(&hash_seed, sizeof(hash_seed)) == 0);
	json_object_seed(hash_seed | 1);
	sasl_set_mutex(mutex_new, mutex_lock, mutex_unlock, mutex_free);
	if (plugin_dir) {
		char *copy = xstrdup(plugin_dir); /* it wants it writable */
		sasl_set_path(SASL_PATH_TYPE_PLUGIN, copy);
		free(copy);
	}
	with_tickets = gssapi;
	int code = sasl_server_init(callbacks, NULL);
	if (code == SASL_OK)
		code = sasl_auxprop_add_plugin("pennypost", on_auxprop);
	if (code == SASL_OK)
		code = sasl_server_add_plugin(SASL_ARM_MECH, on_arm_plugin);
	if (code != SASL_OK) {
		buf_putf(err, "Cyrus SASL does not start: %s", sasl_errstring(code, NULL, NULL));
		return -EIO;
	}
	return mechs_there(gssapi, err);
}

void
sasl_library_close(void)
{
	sasl_server_done();
}
