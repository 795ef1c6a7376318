#include "host/frame_gate.h"

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace weave {
namespace {

// Offsets in an Ethernet frame without a tag (RFC 894, 826, 791).
constexpr std::uint32_t kEtherTypeAt = 12;
constexpr std::uint32_t kIpv4SourceAt = 14 + 12;
constexpr std::uint32_t kIpv4DestinationAt = 14 + 16;
constexpr std::uint32_t kArpSenderAt = 14 + 14;
constexpr std::uint32_t kArpTargetAt = 14 + 24;

constexpr std::uint32_t kBroadcast = 0xffffffff;
constexpr std::uint32_t kMulticast = 0xe0000000;
constexpr int kMulticastPrefix = 4;

std::uint32_t MaskOf(int prefix_length) { return prefix_length == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix_length); }

std::uint32_t NumberOf(const Cidr& subnet) {
  std::uint32_t number = 0;
  for (const std::uint8_t byte : subnet.Network().address().ToBytes()) number = number << 8 | byte;
  return number;
}

// A program of classic BPF. A jump counts instructions, so what is jumped over is made first.
class Program {
 public:
  void Add(std::uint16_t code, std::uint32_t value) { code_.push_back({code, 0, 0, value}); }
  void Append(const Program& other) { code_.insert(code_.end(), other.code_.begin(), other.code_.end()); }
  void Return(int verdict) { Add(BPF_RET | BPF_K, static_cast<std::uint32_t>(verdict)); }

  // Runs `then` when what is loaded is `value`, else goes on behind it.
  void If(std::uint32_t value, const Program& then) { Branch(BPF_JEQ, value, then); }

  // The same when the frame has so many bytes. To read behind its end would end the program, with TC_ACT_OK.
  void IfLong(std::uint32_t size, const Program& then) {
    Add(BPF_LD | BPF_W | BPF_LEN, 0);
    Branch(BPF_JGE, size, then);
  }

  // The same when the four bytes at `offset` are an address of `network`/`prefix_length`.
  void IfWithin(std::uint32_t offset, std::uint32_t network, int prefix_length, const Program& then) {
    Add(BPF_LD | BPF_W | BPF_ABS, offset);
    Add(BPF_ALU | BPF_AND | BPF_K, MaskOf(prefix_length));
    If(network, then);
  }

  std::vector<sock_filter> Take() { return std::move(code_); }

 private:
  void Branch(std::uint16_t condition, std::uint32_t value, const Program& then) {
    CHECK(then.code_.size() <= 255) << then.code_.size();
    const auto over = static_cast<std::uint8_t>(then.code_.size());
    code_.push_back({static_cast<std::uint16_t>(BPF_JMP | BPF_K | condition), 0, over, value});
    Append(then);
  }

  std::vector<sock_filter> code_;
};

// Of frames whose sender's address is at `source` and whose receiver's at `destination`.
Program Judge(const std::vector<Cidr>& subnets, std::uint32_t source, std::uint32_t destination, bool to_many) {
  Program pass, drop;
  pass.Return(TC_ACT_OK);
  drop.Return(TC_ACT_SHOT);
  Program receiver;
  for (const Cidr& subnet : subnets) receiver.IfWithin(destination, NumberOf(subnet), subnet.prefix_length(), pass);
  if (to_many) {
    receiver.IfWithin(destination, kMulticast, kMulticastPrefix, pass);
    receiver.IfWithin(destination, kBroadcast, 32, pass);
  }
  receiver.Append(drop);
  Program sender;
  for (const Cidr& subnet : subnets) sender.IfWithin(source, NumberOf(subnet), subnet.prefix_length(), receiver);
  sender.Append(drop);
  Program whole;
  whole.IfLong(destination + 4, sender);
  whole.Append(drop);
  return whole;
}

}  // namespace

std::vector<sock_filter> BuildFrameGate(const std::vector<Cidr>& subnets) {
  CHECK(CheckGateSubnets(subnets).ok());
  Program drop;
  drop.Return(TC_ACT_SHOT);
  Program untagged;
  untagged.Add(BPF_LD | BPF_H | BPF_ABS, kEtherTypeAt);
  untagged.If(ETH_P_IP, Judge(subnets, kIpv4SourceAt, kIpv4DestinationAt, /*to_many=*/true));
  untagged.If(ETH_P_ARP, Judge(subnets, kArpSenderAt, kArpTargetAt, /*to_many=*/false));
  untagged.Append(drop);
  Program gate;
  // The kernel keeps the tag beside the frame, which looks as if it had none.
  gate.Add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT));
  gate.If(0, untagged);
  gate.Append(drop);
  return gate.Take();
}

absl::Status CheckGateSubnets(const std::vector<Cidr>& subnets) {
  if (subnets.empty() || subnets.size() > kMaxGateSubnetCount)
    return absl::InvalidArgumentError(absl::StrCat(subnets.size(), " IPv4 subnets: want 1 to ", kMaxGateSubnetCount));
  for (const Cidr& subnet : subnets)
    if (!subnet.address().IsV4() || subnet.prefix_length() == 0)
      return absl::InvalidArgumentError(
          absl::StrCat(subnet.ToString(), ": want an IPv4 subnet that is not all there is"));
  return absl::OkStatus();
}

absl::Status SetFrameGate(Netlink& netlink, int link_index, const std::vector<Cidr>& subnets) {
  RETURN_IF_ERROR(CheckGateSubnets(subnets));
  return Annotate(netlink.SetFrameFilter(link_index, BuildFrameGate(subnets)),
                  "isolation, which takes a kernel with CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF");
}

}  // namespace weave
