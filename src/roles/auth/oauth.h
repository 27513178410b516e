/*
 * oauth: how tokens are checked (RFC 7628, RFC 7519, RFC 7662): a picture of the configuration
 * and the keys at one moment, counted by the loop's thread alone; threads only read it.
 */
#pragma once

#include "base/str.h"
#include "conf/conf.h"
#include "sasl/sasl.h"

#include <stdbool.h>
#include <stdint.h>

struct oauth;
/* The next picture, in place of old. jwt: keys that came now, STR_NULL: none; keep: those of old
 * stay. NULL: tokens cannot be checked. */
struct oauth *oauth_renew(struct oauth *old, const struct conf *c, struct str jwt);
struct oauth *oauth_reconf(struct oauth *old, const struct conf *c); /* keys as they are */
struct oauth *oauth_ref(struct oauth *o);
struct oauth *oauth_unref(struct oauth *o);

/* By keys, on a thread. False: not good; *ret_ask: somebody else is to be asked. */
bool oauth_check(const struct oauth *o, struct str token, int64_t now_sec,
    char name[SASL_NAME_MAX], bool *ret_ask, struct buf *why);
/* The form of a question about a token (RFC 7662 2.1). */
void oauth_question(struct str token, struct buf *form);
/* Its answer: whose token it is. False: of nobody. */
bool oauth_answer(const struct oauth *o, struct str json, int64_t now_sec,
    char name[SASL_NAME_MAX], struct buf *why);
