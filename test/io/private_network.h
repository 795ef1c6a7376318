// A network namespace of a test's own, and a second one for the other end of its links. Needs root.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "io/fd.h"
#include "io/subprocess.h"
#include "test/support/catch.h"

namespace weave {

inline void NeedRoot() {
  if (::geteuid() == 0) return;
  std::puts("skipped: needs root to make namespaces");
  std::exit(77);
}

// Runs a command of words separated by blanks.
inline void Run(absl::string_view command) {
  const auto result = RunSuccessfully({.argv = absl::StrSplit(command, ' ')});
  INFO(command);
  REQUIRE(result.status() == absl::OkStatus());
}

// The calling thread is in a new network namespace with loopback up, and goes home at the end. Sockets stay in it.
class PrivateNetwork {
 public:
  PrivateNetwork() : home_(Open()) {
    NeedRoot();
    REQUIRE(::unshare(CLONE_NEWNET) == 0);
    inside_ = Open();
    Run("ip link set lo up");
  }
  ~PrivateNetwork() { REQUIRE_NOTHROW(Enter(home_)); }

  // A second namespace, for the other end of links; made when first asked for.
  void InOther(absl::string_view command) {
    if (!other_.valid()) {
      REQUIRE(::unshare(CLONE_NEWNET) == 0);
      other_ = Open();
      Enter(inside_);
    }
    Enter(other_);
    Run(command);
    Enter(inside_);
  }
  std::string other_path() const { return absl::StrCat("/proc/", ::getpid(), "/fd/", other_.get()); }

 private:
  static Fd Open() { return Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }
  static void Enter(const Fd& space) { REQUIRE(::setns(space.get(), CLONE_NEWNET) == 0); }

  Fd home_, inside_, other_;
};

}  // namespace weave
