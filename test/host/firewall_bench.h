// A FirewallKeeper with its loop and worker, for tests in a PacketFilterWorld.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "host/firewall_keeper.h"
#include "test/host/packet_filter_world.h"

namespace weave {

// Our chains and all rules, in order; not the order in which chains were made.
inline std::string FirewallState(FirewallBackend backend) {
  const std::string ipt = "iptables-" + std::string(ToString(backend));
  std::string command;
  for (const char* table : {"filter", "mangle", "nat"}) {
    const std::string list = absl::StrCat(ipt, " -t ", table, " -S | grep ");
    absl::StrAppend(&command, "echo ", table, "; ", list, "'^-N WEAVE' | sort; ", list, "'^-A'; ");
  }
  return PacketFilterWorld::Run(command + "true");
}

class FirewallBench {
 public:
  explicit FirewallBench(PacketFilter filter, FirewallKeeper::Options options = {})
      : workers_("pf-test", 1), keeper_(std::in_place, loop_, workers_, log_, std::move(filter), std::move(options)) {}

  // Turns the loop until `condition` holds; fails the test after a generous limit.
  void WaitFor(absl::FunctionRef<bool()> condition) {
    const MonotonicTime limit = MonotonicNow() + absl::Seconds(30);
    bool held = false;
    std::unique_ptr<Timer> timer;
    timer = loop_.MakeTimer([&] {
      held = condition();
      if (held || loop_.now().monotonic > limit) return loop_.Stop();
      timer->Arm(loop_.now().monotonic + absl::Milliseconds(20));
    });
    timer->Arm(MonotonicNow());
    loop_.Run();
    REQUIRE(held);
  }

  absl::Status SetRulesAndWait(const RuleSet& rules) {
    std::optional<absl::Status> status;
    keeper_->SetRules(rules, [&](absl::Status s) { status = s; });
    WaitFor([&] { return status.has_value(); });
    return *status;
  }

  absl::Status SetIpsecPathsAndWait(std::vector<IpsecPath> paths) {
    std::optional<absl::Status> status;
    keeper_->SetIpsecPaths(std::move(paths), [&](absl::Status s) { status = s; });
    WaitFor([&] { return status.has_value(); });
    return *status;
  }

  FirewallKeeper& keeper() { return *keeper_; }
  void DestroyKeeper() { keeper_.reset(); }

 private:
  EventLoop loop_;
  WorkerPool workers_;
  NullLogger log_;
  std::optional<FirewallKeeper> keeper_;
};

}  // namespace weave
