/* Faults of a lab: every front may answer one, the first that does takes it from the others. */
#include "roles/parent/parent_priv.h"

#include "smtp/reply.h"

#define FORGET 0xffffu

static void
tell(struct parent *p, const struct child *but, uint16_t what)
{
	for (unsigned i = 0; i < p->n_children; i++) {
		struct child *c = &p->children[i];
		struct buf b = BUF_INIT(16);
		if (c->role != ROLE_FRONT || c == but || c->state != CHILD_READY || !c->chan)
			continue;
		msg_u16_put(&b, what);
		chan_send(c->chan, IPC_FAULT, 0, buf_str(&b), -1);
		buf_done(&b);
	}
}

void
fault_begin(struct parent *p, struct desk_ask *a, struct str key)
{
	enum smtp_situation s;
	if (!p->conf->lab) {
		desk_done(a, CTL_REFUSED, "%s",
		    "faults are made in a lab only; start one with `pennypost lab`, or set "
		    "lab = yes where no real mail comes");
	} else if (!smtp_situation_find(key, &s)) {
		desk_done(a, CTL_INVALID,
		    "there is no situation \"" STR_FMT "\"; write one such as data.temperr",
		    STR_ARG(str_first(key, 64)));
	} else if (smtp_situation_class(s) == '2' || smtp_situation_class(s) == '3') {
		/* A front that says data.ok without a letter in the store would lie. */
		desk_done(a, CTL_INVALID,
		    "\"" STR_FMT "\" refuses nothing; write a situation such as data.temperr",
		    STR_ARG(str_first(key, 64)));
	} else {
		tell(p, NULL, (uint16_t)s);
		status_begin(p, a, false);
	}
}

bool
fault_taken(struct child *c, const struct ipc_frame *f)
{
	uint16_t what;
	if (c->role != ROLE_FRONT || !c->parent->conf->lab ||
	    !msg_u16_get(f->body, SMTP_SITUATION_COUNT, &what))
		return false;
	tell(c->parent, c, FORGET);
	return true;
}
