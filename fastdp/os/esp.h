// Security associations and policies of the fast data path in the kernel (spec/overlay.md sections 4.1 and 4.2), over
// XFRM netlink.
//
// Whose are they? The kernel keeps no note of who made an association, and ours must look like 2.8's, which has none
// either. A policy is ours when it asks for our mark, set or not, and has one of the two forms in which we write it. An
// association is ours when all of it is as we write it: ESP in transport mode between two IPv4 addresses,
// rfc4106(gcm(aes)) with a key of 36 bytes and an ICV of 16, extended sequence numbers with a window of 256, request id
// 0, no selector, limits, mark, interface or encapsulation. Keying daemons (strongSwan, libreswan) number their
// requests from 1 and set limits; Docker's encrypted overlays have a request id and an ICV of 8; Cilium has a mark.
// What is left is an association that somebody typed by hand in exactly these words, with nothing that would let us or
// them tell the difference. An index that was allocated and never filled in, because the peer was killed between the
// two, the kernel takes back after 30 s.
#pragma once

#include <cstdint>
#include <memory>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ip.h"
#include "fastdp/ipsec.h"

namespace weave {

struct EspAssociation {
  IpAddress source;
  IpAddress destination;
  Spi spi = 0;

  friend bool operator==(const EspAssociation&, const EspAssociation&) = default;
  friend bool operator<(const EspAssociation& a, const EspAssociation& b) {
    return std::tie(a.source, a.destination, a.spi) < std::tie(b.source, b.destination, b.spi);
  }
};

// What leads UDP into an association. Packets that are marked, to whatever port (spec/overlay.md section 4.2): they
// have been routed before, and the mark makes the kernel route each of them again. Or, with a `port`, packets to it
// that have no mark: where the kernel looks for policies when it routes VXLAN, and remembers what it found (Linux 5.5
// does), they are on their way into ESP at once, and the packet filter marks none of them (host/firewall_ipsec.h).
struct EspPolicy {
  EspAssociation association;
  std::uint16_t port = 0;  // 0: marked packets

  friend bool operator==(const EspPolicy&, const EspPolicy&) = default;
};

// What is ours in the kernel, of this run, earlier ones and 2.8, which has no policies with a port.
struct EspState {
  std::vector<EspAssociation> associations;
  std::vector<EspPolicy> policies;
};

// Tests have their own. One thread at a time.
//
// Errors: FailedPrecondition, this kernel lacks something and the text says what (XFRM, ESP, the cipher);
// PermissionDenied; AlreadyExists, the index is taken by an association that is not ours; Internal and others as the
// kernel says. Addresses must be IPv4: InvalidArgument. Removing what is not there is success.
class Esp {
 public:
  virtual ~Esp() = default;

  // An index that the kernel chose for traffic from `remote` to `local`, and the association with it.
  virtual absl::StatusOr<Spi> AddInbound(const IpAddress& local, const IpAddress& remote, const EspKey& key) = 0;

  // The association, then the two policies that put VXLAN from source to `port` of the destination into it. Policies of
  // the pair that are there are changed in place: packets meet the one or the other, never none.
  virtual absl::Status AddOutbound(const EspAssociation& association, std::uint16_t port, const EspKey& key) = 0;
  // The policies alone, for an association that is there.
  virtual absl::Status PointPolicies(const EspAssociation& association, std::uint16_t port) = 0;
  // Policies stay that have another index by now. Without any, the packet filter drops what would go out in clear
  // (host/firewall_ipsec.h).
  virtual absl::Status RemoveOutbound(const EspAssociation& association) = 0;

  virtual absl::Status RemoveAssociation(const EspAssociation& association) = 0;
};

// What it made stays when it ends.
class EspKernel final : public Esp {
 public:
  // In the calling thread's namespace.
  static absl::StatusOr<std::unique_ptr<EspKernel>> Open();
  ~EspKernel() override;
  EspKernel(const EspKernel&) = delete;
  EspKernel& operator=(const EspKernel&) = delete;

  absl::StatusOr<EspState> List();
  // Everything of List(). For `weave reset`, when no flow leads to a tunnel any more and before the rules go.
  absl::Status RemoveAll();

  // ---- Esp ----
  absl::StatusOr<Spi> AddInbound(const IpAddress& local, const IpAddress& remote, const EspKey& key) override;
  absl::Status AddOutbound(const EspAssociation& association, std::uint16_t port, const EspKey& key) override;
  absl::Status PointPolicies(const EspAssociation& association, std::uint16_t port) override;
  absl::Status RemoveOutbound(const EspAssociation& association) override;
  absl::Status RemoveAssociation(const EspAssociation& association) override;

 private:
  class Impl;
  explicit EspKernel(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

// RemoveAll in the calling thread's namespace. A kernel without XFRM holds nothing: OK.
absl::Status RemoveAllEsp();

}  // namespace weave
