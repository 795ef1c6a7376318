#include "ipam/council_messages.h"

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace weave {
namespace {

enum Kind : std::uint8_t { kDigest = 1, kState = 2, kClaim = 3, kApplication = 4 };

constexpr std::uint8_t kMemoryFormat = 1;

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("IP council: ", what));
}

// ---- writing ----

class Writer {
 public:
  template <typename Number>
  void Put(Number number) {
    for (int shift = 8 * (static_cast<int>(sizeof(Number)) - 1); shift >= 0; shift -= 8)
      bytes_.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(number) >> shift));
  }
  void Put(PeerName name) { Put(name.value()); }
  void Put(bool flag) { Put(static_cast<std::uint8_t>(flag ? 1 : 0)); }
  void PutCount(std::size_t count) {
    CHECK(count <= std::numeric_limits<std::uint16_t>::max()) << count;
    Put(static_cast<std::uint16_t>(count));
  }
  void Put(const IpAddress& address) {
    const int size = BitCount(address.family()) / 8;
    Put(static_cast<std::uint8_t>(size));
    for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
      bytes_.push_back(static_cast<std::uint8_t>(absl::Uint128Low64(address.value() >> shift)));
  }
  Bytes Take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

void Write(const CouncilId& id, Writer& to) {
  to.Put(id.generation);
  to.Put(id.forcer);
  to.Put(id.epoch);
}

void Write(const CouncilTakeover& takeover, Writer& to) {
  to.Put(takeover.number);
  to.Put(takeover.heir);
  to.PutCount(takeover.victims.size());
  for (const CouncilVictim& victim : takeover.victims) {
    to.Put(victim.name);
    to.Put(victim.steps);
  }
  to.Put(takeover.applied);
  to.Put(takeover.witness.has_value());
  if (!takeover.witness.has_value()) return;
  to.Put(takeover.witness->token);
  to.Put(takeover.witness->version);
}

void Write(const CouncilState& state, Writer& to) {
  Write(state.id, to);
  to.PutCount(state.members.size());
  for (const CouncilMember& member : state.members) {
    to.Put(member.name);
    to.Put(member.uid);
  }
  to.PutCount(state.takeovers.size());
  for (const CouncilTakeover& takeover : state.takeovers) Write(takeover, to);
}

void Write(const ProposalId& proposal, Writer& to) {
  to.Put(proposal.round);
  to.Put(proposal.proposer.name);
  to.Put(proposal.proposer.uid);
}

void Write(const PaxosClaim<CouncilState>& claim, bool value_omitted, Writer& to) {
  Write(claim.promise, to);
  Write(claim.accepted, to);
  const bool has_value = claim.accepted.valid() && !value_omitted;
  to.Put(has_value);
  if (has_value) Write(claim.value, to);
}

void Write(const CouncilDigest& digest, Writer& to) {
  Write(digest.id, to);
  to.PutCount(digest.open.size());
  for (const std::uint64_t number : digest.open) to.Put(number);
}

void Write(const CouncilClaim& claim, Writer& to) {
  Write(claim.base, to);
  to.Put(claim.uid);
  Write(claim.claim, claim.value_omitted, to);
  to.PutCount(claim.wanted.size());
  for (const auto& [peer, ranges] : claim.wanted) {
    to.Put(peer);
    to.Put(ranges);
  }
}

void Write(const CouncilApplication& application, Writer& to) { to.Put(application.uid); }
void Write(std::monostate, Writer&) { CHECK(false) << "a message of no kind"; }

// ---- reading ----

