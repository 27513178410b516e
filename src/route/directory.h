/*
 * directory: who has a mailbox here. A sealed, read-only block of octets, made by store and
 * mapped by every front, which answers RCPT from it without asking anybody. It holds addresses
 * and routes, no secrets.
 *
 * A builder collects domains, users and aliases and writes the block: header, hash table of
 * folded addresses, entries, member lists. A reader never trusts it: every offset and length is
 * checked, so a damaged block gives "not found" and never a fault.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "mail/address.h"

#include <stdbool.h>
#include <stdint.h>

#define DIRECTORY_MAX (1u << 30)
#define ALIAS_MEMBERS_MAX 10000
#define ALIAS_DEPTH_MAX 16

struct directory_builder;
struct directory_builder *directory_builder_new(void);
struct directory_builder *directory_builder_free(struct directory_builder *b);
/* What is added again replaces the first; what is no address is left out. */
void directory_add_domain(struct directory_builder *b, struct str domain);
void directory_add_user(struct directory_builder *b, struct str address, uint64_t account);
/* The same, of an account that has a quota of its own. */
void directory_add_limited(struct directory_builder *b, struct str address, uint64_t account);
/* address "@domain": catch-all. members: local or remote addresses. */
void directory_add_alias(struct directory_builder *b, struct str address, const struct str *members,
    size_t n);
/* postmaster: an address; empty: the first user added. */
/* An address elsewhere that exists (relay_recipients). */
void directory_add_elsewhere(struct directory_builder *b, struct str address);
void directory_set_options(struct directory_builder *b, char plus_separator /* or 0 */,
    struct str postmaster);
/* Writes the block; false when it does not fit. */
bool directory_build(struct directory_builder *b, uint64_t version, struct buf *out);

struct directory {
	struct str block; /* borrowed: the mapped memfd */
};
bool directory_open(struct directory *d, struct str block); /* checks header and bounds */
uint64_t directory_version(const struct directory *d);
uint64_t directory_users(const struct directory *d); /* how many there are (tests) */
bool directory_is_local(const struct directory *d, struct str domain); /* domain without brackets */
/* False: addresses of that domain were added as elsewhere, and this one is none of them, without
 * +detail neither, nor postmaster (RFC 5321 4.5.1). */
bool directory_may_exist(const struct directory *d, const struct addr *a);
/* The address that postmaster stands for; empty: nobody. */
struct str directory_postmaster(const struct directory *d);
