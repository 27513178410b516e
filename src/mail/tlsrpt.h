/*
 * tlsrpt: reports about TLS between mail servers (RFC 8460): where a domain wants them, what one
 * attempt saw, what all attempts of a day saw, and the report and the letter made of it.
 *
 * Pure. Facts come from a relay, and what they name from strangers: all strings are capped when they
 * are put, and refused when they are got too long or with controls in them. A day holds at most
 * TLSRPT_POLICIES_MAX policies with TLSRPT_DETAILS_MAX kinds of failures each; what is over that is
 * counted in the sums alone.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "base/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLSRPT_RUA_MAX 1024      /* octets of a list of places for reports */
#define TLSRPT_PLACES_MAX 4      /* places that get a report */
#define TLSRPT_POLICY_TEXT 1024  /* octets kept of a policy's text, and of its mx patterns */
#define TLSRPT_SESSIONS_MAX 16   /* of one attempt */
#define TLSRPT_POLICIES_MAX 4    /* of a day */
#define TLSRPT_DETAILS_MAX 32    /* of a policy */
#define TLSRPT_FACTS_MAX 4096    /* octets of all facts of one attempt */
#define TLSRPT_DAY_MAX (160u << 10) /* octets of an encoded day */

enum tlsrpt_policy { TLSRPT_NO_POLICY, TLSRPT_TLSA, TLSRPT_STS, TLSRPT_POLICY_KINDS };
extern const char *const tlsrpt_policy_name[TLSRPT_POLICY_KINDS]; /* "no-policy-found" "tlsa" "sts" */

/* RFC 8460 4.3 */
enum tlsrpt_result {
	TLSRPT_OK,
	TLSRPT_NO_STARTTLS, TLSRPT_HOST_MISMATCH, TLSRPT_EXPIRED, TLSRPT_NOT_TRUSTED, TLSRPT_FAILED,
	TLSRPT_TLSA_INVALID, TLSRPT_DNSSEC_INVALID, TLSRPT_DANE_REQUIRED,
	TLSRPT_STS_FETCH, TLSRPT_STS_INVALID, TLSRPT_STS_WEBPKI,
	TLSRPT_RESULTS
};
extern const char *const tlsrpt_result_name[TLSRPT_RESULTS]; /* "" "starttls-not-supported" ... */

/* One connection, or one that was not made because of the policy. */
struct tlsrpt_session {
	enum tlsrpt_result result;
	struct str mx;    /* the host that was asked; <= 253 */
	struct str helo;  /* as it named itself, or empty; <= 255 */
	struct str ip;    /* its address as text, or empty; <= 64 */
	struct str own_ip; /* ours, or empty; <= 64 */
	struct str why;   /* failure-reason-code: words of the library, or empty; <= 128 */
};
/* What one attempt saw under one policy of the domain. An attempt puts several, one behind the other. */
struct tlsrpt_facts {
	struct str domain; /* whose policy: A-labels; <= 253 */
	struct str rua;    /* of its TXT record; <= TLSRPT_RUA_MAX */
	enum tlsrpt_policy policy;
	struct str text;   /* STS: lines of the policy; TLSA: one record a line ("3 1 1 0123..."), parted by
	                    * \n; cut to TLSRPT_POLICY_TEXT */
	struct str mx;     /* STS: the patterns, parted by \n; cut likewise */
	size_t n;
	struct tlsrpt_session session[TLSRPT_SESSIONS_MAX];
};
/* Puts the most that fits: of a buffer that has less than TLSRPT_FACTS_MAX octets of room sessions are
 * left out from the end; nothing at all when not even one fits. */
void tlsrpt_facts_put(struct buf *b, const struct tlsrpt_facts *f);
bool tlsrpt_facts_get(struct wire *w, struct tlsrpt_facts *ret); /* advances w; views */

/* A TXT record at _smtp._tls.DOMAIN: "v=TLSRPTv1; rua=mailto:a@example.com" (RFC 8460 3). ret_rua: a
 * view, not empty, at most TLSRPT_RUA_MAX octets of visible ASCII. */
bool tlsrpt_record(struct str text, struct str *ret_rua);
/* The places of such a list, one after the other: a mail address (percent-decoded) or a web address of
 * https. Others are passed over. False: no more. */
enum tlsrpt_place_kind { TLSRPT_MAILTO, TLSRPT_HTTPS };
struct tlsrpt_place {
	enum tlsrpt_place_kind kind;
	char text[TLSRPT_RUA_MAX + 1];
};
bool tlsrpt_place_next(struct str *rua, struct tlsrpt_place *ret);

/* A day of one domain (or another while, for tests); owned. begin: Unix seconds. */
struct tlsrpt_day;
struct tlsrpt_day *tlsrpt_day_new(struct str domain, int64_t begin, uint32_t seconds);
struct tlsrpt_day *tlsrpt_day_free(struct tlsrpt_day *d);
void tlsrpt_day_add(struct tlsrpt_day *d, const struct tlsrpt_facts *f); /* of the same domain */
struct str tlsrpt_day_rua(const struct tlsrpt_day *d); /* of the last facts that had one */
struct str tlsrpt_day_domain(const struct tlsrpt_day *d);
int64_t tlsrpt_day_begin(const struct tlsrpt_day *d);
int64_t tlsrpt_day_end(const struct tlsrpt_day *d); /* the first second behind it */
uint64_t tlsrpt_day_sessions(const struct tlsrpt_day *d); /* good and bad */
void tlsrpt_day_put(struct buf *b, const struct tlsrpt_day *d);
struct tlsrpt_day *tlsrpt_day_get(struct str octets); /* NULL: malformed */

struct tlsrpt_sender {
	struct str organization; /* organization-name */
	struct str contact;      /* an address: contact-info, From */
	struct str host;         /* our name: TLS-Report-Submitter */
	struct str id;           /* report-id: unique, [0-9a-z.-] */
	int64_t now;             /* Unix seconds */
};
/* The report in JSON (RFC 8460 4). */
void tlsrpt_report_put(struct buf *out, const struct tlsrpt_day *d, const struct tlsrpt_sender *s);
/* "mail.example.net!example.com!1735689600!1735775999!ID.json.gz" (RFC 8460 5.1) */
void tlsrpt_file_name(struct buf *out, const struct tlsrpt_day *d, const struct tlsrpt_sender *s);
/* The letter (RFC 8460 5.3): header and body with CRLF; gz: the report behind gzip. */
void tlsrpt_letter_put(struct buf *out, const struct tlsrpt_day *d, const struct tlsrpt_sender *s,
    struct str to, struct str gz);
