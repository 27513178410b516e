/* The manifest of a backup: one line per file. */
#include "ctl/backup_priv.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/date.h"
#include "base/num.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANIFEST_FORMAT 2 /* 1 had neither trace/ nor keys/ */
#define MANIFEST_MAX ((size_t)4 << 30)
#define FIRST_LINE "pennypost backup "

void
manifest_done(struct manifest *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->file[i].name);
	free(m->file);
	*m = (struct manifest){ 0 };
}

/* In the order of the names. */
static size_t
place_of(const struct manifest *m, const char *name)
{
	size_t low = 0, high = m->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (strcmp(m->file[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void
manifest_add(struct manifest *m, const struct manifest_file *f)
{
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		m->file = xrealloc(m->file, m->cap * sizeof(*m->file));
	}
	m->file[m->n] = *f;
	m->file[m->n++].name = xstrdup(f->name);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct manifest_file *)a)->name,
	    ((const struct manifest_file *)b)->name);
}

void
manifest_sort(struct manifest *m)
{
	if (m->n)
		qsort(m->file, m->n, sizeof(*m->file), by_name);
}

const struct manifest_file *
manifest_find(const struct manifest *m, const char *name)
{
	size_t at = place_of(m, name);
	return at < m->n && strcmp(m->file[at].name, name) == 0 ? &m->file[at] : NULL;
}

/* '~' stands behind everything that a name may hold, so NAME~CRC follows NAME, but for longer
 * names in between. */
const struct manifest_file *
manifest_find_as(const struct manifest *m, const char *name)
{
	size_t len = strlen(name);
	char plain[FILE_NAME_MAX];
	for (size_t at = place_of(m, name); at < m->n && strncmp(m->file[at].name, name, len) == 0;
	     at++) {
		manifest_plain(plain, m->file[at].name);
		if (strcmp(plain, name) == 0)
			return &m->file[at];
	}
	return NULL;
}

void
manifest_plain(char dst[FILE_NAME_MAX], const char *name)
{
	struct str s = str_of(name);
	check(str_copy(dst, FILE_NAME_MAX, str_first(s, str_find(s, '~'))));
}

void
manifest_hex(char out[2 * STORE_ID_LEN + 1], const unsigned char id[STORE_ID_LEN])
{
	for (size_t i = 0; i < STORE_ID_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", id[i]);
}

/* --- names --- */

static bool
is_hex(struct str s, size_t n)
{
	for (size_t i = 0; i < s.len; i++)
		if (!memchr("0123456789abcdef", s.p[i], 16))
			return false;
	return s.len == n;
}

static bool
is_plain(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			c == '_' || c == '-' || (c == '.' && i > 0)))
			return false;
	}
	return s.len > 0 && s.len < 200;
}

bool
manifest_name_ok(struct str name)
{
	size_t tilde = str_find(name, '~');
	struct str rest = str_first(name, tilde), folder = str_cut(&rest, '/');
	if (tilde < name.len && !is_hex(str_skip(name, tilde + 1), 8))
		return false;
	if (str_eq(folder, STR("log")))
		return str_ends(rest, STR(".seg")) && is_hex(str_first(rest, rest.len - 4), 8) &&
		       tilde == name.len;
	if (str_eq(folder, STR("blob")))
		return is_hex(rest, 16);
	if (str_eq(folder, STR("trace")))
		return str_ends(rest, STR(".trc")) && is_hex(str_first(rest, rest.len - 4), 8);
	return (str_eq(folder, STR("auth")) || str_eq(folder, STR("conf")) ||
		   str_eq(folder, STR("keys"))) &&
	       is_plain(rest);
}

/* --- text --- */

void
manifest_text(const struct manifest *m, struct buf *out)
{
	char id[2 * STORE_ID_LEN + 1];
	manifest_hex(id, m->id);
	buf_putf(out, FIRST_LINE "%d\nstore %s\ncut %016" PRIx64 "\ntime %" PRIu64 " ",
	    MANIFEST_FORMAT, id, m->lsn, m->time_ms);
	date_rfc3339(out, (int64_t)m->time_ms);
	buf_putc(out, '\n');
	for (size_t i = 0; i < m->n; i++)
		buf_putf(out, "file %" PRIu64 " %08" PRIx32 " %s %s\n", m->file[i].size,
		    m->file[i].crc, m->file[i].sha, m->file[i].name);
	buf_putf(out, "end %zu %08" PRIx32 "\n", m->n, crc32c(0, out->p, out->len));
}

