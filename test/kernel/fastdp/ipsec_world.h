// Two hosts with a wire between them, each with the keepers of encrypted paths and of the packet filter as a peer has
// them, and what passes on the wire. Needs a kernel with ESP (test/kernel).
#pragma once

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "fastdp/os/esp.h"
#include "fastdp/os/ipsec_keeper.h"
#include "host/firewall_keeper.h"
#include "io/event_loop.h"
#include "io/worker_pool.h"
#include "test/host/host_world.h"

namespace weave {

constexpr std::uint16_t kVxlanPort = 6784;
constexpr int kQueueSize = 16 * 1024 * 1024;  // bytes; the tap is read at the end only

inline sockaddr_in UdpAddress(const IpAddress& address) {
  sockaddr_in result = {};
  result.sin_family = AF_INET;
  result.sin_port = htons(kVxlanPort);
  result.sin_addr.s_addr = htonl(address.v4());
  return result;
}

// Counts IPv4 packets on an interface, both ways, by protocol.
class WireTap {
 public:
  explicit WireTap(const NetNs& ns) {
    REQUIRE(RunIn(ns, [&] {
              fd_.reset(::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL)));
              sockaddr_ll address = {};
              address.sll_family = AF_PACKET;
              address.sll_protocol = htons(ETH_P_ALL);
              address.sll_ifindex = static_cast<int>(::if_nametoindex("eth0"));
              REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
              ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kQueueSize, sizeof kQueueSize);
              return absl::OkStatus();
            }).ok());
  }

  // Since the last call.
  absl::btree_map<int, int> CountByProtocol() {
    absl::btree_map<int, int> counts;
    iphdr header;
    while (::recv(fd_.get(), &header, sizeof header, 0) >= static_cast<ssize_t>(sizeof header)) {
      if (header.version == 4) {
        ++counts[header.protocol];
        largest_ = std::max<std::size_t>(largest_, ntohs(header.tot_len));
      }
    }
    return counts;
  }
  // Of the packets counted so far; bytes with the IP header.
  std::size_t largest() const { return largest_; }

 private:
  Fd fd_;
  std::size_t largest_ = 0;
};

class IpsecHost {
 public:
  IpsecHost(EventLoop& loop, int number) : number_(number), loop_(loop), ns_(MakeNetNs()) {}

  IpAddress address() const { return IpAddress::V4(0x0a4d0000 + static_cast<std::uint32_t>(number_)); }
  PeerName name() const { return PeerName(static_cast<std::uint64_t>(number_)); }
  const NetNs& ns() const { return ns_; }
  std::string Ip(const std::string& arguments) const { return IpCommand(arguments, ns_.fd()); }
  std::string Shell(const std::string& command) const { return TryIn(ns_.fd(), {"/bin/sh", "-c", command}).output; }

  // How many packets the packet filter has marked on their way out.
  std::string Marked() const {
    return Shell("iptables-legacy -t mangle -nvxL WEAVE-IPSEC-OUT-MARK | awk '$3 == \"MARK\" { printf $1 }'");
  }

  // As a peer's start does.
  void Start(FirewallBackend backend, Duration linger) {
    REQUIRE(RunIn(ns_, [&] { return StartHere(backend, linger); }).ok());
  }
  // As kill -9, in that everything stays.
  void Stop() {
    keeper_.reset();
    firewall_.reset();
    workers_.reset();
  }

  void Perform(IpsecCommand command) { keeper_->Perform({std::move(command)}); }
  IpsecKeeper& keeper() { return *keeper_; }
  FirewallKeeper& firewall() { return *firewall_; }

  // What the keeper told.
  absl::btree_map<ConnectionId, InboundReady> inbound;
  absl::btree_map<ConnectionId, OutboundReady> outbound;
  absl::btree_map<ConnectionId, ClearReady> clear;

 private:
  absl::Status StartHere(FirewallBackend backend, Duration linger) {
    workers_.emplace("firewall", 1);
    workers_->Submit([] {});  // its thread stays in this namespace
    PacketFilterOptions options;
    options.backend = backend;
    ASSIGN_OR_RETURN(const PacketFilter filter, PacketFilter::Detect(options));
    firewall_.emplace(loop_, *workers_, log_, filter, FirewallKeeper::Options{});
    ASSIGN_OR_RETURN(std::unique_ptr<EspKernel> esp, EspKernel::Open());
    ASSIGN_OR_RETURN(const IpsecLeftovers leftovers, FindIpsecLeftovers(*esp, filter, kVxlanPort));
    keeper_.emplace(
        loop_, std::move(esp), leftovers,
        [this](auto paths, auto done) { firewall_->SetIpsecPaths(std::move(paths), std::move(done)); },
        [this](const IpsecNotice& notice) { std::visit([this](const auto& one) { Hear(one); }, notice); }, log_,
        linger);
    firewall_->SetRules({}, {});
    return absl::OkStatus();
  }

