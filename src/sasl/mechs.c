#include "base/check.h"
#include "sasl/sasl.h"

const struct sasl_mech sasl_mechs[] = {
	{ .name = "EXTERNAL", .need = SASL_NEED_EXTERNAL, .client_first = true },
	{ .name = "SCRAM-SHA-256-PLUS",
	    .need = SASL_NEED_VERIFIER,
	    .client_first = true,
	    .binds = true },
	{ .name = "SCRAM-SHA-1-PLUS",
	    .need = SASL_NEED_VERIFIER,
	    .client_first = true,
	    .binds = true },
	{ .name = "SCRAM-SHA-256", .need = SASL_NEED_VERIFIER, .client_first = true },
	{ .name = "SCRAM-SHA-1", .need = SASL_NEED_VERIFIER, .client_first = true },
	{ .name = "GSSAPI", .need = SASL_NEED_TICKET, .client_first = true },
	{ .name = "OAUTHBEARER", .need = SASL_NEED_TOKEN, .client_first = true, .in_clear = true },
	{ .name = "XOAUTH2", .need = SASL_NEED_TOKEN, .client_first = true, .in_clear = true },
	/* RFC 2831 2.2: a client may try what it had before; ours begins anew then. */
	{ .name = "DIGEST-MD5",
	    .need = SASL_NEED_SECRET,
	    .client_first = true,
	    .server_first = true,
	    .weak = true },
	{ .name = "CRAM-MD5", .need = SASL_NEED_SECRET, .server_first = true, .weak = true },
	{ .name = "NTLM", .need = SASL_NEED_SECRET, .client_first = true, .weak = true },
	{ .name = "PLAIN", .need = SASL_NEED_PASSWORD, .client_first = true, .in_clear = true },
	{ .name = "LOGIN",
	    .need = SASL_NEED_PASSWORD,
	    .client_first = true,
	    .server_first = true,
	    .in_clear = true },
	{ .name = "APOP",
	    .need = SASL_NEED_SECRET,
	    .client_first = true,
	    .weak = true,
	    .pop = true },
	{ 0 },
};

const struct sasl_mech *
sasl_mech_find(struct str name)
{
	for (const struct sasl_mech *m = sasl_mechs; m->name; m++)
		if (str_ieq(name, str_of(m->name)))
			return m;
	return NULL;
}
