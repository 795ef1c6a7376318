// Security associations and policies of the fast data path in the kernel (spec/overlay.md sections 4.1 and 4.2), over
// XFRM netlink.
//
// Whose are they? The kernel keeps no note of who made an association, and ours must look like 2.8's, which has none
// either. A policy is ours when it carries our mark and has the one form in which we write it. An association is ours
// when all of it is as we write it: ESP in transport mode between two IPv4 addresses, rfc4106(gcm(aes)) with a key of
// 36 bytes and an ICV of 16, extended sequence numbers with a window of 256, request id 0, no selector, limits, mark,
// interface or encapsulation. Keying daemons (strongSwan, libreswan) number their requests from 1 and set limits;
// Docker's encrypted overlays have a request id and an ICV of 8; Cilium has a mark. What is left is an association that
// somebody typed by hand in exactly these words, with nothing that would let us or them tell the difference.
#pragma once

#include <memory>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ip.h"
#include "fastdp/ipsec.h"

namespace weave {

// An association, or a policy by the association that it names.
struct EspAssociation {
  IpAddress source;
  IpAddress destination;
  Spi spi = 0;

  friend bool operator==(const EspAssociation&, const EspAssociation&) = default;
  friend bool operator<(const EspAssociation& a, const EspAssociation& b) {
    return std::tie(a.source, a.destination, a.spi) < std::tie(b.source, b.destination, b.spi);
  }
};

// What is ours in the kernel, of this run, earlier ones and 2.8.
struct EspState {
  std::vector<EspAssociation> associations;
  std::vector<EspAssociation> policies;
};

// The namespace of the thread that calls Open; one thread at a time after that. What it made stays when it ends.
//
// Errors: FailedPrecondition, this kernel lacks something and the text says what (XFRM, ESP, the cipher);
// PermissionDenied; AlreadyExists, the index is taken by an association that is not ours; Internal and others as the
// kernel says. Addresses must be IPv4: InvalidArgument.
class EspKernel {
 public:
  static absl::StatusOr<EspKernel> Open();

  EspKernel(EspKernel&&) noexcept;
  EspKernel& operator=(EspKernel&&) noexcept;
  ~EspKernel();

  // An index that the kernel chose for traffic from `remote` to `local`, and the association with it.
  absl::StatusOr<Spi> AddInbound(const IpAddress& local, const IpAddress& remote, const EspKey& key);
  absl::Status RemoveInbound(const IpAddress& local, const IpAddress& remote, Spi spi);

  // The association, then the policy that puts marked UDP from `local` to `remote` into it. A policy of the pair that
  // is there is changed in place: marked packets meet the one or the other, never none.
  absl::Status AddOutbound(const IpAddress& local, const IpAddress& remote, Spi spi, const EspKey& key);
  // The policy alone, for an association that is there.
  absl::Status PointPolicy(const IpAddress& local, const IpAddress& remote, Spi spi);
  // The policy stays if it has another index by now. From then on marked packets to the pair have no association, and
  // the packet filter drops them (host/firewall_ipsec.h).
  absl::Status RemoveOutbound(const IpAddress& local, const IpAddress& remote, Spi spi);

  absl::StatusOr<EspState> List();

  // Everything of List(). For `weave reset`, when no flow leads to a tunnel any more and the packet filter is as it
  // was.
  absl::Status RemoveAll();

 private:
  class Impl;
  explicit EspKernel(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

// RemoveAll in the calling thread's namespace. A kernel without XFRM holds nothing: OK.
absl::Status RemoveAllEsp();

}  // namespace weave
