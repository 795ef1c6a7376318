// The order of steps, with a kernel and a packet filter that only keep a journal. The real ones: test/kernel/fastdp.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "fastdp/os/ipsec_keeper.h"
#include "io/mutex.h"
#include "test/support/catch.h"

namespace weave {
namespace {

const IpAddress kHere = IpAddress::V4(0x0a4d0001);
const IpAddress kThere = IpAddress::V4(0x0a4d0002);
constexpr std::uint16_t kPort = 7002;  // of the other end's VXLAN
constexpr Duration kForEver = absl::Hours(1);
constexpr Duration kShortly = absl::Milliseconds(1);

// What happened, in order, in kernel, packet filter and overlay.
class Journal {
 public:
  void Add(std::string line) {
    MutexLock lock(&mutex_);
    lines_.push_back(std::move(line));
  }
  std::string Take() {
    MutexLock lock(&mutex_);
    return absl::StrJoin(std::exchange(lines_, {}), "; ");
  }
  bool Has(absl::string_view line) {
    MutexLock lock(&mutex_);
    return std::find(lines_.begin(), lines_.end(), line) != lines_.end();
  }

 private:
  Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

// Indexes are 256, 257, ..
class FakeEsp final : public Esp {
 public:
  FakeEsp(Journal& journal, absl::Status failure) : journal_(journal), failure_(std::move(failure)) {}

  absl::StatusOr<Spi> AddInbound(const IpAddress&, const IpAddress&, const EspKey&) override {
    if (!failure_.ok()) return failure_;
    journal_.Add(absl::StrCat("in ", ++last_));
    return last_;
  }
  absl::Status AddOutbound(const EspAssociation& association, std::uint16_t port, const EspKey&) override {
    journal_.Add(absl::StrCat("out ", association.spi));
    CHECK(port == kPort);
    return failure_;
  }
  absl::Status PointPolicies(const EspAssociation& association, std::uint16_t port) override {
    journal_.Add(absl::StrCat("policies to ", association.spi));
    CHECK(port == kPort);
    return {};
  }
  absl::Status RemoveOutbound(const EspAssociation& association) override {
    journal_.Add(absl::StrCat("no out ", association.spi));
    return {};
  }
  absl::Status RemoveAssociation(const EspAssociation& association) override {
    journal_.Add(absl::StrCat("no in ", association.spi));
    return {};
  }

 private:
  Journal& journal_;
  const absl::Status failure_;
  Spi last_ = 255;
};

class KeeperWorld {
 public:
  struct Options {
    Duration linger = kForEver;
    IpsecLeftovers leftovers = {};
    absl::Status esp = {};     // of its calls
    absl::Status filter = {};  // of its answers
    bool hold_filter = false;  // it answers when the test says so
  };

  KeeperWorld() : KeeperWorld(Options()) {}
  explicit KeeperWorld(Options options) : options_(std::move(options)) {
    keeper_.emplace(
        loop_, std::make_unique<FakeEsp>(journal_, options_.esp), options_.leftovers,
        [this](std::vector<IpsecPath> paths, absl::AnyInvocable<void(absl::Status)> done) {
          journal_.Add(absl::StrCat("rules [", absl::StrJoin(paths, " ", AppendSpi), "]"));
          if (!options_.hold_filter) return done(options_.filter);
          held_.push_back(std::move(done));
        },
        [this](const IpsecNotice& notice) { std::visit([this](const auto& one) { Hear(one); }, notice); }, log_,
        options_.linger);
  }

  void Inbound(ConnectionId connection) {
    keeper_->Perform({SetUpInbound{connection, kHere, kThere, 6784, kPort, {}}});
  }
  void Outbound(ConnectionId connection, Spi spi) {
    keeper_->Perform({SetUpOutbound{connection, kHere, kThere, kPort, spi, {}}});
  }
  void Clear(ConnectionId connection) { keeper_->Perform({PassInClear{connection, kHere, kThere}}); }
  void TearDown(ConnectionId connection) { keeper_->Perform({TearDownIpsec{connection}}); }
  void HoldFilter() { options_.hold_filter = true; }
  void ReleaseFilter() {
    options_.hold_filter = false;
    for (auto& done : std::exchange(held_, {})) done({});
  }

