/*
 * Counts how often a program itself asks for memory: its own code, not its libraries'.
 *
 * To be preloaded. The count is a 64-bit number in the file that URICAST_ALLOCATIONS
 * names, which exists and has 8 bytes; it can be read there at any time.
 */

#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static uint64_t nowhere;
static uint64_t *count = &nowhere;
static uintptr_t program_start, program_end;

/* The program comes first. */
static int find_program(struct dl_phdr_info *info, size_t size, void *user)
{
	(void)size;
	(void)user;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
			continue;
		program_start = info->dlpi_addr + part->p_vaddr;
		program_end = program_start + part->p_memsz;
	}
	return 1;
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("URICAST_ALLOCATIONS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *shared;

	dl_iterate_phdr(find_program, NULL);
	if (fd < 0)
		return;
	shared = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared != MAP_FAILED)
		count = shared;
}

static void note(void *caller)
{
	uintptr_t address = (uintptr_t)caller;

	if (address >= program_start && address < program_end)
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
	note(__builtin_return_address(0));
	return __libc_malloc(size);
}

void *calloc(size_t members, size_t size)
{
	note(__builtin_return_address(0));
	return __libc_calloc(members, size);
}

void *realloc(void *memory, size_t size)
{
	note(__builtin_return_address(0));
	return __libc_realloc(memory, size);
}

void *reallocarray(void *memory, size_t members, size_t size)
{
	note(__builtin_return_address(0));
	return __libc_realloc(memory, members * size);
}

char *strndup(const char *text, size_t most)
{
	size_t length = strnlen(text, most);
	char *copy = __libc_malloc(length + 1);

	note(__builtin_return_address(0));
	if (copy == NULL)
		return NULL;
	copy[length] = '\0';
	return memcpy(copy, text, length);
}

char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = __libc_malloc(size);

	note(__builtin_return_address(0));
	return copy != NULL ? memcpy(copy, text, size) : NULL;
}
