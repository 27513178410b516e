/* smtp_priv: what the files of the client's SMTP share. */
#pragma once

#include "client/smtp.h"

#define SMTP_RUN_WHY_MAX 4000u

/* A sentence in r->why; returns status, which stands in r->status, too. */
int smtp_run_fail(struct smtp_run *r, int status, const char *fmt, ...) PRINTF(3, 4);

/* smtp_login.c */
/* A login is due: the session gets an exchange, or none. */
void smtp_run_login(struct smtp_run *r);
/* The login was refused; true: another mechanism may do, go on to AUTH again. */
bool smtp_run_another_login(struct smtp_run *r);