  void AwaitThat(absl::FunctionRef<bool()> condition) {
    const MonotonicTime limit = MonotonicNow() + absl::Seconds(20);
    bool held = false;
    std::unique_ptr<Timer> timer;
    timer = loop_.MakeTimer([&] {
      held = condition();
      if (held || loop_.now().monotonic > limit) return loop_.Stop();
      timer->Arm(loop_.now().monotonic + absl::Milliseconds(1));
    });
    timer->Arm(MonotonicNow());
    loop_.Run();
    if (!held) FAIL(journal_.Take());
  }
  // Lets everything happen up to this answer; what did.
  std::string Until(absl::string_view line) {
    AwaitThat([&] { return journal_.Has(line); });
    return journal_.Take();
  }
  // A connection over ESP, as far as our side goes.
  void Connect(ConnectionId connection, Spi spi) {
    Inbound(connection);
    Outbound(connection, spi);
    Until(absl::StrCat("told ", connection, " out OK"));
  }

  IpsecKeeper& keeper() { return *keeper_; }

 private:
  static void AppendSpi(std::string* out, const IpsecPath& path) { absl::StrAppend(out, path.spi); }
  static std::string Word(const absl::Status& status) { return status.ok() ? "OK" : std::string(status.message()); }

  void Hear(const InboundReady& ready) {
    journal_.Add(absl::StrCat("told ", ready.connection, " in ",
                              ready.status.ok() ? absl::StrCat(ready.spi) : Word(ready.status)));
  }
  void Hear(const OutboundReady& ready) {
    journal_.Add(absl::StrCat("told ", ready.connection, " out ", Word(ready.status)));
  }
  void Hear(const ClearReady& ready) {
    journal_.Add(absl::StrCat("told ", ready.connection, " clear ", Word(ready.status)));
  }

