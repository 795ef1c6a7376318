// From wishes to addresses: asks the allocator for what an attach or expose needs before the host is changed, and gives
// back what nobody on this host uses any more.
//
// What must hold between any two events: of the addresses that are on an interface here, or that a plan means to put on
// one, the allocator knows the holder (one that waits for its ring excepted). So an address is taken of the allocator
// before it is of the AddressIndex, and goes back to the allocator only when the index has let go of it and no plan of
// the same holder wants it. Part of PeerCore; see there for threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/log.h"
#include "base/time.h"
#include "ipam/allocator.h"
#include "peer/core/address_index.h"
#include "peer/core/endpoint_table.h"
#include "peer/core/host_sync.h"
#include "peer/core/peer_output.h"

namespace weave {

class AddressPlanner {
 public:
  // `allocator` null: wishes are exact addresses, and go straight to the host. References outlive the planner.
  AddressPlanner(Allocator* allocator, AddressIndex& addresses, EndpointTable& endpoints, HostSync& host,
                 Logger& logger);

  // At start, when the tables have taken over what they found: drops what nobody holds any more (contract A5-10), and
  // claims what is in use, by them or by `others`, before anybody can ask for it (A5-09).
  void Restore(Now now, const std::vector<AddressInUse>& others);

  // An address that is in use and that nobody has on record: claimed, and left to its interface. What belongs to
  // somebody else is told in the log.
  void ClaimFound(Now now, const AddressInUse& found) {
    Claim(now, found.holder, found.address, /*is_container=*/false, Upkeep::kInterface);
  }
  // Its holder is on no interface of this host any more.
  void ReleaseUnused(Now now, absl::string_view ident, const IpAddress& address) {
    ReleaseUnlessWanted(now, ident, address);
  }

  // The request has passed CheckRequest.
  void OnRequest(Now now, RequestId id, ApiRequest request, PeerOutput& out);
  bool OnCancel(Now now, RequestId id, PeerOutput& out);

  // The allocator has answered; nobody may be told before the record is durable, but from now on the address counts as
  // wanted.
  void OnAnswered(const AllocatorReply& reply);
  // The answer is durable, or could not be made so.
  void OnReply(Now now, const AllocatorReply& reply, PeerOutput& out);

  // At the end of every event: what became of requests, and addresses that are no longer used. Answers of the tables
  // stand in `out`.
  void Settle(Now now, PeerOutput& out);

  // What interfaces of this host have let go of since the last call.
  struct LetGo {
    std::vector<AddressIndex::Released> addresses;
    std::vector<std::string> holders;  // whose containers have ended
  };
  LetGo TakeLetGo() { return std::exchange(let_go_, {}); }

  // What waits for the allocator ends with `status`; what is with the host goes on.
  void Close(Now now, const absl::Status& status);

  // For operations of others: the allocator sees one range of ids.
  OperationId NextOperation() { return ++last_operation_; }

 private:
  // An attach or expose from its first wish to its answer.
  struct Plan {
    std::variant<AttachRequest, ExposeRequest> request;
    std::string ident;
    std::vector<AddressWish> wishes;
    std::size_t fulfilled = 0;             // wishes
    std::vector<Cidr> addresses;           // in the order of the wishes, each once
    absl::btree_set<IpAddress> known;      // the holder had them before
    absl::btree_set<IpAddress> taken;      // to be given back should this fail
    std::optional<Cidr> promised;          // answered, but not durable yet
    std::optional<OperationId> operation;  // with the allocator; none: with the host
    absl::Status refusal;                  // not OK: how it ends when the operation does
  };

  // A request that is the allocator's alone.
  struct Direct {
    RequestId request = 0;
    std::string ident;
  };

  // A detach or hide that the host is at.
  struct Removal {
    std::string ident;
    std::vector<Cidr> addresses;
  };

  void OnAttachOrExpose(Now now, RequestId id, Plan plan, PeerOutput& out);
  void OnDetach(Now now, RequestId id, const DetachRequest& request, PeerOutput& out);
  void OnHide(Now now, RequestId id, const HideRequest& request, PeerOutput& out);
  void OnIpam(Now now, RequestId id, const IpamOperation& operation, PeerOutput& out);
  void GoOn(Now now, RequestId id, Plan& plan, PeerOutput& out);
  void HandToHost(RequestId id, const Plan& plan, PeerOutput& out);
  void OnFulfilled(Now now, RequestId id, Plan& plan, const AllocatorReply& reply, PeerOutput& out);
  void Fail(Now now, RequestId id, const absl::Status& status, PeerOutput& out);
  void GiveBack(Now now, const Plan& plan);
  void OnHostAnswered(Now now, const Reply& reply);

  std::vector<Cidr> Resolve(absl::string_view ident, const std::vector<Cidr>& attached,
                            const std::vector<AddressWish>& wishes) const;
  void DropUnused(Now now, const std::vector<AddressInUse>& others);
  void Claim(Now now, const std::string& ident, const Cidr& address, bool is_container, Upkeep upkeep);
  // An address of the holder is on an interface, or about to be.
  bool InUse(absl::string_view ident) const;
  absl::Status CheckRelease(const ReleaseOperation& release) const;
  void ReleaseUnlessWanted(Now now, absl::string_view ident, const IpAddress& address);
  void Release(Now now, absl::string_view ident, const IpAddress& address);
  void OnGone(Now now, const std::string& ident);
  bool Planned(absl::string_view ident) const;

  Allocator* const allocator_;
  AddressIndex& addresses_;
  EndpointTable& endpoints_;
  HostSync& host_;
  Logger& logger_;

  absl::btree_map<RequestId, Plan> plans_;
  absl::btree_map<RequestId, Removal> removals_;
  absl::btree_map<OperationId, RequestId> plan_operations_;
  absl::btree_map<OperationId, Direct> direct_operations_;
  absl::btree_map<OperationId, Cidr> claims_;     // of what was found in use
  absl::btree_set<std::string> gone_;             // holders that ended while a plan was about them
  std::vector<AddressIndex::Released> released_;  // within Settle
  LetGo let_go_;
  absl::Status closed_;
  OperationId last_operation_ = 0;
};

}  // namespace weave
