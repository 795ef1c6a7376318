// Containers of all hosts as the network sees them: each has a MAC address, sends frames to others and to everybody,
// answers, and comes, goes and moves to other hosts, mostly with a word to everybody when it has arrived.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/mac.h"
#include "base/random.h"
#include "base/time.h"
#include "sim/event_queue.h"
#include "sim/frame_book.h"
#include "sim/sim_host.h"

namespace weave::sim {

struct FrameOptions {
  std::uint32_t stations = 8;                  // containers, on all hosts together
  Duration max_think_time = absl::Seconds(1);  // between two of what all of them do
  std::uint32_t churn_permille = 200;          // of what they do: come, go, move
  std::uint32_t silent_permille = 200;         // of arrivals: without a word
  std::uint32_t packet_permille = 0;           // of frames to one: IP packets, of up to what the interface has
  Duration quiet = absl::ZeroDuration();       // before the first comes
  Duration fast_within = absl::Minutes(3);     // of agreement: kernels carry frames where they can
};

class FrameWorkload {
 public:
  struct Station {
    MacAddress mac;
    std::optional<HostId> host;  // none: not there
  };

  // References outlive the workload.
  FrameWorkload(FrameOptions options, std::vector<SimHost*> hosts, FrameBook& book, EventQueue& queue, Random random);

  void Start();
  // Nobody comes, goes or says anything by itself any more, and all are there.
  void Stop();

  const std::vector<Station>& stations() const { return stations_; }
  // The station must be there.
  FrameId Send(const Station& from, const MacAddress& to, bool answer = false);
  FrameId Announce(const Station& from);
  FrameId SendPacket(const Station& from, const MacAddress& to, FrameKind kind, std::size_t packet_size);
  // Of a kind and a size that it may send.
  FrameId SendAnyPacket(const Station& from, const MacAddress& to, Random& random);

 private:
  void Think();
  void Act();
  void SendToOne(const Station& from, const MacAddress& to);
  void Churn(Station& station);
  void Arrive(Station& station);
  void Leave(Station& station);
  void OnReceipt(HostId host, const MacAddress& nic, const FrameStory& story);

  const FrameOptions options_;
  const std::vector<SimHost*> hosts_;
  FrameBook& book_;
  EventQueue& queue_;
  Random random_;
  std::vector<Station> stations_;
  bool stopped_ = false;
};

}  // namespace weave::sim
