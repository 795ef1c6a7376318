// The peer as a function from events to effects: it owns no thread, socket, file, clock or global, and runs alike in
// the daemon and in the simulator.
//
// Every method takes one event and appends its effects to an output. Events may arrive in any state; calls never nest.
// Not thread-safe: one loop owns it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "base/entropy.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/time.h"
#include "ipam/allocator.h"
#include "peer/core/address_index.h"
#include "peer/core/address_planner.h"
#include "peer/core/address_watch.h"
#include "peer/core/endpoint_table.h"
#include "peer/core/host_sync.h"
#include "peer/core/mesh_directory.h"
#include "peer/core/name_keeper.h"
#include "peer/core/network.h"
#include "peer/core/peer_output.h"
#include "peer/core/records.h"

namespace weave {

struct IpamConfig {
  Cidr range;
  Cidr default_subnet;
  IpamBootstrap bootstrap;
};

struct PeerConfig {
  PeerName name;
  std::string nickname;
  std::string boot_id;                         // of this boot of the machine
  MeshConfig mesh;                             // with the same name and nickname
  std::vector<DirectPeer> direct_peers;        // to be dialled from the start
  std::optional<IpamConfig> ipam;              // none: no allocator
  std::optional<std::string> dns_domain = {};  // fully qualified; none: no names
  Duration tombstone_life = kTombstoneLife;    // of deleted names
  std::optional<FastdpConfig> fastdp = {};     // none: no datapath in the kernel
};

// A consistent picture for status pages and checkers.
struct PeerSnapshot {
  PeerName name;
  std::string nickname;
  bool ready = false;
  absl::Status host_error;
  bool resetting = false;
  std::vector<EndpointTable::View> endpoints;
  std::vector<ExposureRecord> exposures;
  std::optional<IpamStatus> ipam;  // none: no allocator
};

class PeerCore {
 public:
  // References outlive the core.
  PeerCore(PeerConfig config, EntropySource& entropy, Logger& logger);
  PeerCore(const PeerCore&) = delete;
  PeerCore& operator=(const PeerCore&) = delete;

  // First, once: the records of the last run and what the host looks like.
  void OnStart(Now now, const std::vector<Record>& records, const HostInventory& inventory, PeerOutput& out);

  void OnRequest(Now now, RequestId id, ApiRequest request, PeerOutput& out);

  // The caller went. A request that has not begun is taken back, one that has begun is carried through: both are
  // answered once.
  void OnCancel(Now now, RequestId id, PeerOutput& out);

  void OnCommandDone(Now now, CommandId id, const HostResult& result, PeerOutput& out);
  void OnHostChange(Now now, const HostChange& change, PeerOutput& out);
  void OnNetwork(Now now, const NetworkEvent& event, PeerOutput& out);

  // An output has been performed: all that was written before it is durable. `ipam` is its part of that name; an empty
  // one need not come back.
  void OnReleased(Now now, const AllocatorOutput& ipam, PeerOutput& out);

  // `dropped` was never performed, because its records could not be written: `status` says why. They are written again
  // later, as they are by then.
  void OnPersistFailed(Now now, const absl::Status& status, const PeerOutput& dropped, PeerOutput& out);

  void OnTimer(Now now, PeerOutput& out);
  // When OnTimer wants to be called next; none: never.
  std::optional<MonotonicTime> NextDeadline() const;
  // The same without what never rests: the network's own, and looking whose addresses are in use.
  std::optional<MonotonicTime> NextHostDeadline() const;

  const PeerName& name() const { return config_.name; }
  const std::string& nickname() const { return config_.nickname; }
  // The host is set up and requests are taken.
  bool ready() const { return host_.synced() && !resetting(); }
  bool resetting() const { return reset_ != ResetState::kNone; }
  // Why the host is not as desired; OK when it is.
  const absl::Status& host_error() const { return host_.last_error(); }

