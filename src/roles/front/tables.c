/* tables: the counters that fronts share; each maps its own for writing, the others' for reading.
 */
#include "roles/front/front_priv.h"

#include "policy/shared.h"

#include <sys/mman.h>
#include <unistd.h>

/* The connections that are open now, counted again in a fresh table. */
static void
count_again(struct front *f)
{
	static const struct tally_limits none = { UINT64_MAX, UINT64_MAX, UINT64_MAX };
	list_each(n, &f->conns)
	{
		struct conn *c = list_entry(n, struct conn, node);
		if (c->counted) {
			(void)tally_enter(&f->tally, &c->key, 0, &none);
			tally_move(&f->tally, 0, c->seat);
		}
		if (c->tls_counted)
			(void)tally_tls_enter(&f->tally, UINT64_MAX);
	}
	tally_octets_set(&f->tally, f->octets);
}

bool
tables_take(struct front *f, uint16_t who, int fd)
{
	size_t size = policy_shared_size();
	bool own = who == f->index;
	off_t end = lseek(fd, 0, SEEK_END);
	if (end < 0 || (size_t)end < size)
		return false;
	void *map = mmap(NULL, size, own ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return false;
	if (f->table_map[who])
		munmap(f->table_map[who], size);
	f->table_map[who] = map;
	f->tally.other[who] = policy_tally_in(map, size);
	f->rates[who] = policy_rate_in(map, size);
	if (own) {
		f->tally.own = policy_tally(map, size);
		f->rate = policy_rate(map, size);
		count_again(f);
	}
	return true;
}
