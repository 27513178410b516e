/*
 * names: domains, users and aliases as records of the G domain, and their folded forms.
 *
 * Values: "d|domain" a version octet (1); "a|address" the same and the members, one a line.
 * "u|address" belongs to the mailbox room: its value begins with the account's id.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "conf/conf.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

#define NAME_MAX_FOLDED 512

/* The forms that are compared and stored; false when it is no such thing. */
bool names_user(struct str s, char *dst, size_t n);  /* local@domain */
bool names_alias(struct str s, char *dst, size_t n); /* the same, or "@domain" */
bool names_domain(struct str s, char *dst, size_t n);
/* Behind the '@'. */
struct str names_domain_of(struct str address);

/* Keys: kind is 'd', 'u' or 'a'. False when the key would be too long. */
bool names_key(struct buf *b, char kind, struct str name);
int names_get(
    struct store_snap *sn, char kind, struct str name, struct str *ret); /* 0, -ENOENT, -errno */
int names_scan(struct store_snap *sn, char kind, store_scan_fn *fn, void *arg);
/* From `after` (folded; not included) on, at most limit. */
int names_scan_after(struct store_snap *sn, char kind, struct str after, uint32_t limit,
    store_scan_fn *fn, void *arg);

void names_domain_put(struct buf *b);
void names_alias_put(struct buf *b, struct str members);
bool names_alias_get(struct str value, struct str *ret_members);
bool names_account_get(struct str value, uint64_t *ret);

/* What the configuration has under a folded name. */
bool names_conf_domain(const struct conf *c, const char *domain);
const struct conf_alias *names_conf_alias(const struct conf *c, const char *address);
/* In the configuration or in the store. */
bool names_is_local(const struct conf *c, struct store_snap *sn, struct str domain);
