#include "store/index.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/bundle.h"
#include "store/record.h"
#include "store/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX_FILE_MODE 0600
#define MAP_LEAST (1ull << 30) /* a smaller map is not tried */

int
index_errno(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
		return -ENOSPC;
	case MDB_READERS_FULL:
		return -EAGAIN;
	default:
		/* LMDB's own codes are negative, the system's positive. */
		return rc < 0 ? -EBADMSG : -rc;
	}
}

/* --- opening --- */

static int
env_open_at_size(MDB_env **ret, const char *dir, uint64_t map_bytes, bool read_only)
{
	MDB_env *env = NULL;
	int rc = mdb_env_create(&env);
	if (rc == 0 && map_bytes)
		rc = mdb_env_set_mapsize(env, map_bytes);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(env, INDEX_READERS);
	/* Random reads: the kernel's read-ahead would only push better pages out. */
	if (rc == 0)
		rc = mdb_env_open(env, dir,
		    MDB_NOTLS | MDB_NORDAHEAD | (read_only ? MDB_RDONLY : 0), INDEX_FILE_MODE);
	if (rc != 0) {
		mdb_env_close(env);
		/* A reader that would have to write the first pages: there are none. */
		return rc == EBADF ? -EBADMSG : index_errno(rc);
	}
	*ret = env;
	return 0;
}

/* Address space may be limited; the map only bounds how far the index can grow. */
static int
env_open(MDB_env **ret, const char *dir, uint64_t map_bytes, bool read_only)
{
	int r = env_open_at_size(ret, dir, map_bytes, read_only);
	while (r == -ENOMEM && map_bytes > MAP_LEAST) {
		map_bytes /= 4;
		r = env_open_at_size(ret, dir, map_bytes, read_only);
	}
	return r;
}

static int
read_meta(struct index *ix, struct index_meta *ret)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn);
	if (rc != 0)
		return index_errno(rc);
	rc = mdb_dbi_open(txn, NULL, 0, &ix->dbi);
	int r = rc != 0 ? index_errno(rc) : index_meta_get(ix, txn, ret);
	if (r == 0)
		r = index_sums_open(ix, txn);
	mdb_txn_abort(txn);
	if (r == -ENOENT)
		return -EBADMSG;
	/* It is a function of the log: another format, older or newer, is made anew. */
	return r == 0 && ret->format != INDEX_FORMAT ? -EPROTONOSUPPORT : r;
}

int
index_open(struct index *ix, const char *dir, uint64_t map_bytes, bool read_only,
    struct index_meta *ret)
{
	*ix = (struct index){ 0 };
	struct stat st;
	if (stat(dir, &st) < 0)
		return -errno;
	int r = env_open(&ix->env, dir, map_bytes, read_only);
	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	int dead;
	if (!read_only)
		mdb_reader_check(ix->env, &dead);
	r = read_meta(ix, ret);
	ix->checkpoint = ret->checkpoint;
	ix->rebuild = ret->rebuild;
	ix->max_blob = ret->max_blob;
	if (r < 0)
		index_close(ix);
	return r;
}

void
index_close(struct index *ix)
{
	if (ix->env)
		mdb_env_close(ix->env);
	ix->env = NULL;
	free(ix->gone);
	ix->gone = NULL;
	ix->n_gone = ix->cap_gone = 0;
}

