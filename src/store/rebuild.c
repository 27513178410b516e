/* The last checkpoint: where an index that is made anew has to begin. */
#include "store/emb.h"

#include "store/logread.h"
#include "store/record.h"

#include <errno.h>

/* The last one in a segment. As recovery does, it stops where the log ends; a letter's frame with
 * a wrong checksum is the end unless a later group follows. */
static int
find_in(struct emb *e, uint64_t seq, struct checkpoint *ret)
{
	struct logread r;
	uint64_t bad = 0;
	int rc = logread_open(&r, e->log, seq, 0);
	while (rc == 0) {
		struct frame f;
		enum frame_state state;
		struct str payload;
		struct checkpoint_record c;
		rc = logread_head(&r, &f, &state);
		if (rc < 0 || state != FRAME_OK || f.type == FRAME_END)
			break;
		rc = logread_payload(&r, &f, &payload);
		if (rc == -EBADMSG && (f.type == FRAME_BODY || f.type == FRAME_TRACE)) {
			bad = r.off;
			rc = 0;
		} else if (rc == -EBADMSG) {
			rc = 0;
			break;
		} else if (rc == 0 && f.type == FRAME_CHECKPOINT && f.group >= bad &&
			   checkpoint_record_get(payload, &c) && c.begin <= f.lsn) {
			*ret = (struct checkpoint){ c.begin, f.lsn, c.octets };
		}
		logread_next(&r, &f);
	}
	logread_close(&r);
	return rc;
}

int
checkpoint_find(struct emb *e, const uint64_t *seqs, size_t n, struct checkpoint *ret)
{
	int r = 0;
	*ret = (struct checkpoint){ 0 };
	while (r == 0 && n-- > 0 && ret->lsn == 0)
		r = find_in(e, seqs[n], ret);
	return r;
}
