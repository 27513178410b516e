/* capture_priv: what the readers of captures share. */
#pragma once

#include "play/capture.h"

struct capture_parser {
	struct capture *c;
	struct str rest;   /* behind the line at hand */
	int line;
	struct str host;   /* of the telnet line before the session */
	uint16_t port;
	enum capture_proto proto;
	bool open;         /* a session is being read: the last one */
	bool came;         /* the server has spoken */
	bool labelled;     /* it has c: and s: */
	bool content;      /* behind a 354 */
	bool prompted;     /* behind a 334 */
	bool hung_up;      /* behind a 221 */
};

void capture_open(struct capture_parser *p);
void capture_add(struct capture_parser *p, enum capture_op op, struct str text);
void capture_came(struct capture_parser *p, struct str text);
void capture_sent(struct capture_parser *p, struct str text);
void capture_close(struct capture_parser *p, bool by_them);
/* Reads p->rest where it is JSON or HTML of ours; false: it is something else. */
bool capture_foreign(struct capture_parser *p);
