#include "client/resolve.h"

#include "base/check.h"
#include "base/str.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct resolve {
	pthread_mutex_t lock;
	unsigned refs;
	int pipe[2];
	bool by_name; /* else a name is asked for */
	char host[256], service[8], name[NI_MAXHOST];
	struct addrinfo hints, *list;
	struct sockaddr_storage sa;
	socklen_t sa_len;
	int error;
};

static void
unref(struct resolve *r)
{
	pthread_mutex_lock(&r->lock);
	bool last = --r->refs == 0;
	pthread_mutex_unlock(&r->lock);
	if (!last)
		return;
	if (r->list)
		freeaddrinfo(r->list);
	close(r->pipe[0]);
	close(r->pipe[1]);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void *
ask(void *arg)
{
	struct resolve *r = arg;

	if (r->by_name)
		r->error = getaddrinfo(r->host, r->service, &r->hints, &r->list);
	else
		r->error = getnameinfo((const struct sockaddr *)&r->sa, r->sa_len, r->name,
		    sizeof(r->name), NULL, 0, NI_NAMEREQD);
	ssize_t n = write(r->pipe[1], "", 1);
	(void)n;
	unref(r);
	return NULL;
}

static struct resolve *
begin(struct resolve *r)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;

	if (pipe(r->pipe) < 0) {
		free(r);
		return NULL;
	}
	for (size_t i = 0; i < 2; i++)
		fcntl(r->pipe[i], F_SETFD, FD_CLOEXEC);
	pthread_mutex_init(&r->lock, NULL);
	r->refs = 2;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* Signals are for the thread that looks at what they leave. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&thread, &attr, ask, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (error == 0)
		return r;
	unref(r);
	unref(r);
	return NULL;
}

static struct resolve *
by_name(const char *host, uint16_t port, int family, int flags)
{
	struct resolve *r = xalloc(sizeof(*r));

	r->by_name = true;
	r->hints = (struct addrinfo){
		.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags
	};
	if (!str_copy(r->host, sizeof(r->host), str_of(host))) {
		free(r);
		return NULL;
	}
	snprintf(r->service, sizeof(r->service), "%u", port);
	return begin(r);
}

struct resolve *
resolve_addrs(const char *host, uint16_t port, int family)
{
	return by_name(host, port, family, 0);
}

struct resolve *
resolve_canonical(const char *host)
{
	return by_name(host, 0, AF_UNSPEC, AI_CANONNAME);
}

struct resolve *
resolve_name(const struct sockaddr *sa, socklen_t len)
{
	struct resolve *r = xalloc(sizeof(*r));

	memcpy(&r->sa, sa, MIN((size_t)len, sizeof(r->sa)));
	r->sa_len = len;
	return begin(r);
}

int
resolve_fd(const struct resolve *r)
{
	return r->pipe[0];
}

bool
resolve_wait_ms(const struct resolve *r, int ms)
{
	struct pollfd p = { .fd = r->pipe[0], .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

int
resolve_error(const struct resolve *r)
{
	return r->error;
}

const struct addrinfo *
resolve_list(const struct resolve *r)
{
	return r->list;
}

const char *
resolve_text(const struct resolve *r)
{
	return r->name;
}

void
resolve_done(struct resolve *r)
{
	if (r)
		unref(r);
}
