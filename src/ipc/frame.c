#include "ipc/frame.h"

#include "base/check.h"
#include "base/wire.h"
#include "tls/tls.h"

/* Octets of the bodies whose size is fixed; msg.c writes them. */
#define SETUP_LEN 13
#define PEER_LEN 3
#define READY_LEN 8
#define STATUS_LEN (16 + 8 * STATUS_KEY_COUNT)
#define STATE_LEN 25
#define DONE_MAX (1 + 4 + 4096)
/* And the most that the others come to; the caps of their fields are in msg_auth.c. */
#define SECRET_MAX (1 + 4 + 1024)
#define SIGN_MAX (TLS_KEY_NAME + 1 + 4 + TLS_SIGN_MAX)
#define SASL_TEXT_MAX 12288
#define SASL_START_MAX                                                                             \
	((4 + 8) + (4 + 32) + 1 + (4 + SASL_TEXT_MAX) + 1 + 2 + (4 + 64) + (4 + 16) + (4 + 512) +  \
	    3 * (4 + 64) + 2 * (4 + 256))
#define MAC_MAX (4 + MSG_MAC_LEN)
#define SASL_MAX (1 + (4 + SASL_TEXT_MAX) + 2 * (4 + 512) + (4 + 256) + 8 + MAC_MAX)
#define TICKETS_LEN (TLS_TICKET_KEYS * 80)
#define FETCH_MAX (1 + 4 + (32u << 10))
#define FETCHED_MAX (2 + (4 + (256u << 10)) + (4 + 256))
#define DNS_NAME_MAX 255
#define ACCOUNT_MAX (1 + 4 + 4 + 511)
#define PASS_MAX (8 + MAC_MAX)
#define ENTER_MAX (4 + 512 + 8 + MAC_MAX)
#define ENTERED_MAX (1 + 8 + MAC_MAX)
#define READ_MAX (2 + PASS_MAX + 4 + MSG_ASK_MAX)
#define READ_DONE_LEN 5
#define CHANGE_MAX (PASS_MAX + 8 + 4 + 512 + 4 + MSG_CHANGE_MAX + 4 + 64)
#define CHANGE_DONE_MAX (1 + 4 + MSG_CHANGE_MAX)
#define WATCH_MAX (PASS_MAX + 4 + 8)
#define ROOM_LEN 16
/* Of letters on their way; the caps of their fields are in msg_onward.c, msg_names.c, msg_turn.c.
 */
#define JOB_MAX (8 + 4 + 8 + 2 + (4 + 128) + (4 + 512) + 16 + 2 * (4 + JOB_ENTRY_MAX))
#define HELLO_MAX (2 + 20 * UINT16_MAX)
#define STAGE_MAX (1 + 4 + 400)
#define FATE_MAX (1 + 2 + (4 + 15) + (4 + JOB_TEXT_MAX))
#define RESULT_MAX                                                                                 \
	(2 + (4 + 255) + (4 + 64) + (4 + 256) + (4 + 4096) + 16 + (4 + JOB_HISTORY_MAX) + 4 +      \
	    JOB_RCPTS_MAX * FATE_MAX)
#define SPOOL_ASK_LEN 24
#define MX_ASK_MAX (4 + 4 + 255)
#define MX_TLSA_LEN (3 + 4 + 4096)
#define MX_HOST_LEN                                                                                \
	(2 + 2 * (4 + 255) + 2 + 4 + (4 + 16 * MX_ADDRS_MAX) + (4 + MX_TLSA_MAX * MX_TLSA_LEN))
#define MX_MAX                                                                                     \
	(3 + 4 + (4 + 255) + (4 + 32) + (4 + 1024) + (4 + 256) + 2 + MX_HOSTS_MAX * MX_HOST_LEN)
#define STS_ASK_MAX (4 + 255 + 4 + 32)
#define POST_LEN (4 + 1024 + 4 + POST_MAX)
#define KEEP_LEN (4 + KEEP_KEY_MAX + 4 + KEEP_VALUE_MAX)
#define STS_MAX (1 + (4 + (64u << 10)) + (4 + 256))
#define LOGIN_START_MAX (2 * (4 + 255) + (4 + 512) + 3 + 3 * (4 + 64))
#define LOGIN_MAX (1 + (4 + 32) + 1 + (4 + SASL_TEXT_MAX) + (4 + 256))
#define SRS_ASK_MAX (1 + 4 + 1024 + 4 + 255)
#define TURN_MAX (2 + (4 + 512) + TURN_DOMAINS_MAX * (4 + 255))
#define GUEST_MAX (2 + (4 + 64) + (4 + 256) + (4 + 4096))

