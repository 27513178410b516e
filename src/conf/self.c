#include "conf/self.h"

#include "base/check.h"
#include "conf/conf.h"
#include "sys/listen.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define ADDRS_MAX 512

static void
forget(struct self *s)
{
	for (size_t i = 0; i < s->n_names; i++)
		free((char *)(uintptr_t)s->names[i].p);
	free(s->names);
	free(s->ports);
	s->names = NULL;
	s->ports = NULL;
	s->n_names = s->n_ports = 0;
}

void
self_done(struct self *s)
{
	forget(s);
	free(s->addrs);
	*s = (struct self){ 0 };
}

void
self_look(struct self *s)
{
	struct ifaddrs *all = NULL;
	s->addrs = xrealloc(s->addrs, ADDRS_MAX * sizeof(*s->addrs));
	s->n_addrs = 0;
	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *i = all; i && s->n_addrs < ADDRS_MAX; i = i->ifa_next) {
		struct sys_addr a;
		socklen_t len = i->ifa_addr && i->ifa_addr->sa_family == AF_INET6
		                    ? sizeof(struct sockaddr_in6)
		                    : sizeof(struct sockaddr_in);
		if (i->ifa_addr && sys_addr_of(i->ifa_addr, len, &a))
			memcpy(s->addrs[s->n_addrs++], a.ip, 16);
	}
	freeifaddrs(all);
}

static void
add_name(struct self *s, const char *name)
{
	if (name && name[0])
		s->names[s->n_names++] = str_of(xstrdup(name));
}

void
self_take(struct self *s, const struct conf *c)
{
	forget(s);
	s->names = xalloc((2 + c->n_listeners) * sizeof(*s->names));
	s->ports = xalloc((1 + c->n_listeners) * sizeof(*s->ports));
	add_name(s, c->hostname);
	add_name(s, c->relay_host);
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct conf_listener *l = &c->listeners[i];
		if (conf_unix_path(l) || conf_protocol(l) != CONF_IS_SMTP)
			continue;
		s->ports[s->n_ports++] = (uint16_t)l->port;
		add_name(s, l->host);
	}
}

bool
self_has_name(const struct self *s, struct str name)
{
	if (str_ends(name, STR(".")))
		name = str_first(name, name.len - 1);
	for (size_t i = 0; i < s->n_names; i++)
		if (str_ieq(s->names[i], name))
			return true;
	return false;
}

bool
self_has_port(const struct self *s, uint16_t port)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i] == port)
			return true;
	return false;
}

/* What is always this machine: 0.0.0.0/8 and ::. */
static bool
is_here(const unsigned char ip[16], bool led)
{
	static const unsigned char zero[15], mapped[12] = { [10] = 0xff, [11] = 0xff };
	if (memcmp(ip, mapped, sizeof(mapped)) == 0)
		return ip[12] == 0 || (led && ip[12] == 127);
	return memcmp(ip, zero, sizeof(zero)) == 0 && (ip[15] == 0 || (led && ip[15] == 1));
}

bool
self_has_place(const struct self *s, const unsigned char ip[16], uint16_t port, bool led)
{
	bool here = is_here(ip, led);
	for (size_t i = 0; i < s->n_addrs && !here; i++)
		here = memcmp(s->addrs[i], ip, 16) == 0;
	return here && self_has_port(s, port);
}
