// The one resolver of what a user types where a container is wanted: a namespace path, a pid, or a Docker container.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "host/docker_api.h"
#include "host/netns.h"

namespace weave {

// A network namespace that can be attached, and what it is called.
struct Sandbox {
  // Whose addresses these are, in IPAM and in `weave ps`: the 64-digit id of a Docker container, else 12 lower-case hex
  // digits of the namespace's inode.
  std::string ident;
  std::string netns_path;
  std::uint64_t netns_inode = 0;
  std::string display;  // for messages: the container's name, "pid 123", or the path
  // What host-side interface names are made from (HostIfname): the pid, or the inode's last 7 digits.
  std::string link_id;
  std::string hostname = {};  // of a Docker container, as Docker has it; empty: none
};

struct SandboxOptions {
  DockerApiOptions docker;  // with an empty address, containers of Docker are refused
  std::string proc_path = "/proc";
};

// `text` is
// - an absolute path: a network namespace file;
// - all digits, and not 12 or 64 of them: a pid, which must exist;
// - anything else: the name or id of a Docker container.
// InvalidArgument: malformed, or the file is no network namespace. NotFound: no such file, process or container.
// FailedPrecondition: the container is not running, Docker is not to be asked, or the namespace is the one we are in
// ourselves (`docker run --net=host`, pid 1). Unavailable and DeadlineExceeded: the Docker daemon is absent or hangs
// (within 3 s). Blocks: not for the loop's thread.
absl::StatusOr<Sandbox> ResolveSandbox(const SandboxOptions& options, absl::string_view text);

// The namespace with `inode`: the one `path` leads to, or, where that leads elsewhere by now, one that is mounted or
// that a process is in. (The process or the sharing container by which it was attached may have ended before the
// namespace did.) nullopt: gone. Errors: could not tell. Reads all of `proc_path` when the path fails: not for the
// loop's thread.
absl::StatusOr<std::optional<NetNs>> OpenSandbox(absl::string_view path, std::uint64_t inode,
                                                 absl::string_view proc_path);

// Sandbox::ident of a namespace that is no container of Docker's.
std::string NetNsIdent(std::uint64_t inode);

// Calls `visit` with a path to each network namespace that is mounted or that a process is in, and its inode: with
// several of them where several lead there, as any may be gone by then. Processes are those that `proc_path` shows,
// mounts those that we see ourselves: only their paths lead anywhere for us. Ends when `visit` returns true. Reads all
// of `proc_path`: not for the loop's thread.
void VisitNetNs(absl::string_view proc_path,
                absl::FunctionRef<bool(const std::string& path, std::uint64_t inode)> visit);

}  // namespace weave
