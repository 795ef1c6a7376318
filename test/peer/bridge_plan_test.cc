#include "peer/bridge_plan.h"

#include "absl/strings/match.h"
#include "test/support/catch.h"

namespace weave {
namespace {

WeaverOptions Default() { return {}; }
WeaverOptions NoFastdp() {
  WeaverOptions options;
  options.no_fastdp = true;
  return options;
}
WeaverOptions NoBridgedFastdp() {
  WeaverOptions options;
  options.no_bridged_fastdp = true;
  return options;
}

constexpr char kLacks[] = "this kernel has no Open vSwitch";

// "kind", "kind (reason)" or the refusal.
std::string Choice(const WeaverOptions& options, BridgeKind existing, bool supported = true) {
  const absl::StatusOr<BridgePlan> plan = ChooseBridge(options, existing, [&]() -> absl::Status {
    return supported ? absl::OkStatus() : absl::FailedPreconditionError(kLacks);
  });
  if (!plan.ok()) {
    CHECK(absl::IsFailedPrecondition(plan.status()));
    return std::string(plan.status().message());
  }
  CHECK(plan->created == (existing == BridgeKind::kNone));
  CHECK(plan->datapath.empty() == (plan->kind == BridgeKind::kBridge));
  const std::string reason = plan->fallback_reason.empty() ? "" : absl::StrCat(" (", plan->fallback_reason, ")");
  return absl::StrCat(ToString(plan->kind), reason);
}

TEST_CASE("An untouched host gets the type that is asked for", "[peer][bridge]") {
  CHECK(Choice(Default(), BridgeKind::kNone) == "bridged_fastdp");
  CHECK(Choice(NoFastdp(), BridgeKind::kNone) == "bridge");
  CHECK(Choice(NoBridgedFastdp(), BridgeKind::kNone) == "fastdp");
}

TEST_CASE("Without Open vSwitch the plain bridge takes over and says why, at every start", "[peer][bridge]") {
  for (const BridgeKind existing : {BridgeKind::kNone, BridgeKind::kBridge}) {
    CHECK(Choice(Default(), existing, false) == absl::StrCat("bridge (", kLacks, ")"));
    CHECK(Choice(NoBridgedFastdp(), existing, false) == absl::StrCat("bridge (", kLacks, ")"));
    CHECK(Choice(NoFastdp(), existing, false) == "bridge");
  }
}

TEST_CASE("What the host has wins over a default, not over a flag", "[peer][bridge]") {
  CHECK(Choice(Default(), BridgeKind::kBridge) ==
        "bridge (this host has a bridge of type bridge, which 'weave reset' removes)");
  CHECK(Choice(Default(), BridgeKind::kFastdp) ==
        "fastdp (this host has a bridge of type fastdp, which 'weave reset' removes)");
  CHECK(Choice(Default(), BridgeKind::kBridgedFastdp) == "bridged_fastdp");
  CHECK(Choice(NoFastdp(), BridgeKind::kBridgedFastdp) ==
        "Existing bridge type \"bridged_fastdp\" is different than requested \"bridge\". Please do 'weave reset' and "
        "try again");
  CHECK(
      Choice(NoFastdp(), BridgeKind::kFastdp) ==
      "Existing bridge type \"fastdp\" is different than requested \"bridge\". Please do 'weave reset' and try again");
  CHECK(Choice(NoBridgedFastdp(), BridgeKind::kBridgedFastdp) ==
        "Existing bridge type \"bridged_fastdp\" is different than requested \"fastdp\". Please do 'weave reset' and "
        "try again");
  CHECK(
      Choice(NoBridgedFastdp(), BridgeKind::kBridge) ==
      "Existing bridge type \"bridge\" is different than requested \"fastdp\". Please do 'weave reset' and try again");
}

TEST_CASE("A datapath that may still forward is not taken down for want of support", "[peer][bridge]") {
  CHECK(Choice(Default(), BridgeKind::kBridgedFastdp, false) ==
        absl::StrCat("Existing bridge type \"bridged_fastdp\" needs what this kernel lacks: ", kLacks,
                     ". Please do 'weave reset' and try again"));
  CHECK(
      absl::StartsWith(Choice(NoBridgedFastdp(), BridgeKind::kFastdp, false), "Existing bridge type \"fastdp\" needs"));
}

TEST_CASE("Whoever wants no fast data path does not have the kernel asked for it", "[peer][bridge]") {
  const auto never = []() -> absl::Status {
    FAIL("asked");
    return absl::OkStatus();
  };
  CHECK(ChooseBridge(NoFastdp(), BridgeKind::kNone, never).ok());
  CHECK(ChooseBridge(NoFastdp(), BridgeKind::kBridge, never).ok());
}

}  // namespace
}  // namespace weave
