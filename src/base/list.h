/* A doubly linked intrusive list with a head. A zeroed node is not linked; list_init() makes an
 * empty head. */
#pragma once

#include "base/base.h"

struct list {
	struct list *prev, *next;
};

static inline void
list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool
list_is_empty(const struct list *l)
{
	return l->next == l;
}

static inline bool
list_is_linked(const struct list *n)
{
	return n->next != NULL;
}

static inline void
list_append(struct list *l, struct list *n)
{
	n->prev = l->prev;
	n->next = l;
	l->prev->next = n;
	l->prev = n;
}

static inline void
list_remove(struct list *n)
{
	if (!n->next)
		return;
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->prev = n->next = NULL;
}

#define LIST_FOR(it, l) for (struct list *it = (l)->next; it != (l); it = it->next)
/* The current node may be removed inside. */
#define LIST_FOR_SAFE(it, l) \
	for (struct list *it = (l)->next, *it##_n = it->next; it != (l); \
	     it = it##_n, it##_n = it->next)
#define LIST_ENTRY(n, T, member) CONTAINER_OF(n, T, member)
