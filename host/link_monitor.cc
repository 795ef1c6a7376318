#include "host/link_monitor.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "base/status.h"
#include "host/endpoint.h"
#include "host/netlink.h"
#include "host/netlink_codec.h"
#include "host/netlink_socket.h"

namespace weave {
namespace {

// Datagrams read in one turn, so that a storm of links does not hold up the loop.
constexpr int kReadsPerTurn = 64;

// A list of all links that failed is asked for again after this.
constexpr Duration kResyncPause = absl::Milliseconds(100);

// A bridge that is being deleted goes down first; only one that is still there after this went down (contract A7-11
// allows a second).
constexpr Duration kDownPatience = absl::Milliseconds(100);

class NetlinkMonitor final : public LinkMonitor {
 public:
  NetlinkMonitor(EventLoop& loop, LinkMonitorOptions options, LinkMonitorCallbacks callbacks, NetlinkSocket events,
                 Netlink netlink)
      : loop_(loop),
        options_(std::move(options)),
        callbacks_(std::move(callbacks)),
        events_(std::move(events)),
        netlink_(std::move(netlink)),
        resync_timer_(loop.MakeTimer([this] { Resync(); })),
        down_timer_(loop.MakeTimer([this] {
          Later(callbacks_.on_bridge_down);
          RunCallbacks();
        })),
        watch_(loop.WatchReadable(events_.fd(), [this] { OnReadable(); })) {
    resync_timer_->Arm(MonotonicTime());  // long past: the first turn
  }

 private:
  struct Known {
    std::string name;
    bool up = false;
    bool hairpin = false;
    int master_index = 0;
    std::optional<int> peer_nsid;
  };

  void OnReadable() {
    if (!started_) return;  // the first turn's list says it all
    for (int i = 0; i < kReadsPerTurn; ++i) {
      absl::StatusOr<bool> more = events_.ReadEvents([this](const nlmsghdr& header) { OnEvent(header); });
      if (!more.ok()) return Resync();  // events were dropped
      if (!*more) break;
    }
    RunCallbacks();
  }

  void OnEvent(const nlmsghdr& header) {
    const std::optional<LinkInfo> link = DecodeLink(header);
    if (!link) return;
    if (!IsBridgePortEvent(header)) {
      if (header.nlmsg_type == RTM_DELLINK) OnGone(link->index);
      if (header.nlmsg_type == RTM_NEWLINK) OnLink(*link);
    } else if (auto known = links_.find(link->index); header.nlmsg_type == RTM_NEWLINK && known != links_.end()) {
      OnHairpin(known->second, link->hairpin);
    }
  }

  void OnLink(const LinkInfo& link) {
    const auto [entry, is_new] = links_.try_emplace(link.index);
    Known& known = entry->second;
    if (IsHostIfname(link.name) &&
        (is_new || known.master_index != link.master_index || known.peer_nsid != link.peer_nsid))
      ports_changed_ = true;
    const bool was_bridge = link.index == bridge_index_;
    const bool is_bridge = link.name == options_.bridge;
    if (was_bridge && !is_bridge) OnBridgeGone();  // renamed
    if (is_bridge && was_bridge && known.up && !link.up) down_timer_->Arm(loop_.now().monotonic + kDownPatience);
    if (is_bridge) bridge_index_ = link.index;
    if (known.master_index != 0 && link.master_index == 0) OnPartLost(known.name);
    known.name = link.name;
    known.up = link.up;
    known.master_index = link.master_index;
    known.peer_nsid = link.peer_nsid;
    OnHairpin(known, link.hairpin);
  }

  void OnHairpin(Known& known, bool hairpin) {
    if (hairpin && !known.hairpin && known.name == options_.router_port) Later(callbacks_.on_hairpin, known.name);
    known.hairpin = hairpin;
  }

  void OnGone(int index) {
    auto known = links_.find(index);
    if (known == links_.end()) return;
    if (index == bridge_index_) OnBridgeGone();
    OnPartLost(known->second.name);
    if (IsHostIfname(known->second.name)) {
      Later(callbacks_.on_host_end_gone, known->second.name, index);
      ports_changed_ = true;
    }
    links_.erase(known);
  }

  void OnPartLost(const std::string& name) {
    const std::vector<std::string>& parts = options_.parts;
    if (std::find(parts.begin(), parts.end(), name) != parts.end()) Later(callbacks_.on_part_lost, name);
  }

  void OnBridgeGone() {
    bridge_index_ = 0;
    down_timer_->Disarm();
    Later(callbacks_.on_bridge_gone);
  }

  // What we know becomes what is; the differences count as events. Blocks for as long as the kernel takes to list
  // links.
  void Resync() {
    // What is still queued is older than the list.
    for (absl::StatusOr<bool> more = true; !more.ok() ? absl::IsResourceExhausted(more.status()) : *more;)
      more = events_.ReadEvents([](const nlmsghdr&) {});
    absl::StatusOr<std::vector<LinkInfo>> links = netlink_.Links();
    if (!links.ok()) return resync_timer_->Arm(loop_.now().monotonic + kResyncPause);
    std::set<int> present;
    for (const LinkInfo& link : *links) present.insert(link.index);
    std::vector<int> gone;
    for (const auto& [index, known] : links_) {
      if (!present.contains(index)) gone.push_back(index);
    }
    for (int index : gone) OnGone(index);
    for (const LinkInfo& link : *links) OnLink(link);
    if (!std::exchange(started_, true)) ReportStart();
    RunCallbacks();
  }

  void ReportStart() {
    auto bridge = links_.find(bridge_index_);
    if (bridge == links_.end()) {
      Later(callbacks_.on_bridge_gone);
    } else if (!bridge->second.up) {
      Later(callbacks_.on_bridge_down);
    }
    std::set<std::string> missing(options_.parts.begin(), options_.parts.end());
    for (const auto& [index, known] : links_) missing.erase(known.name);
    for (const std::string& name : missing) Later(callbacks_.on_part_lost, name);
  }

  // Callbacks run when our own state is consistent again.
  template <typename... Args, typename... Told>
  void Later(const std::function<void(Args...)>& callback, const Told&... told) {
    if (callback) pending_.push_back([&callback, told...] { callback(told...); });
  }

  void RunCallbacks() {
    if (std::exchange(ports_changed_, false)) Later(callbacks_.on_ports_changed);
    for (const std::function<void()>& callback : std::exchange(pending_, {})) callback();
  }

  EventLoop& loop_;
  const LinkMonitorOptions options_;
  const LinkMonitorCallbacks callbacks_;
  NetlinkSocket events_;
  Netlink netlink_;
  absl::btree_map<int, Known> links_;  // by index
  int bridge_index_ = 0;               // 0: there is none
  bool started_ = false;
  bool ports_changed_ = false;  // many at once are told as one
  std::vector<std::function<void()>> pending_;
  std::unique_ptr<Timer> resync_timer_;
  std::unique_ptr<Timer> down_timer_;
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LinkMonitor>> LinkMonitor::Start(EventLoop& loop, LinkMonitorOptions options,
                                                                LinkMonitorCallbacks callbacks) {
  ASSIGN_OR_RETURN(NetlinkSocket events, NetlinkSocket::Open());
  RETURN_IF_ERROR(events.Subscribe(RTNLGRP_LINK));
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  return std::make_unique<NetlinkMonitor>(loop, std::move(options), std::move(callbacks), std::move(events),
                                          std::move(netlink));
}

}  // namespace weave
