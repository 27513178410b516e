/* exit: the exit statuses of the client's commands. The first thing that went wrong decides. */
#pragma once

enum client_exit {
	CLIENT_OK = 0,
	CLIENT_USAGE = 1,
	CLIENT_RESOLVE = 2,
	CLIENT_CONNECT = 3,
	CLIENT_TLS = 4,          /* handshake or verification */
	CLIENT_TLS_REFUSED = 5,  /* TLS was required, and there was none */
	CLIENT_GREETING = 6,     /* 4xx or 5xx, or none */
	CLIENT_HELLO = 7,
	CLIENT_AUTH = 8,
	CLIENT_MAIL = 9,
	CLIENT_RCPT_ALL = 10,    /* every recipient was refused */
	CLIENT_RCPT_SOME = 11,
	CLIENT_MESSAGE = 12,     /* DATA or the letter was refused */
	CLIENT_TEMPORARY = 13,   /* 4xx anywhere, with --temp-exit */
	CLIENT_CLOSED = 14,      /* the peer closed unexpectedly */
	CLIENT_TIMEOUT = 15,
	CLIENT_EXPECT = 16,      /* a script's expectation was not met */
	CLIENT_LINT = 17,
	CLIENT_IO = 18,          /* a local file */
	CLIENT_INTERRUPTED = 130,
};
