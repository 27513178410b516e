/* check_priv: what the files of the command check share. */
#pragma once

#include "client/smtp.h"
#include "oneshot/say.h"

#include <stdbool.h>
#include <stdint.h>

enum check_result { CHECK_PASS, CHECK_FAIL, CHECK_SKIP, CHECK_NOTE };

struct checking {
	struct client_options *o;
	bool relay_test;
	int status;               /* of the first step that failed */
	unsigned passed, failed;
	int64_t since_us;         /* when the step at hand began */
	/* What the link told while it opened. */
	int64_t opened_us, resolved_us, connected_us, secured_us;
	struct buf resolved, connected, secured;
};

/* A step begins. */
void check_begin(struct checking *c);
/* Tells what became of it; the text is made plain. status: of a failure. */
void check_step(struct checking *c, const char *step, enum check_result r, int status,
    const char *fmt, ...) PRINTF(5, 6);
/* A line of explanation or remedy below the step; in JSON an object of its own. */
void check_more(struct checking *c, const char *step, const char *fmt, ...) PRINTF(3, 4);
/* Opens the link by link_open(): the steps resolve, connect and (implicit TLS) tls. */
void check_opened(struct checking *c, const struct link *l, int status, struct str why);
/* What the certificate is worth, as a step of its own. */
void check_certificate(struct checking *c, const struct link *l);
/* May credentials go over it? False: the step auth is told as skipped. */
bool check_may_login(struct checking *c, const struct link *l);
/* "550 5.7.1 ..." explained, behind a step that failed. */
void check_explain(struct checking *c, const char *step, const struct answer *a);

int check_smtp(struct checking *c);
int check_mail(struct checking *c); /* IMAP, POP3, ManageSieve */
