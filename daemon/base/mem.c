#include "daemon/base/mem.h"

#include <link.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *checked(void *p, size_t size)
{
	if (!p) {
		fprintf(stderr, "out of memory allocating %zu bytes: exiting, kernel routes stay\n", size);
		_Exit(71); /* EX_OSERR */
	}
	return p;
}

void *mem_alloc(size_t size)
{
	return checked(malloc(size ? size : 1), size);
}

void *mem_calloc(size_t n, size_t size)
{
	return checked(calloc(n ? n : 1, size ? size : 1), n * size);
}

void *mem_realloc(void *p, size_t size)
{
	return checked(realloc(p, size ? size : 1), size);
}

char *mem_strdup(const char *s)
{
	return mem_dup(s, strlen(s) + 1);
}

char *mem_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = mem_alloc(len + 1);

	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

void *mem_dup(const void *data, size_t len)
{
	void *copy = mem_alloc(len);

	if (len)
		memcpy(copy, data, len);
	return copy;
}

char *mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return checked(n < 0 ? NULL : text, 0);
}

void mem_trim(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

/* Code is mapped from files and never written, so that nothing is lost with its pages. */
static int forget_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		uintptr_t from = info->dlpi_addr + h->p_vaddr, to = from + h->p_memsz;

		if (h->p_type != PT_LOAD || (h->p_flags & (PF_R | PF_W | PF_X)) != (PF_R | PF_X))
			continue;
		from = (from + page - 1) & ~(page - 1);
		to &= ~(page - 1);
		if (to > from)
			madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

void mem_forget_code(void)
{
	dl_iterate_phdr(forget_segments, NULL);
}

struct slab_page {
	struct slab_page *next;
};

#define SLAB_PAGE_BYTES 16384u

static void slab_grow(struct slab *s)
{
	/* The first page is small: a node with few objects of a kind should not pay for many. */
	size_t bytes = s->total ? SLAB_PAGE_BYTES : 1024, n = (bytes - sizeof(struct slab_page)) / s->size;
	struct slab_page *page;
	uint8_t *at;

	if (n == 0)
		n = 1;
	page = mem_alloc(sizeof *page + n * s->size);
	page->next = s->pages;
	s->pages = page;
	at = (uint8_t *)(page + 1) + n * s->size;
	for (size_t i = 0; i < n; i++) {
		at -= s->size;
		memcpy(at, &s->free_list, sizeof(void *));
		s->free_list = at;
	}
	s->total += (uint32_t)n;
}

void *slab_get(struct slab *s)
{
	void *obj;

	if (!s->free_list)
		slab_grow(s);
	obj = s->free_list;
	memcpy(&s->free_list, obj, sizeof(void *));
	memset(obj, 0, s->size);
	s->live++;
	return obj;
}

void slab_put(struct slab *s, void *obj)
{
	memcpy(obj, &s->free_list, sizeof(void *));
	s->free_list = obj;
	s->live--;
}

void slab_clear(struct slab *s)
{
	struct slab_page *page, *next;

	for (page = s->pages; page; page = next) {
		next = page->next;
		free(page);
	}
	*s = (struct slab){.size = s->size};
}

size_t slab_bytes(const struct slab *s)
{
	return (size_t)s->total * s->size;
}

struct arena_page {
	struct arena_page *next;
	size_t size;
	_Alignas(8) uint8_t data[];
};

#define ARENA_PAGE_BYTES 8192u

void *arena_alloc(struct arena *a, size_t size)
{
	void *at;

	size = (size + 7) & ~(size_t)7;
	if (!a->page || a->page->size - a->used < size) {
		size_t want = size > ARENA_PAGE_BYTES ? size : ARENA_PAGE_BYTES;
		struct arena_page *page = mem_alloc(sizeof *page + want);
		page->next = a->page;
		page->size = want;
		a->page = page;
		a->used = 0;
	}
	at = a->page->data + a->used;
	a->used += size;
	return at;
}

void arena_reset(struct arena *a)
{
	while (a->page && a->page->next) {
		struct arena_page *next = a->page->next;
		free(a->page);
		a->page = next;
	}
	a->used = 0;
}

void arena_free(struct arena *a)
{
	arena_reset(a);
	free(a->page);
	*a = (struct arena){0};
}
