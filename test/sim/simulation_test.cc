// Short stories on the simulator, the corpus of seeds, determinism, and mutants that the checkers must catch.
#include "sim/simulation.h"

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "test/support/catch.h"

namespace weave::sim {
namespace {

Cidr Net(absl::string_view text) { return Cidr::Parse(text).value(); }

// One host where nothing happens by itself.
class Story : public Simulation {
 public:
  explicit Story(std::uint64_t seed, Options options = {}) : Simulation(WithSeed(seed, options)) { RunUntilQuiet(); }

  // The answer's code; kUnknown while there is none.
  absl::StatusCode Ask(ApiRequest request) {
    absl::StatusCode code = absl::StatusCode::kUnknown;
    host().Submit(std::move(request), [&code](const Reply& reply) { code = reply.status.code(); });
    RunUntilQuiet();
    return code;
  }

  bool Has(const SandboxRef& sandbox, absl::string_view address) {
    const auto entry = host().model().sandboxes().find(sandbox.netns_inode);
    if (entry == host().model().sandboxes().end() || !entry->second.interface.has_value()) return false;
    for (const Cidr& there : entry->second.interface->addresses)
      if (there == Net(address)) return true;
    return false;
  }

  void CheckRest() {
    CheckAtRest(RunUntilQuiet());
    INFO(trace().violation().value_or(""));
    CHECK_FALSE(trace().violation().has_value());
  }

