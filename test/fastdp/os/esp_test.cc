// What a kernel says that does not let us. One that does: test/kernel/fastdp/ipsec_test.cc.
#include <unistd.h>

#include "fastdp/os/esp.h"
#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("Who may not make associations is told that root is needed", "[fastdp]") {
  constexpr uid_t kNobody = 65534;
  const bool root = ::geteuid() == 0;
  if (root) REQUIRE(::seteuid(kNobody) == 0);
  absl::Status status;
  if (absl::StatusOr<std::unique_ptr<EspKernel>> esp = EspKernel::Open(); esp.ok()) {
    status = (*esp)->AddInbound(IpAddress::V4(0x7f000001), IpAddress::V4(0x7f000002), {}).status();
  } else {
    status = esp.status();
  }
  if (root) REQUIRE(::seteuid(0) == 0);
  INFO(status);
  if (absl::IsPermissionDenied(status)) {
    CHECK_THAT(std::string(status.message()), Catch::StartsWith("IPsec: no permission, root is needed ("));
  } else {
    CHECK_THAT(std::string(status.message()), Catch::StartsWith("IPsec: this kernel has no XFRM, module xfrm_user ("));
  }
}

TEST_CASE("Addresses of IPv6 are refused before the kernel is asked", "[fastdp]") {
  absl::StatusOr<std::unique_ptr<EspKernel>> esp = EspKernel::Open();
  if (!esp.ok()) return;  // a kernel without XFRM
  const EspAssociation association = {IpAddress::V6(1), IpAddress::V4(1), 0x100};
  const std::string why = "IPsec: ::1 to 0.0.0.1: only IPv4 is possible";
  CHECK((*esp)->AddInbound(association.destination, association.source, {}).status() ==
        absl::InvalidArgumentError(why));
  CHECK((*esp)->AddOutbound(association, 6784, {}) == absl::InvalidArgumentError(why));
  CHECK((*esp)->PointPolicies(association, 6784) == absl::InvalidArgumentError(why));
  CHECK((*esp)->RemoveOutbound(association) == absl::InvalidArgumentError(why));
  CHECK((*esp)->RemoveAssociation(association) == absl::InvalidArgumentError(why));
}

}  // namespace
}  // namespace weave
