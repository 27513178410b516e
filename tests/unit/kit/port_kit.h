/*
 * port_kit: a TCP port for a test that must name it before it is bound.
 *
 * It lies below those that the kernel gives to others' connections, so nobody takes it
 * meanwhile but another test, and those begin elsewhere.
 */
#pragma once

#include "base/check.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_KIT_FIRST 20000
#define PORT_KIT_COUNT 11000

static uint16_t
free_port(void)
{
	static unsigned next;
	if (next == 0)
		next = (unsigned)getpid() * 37;
	for (unsigned i = 0; i < PORT_KIT_COUNT; i++) {
		uint16_t port = (uint16_t)(PORT_KIT_FIRST + next++ % PORT_KIT_COUNT);
		struct sockaddr_in sa = { .sin_family = AF_INET,
			.sin_port = htons(port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		check(fd >= 0);
		int r = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
		close(fd);
		if (r == 0)
			return port;
	}
	check(false);
}
