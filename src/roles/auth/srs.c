/* Sender addresses that lead back: the keys stand here, fronts only ask. */
#include "roles/auth/auth_priv.h"

#include "log/log.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <string.h>

#define FILE_MAX 4096
#define DAY_MS 86400000
#define ADDRESS_MAX 1024

/* A file with a mistake does not take the place of keys that work. */
void
srs_secret(struct auth *au, struct str name, int fd)
{
	struct buf text = BUF_INIT(FILE_MAX);
	check(buf_reserve(&text, FILE_MAX));
	int rc = file_read_fd(fd, FILE_MAX, &text);
	const char *why = rc < 0 ? strerror(-rc) : srs_keys_read(&au->srs, buf_str(&text));
	if (why)
		LOG(LOG_ERROR, 0, "srs-keys-refused", LOGF("file", name), LOGZ("why", why),
		    LOGZ("remedy",
			"mend the file, or take it away and let a restart make it anew"));
	buf_wipe(&text);
	buf_done(&text);
}

bool
srs_take(struct front_chan *f, const struct ipc_frame *m)
{
	struct auth *au = f->auth;
	struct msg_srs_ask in;
	struct addr a;
	struct buf made = BUF_INIT(ADDRESS_MAX), out = BUF_INIT(ADDRESS_MAX + 1);
	enum srs_verdict v = SRS_NONE;
	int64_t day = sys_wall_ms() / DAY_MS;
	if (!msg_srs_ask_get(m->body, &in))
		return false;
	if (au->srs.n && addr_mailbox(in.addr, ADDR_SMTPUTF8, &a) == ADDR_OK)
		v = in.reverse ? srs_read(&au->srs, &a, day, &made)
		               : srs_make(&au->srs, &a, in.domain, day, &made);
	put_u8(&out, (uint8_t)v);
	buf_puts(&out, buf_str(&made));
	chan_send(f->chan, IPC_SRS, m->id, buf_str(&out), -1);
	buf_done(&made);
	buf_done(&out);
	return true;
}
