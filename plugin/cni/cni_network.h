// What weave-net does for each command: the interface of an attachment, with the addresses of cni_ipam.h.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "plugin/cni/cni_context.h"
#include "weave/v1/cni.pb.h"

namespace weave {

// Gives the container its interface. May be killed anywhere and called again; a failure takes back what this call made.
// Code 3: the container is gone, and nothing is left of it. Code 11: the peer does not answer.
absl::StatusOr<v1::CniResult> AddAttachment(CniContext& context);

// The interface goes first, so that nobody gets an address that is still on it. Without a peer it fails with code 11
// after that: the address can only be freed later (contract A13-05).
absl::Status RemoveAttachment(CniContext& context);

// Code 101 names what is not as `prevResult` says.
absl::Status CheckAttachment(CniContext& context);

// Removes interfaces and addresses of attachments of this network that are not among the valid ones.
absl::Status CollectAttachments(CniContext& context);

// Code 50: an ADD would fail.
absl::Status CheckNetworkReady(CniContext& context);

}  // namespace weave
