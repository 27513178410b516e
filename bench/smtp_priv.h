/*
 * smtp_priv: what the files of bench_smtp share: the options, the load, and the way from one to the
 * other.
 */
#pragma once

#include "base/str.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { RCPT_LIMIT = 1000, ADDRESS_LIMIT = 200 };
enum step { BANNER, HELLO, STARTTLS, SECURE, RSET, MAIL, RCPT, DATA, DOT, QUIT };

extern struct options {
	uint64_t connections, letters, per_connection, octets, first, last, rcpts, patience;
	const char *to, *from;
	bool pipelined, rset, lmtp, json;
	bool tls, shake; /* STARTTLS first; and nothing behind the handshake but QUIT */
} o;

struct conn {
	int fd;
	struct ssl_st *ssl; /* NULL: in clear */
	bool shaking;       /* the handshake is under way */
	enum step step;   /* whose answer is due */
	uint64_t answers; /* had of this step, when it has several */
	uint64_t letters; /* begun in this connection */
	uint64_t rcpt;    /* number of the recipient that comes next */
	bool more;        /* pipelined: another envelope went out behind the letter */
	bool waits;       /* for room to write */
	bool dot;         /* what is written ends with a dot */
	uint64_t begin, next_begin, dot_at; /* nanoseconds */
	char *env;                          /* commands under way */
	size_t env_len;
	struct str out[2]; /* still to be written */
	char line[4];      /* the beginning of a reply line that came in pieces */
	size_t line_len;
};

extern struct load {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	int epoll;
	struct conn *conns;
	uint64_t begun, accepted, open, connects;
	uint64_t rcpt; /* the next number */
	struct str hello, mail, body;
	char *to_before;
	const char *to_after;
	bool to_number;
	uint64_t start, end;
	uint32_t *whole, *dot; /* microseconds, by letter */
} load;

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2))); /* status 2 */
uint64_t now_ns(void);

void conn_open(struct conn *c);
void conn_write(struct conn *c); /* what is left, when there is room again */
void conn_read(struct conn *c);

/* smtp_tls.c. Octets sent or received, -1 with EAGAIN: not now. Nothing is verified. */
void secure_init(void);
bool secure_begin(struct conn *c); /* true: done at once */
bool secure_shake(struct conn *c); /* true: done */
ssize_t secure_send(struct conn *c, struct str what);
ssize_t secure_recv(struct conn *c, char *p, size_t n);
void secure_end(struct conn *c);
