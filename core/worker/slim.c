#include "core/base/base.h"
#include "core/worker/slim.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

/* A run of adjacent read-only segments of one library. */
struct range {
	uintptr_t start, end;
	bool code;
};

static void
join(const struct range *r)
{
	/* A range of code and constants that cannot be changed is still usable. */
	if (r->code && mprotect((void *)r->start, r->end - r->start, PROT_READ | PROT_EXEC) < 0)
		return;
}

static int
slim_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t page = *(const uintptr_t *)arg;
	struct range r = {0};

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = (info->dlpi_addr + p->p_vaddr) & ~(page - 1);
		uintptr_t end = (info->dlpi_addr + p->p_vaddr + p->p_memsz + page - 1) & ~(page - 1);

		if (p->p_type != PT_LOAD || (p->p_flags & PF_W))
			continue;
		if (start != r.end) {
			join(&r);
			r = (struct range){.start = start};
		}
		r.end = end;
		r.code |= (p->p_flags & PF_X) != 0;
	}
	join(&r);
	return 0;
}

void
slim_mappings(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	dl_iterate_phdr(slim_library, &page);
}
