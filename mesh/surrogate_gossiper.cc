#include "mesh/surrogate_gossiper.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace weave {
namespace {

const Duration kRememberFor = absl::Seconds(30);
constexpr std::size_t kMaxSeen = 4096;

// What waits for one connection. What does not fit is dropped, oldest first: its owners repeat what matters.
constexpr std::size_t kMaxPendingSize = 4 * 1024 * 1024;

// Messages nobody here understands: they do not merge, they line up.
class OpaqueData final : public GossipData {
 public:
  explicit OpaqueData(std::vector<Bytes> messages) : messages_(std::move(messages)) {}

  void Merge(const GossipData& other) override {
    const std::vector<Bytes>& more = static_cast<const OpaqueData&>(other).messages_;
    messages_.insert(messages_.end(), more.begin(), more.end());
    std::size_t size = 0;
    auto keep = messages_.end();
    while (keep != messages_.begin() && size + std::prev(keep)->size() <= kMaxPendingSize) size += (--keep)->size();
    messages_.erase(messages_.begin(), keep);
  }
  std::vector<Bytes> Encode() const override { return messages_; }
  std::unique_ptr<GossipData> Clone() const override { return std::make_unique<OpaqueData>(messages_); }

 private:
  std::vector<Bytes> messages_;
};

std::unique_ptr<GossipData> Opaque(ByteView payload) {
  return std::make_unique<OpaqueData>(std::vector<Bytes>{Bytes(payload.begin(), payload.end())});
}

}  // namespace

absl::StatusOr<std::unique_ptr<GossipData>> SurrogateGossiper::OnBroadcast(Now, PeerName, ByteView payload) {
  return Opaque(payload);
}

absl::StatusOr<std::unique_ptr<GossipData>> SurrogateGossiper::OnGossip(Now now, PeerName, ByteView payload) {
  while (!seen_.empty() && now.monotonic - seen_.front().at > kRememberFor) seen_.pop_front();
  const Digest digest = DigestOf(payload);
  if (std::any_of(seen_.begin(), seen_.end(), [&](const Seen& seen) { return seen.digest == digest; })) return nullptr;
  if (seen_.size() == kMaxSeen) seen_.pop_front();
  seen_.push_back({now.monotonic, digest});
  return Opaque(payload);
}

}  // namespace weave
