#include "policy/tally.h"

#include "base/check.h"
#include "base/map.h"

#include <netinet/in.h>
#include <stdatomic.h>

#define PROBES 32                 /* slots in which an address may stand */
#define FRONT_SAYS_MAX (1u << 20) /* no front has more connections; above it a table lies */
#define FRONT_OCTETS_MAX (UINT64_C(1) << 50) /* nor so many octets */

/*
 * All accesses are sequentially consistent, because "store mine, then load yours" on both sides
 * must not miss each other. A slot is given to a new address only while its count is 0: key
 * first, count last. A reader looks at the key again after the count.
 */
struct slot {
	_Atomic uint64_t key[2]; /* both 0: never used, and nothing stands behind it */
	_Atomic uint64_t count;  /* 0: free for another address */
};

struct tally_table {
	_Atomic uint64_t total;
	_Atomic uint64_t tls;
	_Atomic uint64_t octets;
	_Atomic uint64_t numbers;
	_Atomic uint64_t listener[LISTENER_MAX];
	struct slot slot[TALLY_ADDRS];
};

_Static_assert((TALLY_ADDRS & (TALLY_ADDRS - 1)) == 0, "a mask picks the slot");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "the table is shared between processes");

size_t
tally_size(void)
{
	return sizeof(struct tally_table);
}

/* Never all zero: an IPv4 address stands as ::ffff:a.b.c.d, a /64 has its last octet set. */
struct tally_key
tally_key_of(const struct sockaddr *sa)
{
	struct tally_key k = { { 0 } };
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		memset(k.b + 10, 0xff, 2);
		memcpy(k.b + 12, &in.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		bool mapped = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
		memcpy(k.b, &in6.sin6_addr, mapped ? 16 : 8);
		k.b[15] |= mapped ? 0 : 1;
	} else {
		k.b[15] = 2;
	}
	return k;
}

struct place {
	uint64_t key[2];
	size_t first;
};

static struct place
place_of(const struct tally_key *k)
{
	static const unsigned char seed[16] = "pennypost tally";
	struct place p;
	memcpy(p.key, k->b, sizeof(p.key));
	p.first = siphash(seed, str_n(k->b, sizeof(k->b))) & (TALLY_ADDRS - 1);
	return p;
}

static bool
has_key(const struct slot *s, const uint64_t key[2])
{
	return atomic_load(&s->key[0]) == key[0] && atomic_load(&s->key[1]) == key[1];
}

static bool
is_unused(const struct slot *s)
{
	return has_key(s, (const uint64_t[2]){ 0, 0 });
}

/* The address's slot in our own table; with `make`, perhaps a new one. NULL: none. */
static struct slot *
own_slot(struct tally_table *t, const struct place *p, bool make)
{
	struct slot *free_one = NULL;
	for (size_t n = 0; n < PROBES; n++) {
		struct slot *s = &t->slot[(p->first + n) & (TALLY_ADDRS - 1)];
		if (has_key(s, p->key))
			return s;
		if (!free_one && atomic_load(&s->count) == 0)
			free_one = s;
		if (is_unused(s))
			break;
	}
	if (!make || !free_one)
		return NULL;
	atomic_store(&free_one->key[0], p->key[0]);
	atomic_store(&free_one->key[1], p->key[1]);
	return free_one;
}

/* Connections of one address in somebody's table. */
static uint64_t
count_in(const struct tally_table *t, const struct place *p)
{
	for (size_t n = 0; n < PROBES; n++) {
		const struct slot *s = &t->slot[(p->first + n) & (TALLY_ADDRS - 1)];
		if (has_key(s, p->key)) {
			uint64_t count = atomic_load(&s->count);
			if (has_key(s, p->key))
				return count;
		}
		if (is_unused(s))
			return 0;
	}
	return 0;
}

static uint64_t
believe(uint64_t v)
{
	return MIN(v, (uint64_t)FRONT_SAYS_MAX);
}

static uint64_t
sum_listener(const struct tally *t, unsigned listener)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < FRONT_MAX; i++)
		if (t->other[i])
			sum += believe(atomic_load(&t->other[i]->listener[listener]));
	return sum;
}

