// Fuzz target: a datagram to the name server. An answer has the client's id, stays within its limit, and is no query.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/log.h"
#include "dns/name_resolver.h"

namespace weave {
namespace {

struct NoPeers final : KnownPeers {
  bool IsKnown(PeerName) const override { return false; }
};

// Made once: queries change nothing.
const NameRegistry& Names() {
  static NullLogger logger;
  static NoPeers peers;
  static NameRegistry names(PeerName(1), "weave.local.", peers, logger);
  for (std::uint32_t i = 0; names.size() < 40; ++i) names.Add("c", 0x0a200001 + i, "web.weave.local");
  return names;
}

void Ask(ByteView bytes, NameResolver::Transport transport) {
  NameResolver resolver(Names(), 1, Random(1));
  Bytes out;
  const NameResolver::Outcome outcome = resolver.Resolve(bytes, transport, out);
  if (outcome != NameResolver::Outcome::kAnswered) {
    CHECK(out.empty());
    if (outcome == NameResolver::Outcome::kDrop) return;
    CHECK(!FirstQuestion(bytes).empty()) << "what is asked of others has a question";
    Bytes mixed(bytes.begin(), bytes.end());
    const absl::Span<std::uint8_t> question =
        absl::MakeSpan(mixed).subspan(kDnsHeaderSize, FirstQuestion(bytes).size());
    MixCase(question, 0x5555555555555555);
    MixCase(question, 0x5555555555555555);
    CHECK(mixed == Bytes(bytes.begin(), bytes.end()));
    return;
  }
  CHECK(out.size() >= kDnsHeaderSize && DnsIdOf(out) == DnsIdOf(bytes) && (out[2] & 0x80) != 0);
  const DnsQuery& query = resolver.query();
  const std::size_t least = kDnsHeaderSize + 2 * query.question.size() + 280;  // one record comes in any case
  if (transport == NameResolver::Transport::kUdp) CHECK(out.size() <= std::max(least, UdpLimitOf(query))) << out.size();
  DnsQuery again;
  CHECK(!ReadDnsQuery(out, again)) << "an answer that is a query";
}

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weave::Ask({data, size}, weave::NameResolver::Transport::kUdp);
  weave::Ask({data, size}, weave::NameResolver::Transport::kTcp);
  return 0;
}
