/*
 * http: as much of HTTP/1.x as a scraper needs (RFC 9112): requests without a body, answered one
 * after another. Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define HTTP_REQUEST_MAX 8192u /* octets of request line and fields */

enum http_state {
	HTTP_MORE,     /* it is not whole yet */
	HTTP_READY,
	HTTP_BAD,      /* answer 400 and close */
	HTTP_TOO_LONG, /* 431 */
	HTTP_VERSION,  /* 505 */
};
struct http_request {
	struct str method, target; /* views into the octets */
	bool close;                /* the connection ends behind the answer */
};
/* Looks at what has come from its beginning on; with READY *ret_used octets are the request's. */
enum http_state http_request_get(struct str in, struct http_request *ret, size_t *ret_used);
/* The path of a target: without the query, and without "http://host" in front. */
struct str http_path(struct str target);

struct http_answer {
	int status;        /* 200, 400, 404, 405, 431, 503, 505 */
	const char *type;  /* of the body */
	struct str body;
	bool head;         /* HEAD: the body is not sent */
	bool close;
};
void http_answer_put(struct buf *out, const struct http_answer *a);
