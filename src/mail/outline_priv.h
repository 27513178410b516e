/* outline_priv: what the builder, the writer and the reader of an outline share. */
#pragma once

#include "base/arena.h"
#include "mail/imaptext.h"
#include "mail/outline.h"
#include "mail/preview.h"

#define OUTLINE_VERSION 2
#define OUTLINE_VERSION_1 1 /* always with a text of the body structure */

/* The body of a letter that says nothing about it (RFC 2045 5.2): its record has no text of it. */
#define OUTLINE_PLAIN "\"text\" \"plain\""
#define OUTLINE_ASCII "\"charset\" \"us-ascii\""
#define OUTLINE_7BIT "\"7bit\""

/* What BODYSTRUCTURE says of a part, in wire form; p NULL: nothing. */
enum outline_fact {
	FACT_TYPE,    /* "text" "plain" */
	FACT_PARAMS,  /* "charset" "utf-8" "format" "flowed": without parentheses */
	FACT_ID, FACT_DESCRIPTION, FACT_ENCODING, FACT_MD5,
	FACT_DISPOSITION, /* ("attachment" ("filename" "x")) */
	FACT_LANGUAGE, FACT_LOCATION,
	FACT_COUNT
};

struct outline_node {
	struct outline_node *parent, *child, *last, *next;
	struct str fact[FACT_COUNT];
	struct str *item;          /* OUTLINE_ITEMS of them; NULL: no envelope */
	enum mime_class kind;
	enum mime_encoding encoding;
	bool text;                 /* Content-Type says text, whatever follows */
	bool has_charset;          /* among the parameters */
	bool has_params;           /* of the disposition */
	struct str charset;
	uint32_t children;
	uint64_t header_off, body_off, end, lines;
};

struct outline_builder {
	bool wide, failed;
	struct mime_walk *walk;
	struct arena nodes, texts;
	struct arena_mark nodes_start, texts_start;
	struct buf wire; /* a value in the making */
	struct imaptext_addrs addrs;
	struct preview preview;
	const struct mime_part *preview_of;
	bool preview_over;
	struct outline_node *root;
	uint32_t n_parts;
	struct str date; /* as it stands */
	uint64_t msgid, reply_to, refs[OUTLINE_REFS_MAX];
	uint32_t n_refs;
};
/* Fields of a header, as they come; of an envelope only those that have an item in it. */
void outline_envelope_field(struct outline_builder *b, struct outline_node *n,
    const struct mime_field *f);
void outline_content_field(struct outline_builder *b, struct outline_node *n,
    const struct mime_field *f);
int outline_item_of(struct str name); /* enum outline_item, or -1 */

/* What a record is made of. */
struct outline_facts {
	const struct outline_node *root;
	uint32_t n_parts;
	uint64_t trace;      /* octets in front of what was fed */
	uint64_t size;       /* of all */
	uint64_t thread, msgid;
	bool has_sent;
	int64_t sent, sent_day;
	struct str preview;
	const uint64_t *refs;
	uint32_t n_refs;
};
void outline_write(struct buf *out, const struct outline_facts *f);
/* The ten items without parentheses. */
void outline_items_write(struct buf *out, const struct str *item);