  void Hear(const InboundReady& ready) { inbound[ready.connection] = ready; }
  void Hear(const OutboundReady& ready) { outbound[ready.connection] = ready; }
  void Hear(const ClearReady& ready) { clear[ready.connection] = ready; }

  const int number_;
  EventLoop& loop_;
  NullLogger log_;
  NetNs ns_;
  std::optional<WorkerPool> workers_;
  std::optional<FirewallKeeper> firewall_;
  std::optional<IpsecKeeper> keeper_;
};

class IpsecWorld {
 public:
  explicit IpsecWorld(FirewallBackend backend) : backend_(backend) {
    a.Ip(
        absl::StrCat("link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 "
                     "netns /proc/",
                     ::getpid(), "/fd/", b.ns().fd()));
    for (IpsecHost* host : {&a, &b}) {
      host->Ip(absl::StrCat("addr add ", host->address().ToString(), "/24 dev eth0"));
      host->Ip("link set lo up");
      host->Ip("link set eth0 up");
      REQUIRE(RunIn(host->ns(), [&] {
                Fd& fd = sockets_[host];
                fd.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
                const sockaddr_in own = UdpAddress(host->address());
                REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0);
                ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kQueueSize, sizeof kQueueSize);
                return absl::OkStatus();
              }).ok());
    }
    a.Shell("ping -c 1 -W 5 10.77.0.2");  // the two know each other's MAC from here on
  }
  ~IpsecWorld() { StopTraffic(); }

  void Start(IpsecHost& host, Duration linger = absl::Hours(1)) { host.Start(backend_, linger); }

  // Turns the loop until the condition holds.
  void Await(absl::FunctionRef<bool()> condition) {
    const MonotonicTime limit = MonotonicNow() + absl::Seconds(60);
    bool held = false;
    std::unique_ptr<Timer> timer;
    timer = loop_.MakeTimer([&] {
      held = condition();
      if (held || loop_.now().monotonic > limit) return loop_.Stop();
      timer->Arm(loop_.now().monotonic + absl::Milliseconds(5));
    });
    timer->Arm(MonotonicNow());
    loop_.Run();
    REQUIRE(held);
  }

  // As two overlays do it.
  void Connect(ConnectionId connection) {
    const SessionKey session = {static_cast<std::uint8_t>(connection)};
    for (IpsecHost* host : {&a, &b}) {
      IpsecHost& other = host == &a ? b : a;
      host->Perform(SetUpInbound{connection, host->address(), other.address(), kVxlanPort, kVxlanPort,
                                 DeriveEspKey(session, {}, host->name())});
    }
    Await([&] { return a.inbound.contains(connection) && b.inbound.contains(connection); });
    for (IpsecHost* host : {&a, &b}) {
      IpsecHost& other = host == &a ? b : a;
      REQUIRE(other.inbound[connection].status == absl::OkStatus());
      host->Perform(SetUpOutbound{connection, host->address(), other.address(), kVxlanPort,
                                  other.inbound[connection].spi, DeriveEspKey(session, {}, other.name())});
    }
    Await([&] { return a.outbound.contains(connection) && b.outbound.contains(connection); });
    REQUIRE(a.outbound[connection].status == absl::OkStatus());
    REQUIRE(b.outbound[connection].status == absl::OkStatus());
  }

  // One datagram from `host` to the other; false: the kernel refused it.
  bool Send(IpsecHost& host, std::uint32_t sequence) {
    const sockaddr_in to = UdpAddress((&host == &a ? b : a).address());
    return ::sendto(sockets_.at(&host).get(), &sequence, sizeof sequence, 0, reinterpret_cast<const sockaddr*>(&to),
                    sizeof to) == sizeof sequence;
  }

  // Past the host's packet filter and policies, as a stranger on the wire in a's name.
  void InjectClear(std::uint32_t sequence) {
    struct {
      iphdr ip = {};
      udphdr udp = {};
      std::uint32_t sequence = 0;
    } packet;
    packet.ip.version = 4;
    packet.ip.ihl = 5;
    packet.ip.ttl = 64;
    packet.ip.protocol = IPPROTO_UDP;
    packet.ip.tot_len = htons(sizeof packet);
    packet.ip.saddr = htonl(a.address().v4());
    packet.ip.daddr = htonl(b.address().v4());
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < sizeof packet.ip; i += 2) {
      std::uint16_t word = 0;
      std::memcpy(&word, reinterpret_cast<const char*>(&packet.ip) + i, sizeof word);
      sum += word;
    }
    packet.ip.check = static_cast<std::uint16_t>(~((sum & 0xffff) + (sum >> 16)));
    packet.udp.source = packet.udp.dest = htons(kVxlanPort);
    packet.udp.len = htons(sizeof packet.udp + sizeof packet.sequence);
    packet.sequence = sequence;
    REQUIRE(RunIn(a.ns(), [&] {
              const Fd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
              sockaddr_ll to = {};
              to.sll_family = AF_PACKET;
              to.sll_protocol = htons(ETH_P_IP);
              to.sll_ifindex = static_cast<int>(::if_nametoindex("eth0"));
              to.sll_halen = ETH_ALEN;
              to.sll_addr[0] = 2;
              to.sll_addr[5] = 2;
              REQUIRE(::sendto(fd.get(), &packet, sizeof packet, 0, reinterpret_cast<const sockaddr*>(&to),
                               sizeof to) == sizeof packet);
              return absl::OkStatus();
            }).ok());
  }

  // What has arrived since traffic began or the last call. Packets on a veth have arrived when the sender's call
  // returns, or very soon.
  absl::btree_set<std::uint32_t> Received(IpsecHost& host) {
    absl::SleepFor(absl::Milliseconds(100));
    Read(host);
    return std::exchange(received_[&host], {});
  }

  // Gives each host the interface `vx` with 10.99.0.NUMBER, over VXLAN with 1376 bytes, instead of the datagrams.
  void MakeVxlan() {
    sockets_.clear();  // the port is the tunnel's now
    for (IpsecHost* host : {&a, &b}) {
      const IpsecHost& other = host == &a ? b : a;
      host->Ip(absl::StrCat("link add vx mtu 1376 type vxlan id 7 dstport 6784 local ", host->address().ToString(),
                            " remote ", other.address().ToString()));
      host->Ip(absl::StrCat("addr add 10.99.0.", host->address().v4() & 0xff, "/24 dev vx"));
      host->Ip("link set vx up");
    }
  }

  // Datagrams both ways, one after the other, from now on.
  void StartTraffic() {
    stop_ = false;
    sent_ = 0;
    traffic_ = std::thread([this] {
      while (!stop_) {
        Send(a, sent_);
        Send(b, sent_);
        ++sent_;
        absl::SleepFor(absl::Microseconds(500));
        Read(a);
        Read(b);
      }
    });
  }
  void StopTraffic() {
    stop_ = true;
    if (traffic_.joinable()) traffic_.join();
  }
  // Until this many more were sent each way.
  void AwaitTraffic(std::uint32_t count) {
    const std::uint32_t until = sent_ + count;
    Await([&] { return sent_ >= until; });
  }
  std::uint32_t sent() const { return sent_; }

 private:
  void Read(IpsecHost& host) {
    std::uint32_t sequence = 0;
    while (::recv(sockets_.at(&host).get(), &sequence, sizeof sequence, 0) == sizeof sequence)
      received_[&host].insert(sequence);
  }

  EventLoop loop_;
  const FirewallBackend backend_;

 public:
  IpsecHost a{loop_, 1};
  IpsecHost b{loop_, 2};

 private:
  absl::btree_map<IpsecHost*, Fd> sockets_;
  absl::btree_map<IpsecHost*, absl::btree_set<std::uint32_t>> received_;  // the thread's while there is traffic
  std::atomic<bool> stop_ = true;
  std::atomic<std::uint32_t> sent_ = 0;
  std::thread traffic_;
};

// Whether this kernel can do ESP; ends the program as skipped when it cannot.
inline void NeedEsp() {
  absl::Status status = ::geteuid() == 0 ? absl::OkStatus() : absl::PermissionDeniedError("needs root");
  if (status.ok()) {
    status = RunIn(MakeNetNs(), [] {
      ASSIGN_OR_RETURN(const std::unique_ptr<EspKernel> esp, EspKernel::Open());
      return esp->AddInbound(IpAddress::V4(0x7f000001), IpAddress::V4(0x7f000002), {}).status();
    });
  }
  if (!absl::IsFailedPrecondition(status) && !absl::IsPermissionDenied(status)) return;
  std::printf("SKIPPED: %s\n", std::string(status.message()).c_str());
  std::exit(77);
}

}  // namespace weave
