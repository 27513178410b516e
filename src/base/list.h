/*
 * list: an intrusive, circular, doubly linked list. The node is embedded in its owner and
 * container_of() leads back. A head is a node that nobody owns; an unlinked node points to
 * itself, so list_del() may be called twice.
 */
#pragma once

#include "base/check.h"

#include <stdbool.h>

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(head) { &(head), &(head) }
#define list_entry(node, type, member) container_of(node, type, member)
/* Safe against removal of the node at hand. */
#define list_each(node, head)                                                      \
	for (struct list *node = (head)->next, *node##_n = node->next;             \
	     node != (head); node = node##_n, node##_n = node->next)

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_add_tail(struct list *head, struct list *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}

static inline void
list_add_head(struct list *head, struct list *n)
{
	list_add_tail(head->next, n);
}

static inline void
list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}
