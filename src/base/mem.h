/* Heap with one rule: a failed allocation ends the daemon with a line on stderr, because its truth
 * is in the store and half-made state is worse than a restart. Memory comes zeroed. */
#pragma once

#include "base/base.h"

void *mem_alloc(size_t n) __attribute__((malloc, returns_nonnull));
void *mem_array(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
/* As realloc(); the new part is not zeroed. */
void *mem_realloc(void *p, size_t n) __attribute__((returns_nonnull));
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *mem_printf(const char *fmt, ...) PRINTF(1, 2) __attribute__((returns_nonnull));
/* Overwrites a secret so that the compiler cannot leave it out. */
void mem_wipe(void *p, size_t n);
