#include "sim/frame_workload.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace weave::sim {
namespace {

constexpr MacAddress kEverybody({0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
constexpr Duration kMaxAway = absl::Seconds(3);
constexpr Duration kMaxAnswerTime = absl::Milliseconds(50);

MacAddress MacOf(std::uint32_t station) {
  return MacAddress({0x02, 0xf0, 0, 0, static_cast<std::uint8_t>(station >> 8), static_cast<std::uint8_t>(station)});
}

}  // namespace

FrameWorkload::FrameWorkload(FrameOptions options, std::vector<SimHost*> hosts, FrameBook& book, EventQueue& queue,
                             Random random)
    : options_(options), hosts_(std::move(hosts)), book_(book), queue_(queue), random_(random) {
  for (std::uint32_t i = 0; i < options_.stations; ++i) stations_.push_back({MacOf(i), {}});
  book_.Listen([this](HostId host, const MacAddress& nic, const FrameStory& story) { OnReceipt(host, nic, story); });
}

void FrameWorkload::Start() {
  if (options_.quiet == absl::ZeroDuration()) return Think();
  queue_.AfterInBackground(options_.quiet, [this] { Think(); });
}

void FrameWorkload::Think() {
  queue_.AfterInBackground(Draw(random_, absl::ZeroDuration(), options_.max_think_time), [this] {
    if (stopped_) return;
    Act();
    Think();
  });
}

void FrameWorkload::Stop() {
  stopped_ = true;
  for (Station& station : stations_)
    if (!station.host.has_value()) Arrive(station);
}

FrameId FrameWorkload::Send(const Station& from, const MacAddress& to, bool answer) {
  const Bytes frame = book_.Write(*from.host, from.mac, to, answer);
  const FrameId id = book_.last();
  hosts_[*from.host]->data_path().Send(from.mac, frame);
  return id;
}

FrameId FrameWorkload::Announce(const Station& from) { return Send(from, kEverybody); }

FrameId FrameWorkload::SendPacket(const Station& from, const MacAddress& to, FrameKind kind, std::size_t packet_size) {
  const Bytes frame = book_.WritePacket(*from.host, from.mac, to, kind, packet_size);
  const FrameId id = book_.last();
  hosts_[*from.host]->data_path().Send(from.mac, frame);
  return id;
}

FrameId FrameWorkload::SendAnyPacket(const Station& from, const MacAddress& to, Random& random) {
  constexpr FrameKind kKinds[] = {FrameKind::kIpv4, FrameKind::kIpv4Whole, FrameKind::kIpv6};
  const FrameKind kind = kKinds[random.Below(std::size(kKinds))];
  const std::size_t largest = hosts_[*from.host]->data_path().largest_packet();
  const std::size_t least = random.Chance(1, 4) ? FrameBook::kLeastPacketSize : largest - largest / 4;
  return SendPacket(from, to, kind, least + random.Below(largest - least + 1));
}

void FrameWorkload::Act() {
  Station& station = stations_[random_.Below(stations_.size())];
  if (!station.host.has_value()) return Arrive(station);
  if (random_.Chance(options_.churn_permille, 1000)) return Churn(station);
  if (random_.Chance(1, 8))
    Announce(station);
  else if (const Station& to = stations_[random_.Below(stations_.size())]; to.mac != station.mac)
    SendToOne(station, to.mac);
}

void FrameWorkload::SendToOne(const Station& from, const MacAddress& to) {
  if (options_.packet_permille != 0 && random_.Chance(options_.packet_permille, 1000))
    SendAnyPacket(from, to, random_);
  else
    Send(from, to);
}

void FrameWorkload::Churn(Station& station) {
  Leave(station);
  const std::uint64_t how = random_.Below(3);
  if (how == 0) return;
  if (how == 1) return Arrive(station);
  queue_.AfterInBackground(Draw(random_, absl::ZeroDuration(), kMaxAway), [this, &station] {
    if (!station.host.has_value()) Arrive(station);
  });
}

void FrameWorkload::Arrive(Station& station) {
  station.host = static_cast<HostId>(random_.Below(hosts_.size()));
  hosts_[*station.host]->data_path().Plug(station.mac);
  if (!random_.Chance(options_.silent_permille, 1000)) Announce(station);
}

void FrameWorkload::Leave(Station& station) {
  hosts_[*station.host]->data_path().Unplug(station.mac);
  station.host.reset();
}

void FrameWorkload::OnReceipt(HostId host, const MacAddress& nic, const FrameStory& story) {
  if (stopped_ || story.answer || story.destination != nic || !random_.Chance(1, 2)) return;
  queue_.AfterInBackground(Draw(random_, absl::ZeroDuration(), kMaxAnswerTime), [this, host, nic, to = story.source] {
    const auto station =
        std::find_if(stations_.begin(), stations_.end(), [&](const Station& s) { return s.mac == nic; });
    if (station->host == host) Send(*station, to, /*answer=*/true);
  });
}

}  // namespace weave::sim
