// Hosts with a datapath each, as network namespaces: a container's frames go in and come out byte by byte, and what
// passes between two hosts is seen. Needs a kernel with Open vSwitch (test/kernel).
#pragma once

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "fastdp/os/ovs_datapath.h"
#include "fastdp/os/ovs_dpif.h"
#include "host/netns.h"
#include "io/fd.h"
#include "test/host/host_world.h"
#include "test/support/catch.h"

namespace weave {

inline void NeedOvs() {
  const absl::Status probe = ::geteuid() == 0 ? ProbeOvs() : absl::FailedPreconditionError("needs root");
  if (!absl::IsFailedPrecondition(probe)) return;
  std::printf("SKIPPED: %s\n", std::string(probe.message()).c_str());
  std::exit(77);
}

inline MacAddress MacOf(int host, int number) {
  return MacAddress({2, 0, 0, 0, static_cast<std::uint8_t>(host), static_cast<std::uint8_t>(number)});
}

// Of an Ethernet type for experiments, so that nothing on the way understands it.
inline Bytes MakeFrame(const MacAddress& source, const MacAddress& destination, absl::string_view text) {
  Bytes frame(destination.bytes().begin(), destination.bytes().end());
  frame.insert(frame.end(), source.bytes().begin(), source.bytes().end());
  frame.insert(frame.end(), {0x88, 0xb5});
  frame.insert(frame.end(), text.begin(), text.end());
  frame.resize(std::max<std::size_t>(frame.size(), 60));
  return frame;
}

// Sends and hears frames on an interface of the calling thread's namespace.
class FrameSocket {
 public:
  explicit FrameSocket(const std::string& interface)
      : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))) {
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }

  void Send(ByteView frame) {
    REQUIRE(::send(fd_.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size()));
  }

  // A piece of TCP over IPv4 as a container with offloading sends it: to be cut, and without its checksum.
  void SendOffloaded(ByteView frame, std::uint16_t segment_size, std::uint16_t checksum_start,
                     std::uint16_t checksum_offset) {
    // virtio_net_hdr of linux/virtio_net.h, which C++ cannot read.
    struct {
      std::uint8_t flags = 1;     // a checksum is left to make
      std::uint8_t gso_type = 1;  // TCP over IPv4
      std::uint16_t header_size = 54, segment_size, checksum_start, checksum_offset;
    } header;
    header.segment_size = segment_size;
    header.checksum_start = checksum_start;
    header.checksum_offset = checksum_offset;
    iovec parts[] = {{&header, sizeof header}, {const_cast<std::uint8_t*>(frame.data()), frame.size()}};
    const auto set = [&](int on) {
      REQUIRE(::setsockopt(fd_.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) == 0);
    };
    set(1);
    REQUIRE(::writev(fd_.get(), parts, 2) == static_cast<ssize_t>(sizeof header + frame.size()));
    set(0);
  }

  // The next frame that arrives; empty: none within `wait_ms`.
  Bytes Receive(int wait_ms = 10'000) {
    Bytes frame(65536);
    while (true) {
      pollfd ready = {fd_.get(), POLLIN, 0};
      if (::poll(&ready, 1, wait_ms) != 1) return {};
      sockaddr_ll from = {};
      socklen_t size = sizeof from;
      const ssize_t count =
          ::recvfrom(fd_.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (count < 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
      frame.resize(static_cast<std::size_t>(count));
      return frame;
    }
  }

 private:
  Fd fd_;
};

// What a datapath told, in words and in order.
class Recorder final : public OvsDpif::Events {
 public:
  struct Miss {
    FlowKey key;
    Bytes frame;
    std::optional<std::uint32_t> too_large_for;
  };

  void OnUpcall(const Upcall& upcall) override {
    misses.push_back({upcall.key, Bytes(upcall.frame.begin(), upcall.frame.end()), upcall.too_large_for});
  }
  void OnVportAdded(const Vport& vport) override { changes.push_back(absl::StrCat("+", vport.name)); }
  void OnVportGone(VportNumber number) override { changes.push_back(absl::StrCat("-", number)); }
  void OnDatapathGone() override { changes.push_back("gone"); }

  std::deque<Miss> misses;
  std::vector<std::string> changes;
};

// A host with the datapath "dp". The calling thread is never in its namespace for longer than a call.
class OvsHost {
 public:
  explicit OvsHost(int number) : number_(number), ns_(MakeNetNs()) {
    NeedOvs();
    In([] { NoIpv6(); });
    In([] { REQUIRE(EnsureOvsDatapath("dp").status() == absl::OkStatus()); });
    Open();
  }

  int fd() const { return ns_.fd(); }
  OvsDpif& dpif() { return *dpif_; }
  Recorder& events() { return events_; }

  template <typename Work>
  void In(Work work) {
    REQUIRE(RunIn(ns_, [&] {
              work();
              return absl::OkStatus();
            }) == absl::OkStatus());
  }

  // As the next process of the peer would, while the datapath stays.
  void Close() { dpif_.reset(); }
  void Open() {
    In([&] {
      auto opened = OvsDpif::Open("dp", logger_);
      REQUIRE(opened.status() == absl::OkStatus());
      dpif_ = *std::move(opened);
    });
  }

  // A container whose interface is a port of the datapath; its end of the pair is the result's interface.
  FrameSocket AddContainer(int number) {
    const std::string name = absl::StrCat("c", number);
    NetNs container = MakeNetNs();
    REQUIRE(RunIn(container, [] {
              NoIpv6();
              return absl::OkStatus();
            }) == absl::OkStatus());
    const std::string path = absl::StrCat("/proc/", ::getpid(), "/fd/", container.fd());
    IpCommand(absl::StrCat("link add ", name, " type veth peer name eth0 address ", MacOf(number_, number).ToString(),
                           " netns ", path),
              fd());
    IpCommand(absl::StrCat("link set ", name, " up"), fd());
    IpCommand("link set eth0 up", container.fd());
    In([&] { REQUIRE(AddOvsPort("dp", name) == absl::OkStatus()); });
    std::unique_ptr<FrameSocket> socket;
    REQUIRE(RunIn(container, [&] {
              socket = std::make_unique<FrameSocket>("eth0");
              return absl::OkStatus();
            }) == absl::OkStatus());
    containers_.push_back(std::move(container));
    return std::move(*socket);
  }

  VportNumber PortOf(const std::string& name) {
    const auto vports = dpif_->ListVports();
    REQUIRE(vports.status() == absl::OkStatus());
    for (const Vport& vport : *vports) {
      if (vport.name == name) return vport.number;
    }
    FAIL("no port " << name);
    return 0;
  }

  void Pump() {
    dpif_->ReceiveChanges(events_);
    dpif_->ReceiveUpcalls(events_);
  }
  // The next miss; none within a time no working system needs fails the test.
  Recorder::Miss NextMiss() {
    REQUIRE(Eventually([&] {
      Pump();
      return !events_.misses.empty();
    }));
    Recorder::Miss miss = std::move(events_.misses.front());
    events_.misses.pop_front();
    return miss;
  }
  // Everything that has happened is with the recorder; the kernel hands up a miss within the call that sends the frame.
  bool HasMiss() {
    Pump();
    return !events_.misses.empty();
  }
  std::vector<std::string> Changes() {
    Pump();
    return std::exchange(events_.changes, {});
  }

 private:
  // No chatter of its own.
  static void NoIpv6() {
    for (const char* which : {"all", "default"}) {
      const std::string path = absl::StrCat("/proc/sys/net/ipv6/conf/", which, "/disable_ipv6");
      if (std::FILE* file = std::fopen(path.c_str(), "w")) {
        std::fputs("1", file);
        std::fclose(file);
      }
    }
  }

  const int number_;
  NetNs ns_;
  NullLogger logger_;
  std::vector<NetNs> containers_;
  std::unique_ptr<OvsDpif> dpif_;
  Recorder events_;
};

// Two hosts, 10.77.0.1 and 10.77.0.2, with a wire between them.
struct TwoHosts {
  TwoHosts() {
    const std::string path = absl::StrCat("/proc/", ::getpid(), "/fd/", second.fd());
    IpCommand("link add wire type veth peer name wire netns " + path, first.fd());
    for (OvsHost* host : {&first, &second}) {
      IpCommand(absl::StrCat("addr add 10.77.0.", host == &first ? 1 : 2, "/24 dev wire"), host->fd());
      IpCommand("link set wire up", host->fd());
    }
  }

  OvsHost first{1};
  OvsHost second{2};
};

}  // namespace weave
