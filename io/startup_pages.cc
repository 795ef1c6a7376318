#include "io/startup_pages.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace weave {
namespace {

// Segments that are not writable are never changed, so that the file still has what is dropped here. (What relocation
// writes lies in a writable segment, even where it is made read-only afterwards.)
int ReleaseObject(dl_phdr_info* object, std::size_t, void*) {
  const std::uintptr_t page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = (object->dlpi_addr + segment.p_vaddr + page_size - 1) & ~(page_size - 1);
    const std::uintptr_t end = (object->dlpi_addr + segment.p_vaddr + segment.p_memsz) & ~(page_size - 1);
    if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void ReleaseStartupPages() {
  ::dl_iterate_phdr(ReleaseObject, nullptr);
  ::malloc_trim(0);
}

}  // namespace weave
