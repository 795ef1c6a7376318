#include "host/packet_filter_watch.h"

// libc's <netinet/in.h> comes before the kernel's headers, which then leave out what it has declared.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
// clang-format off
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netlink.h>
// clang-format on

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "base/status.h"
#include "io/fd.h"

namespace weave {
namespace {

constexpr Duration kSettle = absl::Milliseconds(100);  // one command changes many rules
constexpr Duration kPoll = absl::Seconds(1);

// Whether a datagram of NFNLGRP_NFTABLES speaks of rules, chains or tables of IPv4. Elements of sets, other families
// and the closing "new generation" do not concern us.
bool ConcernsUs(const char* data, std::size_t size) {
  while (size >= sizeof(nlmsghdr)) {
    nlmsghdr header;
    std::memcpy(&header, data, sizeof(header));
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > size) return true;  // cannot tell
    nfgenmsg generic{};
    if (header.nlmsg_len >= sizeof(header) + sizeof(generic)) {
      std::memcpy(&generic, data + sizeof(header), sizeof(generic));
    }
    const int subsystem = header.nlmsg_type >> 8;
    const int type = header.nlmsg_type & 0xff;
    const bool rules = type == NFT_MSG_NEWTABLE || type == NFT_MSG_DELTABLE || type == NFT_MSG_NEWCHAIN ||
                       type == NFT_MSG_DELCHAIN || type == NFT_MSG_NEWRULE || type == NFT_MSG_DELRULE;
    if (subsystem == NFNL_SUBSYS_NFTABLES && rules && generic.nfgen_family == NFPROTO_IPV4) return true;
    const std::size_t step = NLMSG_ALIGN(header.nlmsg_len);
    if (step >= size) break;
    data += step;
    size -= step;
  }
  return false;
}

class NftWatch final : public PacketFilterWatch {
 public:
  NftWatch(EventLoop& loop, Fd socket, absl::AnyInvocable<void()> on_change)
      : loop_(loop),
        socket_(std::move(socket)),
        timer_(loop.MakeTimer(std::move(on_change))),
        watch_(loop.WatchReadable(socket_.get(), [this] { OnReadable(); })) {}

  static absl::StatusOr<Fd> Open() {
    Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
    if (!fd.valid()) return ErrnoError(errno, "packet filter: netlink socket for netfilter");
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = 1U << (NFNLGRP_NFTABLES - 1);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      return ErrnoError(errno, "packet filter: subscribe to changes of nftables");
    }
    return fd;
  }

 private:
  // A full load of rules is megabytes: a bounded part of it each turn.
  static constexpr int kReadsPerTurn = 64;

  void OnReadable() {
    for (int i = 0; i < kReadsPerTurn; ++i) {
      const ssize_t size = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno != ENOBUFS) return;  // nothing more; ENOBUFS: more than the socket could hold
      const bool whole = size >= 0 && static_cast<std::size_t>(size) <= buffer_.size();
      const bool concerns = !whole || ConcernsUs(buffer_.data(), static_cast<std::size_t>(size));
      // Not moved by later changes: a steady stream of them must not put us off for ever.
      if (concerns && !timer_->armed()) timer_->Arm(loop_.now().monotonic + kSettle);
    }
  }

  EventLoop& loop_;
  const Fd socket_;
  std::array<char, 32768> buffer_;
  std::unique_ptr<Timer> timer_;
  std::unique_ptr<FdWatch> watch_;
};

// What the kernel tells of a table without copying its rules: enough to see one come or go.
using TableState = std::array<ipt_getinfo, 3>;

class LegacyWatch final : public PacketFilterWatch {
 public:
  LegacyWatch(EventLoop& loop, WorkerPool& workers, Fd socket, absl::AnyInvocable<void()> on_change)
      : loop_(loop),
        workers_(workers),
        socket_(std::make_shared<const Fd>(std::move(socket))),
        on_change_(std::move(on_change)),
        alive_(std::make_shared<bool>(true)),
        timer_(loop.MakeTimer([this] { OnTimer(); })) {
    timer_->Arm(loop_.now().monotonic + kPoll);
  }

  static absl::StatusOr<Fd> Open() {
    Fd fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
    if (!fd.valid()) return ErrnoError(errno, "packet filter: raw socket");
    return fd;
  }

 private:
  static TableState Look(int socket) {
    constexpr std::array<const char*, 3> kTables = {"filter", "mangle", "nat"};
    TableState state;
    std::memset(&state, 0, sizeof(state));
    for (std::size_t i = 0; i < kTables.size(); ++i) {
      ipt_getinfo info;
      std::memset(&info, 0, sizeof(info));
      std::strncpy(info.name, kTables[i], sizeof(info.name) - 1);
      socklen_t size = sizeof(info);
      // A table that is not there reads as zeros.
      if (::getsockopt(socket, IPPROTO_IP, IPT_SO_GET_INFO, &info, &size) == 0) state[i] = info;
    }
    return state;
  }

  void OnTimer() {
    workers_.Submit([this, &loop = loop_, socket = socket_, alive = std::weak_ptr<const bool>(alive_)] {
      loop.Post([this, alive, state = Look(socket->get())] {
        if (!alive.expired()) OnLook(state);
      });
    });
  }

  // The first look has nothing to compare with and speaks: something may have changed before it.
  void OnLook(const TableState& state) {
    timer_->Arm(loop_.now().monotonic + kPoll);
    if (state_.has_value() && std::memcmp(&state, &*state_, sizeof(state)) == 0) return;
    state_ = state;
    on_change_();
  }

  EventLoop& loop_;
  WorkerPool& workers_;
  const std::shared_ptr<const Fd> socket_;  // a look may outlive us
  absl::AnyInvocable<void()> on_change_;
  std::optional<TableState> state_;
  const std::shared_ptr<const bool> alive_;
  std::unique_ptr<Timer> timer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PacketFilterWatch>> PacketFilterWatch::Start(EventLoop& loop, WorkerPool& workers,
                                                                            FirewallBackend backend,
                                                                            absl::AnyInvocable<void()> on_change) {
  if (backend == FirewallBackend::kNft) {
    ASSIGN_OR_RETURN(Fd socket, NftWatch::Open());
    return std::make_unique<NftWatch>(loop, std::move(socket), std::move(on_change));
  }
  ASSIGN_OR_RETURN(Fd socket, LegacyWatch::Open());
  return std::make_unique<LegacyWatch>(loop, workers, std::move(socket), std::move(on_change));
}

}  // namespace weave
