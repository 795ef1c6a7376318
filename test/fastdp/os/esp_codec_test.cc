// Which of the kernel's associations and policies are ours.
#include <netlink/msg.h>

#include <functional>

#include "fastdp/os/esp_codec.h"
#include "test/support/catch.h"

namespace weave {
namespace {

const EspAssociation kOne = {IpAddress::V4(0x0a4d0001), IpAddress::V4(0x0a4d0002), 0x99da5d5e};

const nlmsghdr& HeaderOf(const NetlinkRequest& request) { return *nlmsg_hdr(request.get()); }

template <typename Info>
Info& InfoOf(const NetlinkRequest& request) {
  return *static_cast<Info*>(nlmsg_data(nlmsg_hdr(request.get())));
}

TEST_CASE("What we write is what we know again", "[fastdp]") {
  CHECK(DecodeAssociation(HeaderOf(AssociationRequest(XFRM_MSG_NEWSA, kOne, {7}))) == kOne);
  for (const EspPolicy& one : {EspPolicy{kOne}, EspPolicy{kOne, 6784}}) {
    const NetlinkRequest policy = PolicyRequest(one);
    nlmsg_hdr(policy.get())->nlmsg_type = XFRM_MSG_NEWPOLICY;  // as the kernel lists it
    CHECK(DecodePolicy(HeaderOf(policy)) == one);
  }
  CHECK(DecodeAllocatedSpi(HeaderOf(AssociationRequest(XFRM_MSG_NEWSA, kOne, {}))) == kOne.spi);
  CHECK_FALSE(DecodeAllocatedSpi(HeaderOf(AssociationRequest(XFRM_MSG_NEWSA, {kOne.source, kOne.destination, 1}, {}))));
}

TEST_CASE("An association that differs in one thing is somebody else's", "[fastdp]") {
  const std::vector<std::function<void(xfrm_usersa_info&)>> changes = {
      [](auto& info) { info.reqid = 1; },
      [](auto& info) { info.mode = XFRM_MODE_TUNNEL; },
      [](auto& info) { info.flags = 0; },
      [](auto& info) { info.family = AF_INET6; },
      [](auto& info) { info.id.proto = 51; },
      [](auto& info) { info.sel.prefixlen_s = 32; },
      [](auto& info) { info.sel.proto = 17; },
      [](auto& info) { info.lft.hard_add_expires_seconds = 3600; },
      [](auto& info) { info.lft.soft_byte_limit = 1 << 30; },
  };
  for (const auto& change : changes) {
    const NetlinkRequest request = AssociationRequest(XFRM_MSG_NEWSA, kOne, {});
    change(InfoOf<xfrm_usersa_info>(request));
    CHECK_FALSE(DecodeAssociation(HeaderOf(request)));
  }
  for (const int attribute : {XFRMA_MARK, XFRMA_SET_MARK, XFRMA_IF_ID, XFRMA_ENCAP}) {
    NetlinkRequest request = AssociationRequest(XFRM_MSG_NEWSA, kOne, {});
    request.PutU32(attribute, 1);
    CHECK_FALSE(DecodeAssociation(HeaderOf(request)));
  }
  CHECK_FALSE(DecodeAssociation(HeaderOf(AssociationRequest(XFRM_MSG_DELSA, kOne, {}))));
}

TEST_CASE("A policy without our mark, or of another form, is somebody else's", "[fastdp]") {
  const std::vector<std::function<void(xfrm_userpolicy_info&)>> changes = {
      [](auto& info) { info.dir = XFRM_POLICY_IN; },
      [](auto& info) { info.sel.prefixlen_d = 24; },
      [](auto& info) { info.sel.proto = 6; },
      [](auto& info) { info.sel.dport = info.sel.dport == 0 ? 1 : 0; },
      [](auto& info) { info.sel.dport_mask ^= 0xff00; },
      [](auto& info) { info.sel.sport_mask = 0xffff; },
  };
  for (const EspPolicy& one : {EspPolicy{kOne}, EspPolicy{kOne, 1}}) {
    for (const auto& change : changes) {
      const NetlinkRequest request = PolicyRequest(one);
      nlmsg_hdr(request.get())->nlmsg_type = XFRM_MSG_NEWPOLICY;
      change(InfoOf<xfrm_userpolicy_info>(request));
      CHECK_FALSE(DecodePolicy(HeaderOf(request)));
    }
    NetlinkRequest unmarked(XFRM_MSG_NEWPOLICY, 0);
    unmarked.Append(InfoOf<xfrm_userpolicy_info>(PolicyRequest(one)));
    CHECK_FALSE(DecodePolicy(HeaderOf(unmarked)));
  }
}

TEST_CASE("A message that was cut is nothing", "[fastdp]") {
  for (const bool policy : {false, true}) {
    const NetlinkRequest request = policy ? PolicyRequest({kOne}) : AssociationRequest(XFRM_MSG_NEWSA, kOne, {});
    nlmsghdr* header = nlmsg_hdr(request.get());
    if (policy) header->nlmsg_type = XFRM_MSG_NEWPOLICY;
    for (std::uint32_t size = header->nlmsg_len - 1; size >= sizeof *header; --size) {
      header->nlmsg_len = size;
      CHECK_FALSE((policy ? DecodePolicy(*header).has_value() : DecodeAssociation(*header).has_value()));
    }
  }
}

}  // namespace
}  // namespace weave