class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  template <typename Number>
  absl::Status Get(Number& number) {
    RETURN_IF_ERROR(Need(sizeof(Number)));
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i) value = value << 8 | bytes_[i];
    bytes_.remove_prefix(sizeof(Number));
    number = static_cast<Number>(value);
    return absl::OkStatus();
  }
  absl::Status Get(PeerName& name) {
    std::uint64_t value = 0;
    RETURN_IF_ERROR(Get(value));
    name = PeerName(value);
    return name.value() == value ? absl::OkStatus() : Malformed("a peer name has more than 48 bits");
  }
  absl::Status GetKnown(PeerName& name) {
    RETURN_IF_ERROR(Get(name));
    return name.known() ? absl::OkStatus() : Malformed("a peer has no name");
  }
  absl::Status Get(bool& flag) {
    std::uint8_t value = 0;
    RETURN_IF_ERROR(Get(value));
    flag = value != 0;
    return value <= 1 ? absl::OkStatus() : Malformed(absl::StrCat("a flag is ", value, ", want 0 or 1"));
  }
  absl::Status Get(IpAddress& address) {
    std::uint8_t size = 0;
    RETURN_IF_ERROR(Get(size));
    RETURN_IF_ERROR(Need(size));
    ASSIGN_OR_RETURN(address, IpAddress::FromBytes(bytes_.first(size)));
    bytes_.remove_prefix(size);
    return absl::OkStatus();
  }
  // Of things of at least `size` bytes each: more than fit are not believed.
  absl::StatusOr<std::size_t> GetCount(absl::string_view things, std::size_t most, std::size_t size) {
    std::uint16_t count = 0;
    RETURN_IF_ERROR(Get(count));
    if (count > most) return Malformed(absl::StrCat(count, " ", things, ", want at most ", most));
    RETURN_IF_ERROR(Need(count * size));
    return count;
  }
  // A generation or an epoch.
  absl::Status GetOrdinal(std::uint64_t& number) {
    RETURN_IF_ERROR(Get(number));
    return number <= CouncilState::kMaxCount ? absl::OkStatus() : Malformed("a decision's number is too high");
  }

 private:
  absl::Status Need(std::size_t size) const {
    return bytes_.size() >= size ? absl::OkStatus() : Malformed("a message ends too early");
  }

  ByteView bytes_;
};

absl::Status Read(Reader& from, CouncilId& id) {
  RETURN_IF_ERROR(from.GetOrdinal(id.generation));
  RETURN_IF_ERROR(from.Get(id.forcer));
  return from.GetOrdinal(id.epoch);
}

absl::Status Read(Reader& from, CouncilTakeover& takeover) {
  RETURN_IF_ERROR(from.Get(takeover.number));
  RETURN_IF_ERROR(from.GetKnown(takeover.heir));
  ASSIGN_OR_RETURN(const std::size_t victims, from.GetCount("peers to take over", CouncilState::kMaxVictims, 9));
  if (victims == 0) return Malformed("a takeover of nobody");
  for (std::size_t i = 0; i < victims; ++i) {
    CouncilVictim& victim = takeover.victims.emplace_back();
    RETURN_IF_ERROR(from.GetKnown(victim.name));
    RETURN_IF_ERROR(from.Get(victim.steps));
    if (victim.steps == 0 || victim.steps > CouncilVictim::kMaxSteps) return Malformed("a takeover by too many steps");
    if (victim.name == takeover.heir) return Malformed("a peer takes over itself");
  }
  bool has_witness = false;
  RETURN_IF_ERROR(from.Get(takeover.applied));
  RETURN_IF_ERROR(from.Get(has_witness));
  if (!has_witness) return absl::OkStatus();
  takeover.witness.emplace();
  RETURN_IF_ERROR(from.Get(takeover.witness->token));
  return from.Get(takeover.witness->version);
}

absl::Status Read(Reader& from, CouncilState& state) {
  RETURN_IF_ERROR(Read(from, state.id));
  ASSIGN_OR_RETURN(const std::size_t members, from.GetCount("members", CouncilState::kMaxMembers, 16));
  state.members.reserve(members);
  for (std::size_t i = 0; i < members; ++i) {
    CouncilMember member;
    RETURN_IF_ERROR(from.GetKnown(member.name));
    RETURN_IF_ERROR(from.Get(member.uid));
    if (!state.members.empty() && member.name <= state.members.back().name) return Malformed("members not sorted");
    state.members.push_back(member);
  }
  ASSIGN_OR_RETURN(const std::size_t takeovers, from.GetCount("takeovers", CouncilState::kMaxTakeovers, 20));
  for (std::size_t i = 0; i < takeovers; ++i) RETURN_IF_ERROR(Read(from, state.takeovers.emplace_back()));
  return absl::OkStatus();
}