  Options options_;
  Journal journal_;
  EventLoop loop_;
  NullLogger log_;
  std::vector<absl::AnyInvocable<void(absl::Status)>> held_;
  std::optional<IpsecKeeper> keeper_;
};

TEST_CASE("The offer goes out behind association and rules, heartbeats behind both directions", "[fastdp]") {
  KeeperWorld world;
  world.Inbound(1);
  CHECK(world.Until("told 1 in 256") == "in 256; rules [256]; told 1 in 256");
  world.Outbound(1, 1000);
  CHECK(world.Until("told 1 out OK") == "out 1000; told 1 out OK");
}

TEST_CASE("An offer that comes early waits for our rules: nothing is sent that they would not mark", "[fastdp]") {
  KeeperWorld world({.hold_filter = true});
  world.Outbound(1, 1000);
  world.Inbound(1);
  CHECK(world.Until("rules [256]") == "out 1000; in 256; rules [256]");
  world.ReleaseFilter();
  CHECK(world.Until("told 1 out OK") == "told 1 in 256; told 1 out OK");
}

TEST_CASE("A path outlives its connection for a while, and its rules go last", "[fastdp]") {
  KeeperWorld patient;
  patient.Connect(1, 1000);
  patient.TearDown(1);
  CHECK(patient.keeper().live_count() == 0);
  CHECK(patient.keeper().resting_count() == 1);
  patient.Inbound(2);
  CHECK(patient.Until("told 2 in 257") == "in 257; rules [256 257]; told 2 in 257");

  KeeperWorld world({.linger = kShortly});
  world.Connect(1, 1000);
  world.TearDown(1);
  CHECK(world.Until("rules []") == "no out 1000; no in 256; rules []");
  world.AwaitThat([&] { return world.keeper().resting_count() == 0; });
}

TEST_CASE("A rest does not end while a successor is being set up, however long that takes", "[fastdp]") {
  KeeperWorld world({.linger = kShortly});
  world.Connect(1, 1000);
  world.HoldFilter();
  world.Inbound(2);
  world.TearDown(1);
  world.Until("rules [256 257]");
  absl::SleepFor(20 * kShortly);
  world.Outbound(2, 2000);
  CHECK(world.Until("out 2000") == "out 2000");
  world.ReleaseFilter();
  CHECK(world.Until("rules [257]") == "told 2 in 257; told 2 out OK; no out 1000; no in 256; rules [257]");
}

TEST_CASE("What a torn-down connection still gets from the kernel is not told, and goes", "[fastdp]") {
  KeeperWorld world({.linger = kShortly});
  world.Inbound(1);
  world.Outbound(1, 1000);
  world.TearDown(1);
  CHECK(world.Until("no out 1000") == "in 256; out 1000; no in 256; no out 1000");
}

TEST_CASE("A start goes on with what carries traffic and removes what nothing leads to", "[fastdp]") {
  KeeperWorld::Options options;
  options.leftovers.in_use = {{kHere, kThere, 6784, 6784, Spi{300}, std::nullopt},
                              {kHere, kThere, 6784, 6784, std::nullopt, Spi{2000}}};
  options.leftovers.unused = {{kThere, kHere, 301}};
  KeeperWorld world(options);
  CHECK(world.Until("no in 301") == "rules [300]; no in 301");
  world.Connect(1, 1000);
  CHECK(world.keeper().resting_count() == 2);

  options.linger = kShortly;
  KeeperWorld later(options);
  later.AwaitThat([&] { return later.keeper().resting_count() == 0; });
  CHECK(later.Until("rules []").find("no out 2000; no in 300; rules []") != std::string::npos);
}

TEST_CASE("An index that the other end uses again belongs to the newer connection", "[fastdp]") {
  KeeperWorld world({.linger = kShortly, .leftovers = {{{kHere, kThere, 1, 1, Spi{300}, Spi{1000}}}, {}}});
  world.Connect(1, 1000);
  world.AwaitThat([&] { return world.keeper().resting_count() == 0; });
  CHECK(world.keeper().live_count() == 1);
  world.Inbound(2);
  CHECK(world.Until("told 2 in 257").find("no out 1000") == std::string::npos);
}

TEST_CASE("When the newer of two connections ends, the policy points to the older again", "[fastdp]") {
  KeeperWorld world;
  world.Connect(1, 1000);
  world.Connect(2, 2000);
  world.TearDown(2);
  CHECK(world.Until("policies to 1000") == "policies to 1000");
  world.TearDown(1);
  CHECK(world.keeper().resting_count() == 2);
}

TEST_CASE("Why a path cannot be had is told in both directions, and nothing of it stays", "[fastdp]") {
  KeeperWorld no_kernel({.esp = absl::FailedPreconditionError("no ESP")});
  no_kernel.Inbound(1);
  CHECK(no_kernel.Until("told 1 in no ESP") == "told 1 in no ESP");
  no_kernel.Outbound(1, 1000);
  CHECK(no_kernel.Until("told 1 out no ESP") == "out 1000; told 1 out no ESP");

  KeeperWorld no_filter({.filter = absl::UnavailableError("no filter")});
  no_filter.Inbound(1);
  std::string said = no_filter.Until("told 1 in no filter");
  CHECK_THAT(said, Catch::StartsWith("in 256; rules [256]; ") && Catch::Contains("rules []"));
  no_filter.Outbound(1, 1000);
  said += no_filter.Until("told 1 out no filter");
  CHECK_THAT(said, Catch::Contains("no in 256"));
}

TEST_CASE("A connection in clear waits until nothing refuses it", "[fastdp]") {
  KeeperWorld world;
  world.Clear(1);
  CHECK(world.Until("told 1 clear OK") == "told 1 clear OK");
  world.TearDown(1);

  world.Connect(2, 1000);
  world.Clear(3);  // the other end came back without encryption before we saw the old connection end
  world.TearDown(2);
  CHECK(world.Until("told 3 clear OK") == "no out 1000; no in 256; rules []; told 3 clear OK");
}

TEST_CASE("Leftovers are told apart by rules and policies", "[fastdp]") {
  const IpAddress other = IpAddress::V4(0x0a4d0003);
  EspState state;
  state.associations = {{kThere, kHere, 300}, {kHere, kThere, 1000}, {kHere, kThere, 999}, {kThere, kHere, 301},
                        {other, kHere, 302},  {other, kHere, 303},   {kHere, kThere, 1001}};
  // One of the pair's had been changed.
  state.policies = {{{kHere, kThere, 1000}}, {{kHere, kThere, 1001}, 7001}};
  const std::vector<IpsecPath> rules = {{kHere, kThere, 300, 6784, 7001}, {kHere, other, 302, 6784, 0}};
  const IpsecLeftovers leftovers = SortLeftovers(state, rules, 6784);
  CHECK(leftovers.unused == std::vector<EspAssociation>{{kHere, kThere, 999}, {other, kHere, 303}});
  CHECK(leftovers.in_use == std::vector<IpsecLeftover>{{kHere, kThere, 6784, 7001, 300, std::nullopt},
                                                       {kHere, kThere, 6784, 7001, 301, std::nullopt},
                                                       {kHere, other, 6784, 6784, 302, std::nullopt},
                                                       {kHere, kThere, 6784, 7001, std::nullopt, 1000},
                                                       {kHere, kThere, 6784, 7001, std::nullopt, 1001}});
  CHECK(SortLeftovers({}, {}, 6784).in_use.empty());
}

}  // namespace
}  // namespace weave
