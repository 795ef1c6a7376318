#include "peer/record_codec.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "test/support/catch.h"
#include "weave/v1/record.pb.h"

namespace weave {
namespace {

std::string KeyOf(const Record& record) {
  struct Visitor {
    std::string operator()(const IdentityRecord&) const { return IdentityKey(); }
    std::string operator()(const EndpointRecord& endpoint) const { return EndpointKey(endpoint.sandbox.netns_inode); }
    std::string operator()(const ExposureRecord& exposure) const { return ExposureKey(exposure.cidr.address()); }
    std::string operator()(const DirectPeersRecord&) const { return DirectPeersKey(); }
    std::string operator()(const RingRecord&) const { return RingKey(); }
    std::string operator()(const PaxosRecord&) const { return PaxosKey(); }
    std::string operator()(const AllocationRecord& allocation) const { return AllocationKey(allocation.ident); }
    std::string operator()(const NameRecord& name) const { return NameKey(name.holder, name.address, name.hostname); }
  };
  return std::visit(Visitor(), record);
}

IpAddress AnyAddress(Random& random) {
  if (random.Chance(3, 4)) return IpAddress::V4(static_cast<std::uint32_t>(random.Next()));
  return IpAddress::V6(absl::MakeUint128(random.Next(), random.Next()));
}

Cidr AnyCidr(Random& random) {
  const IpAddress address = AnyAddress(random);
  return Cidr(address, static_cast<int>(random.Between(0, BitCount(address.family()))));
}

std::string AnyText(Random& random, std::int64_t max_size) {
  std::string text(static_cast<std::size_t>(random.Between(1, max_size)), ' ');
  for (char& c : text) c = static_cast<char>(random.Between(0, 127));
  return text;
}

EndpointRecord AnyEndpoint(Random& random) {
  EndpointRecord endpoint;
  endpoint.sandbox = {AnyText(random, 64), absl::StrCat("/", AnyText(random, 100)), random.Next()};
  endpoint.boot_id = AnyText(random, 36);
  endpoint.multicast_route = random.Chance(1, 2);
  std::set<IpAddress> seen;
  for (std::uint64_t n = random.Below(20); n > 0; --n) {
    const Cidr cidr = AnyCidr(random);
    if (seen.insert(cidr.address()).second) endpoint.addresses.push_back(cidr);
  }
  return endpoint;
}

PeerName AnyName(Random& random) { return PeerName(1 + random.Below(0xffff'ffff'ffff)); }

CouncilState AnyCouncilState(Random& random) {
  CouncilState state;
  state.id = {random.Below(3), PeerName(random.Below(3)), random.Below(100)};
  for (std::uint64_t n = 1 + random.Below(4); n > 0; --n) state.SetMember({AnyName(random), random.Next()});
  CouncilTakeover takeover{3, AnyName(random), {{AnyName(random), 1}, {AnyName(random), 2}}, random.Chance(1, 2), {}};
  if (takeover.applied) takeover.witness = RingWitness{IpAddress::V4(0x0a20'0001), 107};
  if (random.Chance(1, 2)) state.takeovers.push_back(takeover);
  return state;
}

CouncilMemory AnyCouncil(Random& random) {
  CouncilMemory memory{random.Next(), AnyCouncilState(random), {}};
  if (random.Chance(1, 2)) memory.claim.promise = {1 + random.Below(9), {AnyName(random), random.Next()}};
  if (random.Chance(1, 2)) {
    memory.claim.accepted = {1 + random.Below(9), {AnyName(random), random.Next()}};
    memory.claim.value = AnyCouncilState(random);
  }
  return memory;
}

RingRecord AnyRing(Random& random) {
  RingRecord ring;
  ring.self = AnyName(random);
  ring.universe = {IpAddress::V4(0x0a20'0000), 1 << 20};
  std::uint32_t token = 0x0a20'0000;
  for (std::uint64_t n = random.Below(20); n > 0; --n) {
    token += static_cast<std::uint32_t>(random.Between(2, 1000));
    ring.entries.push_back(
        {IpAddress::V4(token), AnyName(random), static_cast<std::uint32_t>(random.Next()), random.Below(2)});
    if (random.Chance(1, 2)) ring.nicknames[ring.entries.back().peer] = std::string("\xff\0 any bytes", 12);
  }
  for (std::uint64_t n = random.Below(4); n > 0; --n) ring.seeds.push_back(AnyName(random));
  std::sort(ring.seeds.begin(), ring.seeds.end());
  if (random.Chance(1, 2)) ring.council = AnyCouncil(random);
  return ring;
}

ProposalId AnyProposal(Random& random) {
  if (random.Chance(1, 3)) return {};
  return {1 + random.Below(100), {AnyName(random), random.Next()}};
}

PaxosRecord AnyPaxos(Random& random) {
  PaxosRecord paxos{{AnyName(random), random.Next()}, {}};
  for (std::uint64_t n = random.Below(5); n > 0; --n) {
    NodeClaims& claims = paxos.claims[{AnyName(random), random.Next()}];
    claims = {AnyProposal(random), AnyProposal(random), {{}, AnyProposal(random)}};
    for (std::uint64_t m = random.Below(4); m > 0; --m) claims.value.peers.push_back(AnyName(random));
  }
  return paxos;
}

AllocationRecord AnyAllocation(Random& random) {
  AllocationRecord allocation{
      "\xfe" + AnyText(random, 64), {AnyCidr(random)}, random.Chance(1, 2), static_cast<Upkeep>(random.Below(3))};
  for (std::uint64_t n = random.Below(5); n > 0; --n) allocation.addresses.push_back(AnyCidr(random));
  return allocation;
}

IdentityRecord AnyIdentity(Random& random) {
  IdentityRecord identity{PeerName(1 + random.Below(0xffff'ffff'ffff)), AnyText(random, 40)};
  if (random.Chance(1, 2)) identity.short_id = static_cast<ShortId>(random.Below(kMaxShortId + 1));
  if (random.Chance(1, 2)) identity.interface_mtu = 1 + random.Below(kMaxInterfaceMtu);
  return identity;
}

Record AnyRecord(Random& random) {
  switch (random.Below(8)) {
    case 7:
      return NameRecord{"\xfe" + AnyText(random, 64), AnyAddress(random), AnyText(random, 64),
                        static_cast<std::int64_t>(random.Next())};
    case 4:
      return AnyRing(random);
    case 5:
      return AnyPaxos(random);
    case 6:
      return AnyAllocation(random);
    case 0:
      return AnyIdentity(random);
    case 1:
      return AnyEndpoint(random);
    case 2:
      return DirectPeersRecord{{AnyText(random, 60), AnyText(random, 60)}};
    default:
      return ExposureRecord{AnyCidr(random), random.Chance(1, 2)};
  }
}

EndpointRecord SomeEndpoint() {
  EndpointRecord endpoint;
  endpoint.sandbox = {"0123456789ab", "/proc/7/ns/net", 4026532000};
  endpoint.boot_id = "b";
  endpoint.addresses = {*Cidr::Parse("10.32.0.1/12")};
  return endpoint;
}

std::string Error(const absl::Status& status, absl::StatusCode code, absl::string_view key) {
  INFO(status);
  CHECK(status.code() == code);
  CHECK(absl::StartsWith(status.message(), absl::StrCat("stored record \"", key, "\": ")));
  return std::string(status.message());
}

std::string DecodeError(absl::string_view key, const v1::StoredRecord& stored) {
  const absl::StatusOr<Record> record = DecodeRecord(key, stored.SerializeAsString());
  REQUIRE_FALSE(record.ok());
  return Error(record.status(), absl::StatusCode::kDataLoss, key);
}

std::string EncodeError(const Record& record) {
  const absl::StatusOr<std::string> bytes = EncodeRecord(KeyOf(record), record);
  REQUIRE_FALSE(bytes.ok());
  return Error(bytes.status(), absl::StatusCode::kInvalidArgument, KeyOf(record));
}

TEST_CASE("Any record comes back as it was written", "[peer][records]") {
  const std::uint64_t seed = std::random_device()();
  INFO("seed " << seed);
  Random random(seed);
  for (int i = 0; i < 2000; ++i) {
    const Record record = AnyRecord(random);
    const absl::StatusOr<std::string> bytes = EncodeRecord(KeyOf(record), record);
    INFO("record " << i << " " << KeyOf(record) << " " << bytes.status());
    REQUIRE(bytes.ok());
    const absl::StatusOr<Record> back = DecodeRecord(KeyOf(record), *bytes);
    REQUIRE(back.ok());
    REQUIRE(*back == record);
  }
}

TEST_CASE("A damaged record is refused or still a valid one, never a crash", "[peer][records]") {
  const std::uint64_t seed = std::random_device()();
  INFO("seed " << seed);
  Random random(seed);
  for (int i = 0; i < 5000; ++i) {
    const Record record = AnyRecord(random);
    const std::string key = KeyOf(record);
    std::string bytes = *EncodeRecord(key, record);
    for (std::uint64_t n = random.Between(1, 4); n > 0 && !bytes.empty(); --n) {
      const auto at = static_cast<std::size_t>(random.Below(bytes.size()));
      if (random.Chance(1, 4)) {
        bytes.resize(at);
      } else {
        bytes[at] = static_cast<char>(random.Next());
      }
    }
    const absl::StatusOr<Record> back = DecodeRecord(key, bytes);
    if (back.ok()) {
      REQUIRE(EncodeRecord(key, *back).ok());
    } else {
      REQUIRE(back.status().code() == absl::StatusCode::kDataLoss);
      REQUIRE(absl::StrContains(back.status().message(), absl::Utf8SafeCHexEscape(key)));
    }
  }
}

TEST_CASE("Bytes on disk stay readable: the layout is fixed", "[peer][records]") {
  const std::string exposure = *EncodeRecord("exposure/10.32.0.1", ExposureRecord{*Cidr::Parse("10.32.0.1/12"), true});
  CHECK(exposure == std::string("\x1a\x0c\x0a\x08\x0a\x04\x0a\x20\x00\x01\x10\x0c\x10\x01", 14));
  const std::string identity = *EncodeRecord("identity", IdentityRecord{PeerName(0x010203040506)});
  CHECK(identity == std::string("\x0a\x09\x09\x06\x05\x04\x03\x02\x01\x00\x00", 11));
}

TEST_CASE("Fields of a later version are passed over, kinds of records are not", "[peer][records]") {
  const ExposureRecord record{*Cidr::Parse("10.32.0.1/12"), true};
  const std::string bytes = *EncodeRecord("exposure/10.32.0.1", record);
  CHECK(*DecodeRecord("exposure/10.32.0.1", bytes + "\x7a\x03new") == Record(record));
  CHECK(absl::StrContains(DecodeRecord("x", "\x7a\x03new").status().message(),
                          "a kind of record that this version does not know"));
  CHECK(absl::StrContains(DecodeRecord("x", "").status().message(), "a kind of record"));
}

TEST_CASE("Foreign bytes are refused with the key", "[peer][records]") {
  CHECK(DecodeRecord("identity", "not protobuf").status().message() ==
        "stored record \"identity\": its 12 bytes are not a record");
  CHECK(DecodeRecord("identity", std::string(kMaxStoredRecordSize + 1, '\0')).status().code() ==
        absl::StatusCode::kDataLoss);
  CHECK(absl::StartsWith(DecodeRecord("a\nb", "x").status().message(), "stored record \"a\\nb\": "));
}

TEST_CASE("Values that cannot be are refused", "[peer][records]") {
  v1::StoredRecord stored;
  stored.mutable_identity()->set_name(0);
  CHECK(absl::StrContains(DecodeError("identity", stored), "the peer name is zero"));
  stored.mutable_identity()->set_name(std::uint64_t{1} << 48);
  CHECK(absl::StrContains(DecodeError("identity", stored), "more than 48 bits"));
  CHECK(absl::StrContains(EncodeError(IdentityRecord{PeerName()}), "the peer name is zero"));
  stored.mutable_identity()->set_name(1);
  stored.mutable_identity()->set_short_id(kMaxShortId + 1);
  CHECK(absl::StrContains(DecodeError("identity", stored), "the short id has more than 12 bits"));
  stored.mutable_identity()->set_short_id(kMaxShortId);
  stored.mutable_identity()->set_interface_mtu(kMaxInterfaceMtu + 1);
  CHECK(absl::StrContains(DecodeError("identity", stored), "an MTU of 65536 bytes"));
  stored.mutable_identity()->set_interface_mtu(0);
  CHECK(absl::StrContains(DecodeError("identity", stored), "an MTU of 0 bytes"));

  v1::StoredAddress& address = *stored.mutable_exposure()->mutable_address();
  address.set_address("abc");
  CHECK(absl::StrContains(DecodeError("exposure/x", stored), "an address of 3 bytes"));
  address.set_address(std::string("\x0a\x20\x00\x01", 4));
  address.set_prefix_length(33);
  CHECK(absl::StrContains(DecodeError("exposure/x", stored), "address 10.32.0.1 with a prefix length of 33"));
  address.set_prefix_length(0xffff'ffff);
  DecodeError("exposure/x", stored);
}

TEST_CASE("A record under another record's key is refused", "[peer][records]") {
  const std::string bytes = *EncodeRecord("endpoint/4026532000", SomeEndpoint());
  CHECK(DecodeRecord("endpoint/7", bytes).status().message() ==
        "stored record \"endpoint/7\": it belongs under the key \"endpoint/4026532000\"");
  CHECK(EncodeRecord("endpoint/7", SomeEndpoint()).status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("An endpoint must name its sandbox and no address twice", "[peer][records]") {
  EndpointRecord endpoint = SomeEndpoint();
  endpoint.sandbox.ident.clear();
  CHECK(absl::StrContains(EncodeError(endpoint), "the container id is empty"));
  endpoint = SomeEndpoint();
  endpoint.sandbox.netns_path = "proc/7/ns/net";
  CHECK(absl::StrContains(EncodeError(endpoint), "the namespace's path is not absolute"));
  endpoint = SomeEndpoint();
  endpoint.addresses.push_back(*Cidr::Parse("10.32.0.1/24"));
  CHECK(absl::StrContains(EncodeError(endpoint), "address 10.32.0.1 occurs twice"));
}

TEST_CASE("Sizes are bounded in both directions", "[peer][records]") {
  EndpointRecord endpoint = SomeEndpoint();
  endpoint.addresses.clear();
  for (std::uint32_t i = 0; i < kMaxRecordAddressCount; ++i)
    endpoint.addresses.emplace_back(IpAddress::V6(absl::MakeUint128(~std::uint64_t{0}, i)), 128);
  endpoint.sandbox.ident.assign(kMaxRecordTextSize, 'i');
  endpoint.sandbox.netns_path.assign(kMaxRecordTextSize, '/');
  endpoint.boot_id.assign(kMaxRecordTextSize, 'b');
  const std::string key = KeyOf(endpoint);
  const absl::StatusOr<std::string> largest = EncodeRecord(key, endpoint);
  REQUIRE(largest.ok());
  CHECK(*DecodeRecord(key, *largest) == Record(endpoint));

  EndpointRecord larger = endpoint;
  larger.addresses.push_back(*Cidr::Parse("10.32.0.1/12"));
  CHECK(absl::StrContains(EncodeError(larger), "4097 addresses"));
  for (std::string EndpointRecord::*text : {&EndpointRecord::boot_id}) {
    larger = endpoint;
    (larger.*text).push_back('x');
    CHECK(absl::StrContains(EncodeError(larger), "4097 bytes"));
  }
  for (std::string SandboxRef::*text : {&SandboxRef::ident, &SandboxRef::netns_path}) {
    larger = endpoint;
    (larger.sandbox.*text).push_back('x');
    CHECK(absl::StrContains(EncodeError(larger), "4097 bytes"));
  }
}

TEST_CASE("A path is any bytes; what protobuf could not read back is refused when written", "[peer][records]") {
  EndpointRecord endpoint = SomeEndpoint();
  endpoint.sandbox.netns_path = "/run/netns/\xff";
  const absl::StatusOr<std::string> bytes = EncodeRecord(KeyOf(endpoint), endpoint);
  REQUIRE(bytes.ok());
  CHECK(*DecodeRecord(KeyOf(endpoint), *bytes) == Record(endpoint));
  endpoint.sandbox.ident = "\xff";
  EncodeError(endpoint);
}

}  // namespace
}  // namespace weave
