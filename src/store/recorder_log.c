/* Histories in the log itself: behind what the recorder has followed, and as they come. */
#include "store/recorder_find.h"

#include "base/num.h"
#include "store/logread.h"
#include "store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int
find_dir(const char *dir, const char *name)
{
	int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return -errno;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -errno : fd;
	close(at);
	return rc;
}

/* --- the log --- */

/* From *lsn on in one segment, at most max octets; *ret_end: where its frames end, or all ends. */
static int
walk_segment(int log, uint64_t *lsn, uint64_t max, struct finding *w, bool *ret_end)
{
	struct logread r;
	uint64_t from = lsn_off(*lsn);
	*ret_end = true;
	int rc = logread_open(&r, log, lsn_seq(*lsn), from);
	if (rc == -ENOENT || rc == -EBADMSG)
		return 0;
	while (rc == 0 && !w->stopped) {
		struct frame f;
		struct str payload;
		enum frame_state state;
		rc = logread_head(&r, &f, &state);
		if (rc < 0 || state != FRAME_OK || f.type == FRAME_END)
			break;
		if (r.off - from > max) {
			*ret_end = false;
			break;
		}
		if (f.type == FRAME_TRACE && w->fn) {
			rc = logread_payload(&r, &f, &payload);
			if (rc == 0)
				find_tell(w, payload, f.lsn);
			rc = rc == -EBADMSG ? 0 : rc;
		}
		logread_next(&r, &f);
		*lsn = lsn_of(r.head.seq, r.off);
	}
	logread_close(&r);
	return rc;
}

/* The first segment behind that one, if there is a frame in it; 0: none. */
static int
next_segment(int log, uint64_t seq, uint64_t *ret)
{
	uint64_t *seqs = NULL;
	size_t n = 0, i = 0;
	struct logread r;
	struct frame f;
	enum frame_state state = FRAME_NONE;
	int rc = seg_list(log, &seqs, &n);
	if (rc < 0)
		return rc;
	while (i < n && seqs[i] <= seq)
		i++;
	*ret = i < n ? seqs[i] : 0;
	free(seqs);
	if (!*ret)
		return 0;
	rc = logread_open(&r, log, *ret, 0);
	if (rc == 0)
		rc = logread_head(&r, &f, &state);
	logread_close(&r);
	if (rc < 0 || state != FRAME_OK)
		*ret = 0;
	return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
}

int
find_in_log(int log, uint64_t *lsn, uint64_t max, struct finding *w)
{
	bool end = true;
	uint64_t next = 0;
	int rc = lsn_seq(*lsn) ? walk_segment(log, lsn, max, w, &end) : 0;
	if (rc < 0 || w->stopped || !end)
		return rc < 0 ? rc : !w->stopped;
	rc = next_segment(log, lsn_seq(*lsn), &next);
	if (rc < 0 || !next)
		return rc;
	*lsn = lsn_of(next, SEG_HEAD);
	return 1;
}

uint64_t
find_behind_files(const char *dir)
{
	struct trc_place p = { 0 };
	int fd = find_dir(dir, "trace");
	if (fd < 0)
		return 0;
	if (trc_place_read(fd, &p) < 0)
		p.lsn = 0;
	close(fd);
	return p.lsn;
}

int
trace_follow(const char *dir, uint64_t lsn, uint64_t max, trace_found_fn *fn, void *arg,
    uint64_t *ret_lsn)
{
	struct finding w = { .fn = lsn ? fn : NULL, .arg = arg };
	int log = find_dir(dir, "log");
	if (log < 0)
		return log;
	bool to_end = lsn == 0;
	int rc;
	if (to_end)
		lsn = find_behind_files(dir);
	do
		rc = find_in_log(log, &lsn, max, &w);
	while (rc == 1 && to_end);
	close(log);
	*ret_lsn = lsn;
	return MIN(rc, 0);
}
