#include "mesh/send_queue.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "wire/messages.h"

namespace weave {

absl::Status SendQueue::Push(Bytes message) {
  if (queued_size_ + message.size() > kMaxQueuedSize)
    return absl::ResourceExhaustedError(
        absl::StrCat("the other peer does not read: ", queued_size_, " bytes are waiting for it"));
  queued_size_ += message.size();
  messages_.push_back(std::move(message));
  return absl::OkStatus();
}

void SendQueue::Gossip(absl::string_view channel, std::unique_ptr<GossipData> data) {
  std::unique_ptr<GossipData>& pending = gossip_[std::string(channel)];
  if (pending == nullptr)
    pending = std::move(data);
  else
    pending->Merge(*data);
}

void SendQueue::Broadcast(absl::string_view channel, PeerName source, std::unique_ptr<GossipData> data) {
  std::unique_ptr<GossipData>& pending = broadcasts_[{std::string(channel), source}];
  if (pending == nullptr)
    pending = std::move(data);
  else
    pending->Merge(*data);
}

std::optional<Bytes> SendQueue::Pop() {
  if (!messages_.empty()) {
    Bytes message = std::move(messages_.front());
    messages_.pop_front();
    queued_size_ -= message.size();
    return message;
  }
  // A state may have become empty since it was put here.
  for (auto next = gossip_.begin(); encoded_.empty() && next != gossip_.end();) {
    if (held_.contains(next->first)) {
      ++next;
      continue;
    }
    Encode(next->first, *next->second, std::nullopt);
    next = gossip_.erase(next);
  }
  for (auto next = broadcasts_.begin(); encoded_.empty() && next != broadcasts_.end();) {
    if (held_.contains(next->first.first)) {
      ++next;
      continue;
    }
    Encode(next->first.first, *next->second, next->first.second);
    next = broadcasts_.erase(next);
  }
  if (encoded_.empty()) return std::nullopt;
  Bytes message = std::move(encoded_.front());
  encoded_.pop_front();
  return message;
}

void SendQueue::Encode(absl::string_view channel, const GossipData& data, std::optional<PeerName> originator) {
  for (const Bytes& payload : data.Encode()) {
    GossipMessage message;
    message.channel = channel;
    message.source = originator.value_or(self_);
    message.payload = payload;
    encoded_.push_back(
        EncodeGossip(originator.has_value() ? MessageTag::kGossipBroadcast : MessageTag::kGossip, message));
  }
}

}  // namespace weave
