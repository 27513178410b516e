#include "route/directory.h"

#include "base/check.h"
#include "base/map.h"
#include "base/utf8.h"
#include "route/directory_priv.h"
#include "route/host.h"

#include <stdlib.h>

/*
 * Block: header, slots, entries. All numbers are big-endian, all offsets count from the start
 * of the block. A slot is the upper half of the key's hash and the offset of the entry, 0 when
 * free; a key goes to the first free slot from (hash mod slots) on. An entry is its key as a
 * str and what directory_priv.h says for its kind.
 */
#define MAGIC "PENNYDIR"
#define FORMAT 1
#define SLOT_LEN 8
#define PROBES_MAX 4096
#define TEXT_MAX 1024

enum {
	AT_MAGIC = 0,
	AT_FORMAT = 8,      /* u32 */
	AT_SEPARATOR = 12,  /* u32 */
	AT_VERSION = 16,    /* u64 */
	AT_LENGTH = 24,     /* u64: of the block */
	AT_HASH_KEY = 32,   /* 16 octets */
	AT_USERS = 48,      /* u64 */
	AT_SLOTS = 56,      /* u32: how many, a power of two */
	AT_POSTMASTER = 60, /* u32: offset of a str */
	HEADER_LEN = 64
};

static const unsigned char *
octets(const struct directory *d, size_t at)
{
	return (const unsigned char *)d->block.p + at;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* A domain is one domain, in U-labels or in A-labels. */
static struct str
a_labels(struct str domain, char ascii[HOST_MAX])
{
	return !utf8_is_ascii(domain) && host_ascii(domain, ascii) ? str_of(ascii) : domain;
}

struct directory_key
directory_key_domain(enum directory_kind kind, struct str domain)
{
	struct directory_key k = { .b = { (char)kind } };
	char ascii[HOST_MAX];
	domain = a_labels(domain, ascii);
	if (domain.len == 0 || domain.len > ADDR_DOMAIN_MAX)
		return k;
	for (size_t i = 0; i < domain.len; i++)
		k.b[1 + i] = lower(domain.p[i]);
	k.len = 1 + domain.len;
	return k;
}

struct directory_key
directory_key_addr(enum directory_kind kind, const struct addr *a)
{
	struct directory_key k = { .b = { (char)kind } };
	struct addr named = *a;
	char ascii[HOST_MAX];
	named.domain = a_labels(a->domain, ascii);
	if (!a->null && addr_fold(&named, k.b + 1, sizeof(k.b) - 1))
		k.len = 1 + strlen(k.b + 1);
	return k;
}

struct directory_builder {
	struct map entries; /* key -> struct entry */
	char separator;
	char *postmaster, *first_user; /* or NULL */
	uint64_t users;
};

struct entry {
	struct buf text; /* as it will stand in the block, behind the key */
};

struct directory_builder *
directory_builder_new(void)
{
	return xalloc(sizeof(struct directory_builder));
}

static void
entry_free(struct entry *e)
{
	if (!e)
		return;
	buf_done(&e->text);
	free(e);
}

struct directory_builder *
directory_builder_free(struct directory_builder *b)
{
	struct str key;
	void *e;
	if (!b)
		return NULL;
	for (size_t pos = 0; map_next(&b->entries, &pos, &key, &e);)
		entry_free(e);
	map_done(&b->entries);
	free(b->postmaster);
	free(b->first_user);
	free(b);
	return NULL;
}

/* A new entry under key, in place of one that stood there; true when there was none. */
static bool
enter(struct directory_builder *b, const struct directory_key *key, struct buf **ret_text)
{
	struct entry *e = xalloc(sizeof(*e));
	buf_init(&e->text, DIRECTORY_MAX);
	struct entry *was = map_put(&b->entries, str_n(key->b, key->len), e);
	entry_free(was);
	*ret_text = &e->text;
	return was == NULL;
}

void
directory_add_domain(struct directory_builder *b, struct str domain)
{
	struct directory_key key = directory_key_domain(DIRECTORY_DOMAIN, domain);
	struct buf *text;
	if (key.len)
		enter(b, &key, &text);
}

static void
add_user(struct directory_builder *b, struct str address, uint64_t number)
{
	struct addr a;
	if (addr_mailbox(address, ADDR_SMTPUTF8, &a) != ADDR_OK)
		return;
	struct directory_key key = directory_key_addr(DIRECTORY_USER, &a);
	struct buf *text;
	b->users += enter(b, &key, &text);
	put_str(text, address);
	put_u64(text, number);
	if (!b->first_user)
		b->first_user = str_dup(address);
}

void
directory_add_user(struct directory_builder *b, struct str address, uint64_t account)
{
	check(account < DIRECTORY_LIMITED);
	add_user(b, address, account);
}

void
directory_add_limited(struct directory_builder *b, struct str address, uint64_t account)
{
	check(account < DIRECTORY_LIMITED);
	add_user(b, address, account | DIRECTORY_LIMITED);
}

void
directory_add_alias(struct directory_builder *b, struct str address, const struct str *members,
    size_t n)
{
	struct directory_key key = { .len = 0 };
	struct addr a;
	if (address.len && address.p[0] == '@')
		key = directory_key_domain(DIRECTORY_CATCHALL, str_skip(address, 1));
	else if (addr_mailbox(address, ADDR_SMTPUTF8 | ADDR_BARE_POSTMASTER, &a) == ADDR_OK)
		key = directory_key_addr(DIRECTORY_ALIAS, &a);
	if (key.len == 0 || address.len > TEXT_MAX || n > UINT32_MAX)
		return;
	struct buf *text;
	enter(b, &key, &text);
	put_str(text, address);
	put_u32(text, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		put_str(text, str_first(members[i], TEXT_MAX));
}

void
directory_add_elsewhere(struct directory_builder *b, struct str address)
{
	struct addr a;
	struct buf *text;
	if (addr_mailbox(address, ADDR_SMTPUTF8, &a) != ADDR_OK)
		return;
	struct directory_key key = directory_key_addr(DIRECTORY_ELSEWHERE, &a);
	struct directory_key domain = directory_key_domain(DIRECTORY_KNOWN, a.domain);
	if (key.len == 0 || domain.len == 0)
		return;
	enter(b, &key, &text);
	enter(b, &domain, &text);
}

void
directory_set_options(struct directory_builder *b, char plus_separator, struct str postmaster)
{
	free(b->postmaster);
	b->postmaster = postmaster.len ? str_dup(postmaster) : NULL;
	b->separator = plus_separator;
}

static void
zeros(struct buf *out, size_t n)
{
	if (!buf_reserve(out, n))
		return;
	memset(out->p + out->len, 0, n);
	out->len += n;
}

/* The header, but for the length of the block. */
static void
put_header(struct buf *out, const struct directory_builder *b, uint64_t version, uint32_t slots)
{
	buf_put(out, MAGIC, 8);
	put_u32(out, FORMAT);
	put_u32(out, (unsigned char)b->separator);
	put_u64(out, version);
	put_u64(out, 0);
	put_u64(out, version ^ 0x9e3779b97f4a7c15);
	put_u64(out, version);
	put_u64(out, b->users);
	put_u32(out, slots);
	put_u32(out, (uint32_t)(HEADER_LEN + (size_t)slots * SLOT_LEN));
}

/* Puts the entry that stands at offset `at` of the block into a free slot. */
static void
fill_slot(unsigned char *block, uint32_t slots, struct str key, size_t at)
{
	uint64_t hash = siphash(block + AT_HASH_KEY, key);
	unsigned char *table = block + HEADER_LEN;
	size_t i = hash & (slots - 1);
	while (be32_get(table + i * SLOT_LEN + 4) != 0)
		i = (i + 1) & (slots - 1);
	be32_put(table + i * SLOT_LEN, (uint32_t)(hash >> 32));
	be32_put(table + i * SLOT_LEN + 4, (uint32_t)at);
}

bool
directory_build(struct directory_builder *b, uint64_t version, struct buf *out)
{
	size_t start = out->len, pos = 0;
	uint32_t slots = 16;
	while (slots < b->entries.used * 2 && slots < DIRECTORY_MAX / SLOT_LEN)
		slots *= 2;
	put_header(out, b, version, slots);
	zeros(out, (size_t)slots * SLOT_LEN);
	put_str(out, str_of(b->postmaster ? b->postmaster : b->first_user));
	struct str key;
	void *value;
	bool fits = slots > b->entries.used;
	while (fits && map_next(&b->entries, &pos, &key, &value)) {
		struct entry *e = value;
		size_t at = out->len - start;
		put_str(out, key);
		buf_puts(out, buf_str(&e->text));
		fits = !e->text.failed && !out->failed && out->len - start <= DIRECTORY_MAX;
		if (fits)
			fill_slot((unsigned char *)out->p + start, slots, key, at);
	}
	if (!fits || out->failed) {
		buf_trunc(out, start);
		return false;
	}
	be64_put((unsigned char *)out->p + start + AT_LENGTH, out->len - start);
	return true;
}

bool
directory_open(struct directory *d, struct str block)
{
	struct directory t = { block };
	if (block.len < HEADER_LEN || block.len > DIRECTORY_MAX || memcmp(block.p, MAGIC, 8) != 0 ||
	    be32_get(octets(&t, AT_FORMAT)) != FORMAT ||
	    be64_get(octets(&t, AT_LENGTH)) != block.len)
		return false;
	uint32_t slots = be32_get(octets(&t, AT_SLOTS));
	if (slots == 0 || (slots & (slots - 1)) != 0 || slots > (block.len - HEADER_LEN) / SLOT_LEN)
		return false;
	*d = t;
	return true;
}

uint64_t
directory_version(const struct directory *d)
{
	return be64_get(octets(d, AT_VERSION));
}

uint64_t
directory_users(const struct directory *d)
{
	return be64_get(octets(d, AT_USERS));
}

char
directory_separator(const struct directory *d)
{
	return (char)be32_get(octets(d, AT_SEPARATOR));
}

struct str
directory_postmaster(const struct directory *d)
{
	struct wire w = wire_of(str_skip(d->block, be32_get(octets(d, AT_POSTMASTER))));
	return get_str(&w, TEXT_MAX);
}

bool
directory_without_detail(const struct directory *d, const struct addr *a, struct addr *ret)
{
	char separator = directory_separator(d);
	size_t at = separator && !a->quoted ? str_find(a->local, separator) : a->local.len;
	if (at == 0 || at == a->local.len)
		return false;
	*ret = *a;
	ret->local = str_first(a->local, at);
	return true;
}

bool
directory_find(const struct directory *d, const struct directory_key *key, struct wire *ret)
{
	struct str want = { key->b, key->len };
	if (want.len == 0)
		return false;
	uint64_t hash = siphash(octets(d, AT_HASH_KEY), want);
	uint32_t slots = be32_get(octets(d, AT_SLOTS));
	for (size_t n = 0; n < slots && n < PROBES_MAX; n++) {
		size_t slot = HEADER_LEN + (size_t)((hash + n) & (slots - 1)) * SLOT_LEN;
		uint32_t at = slot + SLOT_LEN <= d->block.len ? be32_get(octets(d, slot + 4)) : 0;
		if (at == 0)
			return false;
		if (be32_get(octets(d, slot)) != (uint32_t)(hash >> 32))
			continue;
		struct wire w = wire_of(str_skip(d->block, at));
		if (str_eq(get_str(&w, DIRECTORY_KEY_MAX), want)) {
			*ret = w;
			return true;
		}
	}
	return false;
}

bool
directory_is_local(const struct directory *d, struct str domain)
{
	struct directory_key key = directory_key_domain(DIRECTORY_DOMAIN, domain);
	struct wire w;
	return directory_find(d, &key, &w);
}

static bool
is_elsewhere(const struct directory *d, const struct addr *a)
{
	struct directory_key key = directory_key_addr(DIRECTORY_ELSEWHERE, a);
	struct wire w;
	return directory_find(d, &key, &w);
}

bool
directory_may_exist(const struct directory *d, const struct addr *a)
{
	struct directory_key domain = directory_key_domain(DIRECTORY_KNOWN, a->domain);
	struct addr base;
	struct wire w;
	return !directory_find(d, &domain, &w) || str_ieq(a->local, STR("postmaster")) ||
	       is_elsewhere(d, a) ||
	       (directory_without_detail(d, a, &base) && is_elsewhere(d, &base));
}
