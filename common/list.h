#pragma once

/*
 * Intrusive doubly linked list: a head and links embedded in the owners. A link that is
 * on no list points to itself, so removing it again does no harm.
 */

#include <stdbool.h>
#include <stddef.h>

#define container_of(pointer, type, member)                                              \
	((type *)((char *)(pointer)-offsetof(type, member)))

struct list {
	struct list *next;
	struct list *previous;
};

static inline void list_init(struct list *list)
{
	list->next = list;
	list->previous = list;
}

static inline bool list_empty(const struct list *list)
{
	return list->next == list;
}

static inline void list_append(struct list *list, struct list *link)
{
	link->next = list;
	link->previous = list->previous;
	list->previous->next = link;
	list->previous = link;
}

static inline void list_remove(struct list *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
	list_init(link);
}

/** Takes the first link off @list, or returns NULL. */
static inline struct list *list_take(struct list *list)
{
	struct list *link = list->next;

	if (link == list)
		return NULL;
	list_remove(link);
	return link;
}

/* The body may remove and free the current link. */
#define list_each(link, head)                                                            \
	for (struct list *link = (head)->next, *link##_next = link->next;                \
		link != (head); link = link##_next, link##_next = link->next)