static bool
get_file(struct manifest *m, struct str line)
{
	struct manifest_file f = { 0 };
	char name[FILE_NAME_MAX];
	uint64_t crc;
	struct str size = str_cut(&line, ' '), sum = str_cut(&line, ' '), sha = str_cut(&line, ' ');
	if (!num_u64(size, INT64_MAX, &f.size) || !is_hex(sum, 8) || !num_hex(sum, &crc) ||
	    !is_hex(sha, SHA_LEN - 1) || !manifest_name_ok(line) ||
	    !str_copy(name, sizeof(name), line) || !str_copy(f.sha, sizeof(f.sha), sha))
		return false;
	if (m->n && strcmp(m->file[m->n - 1].name, name) >= 0)
		return false;
	f.crc = (uint32_t)crc;
	f.name = name;
	manifest_add(m, &f);
	return true;
}

static bool
get_head(struct manifest *m, struct str word, struct str rest)
{
	uint64_t v = 0;
	if (str_eq(word, STR("cut")))
		return is_hex(rest, 16) && num_hex(rest, &m->lsn);
	if (str_eq(word, STR("time")))
		return num_u64(str_cut(&rest, ' '), INT64_MAX, &m->time_ms);
	if (!str_eq(word, STR("store")) || !is_hex(rest, sizeof(m->id) * 2))
		return false;
	for (size_t i = 0; i < sizeof(m->id); i++) {
		if (!num_hex(str_first(str_skip(rest, 2 * i), 2), &v))
			return false;
		m->id[i] = (unsigned char)v;
	}
	return true;
}

/* The last line proves that nothing is missing. */
static bool
end_fits(struct str text, size_t *ret_body, uint64_t *ret_n)
{
	struct str body = str_first(text, text.len - 1); /* without the last LF */
	size_t at = str_rfind(body, '\n');
	if (at == body.len)
		return false;
	struct str line = str_skip(body, at + 1), rest = line;
	uint64_t crc;
	if (!str_eq(str_cut(&rest, ' '), STR("end")) ||
	    !num_u64(str_cut(&rest, ' '), SIZE_MAX, ret_n) || !is_hex(rest, 8) ||
	    !num_hex(rest, &crc))
		return false;
	*ret_body = at + 1;
	/* The checksum covers everything in front of this line. */
	return crc == crc32c(0, text.p, at + 1);
}

static int
parse(struct str text, struct manifest *m)
{
	size_t body = 0;
	uint64_t format, n = 0;
	struct str rest = text, first = str_cut(&rest, '\n');
	if (!str_starts(first, STR(FIRST_LINE)) ||
	    !num_u64(str_skip(first, sizeof(FIRST_LINE) - 1), UINT32_MAX, &format))
		return -EBADMSG;
	if (format > MANIFEST_FORMAT)
		return -EPROTONOSUPPORT;
	if (text.p[text.len - 1] != '\n' || !end_fits(text, &body, &n))
		return -EBADMSG;
	rest = str_skip(str_first(text, body), first.len + 1);
	while (rest.len) {
		struct str line = str_cut(&rest, '\n'), word = str_cut(&line, ' ');
		bool ok = str_eq(word, STR("file")) ? get_file(m, line) : get_head(m, word, line);
		if (!ok)
			return -EBADMSG;
	}
	return n == m->n ? 0 : -EBADMSG;
}

int
manifest_load(int at, struct manifest *ret)
{
	struct buf text = BUF_INIT(MANIFEST_MAX);
	struct manifest m = { 0 };
	int fd = openat(at, MANIFEST_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = file_read_fd(fd, MANIFEST_MAX, &text);
	close(fd);
	if (rc == 0)
		rc = text.len ? parse(buf_str(&text), &m) : -EBADMSG;
	buf_done(&text);
	if (rc == 0)
		*ret = m;
	else
		manifest_done(&m);
	return rc;
}
