/* Memory: allocation that cannot fail, slabs of equal objects, arenas for what dies together.
 *
 * Running out of memory is not handled where it happens: the process says so and exits, the supervisor restarts it,
 * and the kernel keeps forwarding meanwhile. free() frees what mem_* returned. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/* Never NULL; a size of 0 gives a unique pointer. */
void *mem_alloc(size_t size);
void *mem_calloc(size_t n, size_t size);
void *mem_realloc(void *p, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
void *mem_dup(const void *data, size_t len);
/* printf into fresh memory; the caller frees it. */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Gives back to the system what was freed: for after something large, of which only little stays. */
void mem_trim(void);

/* After the start: the code that only the start needed leaves the resident set. What is still needed comes back from
 * the page cache as it is used. */
void mem_forget_code(void);

/* Objects of one size, carved from pages of about 16 KiB (fewer at first), with a free list. Objects come back in
 * any order; pages go back only in slab_clear(). Zero-initialise .size (at least sizeof(void *), a multiple of 8). */
struct slab {
	size_t size;
	void *free_list;
	void *pages;
	uint32_t live;	/* objects handed out */
	uint32_t total; /* objects that the pages hold */
};

/* A zeroed object. */
void *slab_get(struct slab *s);
void slab_put(struct slab *s, void *obj);
/* Frees all pages, live objects included. */
void slab_clear(struct slab *s);
size_t slab_bytes(const struct slab *s);

/* Bump allocation; everything is freed at once. arena_reset() keeps the first page for the next round. */
struct arena {
	struct arena_page *page;
	size_t used;
};

/* 8-byte aligned, not zeroed. */
void *arena_alloc(struct arena *a, size_t size);
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif
