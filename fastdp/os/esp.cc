#include "fastdp/os/esp.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "fastdp/os/esp_codec.h"
#include "host/netlink_socket.h"

namespace weave {
namespace {

// A dump that other changes keep interrupting is asked for again this often.
constexpr int kDumpAttempts = 20;

// An index that is not filled in is the kernel's again after 30 s (net.core.xfrm_acq_expires). The first association of
// a boot can take longer on a busy machine: modules are loaded and ciphers test themselves. Later ones find that done.
constexpr int kInboundAttempts = 3;

std::string Describe(const EspAssociation& association) {
  return absl::StrCat(association.source.ToString(), " to ", association.destination.ToString(), " index 0x",
                      absl::Hex(association.spi));
}

absl::Status CheckPair(const IpAddress& source, const IpAddress& destination) {
  if (source.IsV4() && destination.IsV4()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("IPsec: ", source.ToString(), " to ", destination.ToString(), ": only IPv4 is possible"));
}

// What the kernel's refusal means (net/xfrm/xfrm_user.c, net/xfrm/xfrm_state.c, net/ipv4/esp4.c).
absl::Status Explain(const absl::Status& status) {
  const auto is = [&](int error) {
    return absl::StrContains(status.message(), std::generic_category().message(error));
  };
  const auto lacks = [&](absl::string_view what) {
    return absl::FailedPreconditionError(absl::StrCat("IPsec: this kernel has no ", what, " (", status.message(), ")"));
  };
  if (absl::IsPermissionDenied(status))
    return absl::PermissionDeniedError(absl::StrCat("IPsec: no permission, root is needed (", status.message(), ")"));
  if (is(ESRCH))
    return absl::DeadlineExceededError(
        absl::StrCat("IPsec: the kernel took the index back before the association was made (", status.message(), ")"));
  if (is(EPROTONOSUPPORT)) return lacks("ESP for IPv4, module esp4");
  if (is(ENOSYS) || absl::IsNotFound(status))
    return lacks(absl::StrCat("cipher ", kEspCipher, ", modules gcm, ghash-generic, ctr and seqiv"));
  return Annotate(status, "IPsec");
}

}  // namespace

class EspKernel::Impl {
 public:
  explicit Impl(NetlinkSocket socket) : socket_(std::move(socket)) {}

  absl::StatusOr<Spi> Allocate(const IpAddress& source, const IpAddress& destination) {
    std::optional<Spi> spi;
    const std::string what = absl::StrCat("index for ", source.ToString(), " to ", destination.ToString());
    RETURN_IF_ERROR(Explain(socket_.Exchange(AllocateSpiRequest(source, destination), what,
                                             [&](const nlmsghdr& header) { spi = DecodeAllocatedSpi(header); })));
    if (!spi) return absl::InternalError(absl::StrCat("IPsec: ", what, ": the kernel's answer has none"));
    return *spi;
  }

  absl::Status Add(int type, const EspAssociation& association, const EspKey& key) {
    return Explain(socket_.Exchange(AssociationRequest(type, association, key),
                                    absl::StrCat("association ", Describe(association))));
  }

  // The other end chose the index and uses it once: what has it here is what we kept of an earlier time.
  absl::Status Replace(const EspAssociation& association, const EspKey& key) {
    absl::Status added = Add(XFRM_MSG_NEWSA, association, key);
    if (!absl::IsAlreadyExists(added)) return added;
    ASSIGN_OR_RETURN(const EspState state, List());
    const auto& ours = state.associations;
    if (std::find(ours.begin(), ours.end(), association) == ours.end()) return added;
    RETURN_IF_ERROR(Remove(association));
    return Add(XFRM_MSG_NEWSA, association, key);
  }

  absl::Status Remove(const EspAssociation& association) {
    return Annotate(socket_.Exchange(DeleteAssociationRequest(association),
                                     absl::StrCat("removing association ", Describe(association)), {ESRCH}),
                    "IPsec");
  }

  absl::Status PutPolicy(const EspPolicy& policy) {
    return Explain(socket_.Exchange(PolicyRequest(policy), absl::StrCat("policy ", Describe(policy.association))));
  }

  absl::Status PutPolicies(const EspAssociation& association, std::uint16_t port) {
    RETURN_IF_ERROR(PutPolicy({association}));
    return PutPolicy({association, port});
  }

  absl::Status RemovePolicy(const EspPolicy& policy) {
    return Annotate(socket_.Exchange(DeletePolicyRequest(policy),
                                     absl::StrCat("removing policy ", Describe(policy.association)), {ENOENT}),
                    "IPsec");
  }

  // First what leads to it.
  absl::Status RemoveOutbound(const EspAssociation& association) {
    ASSIGN_OR_RETURN(const std::vector<EspPolicy> policies, ListPolicies());
    for (const EspPolicy& policy : policies)
      if (policy.association == association) RETURN_IF_ERROR(RemovePolicy(policy));
    return Remove(association);
  }

  absl::StatusOr<std::vector<EspPolicy>> ListPolicies() { return Dump(XFRM_MSG_GETPOLICY, DecodePolicy); }

  absl::StatusOr<EspState> List() {
    EspState state;
    ASSIGN_OR_RETURN(state.associations, Dump(XFRM_MSG_GETSA, DecodeAssociation));
    ASSIGN_OR_RETURN(state.policies, ListPolicies());
    return state;
  }

 private:
  template <typename One>
  absl::StatusOr<std::vector<One>> Dump(int type, std::optional<One> (*decode)(const nlmsghdr&)) {
    absl::Status status;
    for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
      std::vector<One> found;
      status = socket_.Exchange(NetlinkRequest(type, NLM_F_DUMP), "listing associations and policies",
                                [&](const nlmsghdr& header) {
                                  if (std::optional<One> one = decode(header); one) found.push_back(*one);
                                });
      if (status.ok()) return found;
      if (!absl::IsAborted(status)) break;
    }
    return Explain(status);
  }

  NetlinkSocket socket_;
};

absl::StatusOr<std::unique_ptr<EspKernel>> EspKernel::Open() {
  absl::StatusOr<NetlinkSocket> socket = NetlinkSocket::Open(NETLINK_XFRM);
  if (!socket.ok())
    return absl::FailedPreconditionError(
        absl::StrCat("IPsec: this kernel has no XFRM, module xfrm_user (", socket.status().message(), ")"));
  return std::unique_ptr<EspKernel>(new EspKernel(std::make_unique<Impl>(*std::move(socket))));
}

EspKernel::EspKernel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EspKernel::~EspKernel() = default;

absl::StatusOr<Spi> EspKernel::AddInbound(const IpAddress& local, const IpAddress& remote, const EspKey& key) {
  RETURN_IF_ERROR(CheckPair(remote, local));
  absl::Status added;
  for (int attempt = 0; attempt < kInboundAttempts; ++attempt) {
    ASSIGN_OR_RETURN(const Spi spi, impl_->Allocate(remote, local));
    const EspAssociation association = {remote, local, spi};
    added = impl_->Add(XFRM_MSG_UPDSA, association, key);
    if (added.ok()) return spi;
    (void)impl_->Remove(association);  // the place that was kept
    if (!absl::IsDeadlineExceeded(added)) break;
  }
  return added;
}

absl::Status EspKernel::AddOutbound(const EspAssociation& association, std::uint16_t port, const EspKey& key) {
  RETURN_IF_ERROR(CheckPair(association.source, association.destination));
  RETURN_IF_ERROR(impl_->Replace(association, key));
  absl::Status put = impl_->PutPolicies(association, port);
  if (!put.ok()) (void)impl_->RemoveOutbound(association);
  return put;
}

absl::Status EspKernel::PointPolicies(const EspAssociation& association, std::uint16_t port) {
  RETURN_IF_ERROR(CheckPair(association.source, association.destination));
  return impl_->PutPolicies(association, port);
}

absl::Status EspKernel::RemoveOutbound(const EspAssociation& association) {
  RETURN_IF_ERROR(CheckPair(association.source, association.destination));
  return impl_->RemoveOutbound(association);
}

absl::Status EspKernel::RemoveAssociation(const EspAssociation& association) {
  RETURN_IF_ERROR(CheckPair(association.source, association.destination));
  return impl_->Remove(association);
}

absl::StatusOr<EspState> EspKernel::List() { return impl_->List(); }

absl::Status EspKernel::RemoveAll() {
  ASSIGN_OR_RETURN(const EspState state, impl_->List());
  absl::Status status;  // the first failure; the others are still to go
  for (const EspPolicy& policy : state.policies) status.Update(impl_->RemovePolicy(policy));
  for (const EspAssociation& association : state.associations) status.Update(impl_->Remove(association));
  return status;
}

absl::Status RemoveAllEsp() {
  absl::StatusOr<std::unique_ptr<EspKernel>> kernel = EspKernel::Open();
  if (absl::IsFailedPrecondition(kernel.status())) return absl::OkStatus();
  RETURN_IF_ERROR(kernel.status());
  return (*kernel)->RemoveAll();
}

}  // namespace weave
