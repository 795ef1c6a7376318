#include "host/netns.h"

#include "test/host/host_world.h"

namespace weave {
namespace {

TEST_CASE("Work runs inside a namespace and the thread comes back, also when the work fails", "[host][netns]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  const NetNs here = NetNs::Current().value();
  const NetNs there = MakeNetNs();
  CHECK_FALSE(here.SameAs(there));
  const absl::Status status = RunIn(there, [&]() -> absl::Status {
    CHECK(NetNs::Current()->SameAs(there));
    return absl::UnavailableError("no");
  });
  CHECK(status == absl::UnavailableError("no"));
  CHECK(NetNs::Current()->SameAs(here));
}

TEST_CASE("A netlink socket stays in the namespace it was opened in", "[host][netns]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  TestSandbox sandbox("1");
  Netlink inside = sandbox.Open();
  REQUIRE(inside.CreateBridge("inner", std::nullopt).ok());
  CHECK_FALSE(host.Link("inner").has_value());
  CHECK(inside.FindLink("inner").value().has_value());
  CHECK(absl::IsAlreadyExists(inside.CreateBridge("inner", std::nullopt)));
  const int index = inside.FindLink("inner").value()->index;
  CHECK(inside.DeleteLink(index).ok());
  CHECK(inside.DeleteLink(index).ok());
  CHECK(inside.RemoveAddress(1, C("10.9.9.9/24")).ok());
  CHECK(inside.RemoveRoute({C("10.9.9.0/24"), 1, true, {}}).ok());
}

TEST_CASE("What is no network namespace is told from what is not there", "[host][netns]") {
  CHECK(absl::IsNotFound(NetNs::Open("/proc/self/ns/absent").status()));
  CHECK(absl::IsInvalidArgument(NetNs::Open("/proc/self/ns/mnt").status()));
  CHECK(absl::IsInvalidArgument(NetNs::Open("/proc").status()));
  CHECK(absl::IsInvalidArgument(NetNs::Open("/proc/self/status").status()));
  const absl::Status status = NetNs::OfPid(2'000'000'000).status();
  CHECK(status == absl::NotFoundError("no process 2000000000"));
}

}  // namespace
}  // namespace weave
