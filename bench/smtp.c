/*
 * smtp: drives an SMTP or LMTP server over many connections and says what it took.
 *
 *   bench_smtp [options] HOST:PORT | PATH-of-a-unix-socket
 *
 * One process, one epoll, no work of its own worth speaking of: the letter is made once, each
 * step of a conversation is one send and one recv, and replies are read in place. A reply with
 * a code that is not the one to expect ends the run with exit status 2 and says which it was,
 * so a run that ends with 0 had every letter accepted.
 *
 * Two latencies are taken for each letter: of the whole transaction (from MAIL, or from connect
 * when each letter has a connection of its own, to the answer to the dot), and from the dot to its
 * answer. The clock starts before the send() that carries the dot.
 */
#include "smtp_priv.h"

#include "base/check.h"
#include "base/num.h"

#include <getopt.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>

#define USAGE                                                                                      \
	"usage: bench_smtp [options] HOST:PORT | PATH-of-a-unix-socket\n"                          \
	"  -c N        connections at the same time (1)\n"                                         \
	"  -m N        letters in all (1000)\n"                                                    \
	"  -k N        letters in one connection, 0: as many as there are (0)\n"                   \
	"  -l OCTETS   size of a letter (4096)\n"                                                  \
	"  -t ADDRESS  recipient; %d in it is a number (alice@example.com)\n"                      \
	"  -r A:B      the numbers, taken in turn (1:1)\n"                                         \
	"  -n N        recipients of one letter (1)\n"                                             \
	"  -f ADDRESS  sender (sender@example.net)\n"                                              \
	"  -p          pipelined: MAIL, RCPT, DATA in one write, the next ones behind the "        \
	"letter\n"                                                                                 \
	"  -R          RSET before each letter but the first of a connection\n"                    \
	"  -L          LMTP\n"                                                                     \
	"  -T          STARTTLS first, unverified\n"                                               \
	"  -H          handshakes only: a letter is STARTTLS and QUIT\n"                           \
	"  -w SECONDS  give up when nothing happens for so long (60)\n"                            \
	"  -j          JSON\n"

enum { EVENTS = 256 };

struct options o = { .connections = 1,
	.letters = 1000,
	.octets = 4096,
	.first = 1,
	.last = 1,
	.rcpts = 1,
	.patience = 60,
	.to = "alice@example.com",
	.from = "sender@example.net" };

struct load load;

