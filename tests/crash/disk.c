#include "disk.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u
#define PAGE 4096u

/* A change of a file's octets or size, not yet synced. */
struct change {
	bool size; /* only the size: off */
	bool sure; /* O_DSYNC: kept in any case */
	bool zeros;
	uint64_t off, len;
	const char *data; /* in the trace */
	uint64_t place;   /* of its record */
};

/* A change of names: first `gone` is removed from its directory, then `name` stands for node. */
struct naming {
	char *gone, *name; /* either may be NULL */
	uint32_t node;
	uint64_t place;
};

struct entry {
	char *name;
	uint32_t node;
};

struct node {
	bool is_dir, meta; /* meta: LMDB's file */
	char *octets;      /* as synced */
	uint64_t size, cap;
	struct change *changes;
	size_t n_changes, cap_changes;
	struct entry *entries; /* as synced */
	size_t n_entries;
	struct naming *namings;
	size_t n_namings;
};

struct disk {
	struct node *nodes;
	uint32_t n;
};

/* --- chance --- */

static uint64_t
next(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static bool
chance(uint64_t *s, unsigned of_100)
{
	return next(s) % 100 < of_100;
}

/* --- nodes --- */

static struct node *
node_at(struct disk *d, uint32_t i)
{
	if (i >= d->n) {
		uint32_t n = i + 1;
		d->nodes = xrealloc(d->nodes, n * sizeof(*d->nodes));
		memset(d->nodes + d->n, 0, (n - d->n) * sizeof(*d->nodes));
		d->n = n;
	}
	return &d->nodes[i];
}

struct disk *
disk_new(void)
{
	struct disk *d = xalloc(sizeof(*d));
	node_at(d, 0)->is_dir = true;
	return d;
}

struct disk *
disk_free(struct disk *d)
{
	for (uint32_t i = 0; i < d->n; i++) {
		struct node *n = &d->nodes[i];
		for (size_t k = 0; k < n->n_entries; k++)
			free(n->entries[k].name);
		for (size_t k = 0; k < n->n_namings; k++) {
			free(n->namings[k].gone);
			free(n->namings[k].name);
		}
		free(n->octets);
		free(n->changes);
		free(n->entries);
		free(n->namings);
	}
	free(d->nodes);
	free(d);
	return NULL;
}

/* A file's octets while they are put together. */
struct image {
	char *p;
	uint64_t size, cap;
};

static void
image_size(struct image *m, uint64_t size)
{
	if (size > m->cap) {
		m->cap = size + (size >> 2);
		m->p = xrealloc(m->p, m->cap);
	}
	if (size > m->size)
		memset(m->p + m->size, 0, size - m->size);
	m->size = size;
}

static void
image_put(struct image *m, const struct change *c, uint64_t from, uint64_t to)
{
	if (to > m->size)
		image_size(m, to);
	if (c->zeros)
		memset(m->p + from, 0, to - from);
	else
		memcpy(m->p + from, c->data + (from - c->off), to - from);
}

static uint64_t
size_after(uint64_t size, const struct change *c)
{
	return c->size ? c->off : MAX(size, c->off + c->len);
}

/* --- playing --- */

static void
synced_put(struct node *n, const struct change *c)
{
	struct image m = { n->octets, n->size, n->cap };
	if (c->size)
		image_size(&m, c->off);
	else
		image_put(&m, c, c->off, c->off + c->len);
	n->octets = m.p;
	n->size = m.size;
	n->cap = m.cap;
}

static size_t
entry_of(const struct entry *e, size_t n, const char *name)
{
	size_t i = 0;
	while (i < n && strcmp(e[i].name, name) != 0)
		i++;
	return i;
}

/* Names are the entries' own copies. */
static void
apply_naming(struct entry **e, size_t *n, const struct naming *c)
{
	size_t i = c->gone ? entry_of(*e, *n, c->gone) : *n;
	if (i < *n) {
		free((*e)[i].name);
		(*e)[i] = (*e)[--*n];
	}
	if (!c->name)
		return;
	i = entry_of(*e, *n, c->name);
	if (i == *n) {
		*e = xrealloc(*e, (*n + 1) * sizeof(**e));
		(*e)[(*n)++] = (struct entry){ xstrdup(c->name), c->node };
	}
	(*e)[i].node = c->node;
}

/* What was pending before `place` is safe now. */
static void
settle(struct node *n, uint64_t place)
{
	size_t keep = 0;
	for (size_t i = 0; i < n->n_changes; i++) {
		if (n->changes[i].place < place)
			synced_put(n, &n->changes[i]);
		else
			n->changes[keep++] = n->changes[i];
	}
	n->n_changes = keep;
	keep = 0;
	for (size_t i = 0; i < n->n_namings; i++) {
		struct naming *c = &n->namings[i];
		if (c->place >= place) {
			n->namings[keep++] = *c;
			continue;
		}
		apply_naming(&n->entries, &n->n_entries, c);
		free(c->gone);
		free(c->name);
	}
	n->n_namings = keep;
}

static void
add_change(struct node *n, struct change c)
{
	if (n->n_changes == n->cap_changes) {
		n->cap_changes = n->cap_changes ? n->cap_changes * 2 : 8;
		n->changes = xrealloc(n->changes, n->cap_changes * sizeof(*n->changes));
	}
	n->changes[n->n_changes++] = c;
}

static void
add_naming(struct node *n, char *gone, char *name, uint32_t node, uint64_t place)
{
	n->namings = xrealloc(n->namings, (n->n_namings + 1) * sizeof(*n->namings));
	n->namings[n->n_namings++] = (struct naming){ gone, name, node, place };
}

static char *
name_of(const struct rec *r, bool second)
{
	const char *p = rec_name(r) + (second ? r->name_len : 0);
	size_t n = second ? r->name2_len : r->name_len;
	char *z = xalloc(n + 1);
	memcpy(z, p, n);
	return z;
}

static uint32_t
node_named(const struct node *dir, const char *name)
{
	struct entry *e = NULL;
	size_t n = 0;
	for (size_t i = 0; i < dir->n_entries; i++)
		apply_naming(&e, &n,
		    &(struct naming){ NULL, dir->entries[i].name, dir->entries[i].node, 0 });
	for (size_t i = 0; i < dir->n_namings; i++)
		apply_naming(&e, &n, &dir->namings[i]);
	size_t at = entry_of(e, n, name);
	check(at < n);
	uint32_t node = e[at].node;
	for (size_t i = 0; i < n; i++)
		free(e[i].name);
	free(e);
	return node;
}

static void
play_name(struct disk *d, const struct rec *r, uint64_t place)
{
	char *name = name_of(r, false);
	if (r->kind == REC_UNLINK) {
		add_naming(node_at(d, r->node), name, NULL, 0, place);
		return;
	}
	if (r->kind == REC_RENAME) {
		/* Between two directories it would have to be kept or lost in both at once. */
		check(r->node == r->node2);
		uint32_t node = node_named(node_at(d, r->node), name);
		add_naming(node_at(d, r->node), name, name_of(r, true), node, place);
		return;
	}
	struct node *n = node_at(d, r->node2);
	n->is_dir = r->kind == REC_MKDIR;
	n->meta = strcmp(name, "data.mdb") == 0;
	add_naming(node_at(d, r->node), NULL, name, r->node2, place);
}

static struct change
change_of(const struct rec *r, uint64_t place)
{
	return (struct change){ .size = r->kind == REC_SIZE,
		.sure = r->flags & REC_DURABLE,
		.zeros = r->flags & REC_ZEROS,
		.off = r->off,
		.len = r->len,
		.data = rec_data(r),
		.place = place };
}

void
disk_play(struct disk *d, const struct rec *r, uint64_t place)
{
	struct change c = change_of(r, place);
	switch ((enum rec_kind)r->kind) {
	case REC_WRITE:
	case REC_SIZE:
		add_change(node_at(d, r->node), c);
		break;
	case REC_SYNCED:
		settle(node_at(d, r->node), r->off);
		break;
	case REC_MAKE:
	case REC_MKDIR:
	case REC_LINK:
	case REC_UNLINK:
	case REC_RENAME:
		play_name(d, r, place);
		break;
	case REC_SYNC:
	case REC_NOTE:
	case REC_LIFE:
		break;
	}
}

/* --- after the power went --- */

/* How one state treats what is pending. */
struct mood {
	const char *what;
	unsigned sectors; /* of 100 are kept */
	unsigned torn;    /* of 100 that are lost are kept in part */
	bool per_write;   /* all sectors of a write alike */
	bool per_file;    /* each file has a share of its own: 0, sectors or 100 */
	bool in_order;    /* what came before a moment is kept, what came after is lost */
};
static const struct mood moods[] = {
	{ "all lost", 0, 0, false, false, false },
	{ "all kept", 100, 0, false, false, false },
	{ "half of the sectors", 50, 0, false, false, false },
	{ "half of the sectors, torn", 50, 20, false, false, false },
	{ "few sectors lost", 95, 30, false, false, false },
	{ "most sectors lost", 10, 30, false, false, false },
	{ "half of the writes", 50, 0, true, false, false },
	{ "some files", 50, 10, true, true, false },
	{ "some files, torn", 70, 30, false, true, false },
	{ "in order", 100, 100, true, false, true },
	{ "in order, torn", 100, 0, true, false, true },
};

struct crash {
	const struct disk *d;
	uint64_t seed;
	struct mood mood;
	uint64_t until; /* in_order */
	bool broke_off; /* the write at that moment was found */
};

static void
put_sectors(struct crash *k, struct image *m, const struct change *c, bool meta, unsigned share)
{
	uint64_t end = c->off + c->len;
	for (uint64_t at = c->off; at < end;) {
		uint64_t to = MIN(end, (at / SECTOR + 1) * SECTOR);
		if (chance(&k->seed, share)) {
			image_put(m, c, at, to);
		} else if (to - at > 1 && !(meta && at < 2 * PAGE) &&
			   chance(&k->seed, k->mood.torn)) {
			uint64_t cut = at + 1 + next(&k->seed) % (to - at - 1);
			if (chance(&k->seed, 70))
				image_put(m, c, at, cut);
			else
				image_put(m, c, cut, to);
		}
		at = to;
	}
}

/* Some of the changes' sizes, the first ones, reach the disk. */
static size_t
sizes_kept(struct crash *k, const struct node *n)
{
	size_t i = 0;
	if (k->mood.in_order) {
		while (i < n->n_changes && n->changes[i].place < k->until)
			i++;
		return i;
	}
	return k->mood.sectors == 100 || chance(&k->seed, 50) ? n->n_changes
	                                                      : next(&k->seed) % (n->n_changes + 1);
}

/* What came before the moment is kept, of what came next the beginning. */
static unsigned
in_order(struct crash *k, struct change *c)
{
	if (c->place < k->until)
		return 100;
	if (k->broke_off || c->size || c->sure || c->len == 0)
		return 0;
	k->broke_off = true;
	c->len = next(&k->seed) % c->len;
	return 100;
}

static void
crash_file(struct crash *k, const struct node *n, struct image *m)
{
	size_t sizes = sizes_kept(k, n);
	uint64_t size = n->size;
	unsigned share = k->mood.sectors, r = (unsigned)(next(&k->seed) % 3);
	if (k->mood.per_file)
		share = r == 0 ? 0 : r == 1 ? 100 : share;
	if (k->mood.sectors == 0)
		sizes = chance(&k->seed, 50) ? 0 : sizes;
	for (size_t i = 0; i < n->n_changes; i++) {
		const struct change *c = &n->changes[i];
		unsigned mine = share;
		if (k->mood.per_write)
			mine = chance(&k->seed, share) ? 100 : 0;
		struct change part = *c;
		if (k->mood.in_order)
			mine = in_order(k, &part);
		if (i < sizes || c->sure)
			size = size_after(size, c);
		if (!c->size)
			put_sectors(k, m, &part, n->meta, c->sure ? 100 : mine);
		else if (i < sizes)
			image_size(m, c->off);
	}
	image_size(m, size);
}

static void
write_file(const char *path, const char *p, uint64_t size)
{
	static const char zeros[PAGE];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	check(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	for (uint64_t at = 0; at < size;) {
		uint64_t n = MIN(size - at, (uint64_t)PAGE), end = at;
		/* Holes read as zeros and cost nothing. */
		while (end < size &&
		       memcmp(p + end, zeros, n = MIN(size - end, (uint64_t)PAGE)) != 0)
			end += n;
		if (end > at)
			check(pwrite(fd, p + at, end - at, (off_t)at) == (ssize_t)(end - at));
		at = end + n;
	}
	close(fd);
}

static void
crash_names(struct crash *k, const struct node *n, struct entry **e, size_t *n_e)
{
	size_t until = next(&k->seed) % (n->n_namings + 1);
	/* Journals keep the order; not every file system promises it. */
	bool in_order = chance(&k->seed, 40), all = chance(&k->seed, 15),
	     none = !all && chance(&k->seed, 20);
	for (size_t i = 0; i < n->n_entries; i++)
		apply_naming(e, n_e,
		    &(struct naming){ NULL, n->entries[i].name, n->entries[i].node, 0 });
	for (size_t i = 0; i < n->n_namings; i++) {
		const struct naming *c = &n->namings[i];
		bool kept = in_order ? i < until : chance(&k->seed, 50);
		if (k->mood.in_order)
			kept = c->place < k->until;
		else if (k->mood.sectors == 100 || all)
			kept = true;
		else if (none)
			kept = false;
		if (kept)
			apply_naming(e, n_e, c);
	}
}

static void
crash_node(struct crash *k, uint32_t i, const char *path)
{
	if (i >= k->d->n)
		return;
	const struct node *n = &k->d->nodes[i];
	if (!n->is_dir) {
		struct image m = { .size = n->size, .cap = n->size };
		if (n->n_changes == 0) {
			write_file(path, n->octets, n->size);
			return;
		}
		m.p = xalloc(n->size + 1);
		if (n->size)
			memcpy(m.p, n->octets, n->size);
		crash_file(k, n, &m);
		write_file(path, m.p, m.size);
		free(m.p);
		return;
	}
	struct entry *e = NULL;
	size_t n_e = 0;
	check(mkdir(path, 0700) == 0);
	crash_names(k, n, &e, &n_e);
	for (size_t x = 0; x < n_e; x++) {
		char sub[PATH_MAX];
		check((size_t)snprintf(sub, sizeof(sub), "%s/%s", path, e[x].name) < sizeof(sub));
		crash_node(k, e[x].node, sub);
		free(e[x].name);
	}
	free(e);
}

const char *
disk_crash(struct disk *d, const struct rec *begun, uint64_t place, uint64_t seed, const char *to)
{
	struct crash k = { .d = d, .seed = seed };
	struct node *n = NULL;
	k.mood = moods[next(&k.seed) % ARRAY_LEN(moods)];
	uint64_t back = (uint64_t)1 << (10 + next(&k.seed) % 11);
	k.until = place - next(&k.seed) % MIN(place + 1, back);
	if (begun && begun->kind == REC_WRITE && chance(&k.seed, 70)) {
		struct change c = change_of(begun, UINT64_MAX);
		c.sure = false;
		n = node_at(d, begun->node);
		add_change(n, c);
	}
	crash_node(&k, 0, to);
	if (n)
		n->n_changes--;
	return k.mood.what;
}

void
disk_whole(const struct disk *d, const char *to)
{
	struct crash k = { .d = d, .mood = moods[1] };
	crash_node(&k, 0, to);
}
