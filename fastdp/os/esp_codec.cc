#include "fastdp/os/esp_codec.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace weave {
namespace {

constexpr std::uint32_t kKeyBitCount = 8 * std::tuple_size_v<EspKey>;
constexpr std::uint32_t kIcvBitCount = 128;
constexpr int kAddressBitCount = 32;
constexpr std::uint16_t kWholePort = 0xffff;

xfrm_address_t ToKernel(const IpAddress& address) {
  xfrm_address_t result = {};
  result.a4 = htonl(address.v4());
  return result;
}

IpAddress FromKernel(const xfrm_address_t& address) { return IpAddress::V4(ntohl(address.a4)); }

xfrm_lifetime_cfg NoLimits() {
  xfrm_lifetime_cfg limits = {};
  limits.soft_byte_limit = limits.hard_byte_limit = XFRM_INF;
  limits.soft_packet_limit = limits.hard_packet_limit = XFRM_INF;
  return limits;
}

bool HasNoLimits(const xfrm_lifetime_cfg& limits) {
  return limits.soft_byte_limit == XFRM_INF && limits.hard_byte_limit == XFRM_INF &&
         limits.soft_packet_limit == XFRM_INF && limits.hard_packet_limit == XFRM_INF &&
         limits.soft_add_expires_seconds == 0 && limits.hard_add_expires_seconds == 0 &&
         limits.soft_use_expires_seconds == 0 && limits.hard_use_expires_seconds == 0;
}

xfrm_usersa_info AssociationInfo(const EspAssociation& association) {
  xfrm_usersa_info info = {};
  info.family = AF_INET;
  info.saddr = ToKernel(association.source);
  info.id.daddr = ToKernel(association.destination);
  info.id.spi = htonl(association.spi);
  info.id.proto = IPPROTO_ESP;
  info.mode = XFRM_MODE_TRANSPORT;
  info.lft = NoLimits();
  return info;
}

xfrm_selector Selector(const EspPolicy& policy) {
  xfrm_selector selector = {};
  selector.family = AF_INET;
  selector.saddr = ToKernel(policy.association.source);
  selector.daddr = ToKernel(policy.association.destination);
  selector.prefixlen_s = selector.prefixlen_d = kAddressBitCount;
  selector.proto = IPPROTO_UDP;
  if (policy.port != 0) {
    selector.dport = htons(policy.port);
    selector.dport_mask = kWholePort;
  }
  return selector;
}

template <typename Value>
ByteView BytesOf(const Value& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

// Of two policies of a pair each packet meets one: that for marked packets, or that for all others.
std::uint32_t MarkOf(const EspPolicy& policy) { return policy.port == 0 ? kIpsecMark : 0; }

void PutMark(const EspPolicy& policy, NetlinkRequest& request) {
  request.Put(XFRMA_MARK, BytesOf(xfrm_mark{MarkOf(policy), kIpsecMark}));
}

// Structures that end in bytes of their own, which no C++ type holds.
Bytes Cipher(const EspKey& key) {
  xfrm_algo_aead cipher = {};
  std::copy(std::begin(kEspCipher), std::end(kEspCipher), cipher.alg_name);
  cipher.alg_key_len = kKeyBitCount;
  cipher.alg_icv_len = kIcvBitCount;
  Bytes result(BytesOf(cipher).begin(), BytesOf(cipher).end());
  result.insert(result.end(), key.begin(), key.end());
  return result;
}

Bytes ReplayState() {
  xfrm_replay_state_esn state = {};
  state.bmp_len = kEspReplayWindow / 32;
  state.replay_window = kEspReplayWindow;
  Bytes result(BytesOf(state).begin(), BytesOf(state).end());
  result.resize(result.size() + kEspReplayWindow / 8);
  return result;
}

// The fixed part of a message of `type`. nullopt: another message, or too short.
template <typename Info>
std::optional<Info> ReadInfo(const nlmsghdr& header, int type) {
  if (header.nlmsg_type != type || header.nlmsg_len < NLMSG_LENGTH(sizeof(Info))) return std::nullopt;
  Info info;
  std::memcpy(&info, nlmsg_data(&header), sizeof info);
  return info;
}

class Attributes {
 public:
  Attributes(const nlmsghdr& header, std::size_t info_size)
      : first_(nlmsg_attrdata(&header, static_cast<int>(info_size))),
        size_(nlmsg_attrlen(&header, static_cast<int>(info_size))) {}

  bool Has(int type) const { return nla_find(first_, size_, type) != nullptr; }

  // Exactly one such structure, or, with `more`, followed by bytes of its own.
  template <typename Value>
  bool Read(int type, Value& value, bool more = false) const {
    const nlattr* attribute = nla_find(first_, size_, type);
    if (attribute == nullptr) return false;
    const auto size = static_cast<std::size_t>(nla_len(attribute));
    if (size < sizeof value || (size > sizeof value && !more)) return false;
    std::memcpy(&value, nla_data(attribute), sizeof value);
    return true;
  }

 private:
  const nlattr* first_;
  int size_;
};

bool IsOurCipher(const Attributes& attributes) {
  xfrm_algo_aead cipher = {};
  return attributes.Read(XFRMA_ALG_AEAD, cipher, /*more=*/true) &&
         std::equal(std::begin(kEspCipher), std::end(kEspCipher), cipher.alg_name) &&
         cipher.alg_key_len == kKeyBitCount && cipher.alg_icv_len == kIcvBitCount;
}

bool IsOurReplayState(const Attributes& attributes) {
  xfrm_replay_state_esn state = {};
  return attributes.Read(XFRMA_REPLAY_ESN_VAL, state, /*more=*/true) && state.replay_window == kEspReplayWindow;
}

bool SelectsAll(const xfrm_selector& selector) {
  return selector.prefixlen_s == 0 && selector.prefixlen_d == 0 && selector.proto == 0 && selector.sport_mask == 0 &&
         selector.dport_mask == 0 && selector.ifindex == 0;
}

bool SelectsPair(const xfrm_selector& selector) {
  return selector.family == AF_INET && selector.prefixlen_s == kAddressBitCount &&
         selector.prefixlen_d == kAddressBitCount && selector.proto == IPPROTO_UDP && selector.sport_mask == 0;
}

}  // namespace

NetlinkRequest AllocateSpiRequest(const IpAddress& source, const IpAddress& destination) {
  xfrm_userspi_info range = {};
  range.info = AssociationInfo({source, destination, 0});
  range.min = kMinSpi;
  range.max = 0xffffffff;
  NetlinkRequest request(XFRM_MSG_ALLOCSPI, 0);
  request.Append(range);
  return request;
}

NetlinkRequest AssociationRequest(int type, const EspAssociation& association, const EspKey& key) {
  xfrm_usersa_info info = AssociationInfo(association);
  info.flags = XFRM_STATE_ESN;
  NetlinkRequest request(type, NLM_F_CREATE | NLM_F_EXCL);
  request.Append(info).Put(XFRMA_ALG_AEAD, Cipher(key)).Put(XFRMA_REPLAY_ESN_VAL, ReplayState());
  return request;
}

NetlinkRequest DeleteAssociationRequest(const EspAssociation& association) {
  xfrm_usersa_id id = {};
  id.family = AF_INET;
  id.daddr = ToKernel(association.destination);
  id.spi = htonl(association.spi);
  id.proto = IPPROTO_ESP;
  NetlinkRequest request(XFRM_MSG_DELSA, 0);
  request.Append(id).Put(XFRMA_SRCADDR, BytesOf(ToKernel(association.source)));
  return request;
}

NetlinkRequest PolicyRequest(const EspPolicy& policy) {
  const EspAssociation& association = policy.association;
  xfrm_userpolicy_info info = {};
  info.sel = Selector(policy);
  info.lft = NoLimits();
  info.dir = XFRM_POLICY_OUT;
  info.action = XFRM_POLICY_ALLOW;
  xfrm_user_tmpl into = {};
  into.family = AF_INET;
  into.saddr = ToKernel(association.source);
  into.id.daddr = ToKernel(association.destination);
  into.id.spi = htonl(association.spi);
  into.id.proto = IPPROTO_ESP;
  into.mode = XFRM_MODE_TRANSPORT;
  into.aalgos = into.ealgos = into.calgos = 0xffffffff;  // any: the association says which
  NetlinkRequest request(XFRM_MSG_UPDPOLICY, 0);
  request.Append(info).Put(XFRMA_TMPL, BytesOf(into));
  PutMark(policy, request);
  return request;
}

NetlinkRequest DeletePolicyRequest(const EspPolicy& policy) {
  xfrm_userpolicy_id id = {};
  id.sel = Selector(policy);
  id.dir = XFRM_POLICY_OUT;
  NetlinkRequest request(XFRM_MSG_DELPOLICY, 0);
  request.Append(id);
  PutMark(policy, request);
  return request;
}

std::optional<Spi> DecodeAllocatedSpi(const nlmsghdr& header) {
  const auto info = ReadInfo<xfrm_usersa_info>(header, XFRM_MSG_NEWSA);
  if (!info || ntohl(info->id.spi) < kMinSpi) return std::nullopt;
  return ntohl(info->id.spi);
}

std::optional<EspAssociation> DecodeAssociation(const nlmsghdr& header) {
  const auto info = ReadInfo<xfrm_usersa_info>(header, XFRM_MSG_NEWSA);
  if (!info) return std::nullopt;
  const Attributes attributes(header, sizeof *info);
  const bool plain = info->family == AF_INET && info->id.proto == IPPROTO_ESP && info->mode == XFRM_MODE_TRANSPORT &&
                     info->reqid == 0 && (info->flags & XFRM_STATE_ESN) != 0 && SelectsAll(info->sel) &&
                     HasNoLimits(info->lft) && !attributes.Has(XFRMA_MARK) && !attributes.Has(XFRMA_SET_MARK) &&
                     !attributes.Has(XFRMA_IF_ID) && !attributes.Has(XFRMA_ENCAP);
  if (!plain || !IsOurCipher(attributes) || !IsOurReplayState(attributes)) return std::nullopt;
  return EspAssociation{FromKernel(info->saddr), FromKernel(info->id.daddr), ntohl(info->id.spi)};
}

std::optional<EspPolicy> DecodePolicy(const nlmsghdr& header) {
  const auto info = ReadInfo<xfrm_userpolicy_info>(header, XFRM_MSG_NEWPOLICY);
  if (!info) return std::nullopt;
  const Attributes attributes(header, sizeof *info);
  xfrm_mark mark = {};
  xfrm_user_tmpl into = {};
  if (!attributes.Read(XFRMA_MARK, mark) || !attributes.Read(XFRMA_TMPL, into)) return std::nullopt;
  const EspPolicy policy = {{FromKernel(info->sel.saddr), FromKernel(info->sel.daddr), ntohl(into.id.spi)},
                            ntohs(info->sel.dport)};
  const bool ours = mark.v == MarkOf(policy) && mark.m == kIpsecMark && info->dir == XFRM_POLICY_OUT &&
                    SelectsPair(info->sel) && info->sel.dport_mask == (policy.port == 0 ? 0 : kWholePort) &&
                    into.id.proto == IPPROTO_ESP && into.mode == XFRM_MODE_TRANSPORT && into.reqid == 0;
  if (!ours) return std::nullopt;
  return policy;
}

}  // namespace weave
