/*
 * expand: what the text of a C: or R: line stands for. Pure.
 *
 *   C: lines  {sp}                   a blank
 *             {b64:TEXT}             base64 of TEXT (with the escapes of R:)
 *             {repeat:N:TEXT}        TEXT, N times
 *             {cram-md5:USER:PASSWORD:VAR}   the answer to the challenge in VAR (RFC 2195)
 *             {NAME}                 what S=NAME: captured; itself when nothing was
 *             ${NAME}                a variable of the environment, where that is allowed
 *   R: lines  \r \n \t \0 \\ \xHH
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"

#include <stdbool.h>

#define EXPAND_MAX (64u << 20) /* octets one line may become */

/* Appends the octets to out; vars maps names to NUL-terminated text. False with *ret_why, one
 * sentence, when the line is wrong. */
bool expand(struct str text, const struct map *vars, bool env, struct buf *out,
    const char **ret_why);
/* Only says whether the braces are well formed. */
bool expand_check(struct str text, const char **ret_why);
bool unescape(struct str text, struct buf *out, const char **ret_why);
