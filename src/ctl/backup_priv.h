/*
 * backup_priv: what backup and restore share: the manifest, and copying with checksums.
 *
 * A backup is a directory: log/ and blob/ as in a store (docs/format.md), auth/, conf/, and
 * MANIFEST, a text that names every file that belongs to it with size and checksums, and ends
 * with a checksum of itself. It is replaced as the last step of a backup, so whatever interrupts
 * one, the backup before it is whole: a file that the standing manifest names is never written
 * to, but for segments, which grow at their end behind the octets that it counts.
 *
 * Where a name is taken by the standing manifest, other content takes NAME~CRC instead.
 */
#pragma once

#include "ctl/ctl_priv.h"
#include "store/frame.h"

#include <stdint.h>

#define MANIFEST_NAME "MANIFEST"
#define README_NAME "README"
#define SHA_LEN 65 /* hexadecimal, with NUL */
#define FILE_NAME_MAX 300
#define EXIT_DAMAGED EXIT_REFUSED

struct manifest_file {
	char *name; /* "log/00000001.seg" */
	uint64_t size;
	uint32_t crc; /* CRC-32C */
	char sha[SHA_LEN];
};

struct manifest {
	unsigned char id[STORE_ID_LEN];
	uint64_t lsn; /* the cut */
	uint64_t time_ms;
	struct manifest_file *file;
	size_t n, cap;
};
void manifest_done(struct manifest *m);
void manifest_add(struct manifest *m, const struct manifest_file *f); /* copies the name */
void manifest_sort(struct manifest *m); /* before the rest is used */
const struct manifest_file *manifest_find(const struct manifest *m, const char *name);
/* The file under this name or, by its content, NAME~CRC. */
const struct manifest_file *manifest_find_as(const struct manifest *m, const char *name);
void manifest_text(const struct manifest *m, struct buf *out);
/* at: fd of the backup's directory. 0, -ENOENT, -EBADMSG, -EPROTONOSUPPORT (a newer program's)
 * or -errno. */
int manifest_load(int at, struct manifest *ret);
/* May such a file be part of a backup? Others are never touched. */
bool manifest_name_ok(struct str name);
/* Without ~CRC, into dst. */
void manifest_plain(char dst[FILE_NAME_MAX], const char *name);
void manifest_hex(char out[2 * STORE_ID_LEN + 1], const unsigned char id[STORE_ID_LEN]);

/* --- checksums while octets pass --- */
struct summing {
	struct crypt_sum *sha;
	uint32_t crc;
	uint64_t size;
};
void summing_begin(struct summing *s);
void summing_add(struct summing *s, const void *p, size_t n);
void summing_end(struct summing *s, struct manifest_file *ret); /* NULL: forget it */

/* What happens between two pieces of a long copy: progress, a sign of life. 0 or -errno. */
typedef int copy_step_fn(void *arg, uint64_t octets);

enum copy_side { COPY_FROM, COPY_TO };
/* Copies n octets of from at off to the end of what s has seen, at the same offset in to (-1:
 * only reads). 0 or -errno; *ret_side says whose fault. */
int copy_octets(int from, int to, uint64_t off, uint64_t n, struct summing *s, copy_step_fn *step,
    void *arg, enum copy_side *ret_side);
/* The first n octets of two files are the same; 1, 0 or -errno. */
int copy_same(int a, int b, uint64_t off, uint64_t n);

/* --- verify.c --- */
struct verifying {
	uint64_t files, bytes;
	size_t n_damaged;
	json_t *damaged; /* "name: what"; NULL: lines are printed */
	bool *wrong;     /* set for each file that is; NULL: nobody asks */
	bool terminal;
};
/* Reads every file of the manifest. 0 or -errno; what is wrong with files is only counted. */
void backup_verify(int at, const char *dir, const struct manifest *m, struct verifying *v);
int backup_verify_cmd(struct ctl_call *call, const char *dir);
/* Opens DIR, locks it where that can be done (*ret_lock stays as it is where not), and loads its
 * manifest; exit status, after a message. */
int backup_open(const char *dir, int *ret_at, int *ret_lock, struct manifest *ret);

/* --- backup.c --- */
struct backup {
	struct ctl_call *call;
	const char *dir; /* the backup's */
	int at;          /* it, open */
	int lock;
	struct manifest old, now;
	bool has_old;
	int64_t begun, held, shown; /* steady clock, ms */
	bool terminal;
	struct map named;  /* blob number, 8 octets, to struct manifest_file: size and crc */
	size_t n_damaged;  /* of the store itself */
	uint64_t n_copied, n_kept, n_removed, copied, kept, removed; /* files, octets */
	bool full;  /* the disk of the backup */
	int status; /* the first failure's; then nothing more is done */
};
bool backup_failed(struct backup *b, int status, const char *fmt, ...) PRINTF(3, 4); /* false */
bool backup_hold(struct backup *b, bool now);
/* --- backup_file.c --- */
/* Both are a copy_step_fn: octets that are copied, and that are only read. */
int backup_step(void *arg, uint64_t octets);
int backup_step_kept(void *arg, uint64_t octets);
/* False, after a message that names the side that failed. */
bool backup_copy_failed(struct backup *b, const char *name, int rc, enum copy_side side);
bool backup_damaged(struct backup *b, const char *name, const char *what);
void backup_keep(struct backup *b, const struct manifest_file *f);
/* The name that content may take: not one that the standing manifest needs for something else. */
void backup_free_name(const struct backup *b, const char *name, uint32_t crc,
    char dst[FILE_NAME_MAX]);
int backup_new_file(const struct backup *b, const char *name, char tmp[FILE_NAME_MAX + 8]);
/* Makes what is in fd durable under its name, and closes it. 0 or -errno. */
int backup_settle(struct backup *b, int fd, const char *tmp, const char *name);
/* f->name: wanted, and then the one it got, in store (FILE_NAME_MAX). over: even a name that the
 * standing manifest needs, because what it stands for is broken. */
bool backup_copy_whole(struct backup *b, int from, uint64_t n, bool over, struct manifest_file *f,
    char *store);
int backup_old_file(const struct backup *b, const struct manifest_file *f, int flags);
int backup_same_edges(int a, int b, uint64_t size);
/* --- backup_copy.c, backup_trace.c, backup_small.c --- */
/* Each false after a failure. */
bool backup_log(struct backup *b, const char *store);
bool backup_blobs(struct backup *b, const char *store);
bool backup_trace(struct backup *b, const char *store);
bool backup_small(struct backup *b, const char *data_dir, const char *config);