 private:
  static Options WithSeed(std::uint64_t seed, Options options) {
    options.seed = seed;
    return options;
  }
};

constexpr auto kOk = absl::StatusCode::kOk;

TEST_CASE("An attached container keeps its address over a crash", "[sim]") {
  Story s(1);
  const SandboxRef web = s.host().model().Start("web");
  CHECK(s.Ask(AttachRequest{web, {Net("10.32.0.1/24")}, true}) == kOk);
  s.host().Crash();
  CHECK(s.Has(web, "10.32.0.1/24"));
  s.host().Start();
  s.RunUntilQuiet();
  const SandboxRef db = s.host().model().Start("db");
  CHECK(s.Ask(AttachRequest{db, {Net("10.32.0.1/24")}, true}) == absl::StatusCode::kAlreadyExists);
  s.CheckRest();
}

TEST_CASE("A reboot forgets containers and keeps exposures", "[sim]") {
  Story s(2);
  const SandboxRef web = s.host().model().Start("web");
  CHECK(s.Ask(AttachRequest{web, {Net("10.32.0.1/24")}, true}) == kOk);
  CHECK(s.Ask(ExposeRequest{{Net("10.32.0.2/24")}, true}) == kOk);
  s.host().Reboot();
  s.host().Start();
  s.RunUntilQuiet();
  CHECK(s.host().core().Snapshot().endpoints.empty());
  CHECK(s.host().model().bridge()->addresses == std::vector<Cidr>{Net("10.32.0.2/24")});
  s.CheckRest();
}

TEST_CASE("A container that dies gives its address back", "[sim]") {
  Story s(3);
  const SandboxRef web = s.host().model().Start("web");
  CHECK(s.Ask(AttachRequest{web, {Net("10.32.0.1/24")}, true}) == kOk);
  s.host().model().Kill(web.netns_inode);
  s.RunUntilQuiet();
  const SandboxRef db = s.host().model().Start("db");
  CHECK(db.netns_inode == web.netns_inode);
  CHECK(s.Ask(AttachRequest{db, {Net("10.32.0.1/24")}, true}) == kOk);
  s.CheckRest();
}

TEST_CASE("A full disk refuses, and takes again when it has room", "[sim]") {
  Story s(4);
  const SandboxRef web = s.host().model().Start("web");
  s.host().disk().SetFull(true);
  CHECK(s.Ask(AttachRequest{web, {Net("10.32.0.1/24")}, true}) == absl::StatusCode::kResourceExhausted);
  CHECK_FALSE(s.Has(web, "10.32.0.1/24"));
  s.host().disk().SetFull(false);
  CHECK(s.Ask(AttachRequest{web, {Net("10.32.0.1/24")}, true}) == kOk);
  s.CheckRest();
}

TEST_CASE("A deleted bridge comes back with its addresses and ports", "[sim]") {
  Story s(5);
  const SandboxRef web = s.host().model().Start("web");
  CHECK(s.Ask(AttachRequest{web, {Net("10.32.0.1/24")}, true}) == kOk);
  CHECK(s.Ask(ExposeRequest{{Net("10.32.0.2/24")}, true}) == kOk);
  s.host().model().DeleteBridge();
  s.CheckRest();
}

TEST_CASE("Two holders of an address are noticed", "[sim]") {
  Story s(6);
  const SandboxRef web = s.host().model().Start("web");
  CHECK(s.Ask(AttachRequest{web, {Net("10.32.0.1/24")}, true}) == kOk);
  s.host().model().ForceBridgeAddress(Net("10.32.0.1/16"));
  REQUIRE(s.trace().violation().has_value());
  CHECK(s.trace().violation()->find("10.32.0.1/16 is on the bridge and on container") != std::string::npos);
}

TEST_CASE("An address that somebody puts on the bridge by hand is exposed by the next start", "[sim]") {
  Story s(7);
  s.host().model().ForceBridgeAddress(Net("10.32.0.9/24"));
  s.host().Crash();
  s.host().Start();
  s.RunUntilQuiet();
  CHECK(s.host().core().Snapshot().exposures.size() == 1);
  s.CheckRest();
}

Options WithRange(std::uint32_t peers) {
  Options options;
  options.peers = peers;
  options.ipam = IpamOptions{Net("10.32.0.0/24")};
  if (peers > 1) options.link_permille = 1000;
  return options;
}

TEST_CASE("An address that was given out survives a crash, and nobody else gets it", "[sim][ipam]") {
  Story s(11, WithRange(1));
  const SandboxRef web = s.host().model().Start("web");
  const SandboxRef db = s.host().model().Start("db");
  CHECK(s.Ask(AttachRequest{web, {AnyAddress{}}, true}) == kOk);
  s.host().Crash();
  s.host().Start();
  s.RunUntilQuiet();
  CHECK(s.Ask(AttachRequest{db, {AnyAddress{}}, true}) == kOk);
  CHECK(s.Has(web, "10.32.0.1/24"));
  CHECK(s.Has(db, "10.32.0.2/24"));
  s.CheckRest();
}

TEST_CASE("Hosts of one network give out different addresses", "[sim][ipam]") {
  Story s(12, WithRange(3));
  std::size_t answered = 0;
  for (HostId host = 0; host < 3; ++host) {
    const SandboxRef web = s.host(host).model().Start("web");
    s.host(host).Submit(AttachRequest{web, {AnyAddress{}}, true},
                        [&answered](const Reply& reply) { answered += reply.status.ok() ? 1 : 0; });
  }
  CHECK(s.RunUntilAnswered(absl::Minutes(5)));
  CHECK(answered == 3);
  s.CheckRest();
}

TEST_CASE("What the paths carry is known to a peer that starts again alone", "[sim][fastdp]") {
  Options options;
  options.peers = 2;
  options.link_permille = 1000;
  options.host.fast_path = FastPathOptions();
  options.host.fast_path->search_mtu = true;
  Story s(13, options);
  const auto interface_mtu = [&s] {
    return std::get<IdentityRecord>(s.host().core().Records().at(IdentityKey())).interface_mtu;
  };
  s.RunFor(absl::Minutes(1));
  CHECK(interface_mtu() == TunnelMtu(1500, /*sealed=*/false));
  s.host(1).Crash();
  s.host().Reboot();
  s.host().Start();
  CHECK(interface_mtu() == TunnelMtu(1500, /*sealed=*/false));
  CHECK_FALSE(s.trace().violation().has_value());
}

// ---- seeds ----

std::optional<std::string> RunSeed(absl::string_view profile, std::uint64_t seed, std::uint32_t peers) {
  Options options = DrawOptions(profile, seed).value();
  if (peers != 0) options.peers = peers;
  return Simulation(options).Run().violation;
}

// Lines of `profile seed peers`, `#` and the reason behind. No peers: as many as the profile draws.
TEST_CASE("Seeds that failed once pass", "[sim]") {
  std::ifstream file(WEAVE_SOURCE_DIR "/test/sim/seeds.txt");
  REQUIRE(file.is_open());
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string profile;
    std::uint64_t seed = 0;
    std::uint32_t peers = 0;
    if (!(words >> profile >> seed >> peers)) continue;
    ++count;
    CAPTURE(line);
    CHECK(RunSeed(profile, seed, peers).value_or("none") == "none");
  }
  CHECK(count > 5);
}

TEST_CASE("Two runs of one seed are the same event by event", "[sim]") {
  for (const std::string& profile : ProfileNames()) {
    CAPTURE(profile);
    Options options = DrawOptions(profile, 42).value();
    options.peers = 3;
    const Outcome first = Simulation(options).Run();
    const Outcome second = Simulation(options).Run();
    CHECK(first.trace_hash == second.trace_hash);
    CHECK(first.steps == second.steps);
    CHECK(first.requests > 10);
    options.seed = 43;
    CHECK(Simulation(options).Run().trace_hash != first.trace_hash);
  }
}

TEST_CASE("Networks that failed in every way agree when they are healed, for any seed", "[sim]") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    CHECK(RunSeed("mesh", seed, 0).value_or("none") == "none");
  }
}

