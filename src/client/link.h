/*
 * link: one connection of the client: names to addresses, TCP, the PROXY header, TLS, lines in and
 * octets out, each told as an event.
 *
 * Whatever a server sends is capped: a line of more than LINK_LINE_MAX octets comes in pieces
 * (LINK_PIECE), never as a growing buffer; what is not read stays in the kernel. Blocking calls have
 * a deadline, look at `stop`, and take in what arrives while they send, so a peer that talks without
 * listening cannot hold us. For an event loop of one's own (the interactive client) there are
 * link_fd(), link_wants() and link_take_in(), which never block.
 *
 * Times are milliseconds. One owner; link_close() is due after link_open(), however that ended, and
 * may come twice; on a zeroed struct it does nothing.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "client/event.h"
#include "tls/tls.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define LINK_LINE_MAX (64u << 10)   /* octets of a line in one piece */
#define LINK_IN_MAX (256u << 10)    /* octets taken in and not yet read */
#define LINK_RESOLVE_MAX 32         /* --resolve */
#define LINK_ADDRS_MAX 32           /* addresses tried for one name */
#define LINK_PINS_MAX 8

struct vouch;
struct vouched;

enum link_eol { LINK_CRLF, LINK_LF, LINK_CR };

struct link_conf {
	const char *host;       /* name or address; brackets around IPv6 are allowed; or unix:/path */
	uint16_t port;
	int family;             /* AF_UNSPEC, AF_INET, AF_INET6 */
	const char *bind;       /* source address, or NULL */
	struct { const char *name, *addr; } resolve[LINK_RESOLVE_MAX]; /* --resolve NAME:ADDR */
	size_t n_resolve;
	const char *dns;        /* --dns: the name server to ask for the host, or NULL: as the system does */
	int proxy;              /* 0 none, 1 or 2: PROXY header of that version */
	struct str proxy_source; /* "ADDR:PORT" that it names; empty: the socket's own */
	int64_t timeout_ms;     /* for a step: connect, handshake, a line */
	enum link_eol eol;      /* what ends a line that link_line_send() sends */
	size_t segment;         /* octets of one TCP segment; 0: as many as there are; 1: keystroke */
	int64_t delay_ms;       /* between segments */
	bool telnet_neg;        /* begin with telnet negotiation, as old telnet programs do */
	bool debug_bytes;       /* NOTE events with a hex dump of each read and write */
	/* TLS */
	struct tls_client_conf tls; /* name, alpn and verify are set by link_tls() */
	const char *sni, *verify_name; /* NULL: the host */
	bool insecure;          /* --insecure: the certificate is looked at, and never refused */
	struct str pins[LINK_PINS_MAX]; /* --pin: SHA-256 of SubjectPublicKeyInfo, base64 or hex */
	size_t n_pins;
	const char *keylog;     /* file, or NULL */
	const volatile sig_atomic_t *stop; /* a signal has come: give up */
	struct vouch *vouch;    /* DANE, MTA-STS: client/vouch.h; or NULL */
};

enum link_status {
	LINK_OK,
	LINK_PIECE,   /* link_line(): a part of a line that is too long; more of it comes next */
	LINK_AGAIN,   /* non-blocking calls: not yet */
	LINK_TIMEOUT,
	LINK_END,     /* the peer closed */
	LINK_FAILED,  /* a reset, a failure of TLS, ... : l->why */
	LINK_STOPPED, /* `stop` */
};

struct link {
	const struct link_conf *conf;
	struct events *ev;
	int fd;           /* -1: not open */
	struct tls *tls;  /* NULL: in clear */
	struct tls_facts facts; /* behind link_tls() */
	bool verified;    /* the certificate is good for the name, or a pin or DANE matched */
	enum tls_trust trust; /* what was found out about the certificate */
	struct buf verdict; /* why it is not, or "" */
	struct buf in;    /* what came; from `start` on it was not read yet */
	size_t start, scanned; /* no line end in the `scanned` octets behind `start` */
	uint64_t received; /* octets, in clear and deciphered */
	bool at_end;
	enum link_status end; /* at_end: LINK_END or LINK_FAILED */
	bool told;        /* CLOSE was emitted */
	short blocked;    /* POLLOUT: reading waits for writing */
	bool in_piece;    /* the last thing read was a piece */
	int64_t sent_us;  /* when the last octet went */
	char peer[64];    /* "192.0.2.1", the address we are connected to */
	uint16_t peer_port;
	char name[256];   /* its name, as given or (an address was given) as the reverse look-up says; "" */
	char label[352];  /* "mail.example.com (192.0.2.1) port 25", as far as it is known: for messages */
	struct link_deflate *z; /* COMPRESS=DEFLATE, or NULL */
	struct vouched *vouched; /* what DANE and MTA-STS say (client/vouch.h), or NULL */
	struct buf why;   /* one sentence: which step failed, with what, and what to try */
};

/* Resolves, tries each address in turn, sends the PROXY header. CLIENT_OK, CLIENT_RESOLVE,
 * CLIENT_CONNECT, CLIENT_TIMEOUT or CLIENT_INTERRUPTED; why in l->why. */
int link_open(struct link *l, const struct link_conf *conf, struct events *ev);
/* The handshake, now. Octets that came in clear before it are a failure (STARTTLS injection). alpn
 * "smtp", "imap", "pop3", "managesieve" or NULL. CLIENT_OK or CLIENT_TLS, CLIENT_TIMEOUT, ... */
int link_tls(struct link *l, const char *alpn);
/* From here on both directions are deflated (RFC 4978): the server has just said OK. False: l->why. */
bool link_deflate(struct link *l);
/* Octets that came and were not read. */
static inline size_t
link_unread(const struct link *l)
{
	return l->in.len - l->start;
}
void link_close(struct link *l);
bool link_pin_valid(struct str text); /* may it be one of `pins`? */

/* Sends these octets; masked as in client/event.h; content: of a letter. Events are per line. */
enum link_status link_send(struct link *l, struct str octets, struct str masked, bool content);
/* text and the line end of conf->eol. */
enum link_status link_line_send(struct link *l, struct str text, struct str masked);
/* The next line with its end; a view until the next call on this link. At the end of the connection
 * a last line without an end counts, too. Emits LINE (masked: what to show instead, or p NULL). */
enum link_status link_line(struct link *l, struct str masked, struct str *ret);
/* Exactly n octets more (IMAP literals), as they come, to fn; each emitted as LINE. */
enum link_status link_octets(struct link *l, uint64_t n, void (*fn)(void *arg, struct str piece), void *arg);

/* For a loop: poll link_fd() for link_wants() (POLLIN, POLLOUT), then link_take_in(), then
 * link_line_now() until it says LINK_AGAIN. */
int link_fd(const struct link *l);
short link_wants(const struct link *l);
enum link_status link_take_in(struct link *l);
enum link_status link_line_now(struct link *l, struct str *ret);
