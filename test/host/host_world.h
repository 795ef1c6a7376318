// A host of a test's own: a network namespace the test thread is in, with sandboxes to attach. Nothing of it touches
// the machine's network, and all of it goes with the objects.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "host/bridge.h"
#include "host/endpoint.h"
#include "host/netlink.h"
#include "host/netns.h"
#include "host/sandbox.h"
#include "io/subprocess.h"
#include "test/support/catch.h"

namespace weave {

inline Cidr C(absl::string_view text) { return Cidr::Parse(text).value(); }
inline IpAddress Ip(absl::string_view text) { return IpAddress::Parse(text).value(); }
inline MacAddress Mac(absl::string_view text) { return MacAddress::Parse(text).value(); }

// Waits for a state, as long as the machine needs; false after a time no working system needs.
inline bool Eventually(const std::function<bool()>& condition) {
  for (const absl::Time deadline = absl::Now() + absl::Seconds(30); absl::Now() < deadline;) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return false;
}

// A fresh namespace; the calling thread stays where it is.
inline NetNs MakeNetNs() {
  NetNs home = NetNs::Current().value();
  WEAVE_CHECK(::unshare(CLONE_NEWNET) == 0);
  NetNs made = NetNs::Current().value();
  WEAVE_CHECK(::setns(home.fd(), CLONE_NEWNET) == 0);
  return made;
}

inline SubprocessResult TryIn(int netns_fd, std::vector<std::string> argv) {
  SubprocessOptions options;
  options.argv = std::move(argv);
  options.netns_fd = netns_fd;
  return RunSubprocess(options).value();
}

// `ip` with arguments separated by single blanks, in the calling thread's namespace or another.
inline std::string IpCommand(const std::string& arguments, int netns_fd = -1) {
  std::vector<std::string> argv = {"/bin/sh", "-c", "ip " + arguments};
  const SubprocessResult result = TryIn(netns_fd, argv);
  INFO("ip " << arguments << ": " << result.error_output);
  REQUIRE(result.succeeded());
  return result.output;
}

// The network of a namespace as a person sees it, without what settles by itself (carrier, state): to show that nothing
// was left behind.
inline std::string NetworkPicture(int netns_fd = -1) {
  return IpCommand("-o link | sed -e 's/NO-CARRIER,//' -e 's/,LOWER_UP//' -e 's/ state [A-Z]*//'", netns_fd) +
         IpCommand("-4 -o addr", netns_fd) + IpCommand("route", netns_fd);
}

// A container: a namespace held open by this object alone.
class TestSandbox {
 public:
  explicit TestSandbox(const std::string& link_id) : ns_(MakeNetNs()) {
    sandbox_.ident = absl::StrCat("test-", link_id);
    sandbox_.netns_path = absl::StrCat("/proc/", ::getpid(), "/fd/", ns_->fd());
    sandbox_.netns_inode = ns_->inode();
    sandbox_.display = absl::StrCat("sandbox ", link_id);
    sandbox_.link_id = link_id;
    IpCommand("link set lo up", fd());
  }

  const Sandbox& sandbox() const { return sandbox_; }
  const NetNs& ns() const { return *ns_; }
  int fd() const { return ns_->fd(); }
  Netlink Open() const { return Netlink::OpenIn(*ns_).value(); }
  void End() { ns_.reset(); }

  EndpointSpec Spec(const std::vector<std::string>& addresses) const {
    EndpointSpec spec;
    spec.sandbox = sandbox_;
    for (const std::string& address : addresses) spec.addresses.push_back(C(address));
    return spec;
  }

  DetachSpec Detach(const std::vector<std::string>& addresses) const {
    DetachSpec spec;
    spec.netns_path = sandbox_.netns_path;
    spec.netns_inode = sandbox_.netns_inode;
    for (const std::string& address : addresses) spec.addresses.push_back(C(address));
    return spec;
  }

  SandboxInspection Inspect() const {
    return InspectSandbox(sandbox_.netns_path, sandbox_.netns_inode, kContainerInterface, "/proc").value();
  }

  bool CanReach(const std::string& address) const {
    return Eventually([&] { return TryIn(fd(), {"ping", "-n", "-q", "-c", "1", "-W", "1", address}).succeeded(); });
  }

  std::string Picture() const { return NetworkPicture(fd()); }

 private:
  std::optional<NetNs> ns_;
  Sandbox sandbox_;
};

// While it lives, the test thread is in a fresh network namespace: the host.
class HostWorld {
 public:
  // Says so when the test cannot run here.
  static bool Possible() {
    if (::geteuid() == 0) return true;
    WARN("skipped: needs root to make namespaces");
    return false;
  }

  HostWorld() : home_(NetNs::Current().value()) {
    WEAVE_CHECK(::unshare(CLONE_NEWNET) == 0);
    netlink_ = Netlink::Open().value();
    IpCommand("link set lo up");
  }
  ~HostWorld() { WEAVE_CHECK(::setns(home_.fd(), CLONE_NEWNET) == 0); }

  Netlink& netlink() { return *netlink_; }

  BridgeState MakeBridge(std::uint32_t mtu_bytes = 0) {
    BridgeSpec spec;
    spec.mac = Mac("8e:01:02:03:04:05");
    spec.mtu_bytes = mtu_bytes;
    absl::StatusOr<BridgeState> state = EnsureBridge(*netlink_, spec);
    INFO(state.status());
    REQUIRE(state.ok());
    return *state;
  }

  Endpoint Attach(const EndpointSpec& spec) {
    absl::StatusOr<Endpoint> endpoint = AttachSandbox(*netlink_, spec);
    INFO(endpoint.status());
    REQUIRE(endpoint.ok());
    return *endpoint;
  }

  std::optional<LinkInfo> Link(absl::string_view name) { return netlink_->FindLink(name).value(); }

  std::string Picture() const { return NetworkPicture(); }

 private:
  NetNs home_;
  std::optional<Netlink> netlink_;
};

// A process in a network namespace of its own that does nothing, as a container's first process.
class IdleProcess {
 public:
  IdleProcess() {
    int ready[2];
    WEAVE_CHECK(::pipe2(ready, O_CLOEXEC) == 0);
    pid_ = ::fork();
    WEAVE_CHECK(pid_ >= 0);
    if (pid_ == 0) {
      const bool ok = ::unshare(CLONE_NEWNET) == 0 && ::write(ready[1], "r", 1) == 1;
      while (ok) ::pause();
      ::_exit(1);
    }
    ::close(ready[1]);
    char byte = 0;
    WEAVE_CHECK(::read(ready[0], &byte, 1) == 1);
    ::close(ready[0]);
  }
  ~IdleProcess() { End(); }

  void End() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

}  // namespace weave
