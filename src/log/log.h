/*
 * log: structured lines, one event a line, to the descriptor that parent chose.
 *
 *   2026-11-22T10:15:30.123Z info front.1 session=4k7... event=connect peer=[127.0.0.1]
 *
 * Values that hold a blank, a quote or a control character are quoted and escaped, so one
 * event is one line whatever a peer sent. Under the journal (JOURNAL_STREAM set, checked in
 * log_init) the time is left out and "<6>" style priorities stand in front. A line is one
 * write(2), cut at LOG_LINE_MAX. Logging never fails and never blocks a role for long: on
 * EAGAIN the line is counted as dropped and the next line says how many.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define LOG_LINE_MAX 4096

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_field {
	const char *key;
	struct str value;
};

/* who: "front.1"; kept by reference. fd: where lines go (2). */
void log_init(const char *who, int fd, enum log_level least);
void log_set_level(enum log_level least);
/* Lines go to what fd is open on, from now on; fd stays the caller's. */
void log_redirect(int fd);
uint64_t log_dropped(void); /* lines lost since the start */
bool log_level_parse(struct str s, enum log_level *ret);
/* session 0: none. Fields end at the first NULL key. */
void log_event(enum log_level level, uint64_t session, const char *event,
    const struct log_field *fields);

#define LOG(level, session, event, ...) \
	log_event(level, session, event,                                                        \
	    (const struct log_field[]){ __VA_OPT__(__VA_ARGS__, ) { NULL, STR_NULL } })
#define LOGF(k, v) { k, v }
#define LOGZ(k, z) { k, str_of(z) }
/* A number as a field; the text lives until the end of the enclosing full expression's block. */
#define LOGN(k, n) { k, str_of(log_num((char[24]){ 0 }, (long long)(n))) }
const char *log_num(char buf[24], long long n);

/* For what there is to say of each letter while a disk is full. The first line of an event is
 * written, those behind it are counted, and log_often_tick(), to be called every second or so,
 * says each minute how many they were (more=812 seconds=60), until one has passed without any. Of
 * one thread, and few events, whose names are kept by reference. */
#define LOG_OFTEN(level, session, event, ...) \
	log_often(level, session, event,                                                        \
	    (const struct log_field[]){ __VA_OPT__(__VA_ARGS__, ) { NULL, STR_NULL } })
void log_often(enum log_level level, uint64_t session, const char *event,
    const struct log_field *fields);
void log_often_tick(int64_t now_ms); /* monotonic */

/* A 64-bit id as 13 characters of lower-case base 32 (0-9 a-v), sortable as the number is.
 * Sessions and letters are named like this everywhere. */
void id_format(char out[14], uint64_t id);
bool id_parse(struct str s, uint64_t *ret);
