/* Files of histories and their tables, as damage may leave them: whoever reads them gets what is
 * whole, and never more than is there. */
#include "base/check.h"
#include "base/crc32c.h"
#include "base/wire.h"
#include "store/recorder.h"
#include "store/recorder_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const unsigned char id[STORE_ID_LEN] = "fuzz-of-histori";
static char top[64] = "/dev/shm/fuzz-trace-XXXXXX";
static int dir = -1;

static void
prepare(void)
{
	char path[80];
	check(mkdtemp(top) != NULL);
	snprintf(path, sizeof(path), "%s/log", top);
	check(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/trace", top);
	check(mkdir(path, 0700) == 0);
	dir = open(path, O_RDONLY | O_DIRECTORY);
	check(dir >= 0);
}

static void
put(const char *name, struct str octets)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	check(fd >= 0 && write(fd, octets.p, octets.len) == (ssize_t)octets.len);
	close(fd);
}

/* Pieces of the input, parted by 0xff: payloads of whole records, or octets as they are. */
static void
put_file(struct str in, bool whole)
{
	struct buf b = BUF_INIT(1u << 20);
	struct trc_head h = { .number = 1, .made_ms = 1 };
	unsigned char head[TRC_HEAD];
	memcpy(h.id, id, sizeof(id));
	trc_head_put(head, &h);
	buf_put(&b, head, sizeof(head));
	while (in.p && in.len) {
		struct str piece = str_cut(&in, '\xff');
		if (whole)
			trc_record_put(&b, b.len, b.len, id, piece);
		else
			buf_puts(&b, piece);
	}
	put("00000001.trc", buf_str(&b));
	buf_done(&b);
}

/* Behind a head that fits, whatever the input says. */
static void
put_table(struct str in)
{
	struct buf b = BUF_INIT(1u << 20);
	const unsigned char old = in.len && (in.p[0] & 1);
	buf_putz(&b, "PENNYTRX");
	put_u32(&b, old ? 1 : 2);
	put_u32(&b, in.len > 1 ? (unsigned char)in.p[1] : 0);
	put_u64(&b, 1);
	put_u64(&b, 1u << 20);
	put_u64(&b, 0);
	put_u64(&b, UINT64_MAX);
	put_u64(&b, 0);
	put_u32(&b, 0);
	put_u32(&b, crc32c(0, b.p, 60));
	struct str rest = str_skip(in, 2);
	/* The fan-out is long, and mostly the same number. */
	for (uint32_t i = 0; i < TABLE_FAN; i++)
		put_u32(&b,
		    i && i % 64 == 0 && i / 64 < rest.len ? (unsigned char)rest.p[i / 64] : 0);
	buf_puts(&b, str_skip(rest, 64));
	put("00000001.idx", buf_str(&b));
	buf_done(&b);
}

static bool
on_found(void *arg, const struct trace_found *f)
{
	size_t *n = arg;
	check(f->t.kind < STORE_NOTE_KINDS);
	return ++*n < 1000;
}

static void
look_for(const struct trace_query *q)
{
	struct trace_search *s = NULL;
	size_t n = 0;
	int rc = trace_search_new(&s, top, q);
	while (rc == 0 && trace_search_step(s, on_found, &n) == 1)
		;
	trace_search_free(s);
}

static void
look_at_table(void)
{
	struct table *t = xalloc(sizeof(*t));
	struct places p = { 0 };
	struct block *blocks = NULL;
	if (table_open(t, dir, 1) == 0 && table_load(t) == 0) {
		(void)table_verify(t, NULL);
		(void)table_places(t, 0, TRACE_KEY_ANY, &p);
		(void)table_places(t, UINT64_MAX, TRACE_KEY_FROM, &p);
		(void)table_blocks(t, &blocks);
	}
	table_close(t);
	free(blocks);
	free(p.p);
	free(t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_n(data, size), rest;
	struct table_head h = { .number = 1 };
	struct contents c = { 0 };
	struct trc_place place;
	uint64_t damaged, letter = 5;
	if (size < 2 || size > 65536)
		return 0;
	if (dir < 0)
		prepare();
	rest = str_skip(in, 2);
	put_file(str_first(rest, data[1] * 64u), data[0] & 1);
	(void)unlinkat(dir, "00000001.idx", 0);
	memcpy(h.id, id, sizeof(id));
	if (contents_of_file(dir, &h, &c, &damaged) == 0 && data[0] & 2)
		check(table_write(dir, &h, &c) == 0);
	else if (data[0] & 4)
		put_table(str_skip(rest, data[1] * 64u));
	contents_done(&c);
	put("followed", str_first(rest, 80));
	(void)trc_place_read(dir, &place);
	look_at_table();
	look_for(&(struct trace_query){ .key = str_first(rest, 13) });
	look_for(&(struct trace_query){ .since_ms = 1, .until_ms = 1u << 30 });
	struct trace_search *s = NULL;
	size_t n = 0;
	if (trace_search_letters(&s, top, &letter, 1, data[0] & 8) == 0)
		while (trace_search_step(s, on_found, &n) == 1)
			;
	trace_search_free(s);
	return 0;
}
