/* spawn: run our own binary again as a role, with exactly the descriptors named. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#define SPAWN_FD 3 /* where the child finds its channel to parent */

/* Executes this same program with argv (argv[0] is for show); the child has stdin from
 * /dev/null, stdout and stderr as ours, channel as fd 3 and nothing else, every signal unblocked
 * and at its default, but SIGPIPE, SIGINT, SIGTERM and SIGHUP ignored: what a terminal or a
 * service manager sends to the whole group is parent's to act on. pid, or -errno (of a failed
 * exec too). */
pid_t spawn_self(char *const argv[], int channel);
/* Reaps one ended child without blocking: its pid, or 0. */
pid_t spawn_reap(int *ret_status);
/* "exit code 1", "signal 11 (Segmentation fault)", "forbidden system call (SIGSYS)". */
const char *spawn_status_text(int status, char buf[64]);