static uint64_t
sum_address(const struct tally *t, const struct place *p)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < FRONT_MAX; i++)
		if (t->other[i])
			sum += believe(count_in(t->other[i], p));
	return sum;
}

uint64_t
tally_total(const struct tally *t)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < FRONT_MAX; i++)
		if (t->other[i])
			sum += believe(atomic_load(&t->other[i]->total));
	return sum;
}

/* We alone write our table, so a load and a store are enough. */
static void
up(_Atomic uint64_t *v)
{
	atomic_store(v, atomic_load(v) + 1);
}

static void
down(_Atomic uint64_t *v)
{
	uint64_t was = atomic_load(v);
	if (was > 0)
		atomic_store(v, was - 1);
}

/* Where one connection is counted in our table. */
struct seat {
	struct place place;
	struct slot *address;       /* or NULL: not counted singly */
	_Atomic uint64_t *listener; /* or NULL: nowhere */
};

static _Atomic uint64_t *
listener_count(struct tally *t, unsigned listener)
{
	check(listener <= TALLY_NOWHERE);
	return listener == TALLY_NOWHERE ? NULL : &t->own->listener[listener];
}

static struct seat
seat_of(struct tally *t, const struct tally_key *k, unsigned listener, bool make)
{
	struct seat s = { .place = place_of(k), .listener = listener_count(t, listener) };
	s.address = own_slot(t->own, &s.place, make);
	return s;
}

static void
seat_leave(struct tally *t, const struct seat *s)
{
	down(&t->own->total);
	if (s->listener)
		down(s->listener);
	if (s->address)
		down(&s->address->count);
}

static enum tally_verdict
judge(const struct tally *t, const struct seat *s, unsigned listener,
    const struct tally_limits *limits)
{
	if (limits->total != UINT64_MAX && tally_total(t) > limits->total)
		return TALLY_TOTAL;
	if (limits->listener != UINT64_MAX && sum_listener(t, listener) > limits->listener)
		return TALLY_LISTENER;
	if (limits->address != UINT64_MAX && sum_address(t, &s->place) > limits->address)
		return TALLY_ADDRESS;
	return TALLY_OK;
}

enum tally_verdict
tally_enter(struct tally *t, const struct tally_key *k, unsigned listener,
    const struct tally_limits *limits)
{
	check(listener < LISTENER_MAX);
	struct seat s = seat_of(t, k, listener, true);
	up(&t->own->total);
	up(s.listener);
	if (s.address)
		up(&s.address->count);
	enum tally_verdict v = judge(t, &s, listener, limits);
	if (v != TALLY_OK)
		seat_leave(t, &s);
	return v;
}

void
tally_move(struct tally *t, unsigned from, unsigned to)
{
	_Atomic uint64_t *a = listener_count(t, from), *b = listener_count(t, to);
	if (b)
		up(b);
	if (a)
		down(a);
}

void
tally_leave(struct tally *t, const struct tally_key *k, unsigned listener)
{
	struct seat s = seat_of(t, k, listener, false);
	seat_leave(t, &s);
}

static uint64_t
tls_count(const struct tally *t)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < FRONT_MAX; i++)
		if (t->other[i])
			sum += believe(atomic_load(&t->other[i]->tls));
	return sum;
}

bool
tally_tls_enter(struct tally *t, uint64_t limit)
{
	up(&t->own->tls);
	if (limit == UINT64_MAX || tls_count(t) <= limit)
		return true;
	down(&t->own->tls);
	return false;
}

void
tally_tls_leave(struct tally *t)
{
	down(&t->own->tls);
}

void
tally_octets_set(struct tally *t, uint64_t octets)
{
	atomic_store(&t->own->octets, octets);
}

uint64_t
tally_octets(const struct tally *t)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < FRONT_MAX; i++) {
		uint64_t v = t->other[i] ? atomic_load(&t->other[i]->octets) : 0;
		sum += MIN(v, FRONT_OCTETS_MAX);
	}
	return sum;
}

uint64_t
tally_number(struct tally *t)
{
	uint64_t sum = 0;
	up(&t->own->numbers);
	for (size_t i = 0; i < FRONT_MAX; i++)
		sum += t->other[i] ? atomic_load(&t->other[i]->numbers) : 0;
	return sum;
}
