/* local_priv: what local commands remember and share. */
#pragma once

#include "talk/log.h"
#include "talk/talk_priv.h"

struct local {
	struct log log;
	struct transcript record;
	bool recording;
};

static inline struct local *
local_of(struct talk *t)
{
	return t->local;
}

/* local_net.c */
void local_tls(struct talk *t, struct str args);
void local_dns(struct talk *t, struct str args);
void local_raw(struct talk *t, struct str args);
void local_reconnect(struct talk *t, struct str args);
void local_close(struct talk *t, struct str args);
void local_quit(struct talk *t, struct str args);
void local_starttls(struct talk *t, struct str args);

/* local_set.c */
void local_set(struct talk *t, struct str args);
void local_env(struct talk *t, struct str args);
void local_eol(struct talk *t, struct str args);
void local_segments(struct talk *t, struct str args);

/* local_file.c */
void local_save(struct talk *t, struct str args);
void local_record(struct talk *t, struct str args);
void local_script(struct talk *t, struct str args);
void local_explain(struct talk *t, struct str args);
