// Which sandboxes are attached with which addresses: one operation at a time for each sandbox, the others wait in
// order.
//
// An operation writes the record it aims at, changes the host, and answers; when the host refuses, the record goes back
// to what it was. Addresses are taken when an operation begins and given back only when the host has let go of them, so
// that at no instant two sandboxes can hold one. What nobody asked for but must be done (looking whether an interface
// is still there, making it what the record says) is a chore: it goes before the operations that wait, and is done
// again with back-off until it succeeds. Part of PeerCore; see there for threads.
#pragma once

#include <cstdint>
#include <deque>
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
#include "peer/core/address_index.h"
#include "peer/core/peer_output.h"

namespace weave {

// Operations that may wait for one sandbox; more are refused with ResourceExhausted.
inline constexpr std::size_t kMaxWaitingOperations = 64;

// Addresses that one sandbox may have; more are refused with ResourceExhausted.
inline constexpr std::size_t kMaxEndpointAddressCount = 1024;

// Requests whose addresses are settled.
struct AttachOrder {
  SandboxRef sandbox;
  std::vector<Cidr> addresses;  // at least one
  bool multicast_route = true;
};
struct DetachOrder {
  SandboxRef sandbox;
  std::vector<Cidr> addresses;  // empty: all of them
};

class EndpointTable {
 public:
  // Everything passed by reference outlives the table.
  EndpointTable(std::string boot_id, AddressIndex& addresses, CommandIds& command_ids, Logger& logger);

  // At start, before any request. What is really on an interface counts as held, whatever the record says: so first,
  // for the whole host, what is there (Hold, Adopt), and only then what was promised but is missing (Restore).
  // Takes over what is alive, forgets what is gone.
  void Hold(const std::vector<EndpointRecord>& records, const HostInventory& inventory, PeerOutput& out);
  // Takes over what is alive and not on record, as if it had been.
  void Adopt(const std::vector<StrayEndpoint>& strays, PeerOutput& out);
  // Repairs what differs. The arguments of Hold.
  void Restore(const std::vector<EndpointRecord>& records, const HostInventory& inventory, PeerOutput& out);

  void OnAttach(RequestId id, AttachOrder request, PeerOutput& out);
  void OnDetach(RequestId id, DetachOrder request, PeerOutput& out);

  // Takes the request back if it has not begun; one that has begun goes on. False: not among the waiting.
  bool OnCancel(RequestId id, PeerOutput& out);

  // False when the command is not one of the table's.
  bool OnCommandDone(Now now, CommandId id, const HostResult& result, PeerOutput& out);
  void OnEndpointGone(const EndpointGone& gone, PeerOutput& out);

  // An attach under way may have put its port into the bridge that is gone: see TakeStrayPort.
  void OnBridgeLost();
  // True once after such an attach has succeeded: the ports of the bridge want a look.
  bool TakeStrayPort() { return std::exchange(stray_port_, false); }

  // Idents of endpoints that were found gone since the last call: their containers ended.
  std::vector<std::string> TakeGone() { return std::exchange(gone_, {}); }

  void OnTimer(Now now, PeerOutput& out);
  std::optional<MonotonicTime> NextDeadline() const;

  // Starts nothing any more and answers everything that waits with `status`; what is in flight goes on.
  void Close(const absl::Status& status, PeerOutput& out);

  bool idle() const { return in_flight_.empty(); }

  // Attached endpoints in order of their namespace: record and, once made, link.
  struct View {
    EndpointRecord record;
    std::optional<EndpointLink> link;
  };
  std::vector<View> List() const;

  // Every record, in order of the namespace; those under way as they are aimed at.
  std::vector<EndpointRecord> Records() const;

  // Of one sandbox, as they are aimed at.
  std::vector<Cidr> AddressesOf(std::uint64_t netns_inode) const;

  // Host-side interfaces that belong in the bridge.
  std::vector<std::string> Ports() const;

  absl::Status CheckInvariants() const;

