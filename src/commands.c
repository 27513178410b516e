/* The commands there are, in the order in which `pennypost help` shows them. */
#include "cli/cli.h"
#include "play/case.h"

extern const struct cli_cmd cmd_roundtrip;
extern const struct cli_cmd cmd_talk, cmd_send, cmd_check, cmd_probe, cmd_mx, cmd_merge;
extern const struct cli_cmd cmd_b64, cmd_cert, cmd_run, cmd_replay, cmd_explain;

#ifdef PENNYPOST_SERVER
#include "lab/own.h"

extern const struct cli_cmd cmd_serve, cmd_lab, cmd_config, cmd_user, cmd_domain, cmd_alias,
    cmd_mailbox, cmd_trace, cmd_status, cmd_reload, cmd_fsck, cmd_backup, cmd_restore, cmd_tls,
    cmd_fault, cmd_dialect, cmd_queue;

case_own_fn *const case_own = lab_play_own;
#else
case_own_fn *const case_own = NULL;
#endif

const struct cli_cmd *const cli_cmds[] = {
#ifdef PENNYPOST_SERVER
	&cmd_lab,
	&cmd_serve,
	&cmd_config,
	&cmd_status,
	&cmd_reload,
	&cmd_tls,
	&cmd_user,
	&cmd_domain,
	&cmd_alias,
	&cmd_mailbox,
	&cmd_queue,
	&cmd_trace,
	&cmd_fsck,
	&cmd_backup,
	&cmd_restore,
	&cmd_fault,
	&cmd_dialect,
#endif
	&cmd_talk,
	&cmd_send,
	&cmd_check,
	&cmd_probe,
	&cmd_mx,
	&cmd_merge,
	&cmd_roundtrip,
	&cmd_run,
	&cmd_replay,
	&cmd_explain,
	&cmd_b64,
	&cmd_cert,
	&cmd_completion,
	&cmd_help,
	NULL,
};
