// The kernel's keys of one simulated host, which outlive the peer's process, and what the peer does about them in the
// order that fastdp/os/ipsec_keeper.h promises.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "base/ip.h"
#include "base/random.h"
#include "fastdp/ipsec_command.h"
#include "sim/event_queue.h"

namespace weave::sim {

class SimIpsec {
 public:
  static constexpr Spi kClear = 0;

  using Ends = std::pair<IpAddress, IpAddress>;  // ours, theirs

  // `linger`: how long keys outlive their connection. `tell` is called in events of its own. The queue outlives this.
  SimIpsec(EventQueue& queue, Random random, Duration linger, std::function<void(const IpsecNotice&)> tell)
      : queue_(queue), random_(random), linger_(linger), tell_(std::move(tell)) {}

  // The process begins, with what an earlier one left.
  void Start();
  void Crash() { ++incarnation_; }
  // The machine starts again: the kernel has none. Between processes.
  void Reboot();
  void Perform(const std::vector<IpsecCommand>& commands);

  // Under which index a packet leaves, or kClear; none: it is dropped.
  std::optional<Spi> Outbound(const Ends& ends) const;
  // Whether one that came under this index, or in clear, is let in.
  bool Admits(const Ends& ends, Spi spi) const;

 private:
  // Of one connection.
  struct Path {
    Ends ends;
    std::optional<Spi> inbound;
    std::optional<Spi> offered;  // by the other end
    std::optional<Spi> outbound;
    std::optional<MonotonicTime> rests_until;  // the connection is over
  };
  using PathId = std::uint64_t;

  // In the order of calls, some time later, unless the process ends.
  void Later(std::function<void()> step);
  Path& Live(ConnectionId connection, const Ends& ends);
  void SetInbound(const SetUpInbound& set);
  void SetOutbound(const SetUpOutbound& set);
  void Complete(ConnectionId connection, Path& path);
  void PassClear(const PassInClear& pass);
  void Rest(PathId id, Duration duration);
  void Leave(PathId id);
  void Remove(PathId id);

  EventQueue& queue_;
  Random random_;
  const Duration linger_;
  const std::function<void(const IpsecNotice&)> tell_;
  std::uint64_t incarnation_ = 0;
  MonotonicTime last_step_;
  PathId last_id_ = 0;
  Spi last_spi_ = kMinSpi;
  absl::btree_map<PathId, Path> paths_;
  absl::btree_map<ConnectionId, PathId> live_;
  absl::btree_map<Ends, Spi> policies_;
};

}  // namespace weave::sim