TEST_CASE("Every peer answers for exactly the names there are, for any seed, and a lost peer's go and come back",
          "[sim]") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(seed);
    CHECK(RunSeed("names", seed, 0).value_or("none") == "none");
  }
}

TEST_CASE("An unknown profile names those there are", "[sim]") {
  CHECK(DrawOptions("stormy", 1).status().message() ==
        "unknown profile \"stormy\": want one of calm, faults, crashes, disk, swarm, mesh, names, ring, frames");
}

// ---- mutants: a checker that cannot fail proves nothing ----

using Mutate = void (*)(SimHostOptions&);

// What the first of the seeds that notices says.
std::string Caught(absl::string_view profile, Mutate mutate, std::uint64_t seeds = 40) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Options options = DrawOptions(profile, seed).value();
    mutate(options.host);
    if (auto violation = Simulation(options).Run().violation) return *violation;
  }
  return "";
}

TEST_CASE("A gate that does not wait for the disk is caught", "[sim][mutant]") {
  CHECK(Caught("crashes", [](SimHostOptions& o) { o.perform_before_durable = true; }) != "");
}

TEST_CASE("A driver that does not tell of failed writes is caught", "[sim][mutant]") {
  CHECK(Caught("disk", [](SimHostOptions& o) { o.forget_persist_failure = true; }) != "");
}

TEST_CASE("A host that does not undo a failed attach is caught", "[sim][mutant]") {
  CHECK(Caught("faults", [](SimHostOptions& o) { o.model.forget_undo = true; }) != "");
}

TEST_CASE("A host that says too early that an address is off is caught with two holders", "[sim][mutant]") {
  CHECK(Caught("calm", [](SimHostOptions& o) { o.model.detach_lies = true; }) != "");
}

TEST_CASE("Lost notices are caught", "[sim][mutant]") {
  CHECK(Caught("faults", [](SimHostOptions& o) { o.model.lose_notices = true; }) != "");
}

TEST_CASE("A start that does not see what is attached is caught", "[sim][mutant]") {
  CHECK(Caught("crashes", [](SimHostOptions& o) { o.model.inventory_blind = true; }) != "");
}

TEST_CASE("An answer given twice is caught", "[sim][mutant]") {
  CHECK(Caught("calm", [](SimHostOptions& o) { o.answer_twice = true; }) != "");
}

TEST_CASE("A disk that only says it has written is caught", "[sim][mutant]") {
  CHECK(Caught("crashes", [](SimHostOptions& o) { o.disk.lie_about_sync = true; }) != "");
}

TEST_CASE("Peers that forget too early what was deleted are caught", "[sim][mutant]") {
  CHECK(absl::StrContains(Caught("names", [](SimHostOptions& o) { o.tombstone_life = absl::Seconds(1); }),
                          "answers again for"));
}

TEST_CASE("A peer whose timer never rings is caught", "[sim][mutant]") {
  CHECK(Caught("mesh", [](SimHostOptions& o) { o.deaf_to_network_timer = true; }) != "");
}

TEST_CASE("A transport that does not say when it has room again is caught", "[sim][mutant]") {
  CHECK(Caught("mesh", [](SimHostOptions& o) { o.forget_writable = true; }) != "");
}

TEST_CASE("A peer that forgets whom to dial when it crashes is caught", "[sim][mutant]") {
  CHECK(Caught("mesh", [](SimHostOptions& o) { o.forget_targets = true; }) != "");
}

}  // namespace
}  // namespace weave::sim
