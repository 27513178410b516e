/*
 * ops: the questions the command line may ask, by the role that answers them. One row each in
 * ops.c: name, role, number of arguments (least and most), names of the row's fields. Arguments
 * and fields are octet strings; numbers are decimal. Every answer is rows, then one IPC_DONE.
 *
 *   parent  status            -> role index pid state layers uid restarts uptime_ms, then one
 *                                field per enum status_key ("" when the role has no such counter)
 *           listeners         -> protocol address port ("" for a unix socket)
 *           reload, stop
 *           fault SITUATION           in a lab: the next time it fits, this is answered
 *           tls.reload                auth gets the certificates, keys and tokens' keys anew
 *   store   domain.add D, domain.remove D, domain.list            -> domain source(store|config)
 *           user.add ADDR, user.remove ADDR, user.list
 *                                -> address account quota ("" where it has none of its own)
 *           user.quota ADDR OCTETS(0: none of its own)
 *           alias.add ADDR MEMBERS(one a line), alias.remove ADDR -
 *           alias.list                                            -> address members source
 *           mailbox.create ADDR NAME USE(drafts, sent, trash, junk, archive or "") -> mailbox
 *           mailbox.rename ADDR NAME NEWNAME, mailbox.subscribe ADDR NAME ON("1" or "0")
 *           mailbox.delete ADDR NAME UIDS BEFORE_MS -> letters octets uid (at intervals; sums)
 *           backup.begin -> store lsn (roles/store/backup_op.c)
 *           backup.hold -> seconds until it must be said again; backup.end
 *           import.open ADDR NAME CREATE("1": make it) -> account mailbox made
 *           import.marks ACCOUNT MAILBOX JOB(32 hex digits) -> position, keys (16 octets each) of
 *                                some of the job's marks; many rows
 *           import.forget ACCOUNT MAILBOX JOB
 *           import.letters ACCOUNT MAILBOX JOB("" none) SOURCE, with a pack (ipc/pack.h)
 *                                -> letters octets known
 *           queue.* FILTER...: each "KEY=VALUE", and an entry must fit all that are given; of
 *                                several with one key any is enough.
 *                                id=         a queue id, a letter's id, or one entry: "LETTER.PART"
 *                                from= to=   an address, or "@domain", or part of one with * in it;
 *                                            from= alone: the null sender
 *                                domain=     where to; "*.example.net" too
 *                                older= newer=   seconds since it came
 *                                error=      a word of the last reply, its code or status ("4xx",
 *                                            "550", "5.7.1"), or a trouble ("tls",
 *                                            which then is no word of a reply)
 *                                state=      one of the words below
 *                                limit=      at most so many entries (list); with what
 *                                            counts or changes entries it is malformed
 *                                reason=     what to say of it (bounce, hold)
 *                                all=1       no other filter is needed (bounce, delete, hold)
 *           queue.list FILTER...      -> id("LETTER.PART") qid state(ready: due and waiting for its
 *                                turn, or until next_ms, when its destination is spared;
 *                                waiting: until next_ms; active: a relay has it; held: by an
 *                                administrator or a route; later: until it may leave
 *                                (FUTURERELEASE); turn: until it is fetched (ATRN); damaged: its
 *                                record cannot be read, `text` says why) ... rcpts(that wait still,
 *                                one a line) size ... trouble("", name connect tls login
 *                                greeting sender rcpt letter closed policy damaged) mta code status
 *                                text(of the last attempt: the worst recipient's)
 *                                target("mx:example.net") wish(hold, bounce, delete: what
 *                                happens when its attempt is over)
 *           queue.count FILTER...     -> entries letters rcpts octets
 *           queue.show ID             -> kind "E": an entry, all fields (flags: words; stage and
 *                                where of an active one; reason: of its wish, or why it is held;
 *                                held_by: words of administrator, damage, route); behind it
 *                                kind "R" for each recipient:
 *                                state(waits sent failed) in `state`, address in `rcpts`, code
 *                                status text, its notify orcpt via in `ret` `envid` `sender`
 *           queue.why ID              -> the same, and kind "T" behind each entry: its destination
 *                                as queue.targets tells it, in the fields behind `kind`
 *           queue.retry FILTER...     now, whatever the back-off says -> entries trying by_route:
 *                                so many that this was done to, durably; that are tried just now,
 *                                and it is done to them when that is over (durable, too); that a
 *                                route holds, which release does not free. And what else stays as
 *                                it is: ending: is to be bounced or deleted when its attempt is
 *                                over, which no hold or release takes back; held, later, turn:
 *                                waits for something else than its time (retry); already: is as
 *                                is wanted (hold, release); damaged: can only be deleted
 *           queue.hold, queue.release -> the same
 *           queue.bounce FILTER...    ends in a report to the sender -> the same
 *           queue.delete FILTER...    ends without one -> the same
 *           queue.flush [DOMAIN]      all that waits (for it) is due now, back-offs are over
 *                                -> entries
 *           queue.targets [limit=N] [domain=D] -> target state(ready, busy: its window is full,
 *                                backoff: until retry_ms, idle) ... route(its match, of one that
 *                                domains may share), most entries first
 *           queue.totals              -> entries ... (numbers of now; sent later refused doubt:
 *                                recipients since the start; memory: octets;
 *                                targets: destinations that queue.targets has)
 *   reader  mailbox.list ADDR         -> name messages bytes uidnext uidvalidity modseq unseen
 *                                        special(words, "sent") subscribed(yes, no)
 *           mailbox.show ADDR NAME    -> uid time_ms size letter return_path from subject flags
 *                                        (of SRFTD: seen, answered, flagged, deleted, draft)
 *           mailbox.read ADDR NAME UID -> chunk (up to 64 KiB each)
 *           mailbox.export ADDR NAME  -> "L" uid time_ms size return_path flags, then "D" chunk ...
 *           trace KEY=VALUE ...       -> letter session time_ms kind qid from rcpts message_id peer
 *                                        lsn history. KEYs: key (any id or address), from, to,
 *                                        peer, message-id, since, until (ms); whole=N: up to N
 *                                        letters come with all their records, one row each (kind
 *                                        letter, attempt, report, queue, mailbox), more of them as
 *                                        one row of kind brief without history; limit=N letters;
 *                                        follow=LSN (0: from now on): what has come since, then a
 *                                        row of kind end with the next LSN
 *   relay   relay.fetch [ROUTE]       mail is fetched with ATRN -> route outcome("fetched",
 *                                "no mail", "failed") history
 *   auth    auth.set ADDR SECRET [WORD...]: SECRET is a password; "plain": the password itself is
 *                                kept too, for the mechanisms that need it; "hash": SECRET is
 *                                one of crypt(3); "scram": a verifier (RFC 5803); "octets": ADDR
 *                                is a login name of any octets, without a mailbox
 *           auth.check ADDR PASSWORD, auth.remove ADDR
 *           auth.list                 -> address keeps ("hash scram password", or "locked")
 *
 * Header values (from, subject) come unfolded, as octets; the command line escapes them for a
 * terminal. The address of a mailbox is folded by the answering role.
 */
#pragma once

#include "base/str.h"
#include "ipc/msg.h"

#include <stdbool.h>
#include <stdint.h>

struct ipc_op {
	const char *name;
	enum ipc_role role;
	uint16_t min_args, max_args;
	const char *fields; /* space-separated names of the row's fields; "" for none */
	bool fd;            /* is asked with a descriptor */
};
extern const struct ipc_op ipc_ops[]; /* ends with name NULL */
const struct ipc_op *ipc_op_find(struct str name);