  const MeshRouter& mesh() const { return network_.mesh(); }
  // Null: there is none.
  const Allocator* allocator() const { return allocator_.get(); }

  const AddressWatch& address_watch() const { return watch_; }

  // Null: there are no names.
  const NameRegistry* names() const { return names_ == nullptr ? nullptr : &names_->registry(); }
  // Holders of our names of whom the shell shall find out whether they live (RemoveNamesRequest if not).
  std::vector<std::string> NameHoldersToCheck() const;

  // Copies every table: for pages and checkers. Who wants one of the values above asks for that.
  PeerSnapshot Snapshot() const;

  // What the core wants on disk, by key. Between two writes the disk has it.
  absl::btree_map<std::string, Record> Records() const;

  // What must hold between any two events; for tests.
  absl::Status CheckInvariants() const;

 private:
  void Finish(Now now, PeerOutput& out);
  void Dispatch(Now now, RequestId id, ApiRequest request, PeerOutput& out);
  void HandleCommandDone(Now now, CommandId id, const HostResult& result, PeerOutput& out);

  void Tell(Now now, const IpamTelling& telling, PeerOutput& out);
  void TellCouncil(Now now, const CouncilSend& send, PeerOutput& out);
  void OnAllocatorReply(Now now, const AllocatorReply& reply, PeerOutput& out);

  void OnReset(Now now, RequestId id, PeerOutput& out);
  void GiveAway(Now now);
  void OnGaveAway(Now now, const absl::Status& status, PeerOutput& out);
  void ContinueReset(PeerOutput& out);
  void RefuseReset(const absl::Status& status, PeerOutput& out);
  void FinishTearDown(Now now, const HostResult& result, PeerOutput& out);
  void EraseEverything(Now now, PeerOutput& out);

  void OnConnect(Now now, RequestId id, const ConnectRequest& request, PeerOutput& out);
  void OnForget(Now now, RequestId id, const ForgetRequest& request, PeerOutput& out);
  void RecordDirectPeers(PeerOutput& out);

  void OnNameRequest(Now now, RequestId id, const ApiRequest& request, PeerOutput& out);
  void SettleNames(Now now, PeerOutput& out);
  void RecordIdentity(PeerOutput& out);
  IdentityRecord Identity() const;
  std::optional<std::size_t> InterfaceMtuToRecord() const;

  void SaveAgain(Now now, PeerOutput& out);

  const PeerConfig config_;
  Logger& logger_;
  CommandIds command_ids_;
  AddressIndex addresses_;
  EndpointTable endpoints_;
  HostSync host_;
  Network network_;
  MeshDirectory directory_;
  const std::unique_ptr<Allocator> allocator_;  // null: none
  AddressPlanner planner_;
  AddressWatch watch_;
  const std::unique_ptr<NameKeeper> names_;  // null: none
  IdentityRecord recorded_;                  // ours, as it was last written
  std::uint64_t topology_seen_ = 0;          // its generation, as the names know it
  std::uint64_t routes_seen_ = 0;            // their generation, as the allocator knows it

  // What the host is at comes to an end; all that is ours on it goes; our addresses go to another peer; those who get
  // them hear of it; the records go.
  enum class ResetState { kNone, kDraining, kTearingDown, kGivingAway, kPausing, kDone };
  ResetState reset_ = ResetState::kNone;
  std::vector<RequestId> reset_requests_;
  OperationId give_away_ = 0;  // 0: none under way
  std::optional<MonotonicTime> erase_at_;
  CommandId tear_down_ = 0;
  absl::btree_set<std::string> erased_;  // keys that the last reset took off the disk

  // Records that could not be written and may differ from those on disk.
  absl::btree_set<std::string> unsaved_;
  absl::btree_set<std::string> doubtful_;  // unsaved at any time: what a reset erases for certain
  std::optional<MonotonicTime> save_at_;
};

}  // namespace weave