 private:
  using Operation = std::variant<AttachOrder, DetachOrder>;

  struct Waiting {
    RequestId id;
    Operation operation;
    std::vector<std::uint64_t> behind;  // sandboxes that must be looked at before this can begin
    bool looked = false;                // the sandbox itself has been
  };

  struct InFlight {
    std::uint64_t netns_inode;
    std::optional<RequestId> request;      // absent: a chore
    std::optional<EndpointRecord> before;  // what to go back to
    std::vector<Cidr> changed;             // addresses added or being removed
    enum class Kind { kAttach, kDetach, kInspect } kind;
    std::vector<Cidr> answer;
    bool bridge_lost = false;  // meanwhile
  };

  struct Endpoint {
    std::optional<EndpointRecord> record;  // what is aimed at
    std::optional<EndpointLink> link;
    std::optional<CommandId> command;  // in flight
    std::deque<Waiting> waiting;

    // Chores. They rest while `retry_at` is set.
    bool suspect = false;     // the interface may have vanished
    bool incomplete = false;  // the interface may have less or more than the record
    Duration backoff = absl::ZeroDuration();
    std::optional<MonotonicTime> retry_at;
  };

  using Endpoints = absl::btree_map<std::uint64_t, Endpoint>;

  // What became of a record without a live endpoint, for the log.
  absl::string_view WhyForgotten(const EndpointRecord& record, const HostInventory& inventory) const;
  const LiveEndpoint* FindLive(const EndpointRecord& record, const HostInventory& inventory) const;
  void AdoptAddress(Endpoint& endpoint, const Cidr& address);
  std::vector<std::uint64_t> SuspectFormerSandboxes(const SandboxRef& current, PeerOutput& out);

  void Enqueue(std::uint64_t netns_inode, Waiting waiting, PeerOutput& out);
  void StartNext(std::uint64_t netns_inode, PeerOutput& out);
  void StartFront(std::uint64_t netns_inode, Endpoint& endpoint, PeerOutput& out);
  void StartChore(std::uint64_t netns_inode, Endpoint& endpoint, PeerOutput& out);
  bool Blocked(std::uint64_t netns_inode, Waiting& waiting);
  void StartAttach(Endpoint& endpoint, RequestId id, const AttachOrder& request, PeerOutput& out);
  void StartDetach(Endpoint& endpoint, RequestId id, const DetachOrder& request, PeerOutput& out);
  void Issue(Endpoint& endpoint, InFlight in_flight, HostAction action, PeerOutput& out);

  void Inspect(std::uint64_t netns_inode, Endpoint& endpoint, std::optional<RequestId> request, PeerOutput& out);
  void Repair(std::uint64_t netns_inode, Endpoint& endpoint, PeerOutput& out);
  void FinishAttach(Now now, Endpoint& endpoint, InFlight& done, const HostResult& result, PeerOutput& out);
  void FinishDetach(Now now, Endpoint& endpoint, InFlight& done, const HostResult& result, PeerOutput& out);
  void FinishInspect(Now now, Endpoint& endpoint, const InFlight& done, const HostResult& result, PeerOutput& out);
  void ChoreFailed(Now now, Endpoint& endpoint);
  void RefuseOne(Endpoint& endpoint, RequestId id, const absl::Status& status, PeerOutput& out);

  void PersistRecord(std::uint64_t netns_inode, const std::optional<EndpointRecord>& record,
                     std::vector<RecordChange>& changes) const;
  void Forget(Endpoint& endpoint, PeerOutput& out);
  void ReleaseAll(const EndpointRecord& record);

  const std::string boot_id_;
  AddressIndex& addresses_;
  CommandIds& command_ids_;
  Logger& logger_;
  Endpoints endpoints_;
  absl::btree_map<CommandId, InFlight> in_flight_;
  absl::btree_set<std::uint64_t> blocked_;  // sandboxes whose first operation waits for a look at another
  std::vector<std::string> gone_;
  bool closed_ = false;
  bool stray_port_ = false;
};

}  // namespace weave
