#include "plugin/docker/peer_access.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/attachment.h"
#include "base/status.h"

namespace weave {
namespace {

constexpr PeerDeadlines PluginDeadlines() {
  // Who waits for an address, or to give one back, hears of a peer that hangs after a pulse and a query.
  return {.query = absl::Milliseconds(1200),
          .change = absl::Seconds(10),
          .pulse = absl::Milliseconds(700),
          .wait = absl::Seconds(30)};
}

bool IsAway(const absl::Status& status) { return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status); }

absl::Status AsHttp(const absl::Status& status, absl::string_view context = "") {
  if (status.ok() || IsAway(status)) return status;
  return absl::Status(status.code(), absl::StrCat("400 Bad Request: ", context, status.message(), "\n"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<PeerClient>> PeerAccess::Reach() const {
  std::shared_ptr<PeerClient> client;
  {
    const MutexLock lock(&mutex_);
    client = client_;
  }
  if (client == nullptr || client->ConnectionEnded()) {
    absl::StatusOr<PeerClient> made = PeerClient::Connect(api_socket_, PluginDeadlines());
    if (!made.ok()) return Annotate(made.status(), "the weave peer does not run");
    client = std::make_shared<PeerClient>(*std::move(made));
    const MutexLock lock(&mutex_);
    client_ = client;
  }
  return client;
}

absl::StatusOr<Cidr> PeerAccess::Allocate(const Cidr& range) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<PeerClient> client, Reach());
  v1::AllocateRequest request;
  request.set_holder(kUnknownHolder);
  request.set_subnet(range.ToString());
  request.set_upkeep(upkeep_);
  const absl::StatusOr<v1::AddressList> list = client->Allocate(request);
  if (!list.ok()) return AsHttp(list.status());
  if (list->addresses_size() != 1)
    return absl::InternalError(absl::StrCat("the peer gave ", list->addresses_size(), " addresses, want one"));
  return Cidr::Parse(list->addresses(0));
}

absl::Status PeerAccess::Claim(const Cidr& address) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<PeerClient> client, Reach());
  v1::ClaimRequest request;
  request.set_holder(kUnknownHolder);
  request.set_address(address.ToString());
  request.set_upkeep(upkeep_);
  return AsHttp(client->Claim(request).status(), "Unable to claim: ");
}

absl::Status PeerAccess::Release(const IpAddress& address) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<PeerClient> client, Reach());
  v1::ReleaseRequest request;
  request.set_holder(address.ToString());
  const absl::Status status = client->Release(request).status();
  if (!absl::IsNotFound(status)) return AsHttp(status);
  return AsHttp(absl::NotFoundError(absl::StrCat("Delete: no addresses for ", address.ToString())));
}

absl::StatusOr<bool> PeerAccess::IsHeld(const IpAddress& address) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<PeerClient> client, Reach());
  const absl::StatusOr<v1::AllocationList> list = client->ListAllocations();
  if (!list.ok()) return AsHttp(list.status());
  const std::string prefix = absl::StrCat(address.ToString(), "/");
  for (const v1::AllocationList::Allocation& allocation : list->allocations())
    for (const std::string& held : allocation.addresses())
      if (absl::StartsWith(held, prefix)) return true;
  return false;
}

absl::StatusOr<std::vector<IpAddress>> PeerAccess::HeldForDocker() const {
  ASSIGN_OR_RETURN(const std::shared_ptr<PeerClient> client, Reach());
  ASSIGN_OR_RETURN(const v1::AllocationList list, client->ListAllocations());
  std::vector<IpAddress> addresses;
  for (const v1::AllocationList::Allocation& allocation : list.allocations()) {
    if (allocation.upkeep() != v1::UPKEEP_DOCKER) continue;
    for (const std::string& text : allocation.addresses()) {
      ASSIGN_OR_RETURN(const Cidr address, Cidr::Parse(text));
      addresses.push_back(address.address());
    }
  }
  return addresses;
}

absl::Status PeerAccess::Disown(const std::vector<IpAddress>& addresses) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<PeerClient> client, Reach());
  v1::DisownRequest request;
  for (const IpAddress& address : addresses) request.add_addresses(address.ToString());
  return client->Disown(request);
}

absl::Status PeerAccess::RemoveInterface(int link_index, absl::string_view name) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<PeerClient> client, Reach());
  return client->RemoveInterface(link_index, name);
}

absl::StatusOr<Cidr> PeerAccess::DefaultSubnet() const {
  ASSIGN_OR_RETURN(const std::shared_ptr<PeerClient> client, Reach());
  const absl::StatusOr<std::string> text = client->GetReport("{{.IPAM.DefaultSubnet}}");
  if (!text.ok() && IsAway(text.status())) return text.status();
  absl::StatusOr<Cidr> subnet = Cidr::Parse(text.value_or(""));
  if (!subnet.ok())
    return absl::FailedPreconditionError("this peer allocates no addresses: it was started without --ipalloc-range");
  return subnet;
}

absl::StatusOr<std::string> PeerAccess::NameDomain() const {
  ASSIGN_OR_RETURN(const std::shared_ptr<PeerClient> client, Reach());
  ASSIGN_OR_RETURN(const v1::DnsInfo info, client->GetDnsInfo());
  return info.domain();
}

absl::Status PeerAccess::AddNames(const std::string& container_id, const std::string& address,
                                  const std::vector<std::string>& names) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<PeerClient> client, Reach());
  v1::AddNameRequest request;
  request.set_holder(container_id);
  request.set_address(address);
  absl::Status told;
  for (const std::string& name : names) {
    request.set_name(name);
    told.Update(client->AddName(request));
  }
  return told;
}

absl::StatusOr<std::vector<std::string>> PeerAccess::NameHolders() const {
  ASSIGN_OR_RETURN(const std::shared_ptr<PeerClient> client, Reach());
  ASSIGN_OR_RETURN(const std::string text,
                   client->GetReport("{{range .DNS.Entries}}{{if and (eq .Origin $.Router.Name) (eq .Tombstone 0)}}"
                                     "{{.ContainerID}}\n{{end}}{{end}}"));
  return std::vector<std::string>(absl::StrSplit(text, '\n', absl::SkipEmpty()));
}

absl::Status PeerAccess::RemoveNames(const std::string& container_id) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<PeerClient> client, Reach());
  v1::RemoveNamesRequest request;
  request.set_holder(container_id);
  return client->RemoveNames(request);
}

}  // namespace weave
