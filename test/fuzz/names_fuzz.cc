// Fuzz target: a message of another name server. What is accepted leaves the registry whole, and is told on so that it
// can be read again: sorted, no entry twice.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/log.h"
#include "dns/name_messages.h"
#include "dns/name_registry.h"

namespace weave {
namespace {

struct OddPeers final : KnownPeers {
  bool IsKnown(PeerName peer) const override { return peer.value() % 2 == 1; }
};

void CheckTold(const GossipData* data) {
  if (data == nullptr) return;
  for (const Bytes& payload : data->Encode()) {
    const absl::StatusOr<NameMessage> again = DecodeNames(payload);
    CHECK(again.ok()) << again.status();
    for (std::size_t i = 1; i < again->entries.size(); ++i)
      CHECK(IdentityOf(again->entries[i - 1].ToEntry()) < IdentityOf(again->entries[i].ToEntry()));
  }
}

void Hear(ByteView message, std::int64_t timestamp) {
  NullLogger logger;
  OddPeers peers;
  NameRegistry names(PeerName(1), "weave.local.", peers, logger);
  names.Add("c1", 0x0a200001, "web.weave.local");
  const Now now{MonotonicTime(0), absl::FromUnixSeconds(timestamp)};
  for (int i = 0; i < 2; ++i) {
    const auto news = names.OnGossip(now, PeerName(3), message);
    const auto onwards = names.OnBroadcast(now, PeerName(3), message);
    CHECK(news.ok() == onwards.ok());
    CHECK(i == 0 || !news.ok() || *news == nullptr) << "the same was news twice";
    if (news.ok()) CheckTold(news->get());
    if (onwards.ok()) CheckTold(onwards->get());
  }
  CheckTold(names.TakeBroadcast(now).get());
  CheckTold(names.FullState(now).get());
  CHECK(names.CheckInvariants().ok()) << names.CheckInvariants();
  CHECK(names.Lookup("web.weave.local.").size() >= 1) << "our own entry was taken away";
}

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const weave::ByteView message(data, size);
  const absl::StatusOr<weave::NameMessage> decoded = weave::DecodeNames(message);
  if (!decoded.ok()) CHECK(decoded.status().code() == absl::StatusCode::kInvalidArgument) << decoded.status();
  // On a clock on which the message is young, where it is read at all.
  const std::int64_t timestamp = decoded.ok() ? decoded->timestamp : 0;
  if (timestamp >= 0 && timestamp < 1LL << 40) weave::Hear(message, timestamp);
  return 0;
}
