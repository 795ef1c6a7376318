// Where the addresses of an attachment come from and go to: the peer, or the IPAM plugin that the configuration names.
//
// The peer knows the holder by the attachment's name (base/attachment.h). 2.8 used the container's id alone; what a
// container of that time has is still found and freed.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ip.h"
#include "plugin/cni/cni_context.h"
#include "weave/v1/cni.pb.h"

namespace weave {

// Addresses, gateway, routes and DNS of the attachment, at least one address and all of them IPv4. Asked again it is
// the same. `adopted`: the interface is there already, perhaps made by 2.8.
absl::StatusOr<v1::CniResult> AcquireAddresses(CniContext& context, bool adopted = false);

// Nothing there is success.
absl::Status ReleaseAddresses(CniContext& context);

// Code 101: they are not the attachment's any more.
absl::Status CheckAddresses(CniContext& context, const std::vector<Cidr>& addresses);

// Code 11: since AcquireAddresses somebody has freed them.
absl::Status ConfirmAddresses(CniContext& context, const std::vector<Cidr>& addresses);

// Frees what attachments of this network have that are not valid any more. Holders that are no attachment of this
// network are never touched: `weave attach`, Docker's, other networks', 2.8's.
absl::Status CollectAddresses(CniContext& context);

// Code 50: no address can be had now.
absl::Status CheckAddressesReady(CniContext& context);

}  // namespace weave
