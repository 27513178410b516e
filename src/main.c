/* pennypost: one binary; "--role NAME" is how parent runs it again as a role. */
#include "base/check.h"
#include "cli/cli.h"

#ifdef PENNYPOST_SERVER
#include "ipc/msg.h"
#include "roles/auth/auth.h"
#include "roles/dns/dns.h"
#include "roles/fetch/fetch.h"
#include "roles/front/front.h"
#include "roles/relay/relay.h"
#include "roles/store/store_role.h"
#endif

#include <stdio.h>
#include <string.h>

/* LeakSanitizer stops other threads by ptrace, which no role may do; unit tests look for leaks. */
#if defined(__SANITIZE_ADDRESS__)
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

#ifdef PENNYPOST_SERVER
struct role_entry {
	enum ipc_role role;
	int (*run)(void);
};

static const struct role_entry roles[] = {
	{ ROLE_FRONT, front_main },
	{ ROLE_AUTH, auth_main },
	{ ROLE_STORE, store_main },
	{ ROLE_READER, reader_main },
	{ ROLE_DNS, dns_main },
	{ ROLE_FETCH, fetch_main },
	{ ROLE_GSSAPI, gssapi_main },
	{ ROLE_GSSAPI_OUT, gssapi_out_main },
	{ ROLE_RELAY, relay_main },
};

static int
role_main(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (strcmp(ipc_role_name[roles[i].role], name) == 0)
			return roles[i].run();
	fprintf(stderr,
	    "pennypost: --role is how the server starts its own parts; run `pennypost serve`\n");
	return 1;
}
#endif

int
main(int argc, char **argv)
{
#ifdef PENNYPOST_SERVER
	if (argc == 3 && strcmp(argv[1], "--role") == 0)
		return role_main(argv[2]);
#endif
	return cli_main(argc, argv);
}
