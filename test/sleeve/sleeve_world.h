// Two peers that talk sleeve over a simulated path: seeded loss, delay (hence reordering), duplication, an MTU that the
// kernel knows and another that it does not, fragments that pass or not, address translation. The control messages go
// over a reliable ordered stream. Virtual time; the same seed gives the same run.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "overlay/overlay_switch.h"
#include "sleeve/sleeve_overlay.h"
#include "test/sleeve/datagrams.h"
#include "test/support/catch.h"

namespace weave {

struct SleevePath {
  std::uint64_t seed = 1;
  bool sealed = false;
  int loss_percent = 0;
  int duplication_percent = 0;
  Duration least_delay = absl::Milliseconds(1);  // one way
  Duration most_delay = absl::Milliseconds(1);
  std::size_t kernel_mtu = 1500;  // datagrams with DF above it are refused
  std::size_t mtu = 1500;         // those above it vanish
  bool fragments_pass = true;
  bool translated = false;  // the dialler stands behind a NAT
};

// One peer with one connection. Its effects wait in `effects`.
struct SleeveEnd {
  SleeveEnd(PeerName name, SocketAddress own_address) : self(name), address(own_address), sleeve(name, logger) {}

  PeerName self;
  SocketAddress address;  // of TCP and UDP
  NullLogger logger;
  SleeveOverlay sleeve;
  RecordingIo io;
  PacketRouter router;
  SleeveForwarder forwarder{self, router, io};
  OverlaySwitch overlays{{&sleeve}, &sleeve, logger};
  // What it told the mesh.
  std::optional<MonotonicTime> established_at;
  std::optional<MonotonicTime> failed_at;
  std::string failure;
  std::uint64_t datagram_count = 0;  // sent
};

class SleeveWorld {
 public:
  static constexpr ConnectionId kConnection = 7;
  static constexpr std::uint64_t kUid = 0x1122334455667788;

  explicit SleeveWorld(SleevePath path_options) : path(path_options), random_(path.seed) {
    Prepare(dialler, acceptor.address, /*outbound=*/true);
    Prepare(acceptor, {Translated().ip, 40001}, /*outbound=*/false);
  }

  SleevePath path;
  SleeveEnd dialler{PeerName(0xa), {IpAddress::V4(0x0a000001), 6783}};
  SleeveEnd acceptor{PeerName(0xb), {IpAddress::V4(0x0a000002), 6783}};

  MonotonicTime time() const { return now_.monotonic; }
  void Confirm() {
    for (SleeveEnd* end : {&acceptor, &dialler}) {
      end->overlays.Confirm(now_, kConnection);
      Take(*end);
    }
  }
  void RunFor(Duration duration) {
    const MonotonicTime end = now_.monotonic + duration;
    while (Step(end)) {
    }
    now_.monotonic = end;
  }
  // The NAT forgets what it knew and gives the dialler another port.
  void Retranslate() { ++translated_port_; }
  // What the acceptor sees of the dialler.
  SocketAddress Translated() const {
    return path.translated ? SocketAddress{IpAddress::V4(0xc0a80001), translated_port_} : dialler.address;
  }
  // A datagram of a third party.
  void Inject(SleeveEnd& to, const SocketAddress& from, ByteView datagram) { Receive(to, from, datagram); }
  std::string Mtu(const SleeveEnd& end) const { return end.overlays.Status(kConnection).attributes.at("mtu"); }
  bool FragmentsPass(const SleeveEnd& end) const { return end.sleeve.Find(kConnection)->fragments_pass(); }

  // Every datagram that was delivered, for replays.
  std::vector<std::pair<SleeveEnd*, Bytes>> delivered;

 private:
  void Prepare(SleeveEnd& end, const SocketAddress& remote, bool outbound) {
    OverlayConnection connection;
    connection.connection = kConnection;
    connection.uid = kUid;
    connection.remote = Other(end).self;
    connection.outbound = outbound;
    connection.local_tcp = end.address;
    connection.remote_tcp = remote;
    if (path.sealed) connection.key = SessionKey{1, 2, 3};
    connection.remote_overlays = "sleeve";
    CHECK(end.overlays.Prepare(now_, connection).ok());
  }

  SleeveEnd& Other(SleeveEnd& end) { return &end == &dialler ? acceptor : dialler; }

