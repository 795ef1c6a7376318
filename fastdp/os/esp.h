// Security associations and policies of the fast data path in the kernel (spec/overlay.md sections 4.1 and 4.2), over
// XFRM netlink.
#pragma once

#include <array>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ip.h"
#include "fastdp/ipsec.h"

namespace weave {

// Calling thread's namespace at Open. One thread. What it made stays when it ends.
class EspKernel {
 public:
  // FailedPrecondition when this kernel has no ESP with AES-GCM and extended sequence numbers: says what is missing.
  static absl::StatusOr<EspKernel> Open();

  EspKernel(EspKernel&&) noexcept;
  EspKernel& operator=(EspKernel&&) noexcept;
  ~EspKernel();

  // An index that the kernel keeps for traffic from `remote` to `local`, and the association with it.
  absl::StatusOr<Spi> AddInbound(const IpAddress& local, const IpAddress& remote, const EspKey& key);
  absl::Status RemoveInbound(const IpAddress& local, const IpAddress& remote, Spi spi);

  // The association, and the policy that puts marked UDP from `local` to `remote` into it; a policy for the pair that
  // is there is changed in place, so that nothing leaves in clear meanwhile.
  absl::Status AddOutbound(const IpAddress& local, const IpAddress& remote, Spi spi, const EspKey& key);
  // The policy stays if it has another SPI by now.
  absl::Status RemoveOutbound(const IpAddress& local, const IpAddress& remote, Spi spi);

  // Everything that carries our mark, or is the association of a policy that does, of earlier runs and of 2.8.
  absl::Status RemoveAll();

 private:
  class Impl;
  explicit EspKernel(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace weave