static const struct frame_type types[] = {
	[IPC_SETUP] = { "setup", SETUP_LEN, true },
	[IPC_LISTENER] = { "listener", 2, true },
	[IPC_UNLISTEN] = { "unlisten", 2, false },
	[IPC_PEER] = { "peer", PEER_LEN, true },
	[IPC_CTL] = { "ctl", 0, true },
	[IPC_TALLY] = { "tally", 2, true },
	[IPC_STATUS_ASK] = { "status-ask", 0, false },
	[IPC_DRAIN] = { "drain", 4, false },
	[IPC_LOG] = { "log", 0, true },
	[IPC_SECRET] = { "secret", SECRET_MAX, true },
	[IPC_FAULT] = { "fault", 2, false },
	[IPC_READY] = { "ready", READY_LEN, false },
	[IPC_STATUS] = { "status", STATUS_LEN, false },
	[IPC_FAULT_TAKEN] = { "fault-taken", 2, false },
	[IPC_BODY_OPEN] = { "body-open", 0, false },
	[IPC_BODY_DATA] = { "body-data", IPC_BODY_MAX, false },
	[IPC_BODY_DROP] = { "body-drop", 0, false },
	[IPC_ACCEPT] = { "accept", IPC_BODY_MAX, false },
	[IPC_ACCEPT_ASK] = { "accept-ask", 0, false },
	[IPC_VIEWS] = { "views", IPC_BODY_MAX, false },
	[IPC_CHANGE] = { "change", CHANGE_MAX, false },
	[IPC_WATCH] = { "watch", WATCH_MAX, false },
	[IPC_UNWATCH] = { "unwatch", 0, false },
	[IPC_ROOM_ASK] = { "room-ask", ROOM_LEN, false },
	[IPC_ACCEPTED] = { "accepted", 1, false },
	[IPC_DIRECTORY] = { "directory", 0, true },
	[IPC_STORE_STATE] = { "store-state", STATE_LEN, false },
	[IPC_CHANGE_DONE] = { "change-done", CHANGE_DONE_MAX, false },
	[IPC_STIRRED] = { "stirred", 0, false },
	[IPC_ROOM] = { "room", 1, false },
	[IPC_SYNC] = { "sync", 16, false },
	[IPC_SYNCED] = { "synced", 0, false },
	[IPC_CTL_TO] = { "ctl-to", 1, false },
	[IPC_CTL_OK] = { "ctl-ok", 0, false },
	[IPC_ASK] = { "ask", IPC_BODY_MAX, false },
	[IPC_ROW] = { "row", IPC_BODY_MAX, false },
	[IPC_DONE] = { "done", DONE_MAX, false },
	[IPC_ASK_FD] = { "ask-fd", IPC_BODY_MAX, true },
	[IPC_SIGN] = { "sign", SIGN_MAX, false },
	[IPC_SASL_START] = { "sasl-start", SASL_START_MAX, false, .secret = true },
	[IPC_SASL_STEP] = { "sasl-step", SASL_TEXT_MAX, false, .secret = true },
	[IPC_SASL_DROP] = { "sasl-drop", 0, false },
	[IPC_SIGNED] = { "signed", TLS_SIGNATURE_MAX, false },
	[IPC_SASL] = { "sasl", SASL_MAX, false },
	[IPC_CERTS] = { "certs", 0, true },
	[IPC_TICKETS] = { "tickets", TICKETS_LEN, false, .secret = true },
	[IPC_NAME_ASK] = { "name-ask", 16, false },
	[IPC_NAME] = { "name", DNS_NAME_MAX, false },
	[IPC_ADDR_ASK] = { "addr-ask", DNS_NAME_MAX, false },
	[IPC_ADDR] = { "addr", ADDR_LIST_MAX * 16, false },
	[IPC_FETCH] = { "fetch", FETCH_MAX, false, .secret = true },
	[IPC_FETCHED] = { "fetched", FETCHED_MAX, false },
	[IPC_ACCOUNT_ASK] = { "account-ask", ACCOUNT_MAX, false },
	[IPC_ACCOUNT] = { "account", 1, false },
	[IPC_ENTER] = { "enter", ENTER_MAX, false },
	[IPC_READ] = { "read", READ_MAX, false },
	[IPC_SLOTS] = { "slots", 0, true },
	[IPC_ENTERED] = { "entered", ENTERED_MAX, false },
	[IPC_READ_DONE] = { "read-done", READ_DONE_LEN, false },
	[IPC_JOB] = { "job", JOB_MAX, false },
	[IPC_JOB_CANCEL] = { "job-cancel", 0, false },
	[IPC_JOB_TAKEN] = { "job-taken", 0, false },
	[IPC_RELAY_HELLO] = { "relay-hello", HELLO_MAX, false },
	[IPC_JOB_STAGE] = { "job-stage", STAGE_MAX, false },
	[IPC_JOB_RESULT] = { "job-result", RESULT_MAX, false },
	[IPC_SPOOL_ASK] = { "spool-ask", SPOOL_ASK_LEN, false },
	[IPC_SPOOL] = { "spool", 1 + SPOOL_CHUNK, false },
	[IPC_MX_ASK] = { "mx-ask", MX_ASK_MAX, false },
	[IPC_MX] = { "mx", MX_MAX, false },
	[IPC_STS_ASK] = { "sts-ask", STS_ASK_MAX, false },
	[IPC_STS] = { "sts", STS_MAX, false },
	[IPC_LOGIN_START] = { "login-start", LOGIN_START_MAX, false },
	[IPC_LOGIN_STEP] = { "login-step", SASL_TEXT_MAX, false, .secret = true },
	[IPC_LOGIN_DROP] = { "login-drop", 0, false },
	[IPC_LOGIN] = { "login", LOGIN_MAX, false, .secret = true },
	[IPC_SRS_ASK] = { "srs-ask", SRS_ASK_MAX, false },
	[IPC_SRS] = { "srs", 1 + 1024, false },
	[IPC_ETRN] = { "etrn", 1024, false },
	[IPC_ETRN_DONE] = { "etrn-done", 4, false },
	[IPC_TURN_ASK] = { "turn-ask", TURN_MAX, false },
	[IPC_TURN] = { "turn", 1, true },
	[IPC_TURN_JOBS] = { "turn-jobs", TURN_MAX, false },
	[IPC_TURN_COUNT] = { "turn-count", 4, false },
	[IPC_TURN_END] = { "turn-end", 0, false },
	[IPC_TURN_GUEST] = { "turn-guest", GUEST_MAX, true },
	[IPC_TURN_NO] = { "turn-no", 1, false },
	[IPC_FIGURES_ASK] = { "figures-ask", 0, false },
	[IPC_FIGURES] = { "figures", IPC_BODY_MAX, false },
	[IPC_UNIX_ASK] = { "unix-ask", 108, false },
	[IPC_UNIX] = { "unix", 0, true },
	[IPC_UNIX_NO] = { "unix-no", 4, false },
	[IPC_POST] = { "post", POST_LEN, false },
	[IPC_POSTED] = { "posted", FETCHED_MAX, false },
	[IPC_KEEP] = { "keep", KEEP_LEN, false },
	[IPC_KEPT] = { "kept", KEEP_LEN, false },
};