static int
remove_dir(int at, const char *name)
{
	static const char *const files[] = { "data.mdb", "lock.mdb" };
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	int r = 0;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (unlinkat(fd, files[i], 0) < 0 && errno != ENOENT)
			r = -errno;
	close(fd);
	if (r == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

int
index_sweep(int at)
{
	return remove_dir(at, "index.new");
}

int
index_remove(int at)
{
	int r = index_sweep(at);
	if (r == 0)
		r = remove_dir(at, "index");
	return r == 0 && fsync(at) < 0 ? -errno : r;
}

static int
sync_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int
create_in(int at, const char *path, uint64_t map_bytes, const struct index_meta *m)
{
	struct index ix = { .checkpoint = m->checkpoint, .rebuild = m->rebuild };
	struct index_write w;
	int r = env_open(&ix.env, path, map_bytes, false);
	if (r < 0)
		return r;
	MDB_txn *txn;
	int rc = mdb_txn_begin(ix.env, NULL, MDB_RDONLY, &txn);
	if (rc == 0) {
		rc = mdb_dbi_open(txn, NULL, 0, &ix.dbi);
		mdb_txn_abort(txn);
	}
	r = rc != 0 ? index_errno(rc) : index_begin(&ix, &w);
	if (r == 0)
		r = index_commit(&w, m);
	/* A fresh environment's meta pages are not synced by its first commit alone. */
	if (r == 0)
		r = index_errno(mdb_env_sync(ix.env, 1));
	index_close(&ix);
	return r == 0 ? sync_dir(at, "index.new") : r;
}

int
index_create(int at, const char *dir, uint64_t map_bytes, const struct index_meta *m)
{
	char *path = NULL;
	if (mkdirat(at, "index.new", 0700) < 0 && errno != EEXIST)
		return -errno;
	if (asprintf(&path, "%s/index.new", dir) < 0)
		return -ENOMEM;
	int r = create_in(at, path, map_bytes, m);
	free(path);
	if (r == 0 && renameat(at, "index.new", at, "index") < 0)
		r = -errno;
	if (r == 0 && fsync(at) < 0)
		r = -errno;
	return r;
}

/* --- reading --- */

static MDB_val
val_of(struct str s)
{
	return (MDB_val){ s.len, (void *)(uintptr_t)s.p };
}

int
index_meta_get(struct index *ix, MDB_txn *txn, struct index_meta *ret)
{
	MDB_val key = val_of(STR(INDEX_META)), old = val_of(STR(INDEX_META_OLD)), value;
	int rc = mdb_get(txn, ix->dbi, &key, &value);
	if (rc == MDB_NOTFOUND) /* up to format 2: what follows is the same */
		rc = mdb_get(txn, ix->dbi, &old, &value);
	if (rc != 0)
		return index_errno(rc);
	struct index_meta m;
	struct wire w = wire_of(str_n(value.mv_data, value.mv_size));
	m.format = get_u32(&w);
	struct str id = get_bytes(&w, STORE_ID_LEN);
	m.applied = get_u64(&w);
	m.checkpoint = (struct checkpoint){ 0 };
	m.rebuild = m.max_blob = 0;
	if (m.format == INDEX_FORMAT) {
		m.checkpoint.begin = get_u64(&w);
		m.checkpoint.lsn = get_u64(&w);
		m.checkpoint.octets = get_u64(&w);
		m.rebuild = get_u64(&w);
		m.max_blob = get_u64(&w);
	}
	if (w.bad)
		return -EBADMSG;
	memcpy(m.id, id.p, STORE_ID_LEN);
	*ret = m;
	return 0;
}

static struct str
full_key(char out[16 + STORE_KEY_MAX], const struct store_dom *d, struct str key)
{
	memcpy(out, d->b, 16);
	if (key.len)
		memcpy(out + 16, key.p, key.len);
	return str_n(out, 16 + key.len);
}

int
index_get(struct index *ix, MDB_txn *txn, const struct store_dom *d, struct str key,
    struct str *ret)
{
	char full[16 + STORE_KEY_MAX];
	if (outline_is(d, key))
		return bundle_get(ix, txn, d, be32_get((const unsigned char *)key.p + 2), ret);
	MDB_val k = val_of(full_key(full, d, key)), v;
	int rc = mdb_get(txn, ix->dbi, &k, &v);
	if (rc == 0)
		*ret = str_n(v.mv_data, v.mv_size);
	return index_errno(rc);
}

int
index_next_domain(struct index *ix, MDB_txn *txn, struct store_dom *d, bool first)
{
	char from[16 + STORE_KEY_MAX + 1];
	MDB_cursor *c;
	MDB_val k = { 1, from }, v;
	memset(from, 0xff, sizeof(from));
	if (first) {
		from[0] = 0;
	} else {
		memcpy(from, d->b, 16);
		k.mv_size = sizeof(from);
	}
	int rc = mdb_cursor_open(txn, ix->dbi, &c);
	if (rc != 0)
		return index_errno(rc);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size < 16) /* the index's own record */
		rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	if (rc == 0)
		memcpy(d->b, k.mv_data, 16);
	mdb_cursor_close(c);
	return index_errno(rc);
}

static bool
stop_here(void *arg, struct str key, struct str value)
{
	*(bool *)arg = true;
	return false;
}

int
index_blob_used(struct index *ix, MDB_txn *txn, uint64_t number)
{
	struct store_dom d = index_dom_derived();
	char from[BLOB_KEY_LEN], to[BLOB_KEY_LEN];
	bool any = false;
	blob_key_put(from, number, 0);
	blob_key_put(to, number, UINT64_MAX);
	int r = index_scan(ix, txn, &d, str_n(from, BLOB_KEY_LEN), str_n(to, BLOB_KEY_LEN), 1,
	    false, stop_here, &any);
	return r < 0 ? r : any;
}

/* --- its size --- */

static int
free_pages(MDB_txn *txn, uint64_t *ret)
{
	MDB_cursor *c;
	MDB_val k, v;
	uint64_t n = 0;
	int rc = mdb_cursor_open(txn, 0, &c); /* LMDB's list of free pages */
	if (rc != 0)
		return index_errno(rc);
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		size_t count = 0;
		if (v.mv_size >= sizeof(count))
			memcpy(&count, v.mv_data, sizeof(count));
		n += count;
	}
	mdb_cursor_close(c);
	*ret = n;
	return rc == MDB_NOTFOUND ? 0 : index_errno(rc);
}

bool
index_is_hollow(struct index *ix, uint64_t least)
{
	MDB_envinfo info;
	MDB_stat stat;
	MDB_txn *txn;
	uint64_t n = 0;
	if (mdb_env_info(ix->env, &info) != 0 || mdb_env_stat(ix->env, &stat) != 0 ||
	    mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn) != 0)
		return false;
	int r = free_pages(txn, &n);
	mdb_txn_abort(txn);
	return r == 0 && (uint64_t)info.me_last_pgno * stat.ms_psize > least &&
	       n > info.me_last_pgno / 2;
}

/* The copy, in index.new/ and durable. */
static int
copy_without_holes(struct index *ix, int at, const char *dir)
{
	char *path = NULL;
	int r = index_sweep(at);
	if (r == 0 && mkdirat(at, "index.new", 0700) < 0)
		r = -errno;
	if (r == 0 && asprintf(&path, "%s/index.new", dir) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = index_errno(mdb_env_copy2(ix->env, path, MDB_CP_COMPACT));
	free(path);
	if (r < 0)
		return r;
	int fd = openat(at, "index.new/data.mdb", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) < 0 || fchmod(fd, INDEX_FILE_MODE) < 0 ? -errno : 0;
	close(fd);
	return r == 0 ? sync_dir(at, "index.new") : r;
}

int
index_shrink(struct index *ix, int at, const char *dir)
{
	int r = copy_without_holes(ix, at, dir);
	index_close(ix);
	/* One name for one: the directory stays, so there is an index at every moment. */
	if (r == 0 && renameat(at, "index.new/data.mdb", at, "index/data.mdb") < 0)
		r = -errno;
	if (r == 0)
		r = sync_dir(at, "index");
	(void)index_sweep(at);
	return r;
}
