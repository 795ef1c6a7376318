#include "peer/core/address_index.h"
#include "peer/core/peer_identity.h"
#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("The first name that is known is taken", "[core]") {
  Random random(1);
  const PeerName flag(1), bridge(2), persisted(3), derived(4);
  CHECK(ChoosePeerIdentity(flag, bridge, persisted, derived, random).name == flag);
  CHECK(ChoosePeerIdentity({}, bridge, persisted, derived, random).source == PeerNameSource::kBridge);
  CHECK(ChoosePeerIdentity({}, {}, persisted, derived, random).name == persisted);
  CHECK(ChoosePeerIdentity({}, {}, {}, derived, random).source == PeerNameSource::kDerived);
}

TEST_CASE("A random name is a local unicast address", "[core]") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    const PeerIdentity identity = ChoosePeerIdentity({}, {}, {}, {}, random);
    CHECK(identity.source == PeerNameSource::kRandom);
    CHECK_FALSE(identity.name.ToMac().IsMulticast());
    CHECK((identity.name.ToMac().bytes()[0] & 2) == 2);
  }
}

TEST_CASE("An address index knows one holder for an address", "[core]") {
  AddressIndex index;
  const IpAddress address = IpAddress::V4(0x0a000001);
  CHECK(index.HolderOf(address) == nullptr);
  CHECK(index.Take(address, {"a", "A"}));
  CHECK(index.Take(address, {"a", "A"}));
  CHECK_FALSE(index.Take(address, {"b", "B"}));
  CHECK(index.HolderOf(address)->name == "A");
  index.Release(address, {"a", "A"});
  CHECK(index.Take(address, {"b", "B"}));
  CHECK(index.size() == 1);
}

}  // namespace
}  // namespace weave
