#include "host/link_remover.h"

#include <string>
#include <vector>

#include "host/link_monitor.h"
#include "test/host/host_world.h"

namespace weave {
namespace {

// A remover on a loop that the test turns by hand; it hears what the kernel tells when it is `told`.
class Removals {
 public:
  explicit Removals(bool told = false) {
    if (!told) return;
    LinkMonitorCallbacks callbacks;
    callbacks.on_host_end_gone = [this](const std::string&, int link_index) { remover_.OnGone(link_index); };
    monitor_ = LinkMonitor::Start(loop_, {}, std::move(callbacks)).value();
  }

  void Ask(int link_index, const std::string& name) {
    remover_.Remove(link_index, name, [this](const absl::Status& status) {
      answers_.push_back(status);
      loop_.Stop();
    });
  }

  void OnGone(int link_index) { remover_.OnGone(link_index); }

  // Turns the loop until there are so many; false when they do not come in a time no working system needs.
  bool Await(std::size_t answer_count) {
    auto timeout = loop_.MakeTimer([this] { loop_.Stop(); });
    timeout->Arm(MonotonicNow() + absl::Seconds(20));
    while (answers_.size() < answer_count && timeout->armed()) loop_.Run();
    return answers_.size() == answer_count;
  }

  const std::vector<absl::Status>& answers() const { return answers_; }

 private:
  EventLoop loop_;
  std::vector<absl::Status> answers_;
  LinkRemover remover_{loop_};
  std::unique_ptr<LinkMonitor> monitor_;
};

TEST_CASE("A container's interface that was removed is nowhere when the answer comes, and its name is free",
          "[host][remove]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  Removals removals(GENERATE(true, false));
  TestSandbox a("1");
  for (std::size_t round = 1; round <= 10; ++round) {
    const Endpoint endpoint = host.Attach(a.Spec({"10.2.1.1/24"}));
    removals.Ask(endpoint.host_index, endpoint.host_ifname);
    REQUIRE(removals.Await(round));
    CHECK(removals.answers().back().ok());
    CHECK_FALSE(host.Link(endpoint.host_ifname).has_value());
    CHECK(a.Inspect().state == SandboxState::kNoInterface);
  }
}

TEST_CASE("Who asks is answered when the kernel tells that the link is gone, and only once", "[host][remove]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  Removals removals;
  TestSandbox a("1"), b("2");
  const Endpoint first = host.Attach(a.Spec({"10.2.1.1/24"}));
  const Endpoint second = host.Attach(b.Spec({"10.2.1.2/24"}));
  removals.Ask(first.host_index, first.host_ifname);
  removals.Ask(first.host_index, first.host_ifname);
  removals.Ask(second.host_index, second.host_ifname);
  removals.OnGone(first.host_index);
  CHECK(removals.answers().size() == 2);
  CHECK(removals.Await(3));  // the second
  removals.OnGone(first.host_index);
  removals.OnGone(second.host_index);
  CHECK(removals.answers().size() == 3);
}

TEST_CASE("What is no container's interface, or another by now, is left alone", "[host][remove]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const BridgeState bridge = host.MakeBridge();
  IpCommand("link add other type veth peer name another");
  TestSandbox a("1");
  const Endpoint endpoint = host.Attach(a.Spec({"10.2.1.1/24"}));
  const std::string before = host.Picture();
  Removals removals;
  removals.Ask(bridge.index, "weave");
  removals.Ask(host.Link("other")->index, "other");
  removals.Ask(endpoint.host_index, "vethwepl2");
  removals.Ask(endpoint.host_index + 1000, endpoint.host_ifname);
  removals.Ask(0, "");
  REQUIRE(removals.Await(5));
  for (const absl::Status& answer : removals.answers()) CHECK(absl::IsNotFound(answer));
  CHECK(host.Picture() == before);
}

}  // namespace
}  // namespace weave