absl::Status Read(Reader& from, ProposalId& proposal) {
  RETURN_IF_ERROR(from.Get(proposal.round));
  RETURN_IF_ERROR(from.Get(proposal.proposer.name));
  RETURN_IF_ERROR(from.Get(proposal.proposer.uid));
  return proposal.valid() == proposal.proposer.name.known() ? absl::OkStatus() : Malformed("a proposal of nobody");
}

absl::Status Read(Reader& from, PaxosClaim<CouncilState>& claim, bool& value_omitted) {
  RETURN_IF_ERROR(Read(from, claim.promise));
  RETURN_IF_ERROR(Read(from, claim.accepted));
  bool has_value = false;
  RETURN_IF_ERROR(from.Get(has_value));
  if (has_value && !claim.accepted.valid()) return Malformed("a vote for no proposal");
  value_omitted = claim.accepted.valid() && !has_value;
  return has_value ? Read(from, claim.value) : absl::OkStatus();
}

absl::Status Read(Reader& from, CouncilDigest& digest) {
  RETURN_IF_ERROR(Read(from, digest.id));
  ASSIGN_OR_RETURN(const std::size_t count, from.GetCount("open takeovers", CouncilState::kMaxTakeovers, 8));
  digest.open.resize(count);
  for (std::uint64_t& number : digest.open) RETURN_IF_ERROR(from.Get(number));
  return absl::OkStatus();
}

absl::Status Read(Reader& from, CouncilClaim& claim) {
  RETURN_IF_ERROR(Read(from, claim.base));
  RETURN_IF_ERROR(from.Get(claim.uid));
  RETURN_IF_ERROR(Read(from, claim.claim, claim.value_omitted));
  ASSIGN_OR_RETURN(const std::size_t count, from.GetCount("wanted peers", CouncilState::kMaxVictims, 16));
  claim.wanted.resize(count);
  for (auto& [peer, ranges] : claim.wanted) {
    RETURN_IF_ERROR(from.GetKnown(peer));
    RETURN_IF_ERROR(from.Get(ranges));
  }
  return absl::OkStatus();
}

absl::Status Read(Reader& from, CouncilApplication& application) { return from.Get(application.uid); }

}  // namespace

Bytes EncodeCouncilMessage(const CouncilMessage& message) {
  Writer to;
  to.Put(static_cast<std::uint8_t>(message.body.index()));
  to.Put(message.network);
  std::visit([&](const auto& body) { Write(body, to); }, message.body);
  return to.Take();
}

absl::StatusOr<CouncilMessage> DecodeCouncilMessage(ByteView bytes) {
  Reader from(bytes);
  CouncilMessage message;
  std::uint8_t kind = 0;
  RETURN_IF_ERROR(from.Get(kind));
  if (kind == 0) return Malformed("a message of kind 0");
  RETURN_IF_ERROR(from.Get(message.network));
  switch (kind) {
    case kDigest:
      RETURN_IF_ERROR(Read(from, message.body.emplace<CouncilDigest>()));
      break;
    case kState:
      RETURN_IF_ERROR(Read(from, message.body.emplace<CouncilState>()));
      break;
    case kClaim:
      RETURN_IF_ERROR(Read(from, message.body.emplace<CouncilClaim>()));
      break;
    case kApplication:
      RETURN_IF_ERROR(Read(from, message.body.emplace<CouncilApplication>()));
      break;
    default:
      break;  // of a later version
  }
  return message;
}

Bytes EncodeCouncilMemory(const CouncilMemory& memory) {
  Writer to;
  to.Put(kMemoryFormat);
  to.Put(memory.uid);
  Write(memory.state, to);
  Write(memory.claim, /*value_omitted=*/false, to);
  return to.Take();
}

absl::StatusOr<CouncilMemory> DecodeCouncilMemory(ByteView bytes) {
  Reader from(bytes);
  CouncilMemory memory;
  std::uint8_t format = 0;
  RETURN_IF_ERROR(from.Get(format));
  if (format != kMemoryFormat) return Malformed(absl::StrCat("a memory of format ", format, ", want 1"));
  RETURN_IF_ERROR(from.Get(memory.uid));
  RETURN_IF_ERROR(Read(from, memory.state));
  bool value_omitted = false;
  RETURN_IF_ERROR(Read(from, memory.claim, value_omitted));
  if (value_omitted) return Malformed("a vote without a value");
  return memory;
}

}  // namespace weave
