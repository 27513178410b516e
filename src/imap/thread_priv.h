/*
 * Inside THREAD: letters become a forest (RFC 5256 3).
 *
 * Nodes are numbers into one array; a node without a letter is a dummy. Message ids and subjects
 * are hashes of 64 bits. All of it is linear but for sorting, and nothing recurses: a thread may
 * be as deep as a mailbox is long.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define THREAD_LETTERS_MAX (4u << 20)
#define THREAD_NODES_MAX (16u << 20)
#define THREAD_REFS_MAX (16u << 20)

struct thread_letter {
	uint32_t number;      /* as it is shown; also orders what came at the same time */
	uint32_t node;
	int64_t date;
	uint64_t msgid;       /* 0: none */
	uint64_t subject;     /* of the base subject; 0: it is empty */
	size_t ref_at;
	uint32_t n_refs;
	bool reply;
};

struct thread_node {
	uint32_t letter;      /* index + 1; 0: a dummy */
	uint32_t parent;      /* 0: a root */
	uint32_t first, last, next; /* children; next also links the roots */
	uint32_t up;          /* on the way to the root of its tree */
};

struct thread {
	struct thread_letter *letter; /* in order of their numbers */
	uint32_t n, cap;
	uint64_t *refs;
	size_t n_refs, cap_refs;
	struct thread_node *node;     /* 0: not used */
	uint32_t n_nodes, cap_nodes;
	struct thread_ids {
		uint64_t *id;
		uint32_t *node;
		size_t cap, used;
	} ids;
	uint32_t first_root, last_root;
	bool failed;                  /* too much, or no memory */
};
void thread_done(struct thread *t);
void thread_add(struct thread *t, const struct thread_letter *l, const uint64_t *refs);
/* thread_refs.c, thread_tree.c: the forest. False: failed. */
bool thread_references(struct thread *t);
bool thread_subjects(struct thread *t);
void thread_put(const struct thread *t, struct buf *out); /* "(1 2)(3 (4)(5))" */

/* thread_tree.c */
uint32_t thread_node_new(struct thread *t, uint32_t letter); /* 0: failed */
void thread_sort(struct thread *t);  /* letters by date, then by number */
/* Children and roots in the order of the letters, out of `parent`; a dummy stands where its first
 * child does. */
void thread_link_all(struct thread *t);
/* The node of an id; made where there is none. */
uint32_t thread_id_node(struct thread *t, uint64_t id);
/* A table from hashes to nodes: the place of one, or NULL (no memory). 0: new. */
uint32_t *thread_ids_at(struct thread_ids *ids, uint64_t id);
void thread_ids_done(struct thread_ids *ids);
