// Networks whose containers send frames: what must hold of flows at any time, and what becomes of frames when all is
// healed.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "sim/simulation.h"

namespace weave::sim {
namespace {

constexpr Duration kProbeTime = absl::Seconds(2);  // any frame has arrived by then
constexpr int kProbeCount = 30;
constexpr std::size_t kPacketCount = 24;
constexpr std::size_t kStreamCount = 6;
constexpr Duration kStreamPause = absl::Milliseconds(200);
constexpr Duration kHeld = absl::Minutes(2);      // a connection that lasted is dialled again at once
constexpr Duration kMaxDown = absl::Seconds(20);  // of a peer that starts again

template <typename... Parts>
absl::Status Broken(const Parts&... parts) {
  return absl::InternalError(absl::StrCat(parts...));
}

}  // namespace

// After every event, and so after every turn of a data path.
void Simulation::CheckFlows() {
  for (const auto& member : members_)
    if (const absl::Status flows = member->host.data_path().CheckFlows(); !flows.ok())
      trace_.Violation(member->host.id(), flows.message());
}

void Simulation::RunFrames() {
  Probe(
      "a word to everybody",
      [this] {
        std::vector<FrameId> sent;
        for (const FrameWorkload::Station& from : frames_->stations()) sent.push_back(frames_->Announce(from));
        return sent;
      },
      [this](const FrameStory& story) { return CheckHeardByAll(story); });
  std::vector<FrameId> second;
  Probe(
      "a frame",
      [&] {
        std::vector<FrameId> sent = SendToEach();
        RunFor(kProbeTime);
        second = SendToEach();
        sent.insert(sent.end(), second.begin(), second.end());
        return sent;
      },
      [this](const FrameStory& story) { return CheckArrived(story); });
  if (trace_.violation().has_value()) return;
  for (const FrameId id : second)
    if (options_.host.fast_path->missing_permille == 0 && frame_book_.story(id).seen_by_peers > 0)
      return trace_.Violation(frame_book_.story(id).from, absl::StrCat("a peer sees frame ", id, " like one before"));
  ProbeSizes();
  if (!trace_.violation().has_value()) RestartOne(second);
}

// Whoever is told that a packet is too large sends as much as it is told. It may be told again, by the next relay and
// in the end by the peer of whom it is for.
void Simulation::ProbeSizes() {
  if (options_.frames->packet_permille == 0) return;
  Random random = random_.Split("packets");
  const std::vector<FrameWorkload::Station>& stations = frames_->stations();
  std::vector<FrameId> sent;
  Probe(
      "a packet",
      [&] {
        sent.clear();
        for (std::size_t i = 0; i < kPacketCount; ++i) {
          const FrameWorkload::Station& from = stations[random.Below(stations.size())];
          const FrameWorkload::Station& to = stations[random.Below(stations.size())];
          if (from.mac != to.mac) sent.push_back(frames_->SendAnyPacket(from, to.mac, random));
        }
        return sent;
      },
      [this](const FrameStory& story) { return CheckArrivedOrAnswered(story); });
  for (std::size_t relays = 0; !trace_.violation().has_value(); ++relays) {
    std::vector<FrameStory> refused;
    for (const FrameId id : sent)
      if (frame_book_.story(id).told_mtu.has_value()) refused.push_back(frame_book_.story(id));
    if (refused.empty()) return;
    if (relays > members_.size()) return trace_.Violation(refused.front().from, "a packet is refused for ever");
    Probe(
        "a packet of the size that its sender was told",
        [&] {
          sent.clear();
          for (const FrameStory& story : refused)
            sent.push_back(
                frames_->SendPacket({story.source, story.from}, story.destination, story.kind, *story.told_mtu));
          return sent;
        },
        [this](const FrameStory& story) { return CheckArrivedOrAnswered(story); });
  }
}

std::vector<FrameId> Simulation::SendToEach() {
  std::vector<FrameId> sent;
  for (const FrameWorkload::Station& from : frames_->stations())
    for (const FrameWorkload::Station& to : frames_->stations())
      if (from.mac != to.mac) sent.push_back(frames_->Send(from, to.mac));
  return sent;
}

absl::Status Simulation::CheckHeardByAll(const FrameStory& story) const {
  for (const FrameWorkload::Station& to : frames_->stations()) {
    const auto received = story.received.find(to.mac);
    const std::uint32_t count = received == story.received.end() ? 0 : received->second;
    if (count != (to.mac == story.source ? 0 : 1))
      return Broken(to.mac.ToString(), " on host ", *to.host, " receives it ", count, " times");
  }
  return absl::OkStatus();
}

absl::Status Simulation::CheckArrived(const FrameStory& story) const {
  if (story.received.size() != 1 || story.received.begin()->first != story.destination ||
      story.received.begin()->second != 1)
    return Broken("it is received by ", story.received.size());
  if (story.delivered > 1) return Broken("it is delivered in ", story.delivered, " places");
  if (story.tunnelled >= members_.size()) return Broken("it goes ", story.tunnelled, " ways");
  return absl::OkStatus();
}

// Never silence: what may be cut arrives, what may not does, or its sender knows why.
absl::Status Simulation::CheckArrivedOrAnswered(const FrameStory& story) const {
  if (story.told_mtu.has_value() && story.received.empty() && story.kind != FrameKind::kIpv4) {
    if (*story.told_mtu >= FrameBook::kLeastPacketSize && *story.told_mtu < story.packet_size) return absl::OkStatus();
    return Broken("of ", story.packet_size, " bytes: its sender is told ", *story.told_mtu);
  }
  if (!story.told_mtu.has_value() && story.received.size() == 1 && story.pieces.empty() &&
      story.received.begin()->first == story.destination && story.received.begin()->second == 1)
    return absl::OkStatus();
  return Broken("of kind ", static_cast<int>(story.kind), " and ", story.packet_size, " bytes: it is received by ",
                story.received.size(), story.told_mtu.has_value() ? ", and refused" : "");
}

// Null: they are no neighbours.
const ForwardingHop* Simulation::HopTo(HostId from, HostId to) const {
  const ForwardingSnapshotPtr forwarding = members_[from]->host.data_path().forwarding();
  if (forwarding == nullptr) return nullptr;
  for (const ForwardingHop& hop : forwarding->hops)
    if (hop.neighbour == SimHost::NameOf(to)) return &hop;
  return nullptr;
}

absl::Status Simulation::CheckFastPaths() const {
  const auto has_datapath = [this](HostId id) { return members_[id]->host.data_path().has_datapath(); };
  for (HostId from = 0; from < members_.size(); ++from) {
    for (HostId to = 0; to < members_.size(); ++to) {
      const ForwardingHop* hop = HopTo(from, to);
      if (hop == nullptr) continue;
      const Way best = has_datapath(from) && has_datapath(to) ? Way::kFastdp : Way::kSleeve;
      if (hop->ways.empty() || hop->ways.front() != best)
        return Broken("host ", from, " does not use the best way to host ", to);
    }
  }
  return absl::OkStatus();
}

Simulation::Knowledge Simulation::KnowledgeNow() const {
  Knowledge all;
  for (const auto& member : members_) {
    const SimDataPath& data_path = member->host.data_path();
    all.data_paths.emplace_back(data_path.forwarding(), data_path.counters().flows_idle);
  }
  all.too_large = datagrams_.too_large_count();
  return all;
}

void Simulation::Probe(absl::string_view what, absl::FunctionRef<std::vector<FrameId>()> send,
                       absl::FunctionRef<absl::Status(const FrameStory&)> judge) {
  for (int i = 0; i < kProbeCount && !trace_.violation().has_value(); ++i) {
    RunUntilOk(options_.frames->fast_within, [this] { return CheckFastPaths(); });
    const Knowledge before = KnowledgeNow();
    const std::vector<FrameId> sent = send();
    RunFor(kProbeTime);
    if (KnowledgeNow() != before) continue;
    for (const FrameId id : sent) {
      const FrameStory& story = frame_book_.story(id);
      if (const absl::Status fared = judge(story); !fared.ok())
        trace_.Violation(story.from, absl::StrCat(what, " at rest, ", id, " from ", story.source.ToString(), " to ",
                                                  story.destination.ToString(), ": ", fared.message()));
    }
    return;
  }
  trace_.Violation(0, absl::StrCat(what, ": the network does not come to rest"));
}

std::optional<HostId> Simulation::HostOf(const MacAddress& mac) const {
  for (const FrameWorkload::Station& station : frames_->stations())
    if (station.mac == mac) return station.host;
  return std::nullopt;
}

// Without the connection of these neighbours one would not reach the other.
bool Simulation::IsOnlyWay(HostId a, HostId b) const {
  absl::btree_set<HostId> reached = {a};
  for (std::size_t before = 0; before != reached.size();) {
    before = reached.size();
    for (const auto& from : members_) {
      if (!reached.contains(from->host.id())) continue;
      for (const auto& to : members_) {
        const HostId x = from->host.id();
        const HostId y = to->host.id();
        if (std::pair(std::min(x, y), std::max(x, y)) != std::pair(std::min(a, b), std::max(a, b)) &&
            HopTo(x, y) != nullptr)
          reached.insert(y);
      }
    }
  }
  return !reached.contains(b);
}

// The end of a peer's process and its next start are not noticed by frames whose way is in the kernels. Where there is
// another way for them, they take it, and it may be gone by then.
void Simulation::RestartOne(const std::vector<FrameId>& established) {
  RunFor(kHeld);
  Random random = random_.Split("restart");
  SimHost& host = members_[random.Below(members_.size())]->host;
  std::vector<FrameStory> streams;
  for (const FrameId id : established) {
    const FrameStory& story = frame_book_.story(id);
    const HostId to = *HostOf(story.destination);
    if (story.seen_by_peers == 0 && story.tunnelled == 1 && (story.from == host.id() || to == host.id()) &&
        HopTo(story.from, to) != nullptr && IsOnlyWay(story.from, to) && streams.size() < kStreamCount)
      streams.push_back(story);
  }
  if (streams.empty()) return;
  std::vector<FrameId> sent;
  const auto stream_for = [&](Duration duration) {
    const MonotonicTime stop = queue_.time() + duration;
    for (MonotonicTime at = queue_.time(); at < stop; at = at + kStreamPause) {
      queue_.AtInBackground(at, [] {});  // so that the clock goes on
      RunTo(at);
      for (const FrameStory& story : streams)
        sent.push_back(frames_->Send({story.source, story.from}, story.destination));
    }
  };
  stream_for(absl::Seconds(1));
  host.Crash();
  stream_for(Draw(random, absl::ZeroDuration(), kMaxDown));
  host.Start();
  stream_for(absl::Minutes(1));
  RunFor(kProbeTime);
  for (const FrameId id : sent) {
    const FrameStory& story = frame_book_.story(id);
    const auto received = story.received.find(story.destination);
    if (received == story.received.end() || received->second != 1)
      return trace_.Violation(host.id(), absl::StrCat("the peer's restart is noticed by frame ", id, " from ",
                                                      story.source.ToString(), " to ", story.destination.ToString()));
  }
}

}  // namespace weave::sim
