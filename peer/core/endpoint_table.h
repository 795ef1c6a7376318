// Which sandboxes are attached with which addresses: one operation at a time for each sandbox, the others wait in
// order.
//
// An operation writes the record it aims at, changes the host, and answers; when the host refuses, the record goes back
// to what it was. Addresses are taken when an operation begins and given back only when the host has let go of them, so
// that at no instant two sandboxes can hold one. Part of PeerCore; see there for threads.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "base/log.h"
#include "peer/core/address_index.h"
#include "peer/core/peer_output.h"

namespace weave {

// Operations that may wait for one sandbox; more are refused with ResourceExhausted.
inline constexpr std::size_t kMaxWaitingOperations = 64;

class EndpointTable {
 public:
  // Everything passed by reference outlives the table.
  EndpointTable(std::string boot_id, AddressIndex& addresses, CommandIds& command_ids, Logger& logger);

  // At start, before any request: takes over what is alive, forgets what is gone, and repairs what differs. What is
  // really on an interface counts as held, whatever the record says.
  void Restore(const std::vector<EndpointRecord>& records, const HostInventory& inventory, PeerOutput& out);

  void OnAttach(RequestId id, AttachRequest request, PeerOutput& out);
  void OnDetach(RequestId id, DetachRequest request, PeerOutput& out);

  // Takes the request back if it has not begun; one that has begun goes on. False: not among the waiting.
  bool OnCancel(RequestId id, PeerOutput& out);

  // False when the command is not one of the table's.
  bool OnCommandDone(CommandId id, const HostResult& result, PeerOutput& out);
  void OnEndpointGone(const EndpointGone& gone, PeerOutput& out);

  // Answers everything that waits with `status`; what is in flight goes on.
  void RefuseWaiting(const absl::Status& status, PeerOutput& out);

  bool idle() const { return in_flight_.empty(); }

  // Attached endpoints in order of their namespace: record and, once made, link.
  struct View {
    EndpointRecord record;
    std::optional<EndpointLink> link;
  };
  std::vector<View> List() const;

  // Host-side interfaces that belong in the bridge.
  std::vector<std::string> Ports() const;

  absl::Status CheckInvariants() const;

 private:
  using Operation = std::variant<AttachRequest, DetachRequest>;

  struct Waiting {
    RequestId id;
    Operation operation;
  };

  struct InFlight {
    std::uint64_t netns_inode;
    std::optional<RequestId> request;      // absent: nobody asked, a start repairs
    std::optional<EndpointRecord> before;  // what to go back to
    std::vector<Cidr> changed;             // addresses added or being removed
    enum class Kind { kAttach, kDetach, kInspect } kind;
    std::vector<Cidr> answer;
  };

  struct Endpoint {
    std::optional<EndpointRecord> record;  // what is aimed at
    std::optional<EndpointLink> link;
    std::optional<CommandId> command;  // in flight
    bool gone_meanwhile = false;       // the link vanished while a command was in flight
    std::deque<Waiting> waiting;
  };

  using Endpoints = absl::btree_map<std::uint64_t, Endpoint>;

  const LiveEndpoint* FindLive(const EndpointRecord& record, const HostInventory& inventory) const;
  void AdoptAddress(Endpoint& endpoint, const Cidr& address);
  void ForgetFormerSandbox(const SandboxRef& current, PeerOutput& out);

  void Enqueue(std::uint64_t netns_inode, RequestId id, Operation operation, PeerOutput& out);
  void StartNext(std::uint64_t netns_inode, PeerOutput& out);
  void StartAttach(Endpoint& endpoint, RequestId id, AttachRequest request, PeerOutput& out);
  void StartDetach(Endpoint& endpoint, RequestId id, DetachRequest request, PeerOutput& out);
  void Issue(Endpoint& endpoint, InFlight in_flight, HostAction action, PeerOutput& out);

  void Inspect(std::uint64_t netns_inode, Endpoint& endpoint, PeerOutput& out);
  void FinishAttach(Endpoint& endpoint, InFlight& done, const HostResult& result, PeerOutput& out);
  void FinishDetach(Endpoint& endpoint, InFlight& done, const HostResult& result, PeerOutput& out);
  void FinishInspect(Endpoint& endpoint, const HostResult& result, PeerOutput& out);

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
};

}  // namespace weave
