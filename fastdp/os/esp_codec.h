// Associations and policies of ours as XFRM messages. Pure, private to fastdp/os.
#pragma once

#include <linux/netlink.h>
#include <linux/xfrm.h>

#include <optional>

#include "fastdp/os/esp.h"
#include "host/netlink_socket.h"

namespace weave {

inline constexpr char kEspCipher[] = "rfc4106(gcm(aes))";
inline constexpr std::uint32_t kEspReplayWindow = 256;  // packets

// XFRM_MSG_ALLOCSPI: of all indexes that are not reserved, one that is free.
NetlinkRequest AllocateSpiRequest(const IpAddress& source, const IpAddress& destination);
// XFRM_MSG_NEWSA, or XFRM_MSG_UPDSA of an index that was allocated.
NetlinkRequest AssociationRequest(int type, const EspAssociation& association, const EspKey& key);
NetlinkRequest DeleteAssociationRequest(const EspAssociation& association);

// XFRM_MSG_UPDPOLICY: what the policy selects goes into the association.
NetlinkRequest PolicyRequest(const EspPolicy& policy);
// What selects the same, whichever association it names.
NetlinkRequest DeletePolicyRequest(const EspPolicy& policy);

// The index in the kernel's answer to an allocation. nullopt: no such answer.
std::optional<Spi> DecodeAllocatedSpi(const nlmsghdr& header);
// XFRM_MSG_NEWSA, XFRM_MSG_NEWPOLICY. nullopt: another message, malformed, or not ours (esp.h).
std::optional<EspAssociation> DecodeAssociation(const nlmsghdr& header);
std::optional<EspPolicy> DecodePolicy(const nlmsghdr& header);

}  // namespace weave
