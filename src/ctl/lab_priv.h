/* lab: what the server's starter and the child that fills it share. */
#pragma once

#include "ctl/ctl_priv.h"

#define LAB_DOMAIN "example.com"
#define LAB_HOSTNAME "mail.example.com"
#define LAB_PORT_BASE 10000

struct lab {
	const char *dir_arg, *port_base_arg, *hostname, *dialect, *dns;
	struct cli_words domains, users, users_plain, set;
	char *dir; /* absolute */
	uint64_t base;
	struct conf *conf;
	struct buf places; /* "smtp  127.0.0.1:10025 [::1]:10025" lines */
};

/* Well-known ports and what the lab speaks at N + each. */
struct lab_port {
	uint64_t port;
	const char *protocol, *title;
};
extern const struct lab_port lab_ports[]; /* ends with port 0 */

/* In a process of its own, while the server starts: waits for it, makes domains and users, says
 * what there is and `ready`. Exit status. */
int lab_fill(const struct lab *lab);
