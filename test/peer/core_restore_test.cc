// A start: what is on record against what the host has.
#include "test/peer/core_transcript.h"
#include "test/support/catch.h"

namespace weave {
namespace {

const Record kIdentity = IdentityRecord{PeerName(1), "boot", ShortId{7}};
constexpr char kSync[] = "sync [] without [] ports vethwepl7\n";

TEST_CASE("An endpoint as it was left is taken over without a word", "[core]") {
  Transcript t;
  CHECK(t.Start({kIdentity, OnRecord(7, "10.0.0.1/24")}, {{}, {Alive(7, "10.0.0.1/24")}}) ==
        std::string("#1 ") + kSync);
  CHECK(t.Attach(100, Box(8), "10.0.0.1/24") == "reply 100 ALREADY_EXISTS []\n");
}

TEST_CASE("Tunnels call a peer as they did before it started again, unless it has another name", "[core]") {
  Transcript again;
  CHECK(again.Start({kIdentity}) == "#1 sync [] without [] ports \n");
  CHECK(again.core().mesh().topology().self_short_id() == 7);

  Transcript other;
  CHECK(other.Start({Record(IdentityRecord{PeerName(2), "boot", ShortId{7}})}) ==
        "record identity = 00:00:00:00:00:01\n#1 sync [] without [] ports \n");
  CHECK(other.core().mesh().topology().self_short_id() != 7);
  CHECK(std::get<IdentityRecord>(other.core().Records().at(IdentityKey())).short_id ==
        other.core().mesh().topology().self_short_id());
}

// What a start asks of the bridge, and what is on record then.
using Mtus = std::pair<std::optional<std::size_t>, std::optional<std::size_t>>;
Mtus StartWithDatapath(std::optional<std::size_t> remembered, bool search) {
  struct Entropy final : EntropySource {
    void Fill(absl::Span<std::uint8_t> bytes) override { std::fill(bytes.begin(), bytes.end(), 7); }
  } entropy;
  NullLogger logger;
  PeerConfig config;
  config.name = config.mesh.name = PeerName(1);
  config.fastdp = FastdpConfig{config.name, 6784, kDefaultTunnelMtu, search};
  PeerCore core(config, entropy, logger);
  PeerOutput out;
  core.OnStart({}, {IdentityRecord{PeerName(1), "", ShortId{7}, remembered}}, {}, out);
  return {out.network.interface_mtu, std::get<IdentityRecord>(core.Records().at(IdentityKey())).interface_mtu};
}

TEST_CASE(
    "Containers that come before the first neighbour get what the paths carried last, unless --mtu says otherwise",
    "[core]") {
  CHECK(StartWithDatapath(8950, /*search=*/true) == Mtus{8950, 8950});
  CHECK(StartWithDatapath(std::nullopt, /*search=*/true) == Mtus{std::nullopt, kDefaultTunnelMtu});
  CHECK(StartWithDatapath(8950, /*search=*/false) == Mtus{std::nullopt, 8950});
}

TEST_CASE("A container that went meanwhile is forgotten", "[core]") {
  Transcript t;
  CHECK(t.Start({kIdentity, OnRecord(7, "10.0.0.1/24")}) == "tidy endpoint/7 = -\n#1 sync [] without [] ports \n");
}

TEST_CASE("A namespace of another boot is forgotten, whatever lives under its number now", "[core]") {
  Transcript t;
  CHECK(t.Start({kIdentity, OnRecord(7, "10.0.0.1/24", "former")}, {{}, {Alive(7, "10.0.0.1/24")}}) ==
        "tidy endpoint/7 = -\n#1 sync [] without [] ports \n");
}

TEST_CASE("The log says what became of an endpoint that is forgotten", "[core]") {
  struct Row {
    const char* boot;
    std::vector<std::uint64_t> unattached;
    const char* expected;
  };
  for (const Row& row : {Row{"boot", {}, "container is gone"}, Row{"boot", {8}, "container is gone"},
                         Row{"boot", {7}, "without interface"}, Row{"former", {7}, "earlier boot"}}) {
    Transcript t;
    t.Start({kIdentity, OnRecord(7, "10.0.0.1/24", row.boot)}, {{}, {}, row.unattached});
    REQUIRE(t.logged().size() == 1);
    CHECK_THAT(t.logged().front(), Catch::Contains(row.expected));
    CHECK(t.core().Snapshot().endpoints.empty());
  }
}

TEST_CASE("An address that is missing is put back", "[core]") {
  Transcript t;
  CHECK(t.Start({kIdentity, OnRecord(7, "10.0.0.1/24 10.0.0.2/24")}, {{}, {Alive(7, "10.0.0.1/24")}}) ==
        std::string("#1 attach 7 [10.0.0.1/24 10.0.0.2/24]\n#2 ") + kSync);
  CHECK(t.Fail(1).empty());
  CHECK(t.Later() == "#3 look at 7 c7\n");
  CHECK(t.Looked(3, true) == "#4 attach 7 [10.0.0.1/24 10.0.0.2/24]\n");
  CHECK(t.Done(4, 7).empty());
  CHECK_FALSE(t.core().NextHostDeadline().has_value());
}

TEST_CASE("An address that is there and not on record is held and recorded", "[core]") {
  Transcript t;
  CHECK(t.Start({kIdentity, OnRecord(7, "10.0.0.1/24")}, {{}, {Alive(7, "10.0.0.2/24 10.0.0.1/24")}}) ==
        std::string("record endpoint/7 = [10.0.0.2/24 10.0.0.1/24]\n#1 ") + kSync);
  CHECK(t.Attach(100, Box(8), "10.0.0.2/24") == "reply 100 ALREADY_EXISTS []\n");
}

TEST_CASE("An address that is there with two prefix lengths is held once", "[core]") {
  Transcript t;
  t.Start({kIdentity, OnRecord(7, "10.0.0.1/24")}, {{}, {Alive(7, "10.0.0.1/24 10.0.0.1/16")}});
  t.Detach(100, Box(7));
  CHECK(t.Done(2) == "tidy endpoint/7 = -\nreply 100 OK [10.0.0.1/24]\n");
}

TEST_CASE("A detach that a crash cut short is finished", "[core]") {
  Transcript t;
  CHECK(t.Start({kIdentity, OnRecord(7, "")}, {{}, {Alive(7, "")}}) ==
        std::string("#1 detach 7 [] and interface\n#2 ") + kSync);
  CHECK(t.Done(1) == "tidy endpoint/7 = -\n");
}

TEST_CASE("A detach that a crash cut short before it took anything is not done", "[core]") {
  Transcript t;
  CHECK(t.Start({kIdentity, OnRecord(7, "")}, {{}, {Alive(7, "10.0.0.1/24")}}) ==
        std::string("record endpoint/7 = [10.0.0.1/24]\n#1 ") + kSync);
}

TEST_CASE("An address in use outweighs one that is only on record", "[core]") {
  Transcript t;
  CHECK(t.Start({kIdentity, OnRecord(7, "10.0.0.1/24 10.0.0.9/24"), OnRecord(8, "10.0.0.2/24")},
                {{}, {Alive(7, "10.0.0.1/24"), Alive(8, "10.0.0.2/24 10.0.0.9/24")}}) ==
        "record endpoint/7 = [10.0.0.1/24]\nrecord endpoint/8 = [10.0.0.2/24 10.0.0.9/24]\n"
        "#1 sync [] without [] ports vethwepl7,vethwepl8\n");
}

TEST_CASE("An address on the bridge outweighs one that a container only has on record", "[core]") {
  Transcript t;
  CHECK(
      t.Start({kIdentity, OnRecord(7, "10.0.0.1/24 10.0.0.9/24")}, {Nets("10.0.0.9/24"), {Alive(7, "10.0.0.1/24")}}) ==
      "record endpoint/7 = [10.0.0.1/24]\nrecord exposure/10.0.0.9 = 10.0.0.9/24\n"
      "#1 sync [10.0.0.9/24] without [] ports vethwepl7\n");
}

TEST_CASE("An address found twice stays with the first and is not given to a third", "[core]") {
  Transcript t;
  t.Start({kIdentity, OnRecord(7, "10.0.0.1/24"), OnRecord(8, "10.0.0.2/24")},
          {{}, {Alive(7, "10.0.0.1/24"), Alive(8, "10.0.0.1/24 10.0.0.2/24")}});
  CHECK(t.Attach(100, Box(9), "10.0.0.1/24") == "reply 100 ALREADY_EXISTS []\n");
  CHECK(t.core().Snapshot().endpoints[1].record.addresses == Nets("10.0.0.2/24"));
}

TEST_CASE("Exposures on record are put back, addresses found on the bridge are exposed", "[core]") {
  Transcript t;
  CHECK(t.Start({kIdentity, ExposureRecord{Net("10.0.0.1/24"), false}}, {Nets("10.0.0.2/24"), {}}) ==
        "record exposure/10.0.0.2 = 10.0.0.2/24\n#1 sync [10.0.0.1/24 10.0.0.2/24] without [] ports \n");
}

TEST_CASE("An exposure found with another prefix length becomes what is on record", "[core]") {
  Transcript t;
  CHECK(t.Start({kIdentity, ExposureRecord{Net("10.0.0.1/24"), true}}, {Nets("10.0.0.1/16"), {}}) ==
        "#1 sync [10.0.0.1/24] without [10.0.0.1/16] ports \n");
}

TEST_CASE("An exposure whose address a container really has is dropped", "[core]") {
  Transcript t;
  CHECK(t.Start({kIdentity, OnRecord(7, "10.0.0.1/24"), ExposureRecord{Net("10.0.0.1/24"), true}},
                {{}, {Alive(7, "10.0.0.1/24")}}) == std::string("record exposure/10.0.0.1 = -\n#1 ") + kSync);
}

TEST_CASE("A start whose records cannot be written sets the host up all the same", "[core]") {
  Transcript t;
  t.Start();
  CHECK(t.LastNotWritten() == "#2 sync [] without [] ports \n");
  t.Done(2);
  CHECK(t.core().Snapshot().ready);
  CHECK(t.Later() == "tidy identity = 00:00:00:00:00:01\n");
}

}  // namespace
}  // namespace weave