  // The next event no later than `end`; false when there is none.
  bool Step(MonotonicTime end) {
    SleeveEnd* timer = nullptr;
    std::optional<MonotonicTime> next;
    for (SleeveEnd* peer : {&dialler, &acceptor}) {
      const std::optional<MonotonicTime> deadline = peer->overlays.NextDeadline();
      if (!deadline.has_value() || (next.has_value() && *deadline >= *next)) continue;
      next = deadline;
      timer = peer;
    }
    if (!arrivals_.empty() && (!next.has_value() || arrivals_.begin()->first.first <= *next)) {
      next = arrivals_.begin()->first.first;
      timer = nullptr;
    }
    if (!next.has_value() || *next > end) return false;
    now_.monotonic = std::max(now_.monotonic, *next);
    if (timer != nullptr) {
      timer->overlays.OnTimer(now_);
      Take(*timer);
    } else {
      const auto arrival = std::move(arrivals_.begin()->second);
      arrivals_.erase(arrivals_.begin());
      arrival();
    }
    return true;
  }

  void At(MonotonicTime when, std::function<void()> what) {
    arrivals_.emplace(std::pair(when, ++sequence_), std::move(what));
  }

  void Take(SleeveEnd& end) {
    for (const OverlayEvent& event : end.overlays.TakeEvents(now_)) {
      if (std::holds_alternative<OverlayEstablished>(event)) {
        end.established_at = now_.monotonic;
      } else if (const auto* failed = std::get_if<OverlayFailed>(&event)) {
        end.failed_at = now_.monotonic;
        end.failure = std::string(failed->status.message());
      } else {
        SendControl(Other(end), std::get<OverlayControl>(event).message);
      }
    }
    for (const SleeveCommand& command : end.sleeve.TakeCommands()) end.forwarder.OnCommand(command);
    for (const RecordingIo::Sent& datagram : std::exchange(end.io.sent, {})) SendDatagram(end, datagram);
  }

  void Receive(SleeveEnd& to, const SocketAddress& from, ByteView datagram) {
    to.forwarder.OnDatagram(now_.monotonic, to.address.ip, from, datagram);
    to.forwarder.Flush();
    for (const SpecialFrameReceived& frame : std::exchange(to.io.special, {})) to.sleeve.OnSpecialFrame(now_, frame);
    Take(to);
  }

  void SendControl(SleeveEnd& to, Bytes message) {
    stream_time_[&to] = std::max(stream_time_[&to], now_.monotonic + Delay());
    At(stream_time_[&to], [this, &to, message = std::move(message)] {
      const absl::Status status = to.overlays.OnControl(now_, kConnection, message);
      INFO(status.message());
      CHECK(status.ok());
      Take(to);
    });
  }

  void SendDatagram(SleeveEnd& from, const RecordingIo::Sent& datagram) {
    ++from.datagram_count;
    const std::size_t packet_size = datagram.payload.size() + 28;
    if (datagram.dont_fragment && packet_size > path.kernel_mtu) {
      from.sleeve.OnMessageTooBig(now_, datagram.route.remote, path.kernel_mtu);
      Take(from);
      return;
    }
    if (packet_size > path.mtu && (datagram.dont_fragment || !path.fragments_pass)) return;
    const SocketAddress source = &from == &dialler ? Translated() : acceptor.address;
    SleeveEnd& to = Other(from);
    int copies = random_.Below(100) < static_cast<std::uint64_t>(path.duplication_percent) ? 2 : 1;
    for (; copies > 0; --copies) {
      if (random_.Below(100) < static_cast<std::uint64_t>(path.loss_percent)) continue;
      At(now_.monotonic + Delay(), [this, &to, source, remote = datagram.route.remote, payload = datagram.payload] {
        if (remote != (&to == &dialler ? Translated() : acceptor.address)) return;  // a mapping that is gone
        delivered.emplace_back(&to, payload);
        Receive(to, source, payload);
      });
    }
  }

  Duration Delay() {
    return absl::Nanoseconds(
        random_.Between(absl::ToInt64Nanoseconds(path.least_delay), absl::ToInt64Nanoseconds(path.most_delay)));
  }

  Random random_;
  Now now_;
  std::uint16_t translated_port_ = 50001;
  std::uint64_t sequence_ = 0;
  std::map<std::pair<MonotonicTime, std::uint64_t>, std::function<void()>> arrivals_;
  std::map<const SleeveEnd*, MonotonicTime> stream_time_;
};

}  // namespace weave