void
die(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fputs("bench_smtp: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

uint64_t
now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- the run */

static void
run(void)
{
	struct epoll_event events[EVENTS];
	load.start = now_ns();
	for (uint64_t i = 0; i < o.connections && i < o.letters; i++)
		conn_open(&load.conns[i]);
	while (load.open) {
		int n = epoll_wait(load.epoll, events, EVENTS, (int)o.patience * 1000);
		if (n == 0)
			die("nothing happened for %llu s; %llu letters were accepted",
			    (unsigned long long)o.patience, (unsigned long long)load.accepted);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			if (events[i].events & EPOLLOUT)
				conn_write(c);
			if (events[i].events & ~(uint32_t)EPOLLOUT)
				conn_read(c);
		}
	}
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void
latency(const char *name, uint32_t *v)
{
	uint64_t n = load.accepted;
	if (n == 0)
		return;
	qsort(v, n, sizeof(*v), by_size);
	printf(o.json ? ", \"%s_us\": {\"p50\": %u, \"p99\": %u, \"max\": %u}"
		      : "%s: p50 %u us, p99 %u us, max %u us\n",
	    name, v[n / 2], v[n - 1 - n / 100], v[n - 1]);
}

static void
report(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	double cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	             (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	double seconds = (double)(load.end - load.start) / 1e9;
	printf(o.json ? "{\"accepted\": %llu, \"connections\": %llu, \"seconds\": %.4f, \"rate\": "
			"%.1f, \"driver_cpu_us\": %.2f"
		      : "%llu letters in %llu connections, %.3f s: %.0f letters/s; the driver took "
			"%.1f "
			"us of CPU a letter\n",
	    (unsigned long long)load.accepted, (unsigned long long)load.connects, seconds,
	    (double)load.accepted / seconds, cpu * 1e6 / (double)load.accepted);
	latency("transaction", load.whole);
	latency("dot", load.dot);
	if (o.json)
		puts("}");
}

/* --- options */

static uint64_t
number(const char *s, uint64_t min, uint64_t max)
{
	uint64_t n;
	if (!num_u64(str_of(s), max, &n) || n < min) {
		fprintf(stderr, "bench_smtp: %s is not a number from %llu to %llu\n", s,
		    (unsigned long long)min, (unsigned long long)max);
		exit(1);
	}
	return n;
}

static void
range(char *s)
{
	char *colon = strchr(s, ':');
	if (colon)
		*colon = '\0';
	o.first = number(s, 0, UINT32_MAX);
	o.last = colon ? number(colon + 1, o.first, UINT32_MAX) : o.first;
}

static void
options(int argc, char **argv)
{
	int c;
	while ((c = getopt(argc, argv, "c:m:k:l:t:r:n:f:pRLTHw:j")) != -1) {
		switch (c) {
		case 'c':
			o.connections = number(optarg, 1, 60000);
			break;
		case 'm':
			o.letters = number(optarg, 1, 100000000);
			break;
		case 'k':
			o.per_connection = number(optarg, 0, UINT32_MAX);
			break;
		case 'l':
			o.octets = number(optarg, 1, 1u << 30);
			break;
		case 't':
			o.to = optarg;
			break;
		case 'r':
			range(optarg);
			break;
		case 'n':
			o.rcpts = number(optarg, 1, RCPT_LIMIT);
			break;
		case 'f':
			o.from = optarg;
			break;
		case 'p':
			o.pipelined = true;
			break;
		case 'R':
			o.rset = true;
			break;
		case 'L':
			o.lmtp = true;
			break;
		case 'H':
			o.shake = true;
			o.per_connection = 1;
			o.tls = true;
			break;
		case 'T':
			o.tls = true;
			break;
		case 'w':
			o.patience = number(optarg, 1, 3600);
			break;
		case 'j':
			o.json = true;
			break;
		default:
			fputs(USAGE, stderr);
			exit(1);
		}
	}
	if (optind + 1 != argc || strlen(o.to) > ADDRESS_LIMIT || strlen(o.from) > ADDRESS_LIMIT) {
		fputs(USAGE, stderr);
		exit(1);
	}
}

static void
address(char *where)
{
	if (strchr(where, '/')) {
		struct sockaddr_un *u = (struct sockaddr_un *)&load.addr;
		u->sun_family = AF_UNIX;
		if (!str_copy(u->sun_path, sizeof(u->sun_path), str_of(where)))
			die("%s is too long for a socket", where);
		load.addr_len = sizeof(*u);
		return;
	}
	char *colon = strrchr(where, ':');
	if (!colon)
		die("%s is neither HOST:PORT nor a path", where);
	*colon = '\0';
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	int rc = getaddrinfo(where, colon + 1, &hints, &found);
	if (rc)
		die("%s: %s", where, gai_strerror(rc));
	memcpy(&load.addr, found->ai_addr, found->ai_addrlen);
	load.addr_len = found->ai_addrlen;
	freeaddrinfo(found);
}

/* verb, address and the line's end; for the whole run. */
static struct str
line_make(const char *verb, const char *arg, const char *end)
{
	char *s = NULL;
	check(asprintf(&s, "%s%s%s\r\n", verb, arg, end) >= 0);
	return str_of(s);
}

/* A letter of o.octets with a header, lines of 76 characters and the dot behind it. */
static struct str
letter_make(void)
{
	char head[600], date[64];
	time_t t = time(NULL);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", gmtime(&t));
	int n = snprintf(head, sizeof(head),
	    "From: <%s>\r\nTo: undisclosed-recipients:;\r\nSubject: a letter of %llu octets\r\n"
	    "Date: %s\r\nMessage-ID: <%llx@bench.example.net>\r\n\r\n",
	    o.from, (unsigned long long)o.octets, date, (unsigned long long)t);
	check(n > 0 && (size_t)n < sizeof(head));
	size_t len = (size_t)n + 2 > o.octets ? (size_t)n + 2 : o.octets;
	char *b = xalloc(len + 3);
	memcpy(b, head, (size_t)n);
	uint32_t random = 12345;
	for (size_t i = (size_t)n, column = 0; i < len; i++, column++) {
		random = random * 1103515245 + 12345;
		b[i] = "abcdefghijklmnopqrstuvwxyz012345"[random >> 27];
		if (column == 76 && i + 3 < len) {
			b[i] = '\r';
			b[++i] = '\n';
			column = (size_t)-1;
		}
	}
	memcpy(b + len - 2, "\r\n.\r\n", 5);
	return str_n(b, len + 3);
}

static void
prepare(void)
{
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	load.hello = line_make(o.lmtp ? "LHLO" : "EHLO", " bench.example.net", "");
	load.mail = line_make("MAIL FROM:<", o.from, ">");
	load.body = letter_make();
	load.to_before = strdup(o.to);
	check(load.to_before);
	char *mark = strstr(load.to_before, "%d");
	if (mark) {
		*mark = '\0';
		load.to_after = mark + 2;
		load.to_number = true;
	}
	load.rcpt = o.first;
	size_t room = 32 + load.mail.len + o.rcpts * (ADDRESS_LIMIT + 32);
	load.conns = xalloc(o.connections * sizeof(*load.conns));
	for (uint64_t i = 0; i < o.connections; i++)
		load.conns[i] = (struct conn){ .fd = -1, .env = xalloc(room) };
	load.whole = xalloc(o.letters * sizeof(*load.whole));
	load.dot = xalloc(o.letters * sizeof(*load.dot));
	if (o.tls)
		secure_init();
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	check(load.epoll >= 0);
}

int
main(int argc, char **argv)
{
	options(argc, argv);
	address(argv[optind]);
	prepare();
	run();
	report();
	return load.accepted == o.letters ? 0 : 2;
}