_Static_assert(RESULT_MAX <= IPC_BODY_MAX && MX_MAX <= IPC_BODY_MAX, "they fit into a frame");

const struct frame_type *
frame_type(uint16_t type)
{
	if (type >= ARRAY_LEN(types) || !types[type].name)
		return NULL;
	return &types[type];
}

size_t
frame_size(uint32_t body_len)
{
	return FRAME_HEAD + (((size_t)body_len + 7) & ~(size_t)7);
}

void
frame_head_put(unsigned char out[FRAME_HEAD], const struct frame_head *h)
{
	be32_put(out, h->len);
	out[4] = (unsigned char)(h->type >> 8);
	out[5] = (unsigned char)h->type;
	out[6] = IPC_VERSION;
	out[7] = h->fd ? FRAME_FD : 0;
	be64_put(out + 8, h->id);
}

static const char *
head_fault(const struct frame_head *h, uint8_t version, uint8_t flags)
{
	const struct frame_type *t = frame_type(h->type);
	if (version != IPC_VERSION)
		return "frame of another version";
	if (!t)
		return "frame of unknown type";
	if (flags & ~FRAME_FD)
		return "frame with unknown flags";
	if (h->len > t->body_max)
		return "frame with a longer body than its type allows";
	if (h->fd && !t->fd)
		return "frame with a descriptor that its type does not carry";
	if (!h->fd && t->fd)
		return "frame without the descriptor of its type";
	return NULL;
}

enum frame_verdict
ipc_frame_head_get(struct str in, struct frame_head *ret, const char **ret_why)
{
	if (in.len < FRAME_HEAD)
		return FRAME_MORE;
	struct wire w = wire_of(str_first(in, FRAME_HEAD));
	struct frame_head h = { 0 };
	h.len = get_u32(&w);
	h.type = get_u16(&w);
	uint8_t version = get_u8(&w);
	uint8_t flags = get_u8(&w);
	h.fd = flags & FRAME_FD;
	h.id = get_u64(&w);
	const char *fault = head_fault(&h, version, flags);
	if (fault) {
		*ret_why = fault;
		return FRAME_BAD;
	}
	*ret = h;
	return FRAME_OK;
}

enum frame_verdict
ipc_frame_get(struct str in, struct frame_head *ret, struct str *ret_body, size_t *ret_size,
    const char **ret_why)
{
	struct frame_head h;
	enum frame_verdict v = ipc_frame_head_get(in, &h, ret_why);
	if (v != FRAME_OK)
		return v;
	size_t size = frame_size(h.len);
	if (in.len < size)
		return FRAME_MORE;
	for (size_t i = FRAME_HEAD + h.len; i < size; i++) {
		if (in.p[i] != 0) {
			*ret_why = "frame with octets in its padding";
			return FRAME_BAD;
		}
	}
	*ret = h;
	*ret_body = str_n(in.p + FRAME_HEAD, h.len);
	*ret_size = size;
	return FRAME_OK;
}
