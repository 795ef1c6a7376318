#include "dns/name_resolver.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "base/ip.h"

namespace weave {
namespace {

constexpr absl::string_view kReverseDomain = "in-addr.arpa.";

// `web.` and nothing above it.
bool IsSingleLabel(absl::string_view name) { return name.size() > 1 && name.find('.') == name.size() - 1; }

// `4.3.2.1.in-addr.arpa.`; none: no IPv4 address.
std::optional<std::uint32_t> ReverseAddress(absl::string_view name) {
  absl::string_view labels = name;
  if (!absl::ConsumeSuffix(&labels, kReverseDomain) || !absl::ConsumeSuffix(&labels, ".")) return std::nullopt;
  const absl::StatusOr<IpAddress> reversed = IpAddress::Parse(labels);
  if (!reversed.ok() || !reversed->IsV4()) return std::nullopt;
  const std::uint32_t r = reversed->v4();
  return r >> 24 | (r >> 8 & 0xff00) | (r << 8 & 0xff0000) | r << 24;
}

}  // namespace

std::size_t UdpLimitOf(const DnsQuery& query) { return query.edns_size.value_or(kMinDnsUdpSize); }

NameResolver::Outcome NameResolver::Resolve(ByteView query, Transport transport, Bytes& out) {
  if (!ReadDnsQuery(query, query_)) return Outcome::kDrop;
  const auto say = [&](DnsCode code) {
    AnswerWith(code, out);
    return Outcome::kAnswered;
  };
  if (query_.opcode() != 0) return say(DnsCode::kNotImplemented);
  if (query_.malformed) return say(DnsCode::kFormatError);
  if (!query_.has_question()) return say(DnsCode::kNameError);
  const std::size_t limit = transport == Transport::kUdp ? UdpLimitOf(query_) : kMaxDnsMessageSize;
  const absl::string_view name = query_.name;
  if (IsWithin(name, domain_)) return AnswerLocal(name, limit, out);
  if (IsWithin(name, kReverseDomain)) return AnswerReverse(out);
  if (!IsSingleLabel(name)) return Outcome::kAskUpstream;
  full_name_.assign(name.data(), name.size());
  if (domain_ != ".") full_name_.append(domain_);
  return AnswerLocal(full_name_, limit, out);
}

void NameResolver::AnswerWith(DnsCode code, Bytes& out) const {
  DnsAnswerWriter(query_, code, /*authoritative=*/false, out);
}

NameResolver::Outcome NameResolver::AnswerLocal(absl::string_view name, std::size_t limit, Bytes& out) {
  const absl::Span<const std::uint32_t> addresses = names_.Lookup(name);
  if (addresses.empty()) {
    AnswerWith(DnsCode::kNameError, out);
    return Outcome::kAnswered;
  }
  DnsAnswerWriter answer(query_, DnsCode::kNoError, /*authoritative=*/true, out);
  if (query_.type != DnsType::kA) return Outcome::kAnswered;
  addresses_.assign(addresses.begin(), addresses.end());
  Shuffle();
  const std::size_t room = limit < answer.size() ? 0 : (limit - answer.size()) / answer.address_record_size();
  const std::size_t count = addresses_.size() == 1 ? 1 : std::min(addresses_.size(), room);
  for (std::size_t i = 0; i < count; ++i) answer.AddAddress(addresses_[i], ttl_seconds_);
  if (count < addresses_.size()) answer.SetTruncated();
  return Outcome::kAnswered;
}

NameResolver::Outcome NameResolver::AnswerReverse(Bytes& out) {
  const std::optional<std::uint32_t> address = ReverseAddress(query_.name);
  if (query_.type != DnsType::kPtr || !address.has_value()) {
    AnswerWith(DnsCode::kNameError, out);
    return Outcome::kAnswered;
  }
  const NameEntry* entry = names_.ReverseLookup(*address);
  if (entry == nullptr) return Outcome::kAskUpstream;
  const std::size_t start = out.size();
  if (DnsAnswerWriter(query_, DnsCode::kNoError, /*authoritative=*/true, out).AddPointer(entry->hostname, ttl_seconds_))
    return Outcome::kAnswered;
  out.resize(start);  // another peer's, and no name that could be told
  AnswerWith(DnsCode::kNameError, out);
  return Outcome::kAnswered;
}

void NameResolver::Shuffle() {
  for (std::size_t i = addresses_.size(); i > 1; --i) std::swap(addresses_[i - 1], addresses_[random_.Below(i)]);
}

}  // namespace weave
