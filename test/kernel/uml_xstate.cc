// Preloaded into User-Mode Linux: makes it boot on processors whose register state is larger than it knows. Linux 6.1
// saves 2696 bytes of it (HOST_FP_SIZE, arch/x86/um/user-offsets.c), and a kernel on a processor with AMX takes back
// only the whole: PTRACE_SETREGSET is then EFAULT, and the guest's first process dies. The guest has no use for the
// rest.
#include <dlfcn.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstring>

namespace {

constexpr std::uintptr_t kXstate = 0x202;  // NT_X86_XSTATE, linux/elf.h

using Ptrace = long (*)(int request, pid_t pid, void* address, void* data);

}  // namespace

extern "C" long ptrace(enum __ptrace_request request, ...) noexcept {
  static const auto original = reinterpret_cast<Ptrace>(::dlsym(RTLD_NEXT, "ptrace"));
  va_list arguments;
  va_start(arguments, request);
  const pid_t pid = va_arg(arguments, pid_t);
  void* const address = va_arg(arguments, void*);
  void* const data = va_arg(arguments, void*);
  va_end(arguments);
  const long result = original(request, pid, address, data);
  if (result == 0 || request != PTRACE_SETREGSET || reinterpret_cast<std::uintptr_t>(address) != kXstate) return result;

  // User-Mode Linux calls from one thread only; its stacks are too small for this.
  static char whole[64 * 1024];
  iovec state = {whole, sizeof whole};
  if (original(PTRACE_GETREGSET, pid, address, &state) != 0) return result;
  const auto* part = static_cast<const iovec*>(data);
  std::memcpy(whole, part->iov_base, std::min(part->iov_len, state.iov_len));
  return original(PTRACE_SETREGSET, pid, address, &state);
}
