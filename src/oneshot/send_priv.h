/* send_priv: what the files of the command send share. */
#pragma once

#include "client/smtp.h"
#include "oneshot/say.h"

#define SEND_LETTER_MAX (512u << 20) /* octets of a letter, or of a file that goes into it */
#define SEND_LIST_MAX (16u << 20)    /* octets of a file of recipients */
#define SEND_RCPTS_MAX 100000u

struct sending {
	struct client_options *o;
	struct smtp_client_envelope e;
	struct smtp_client_rcpt *rcpts;
	char **texts;          /* by recipient: the first line of what decided, or NULL */
	size_t n;
	struct buf letter;
	bool eight_bit;        /* octets above 127 in it */
	/* where the command stops, and how */
	bool stops, drops;
	bool at_connect, at_data;
	enum smtp_client_step until;
	bool temporary;
};

/* send_letter.c: CLIENT_OK, or the exit status after a message. */
int send_take_rcpts(struct sending *s);
int send_take_letter(struct sending *s);
int send_lint(struct sending *s);
