// The allocator: hands out addresses from what this peer owns, borrows from others when it runs dry, and agrees with
// them on who owns what (spec/ipam.md).
//
// A pure state machine. Calls return nothing: what is to be done collects until TakeOutput(), which PeerCore calls
// after every event. Two rules make an address safe against crashes:
//
//   - A caller is answered behind the record of its address.
//   - Others are told only what is on disk. Changes apply to the allocator's own ring at once, but the ring (or the
//     promises and votes) that gossip carries is the last one known to be durable: OnDurable() moves it on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/gossiper.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/random.h"
#include "base/time.h"
#include "ipam/address_set.h"
#include "ipam/allocator_types.h"
#include "ipam/council.h"
#include "ipam/holdings.h"
#include "ipam/ipam_messages.h"
#include "ipam/ipam_records.h"
#include "ipam/operation_queue.h"
#include "ipam/paxos.h"
#include "ipam/pending_writes.h"
#include "ipam/ring.h"
#include "ipam/space.h"
#include "ipam/stale_rows.h"

namespace weave {

class Allocator final : public Gossiper {
 public:
  static constexpr Duration kTick = absl::Seconds(5);  // retries, proposals, pleas, reports of free space
  static constexpr Duration kDeadContainerDelay = absl::Seconds(30);
  // How long a takeover waits for the council.
  static constexpr Duration kTakeoverTime = absl::Seconds(10);
  // Ranges taken over by force rest so long: connected peers that do so at once hear of each other before either gives
  // away an address. So do those that others say were ours: they also say whether somebody has taken them over.
  static constexpr Duration kTakeoverRest = absl::Seconds(2);
  // A seed without a record waits so long for peers that may know of a ring, and looks so often whether all have
  // spoken.
  static constexpr Duration kSeedPatience = absl::Seconds(10);
  static constexpr Duration kSeedPause = absl::Milliseconds(100);
  static constexpr int kClaimTries = 5;
  // Strays are asked for so often, and so many at once.
  static constexpr Duration kStrayRetry = absl::Seconds(30);
  static constexpr std::size_t kMaxStraysAsked = 64;
  static constexpr std::size_t kMinSubnetSize = 4;
  static constexpr std::size_t kMaxNicknames = 16384;
  static constexpr std::size_t kMaxNicknameSize = 255;

  // References outlive the allocator.
  Allocator(AllocatorConfig config, const PeerDirectory& peers, Random random, Logger& logger);
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // First, once: the rows of the last run. Those of another name or range are erased and named in the log.
  void OnStart(Now now, const std::vector<IpamRecord>& records);

  void OnOperation(Now now, OperationId id, IpamOperation operation);
  // The caller went: answered with Cancelled if it still waits.
  void OnCancel(Now now, OperationId id);

  // The container's end: its addresses are free again 30 s later, unless it is back before; what waits is cancelled.
  void OnContainerDied(Now now, absl::string_view ident);
  void OnContainerStarted(Now now, absl::string_view ident);
  // Gone for good: freed now.
  void OnContainerDestroyed(Now now, absl::string_view ident);
  // What the holder has is left to its interface from now on. Who has nothing is passed over.
  void LeaveToInterface(Now now, absl::string_view ident);

  // What was handed out in an earlier output is on disk. Returns the telling's effects on the mesh by PeerCore's hands:
  // from here on FullState() and a broadcast say `telling.state`.
  void OnDurable(const IpamTelling& telling);
  // The records of `dropped` could not be written, so nothing of it happened: addresses it would have answered with are
  // free again, and what it would have told is told when Resave succeeds.
  void OnPersistFailed(Now now, const AllocatorOutput& dropped);
  // Writes everything again as it is now.
  void Resave(Now now);

  // The topology changed: who can be reached, who is gone.
  void OnTopologyChange(Now now);

  void OnTimer(Now now);
  std::optional<MonotonicTime> NextDeadline() const;

  // What has collected since the last call.
  AllocatorOutput TakeOutput();

  // ---- Gossiper: the mesh's side ----
  absl::Status OnUnicast(Now now, PeerName source, ByteView payload) override;
  absl::StatusOr<std::unique_ptr<GossipData>> OnBroadcast(Now now, PeerName source, ByteView payload) override;
  absl::StatusOr<std::unique_ptr<GossipData>> OnGossip(Now now, PeerName sender, ByteView payload) override;
  std::unique_ptr<GossipData> FullState(Now now) override;
  bool ListensFirst() const override { return true; }

  // The consumer of kCouncilChannel, and what a CouncilSend to everyone is on it.
  Gossiper& council_channel() { return council_channel_; }
  std::unique_ptr<GossipData> CouncilBroadcast(const Bytes& payload);

  // ---- reading ----
  const AllocatorConfig& config() const { return config_; }
  const Ring& ring() const { return ring_; }
  const Council& council() const { return council_; }
  // Addresses of a holder; those inside `subnet` only, where one is given.
  std::vector<Cidr> Lookup(absl::string_view ident, const std::optional<Cidr>& subnet) const;
  const absl::btree_map<std::string, AllocationRecord>& allocations() const { return holdings_.all(); }
  // None: nobody holds it.
  std::optional<std::string> HolderOf(const IpAddress& address) const { return holdings_.HolderOf(address); }
  // A claim of the address waits for the ring or for its owner.
  bool IsClaiming(const IpAddress& address) const { return !queue_.ClaimsIn({address, 1}).empty(); }
  // Addresses in use here that are another's by the ring; 0 among peers that lose nothing.
  std::size_t stray_count() const { return Strays().size(); }
  // No peer is known to have an address of `subnet` that could be given out: whoever asks for one waits until another
  // is released. While there is no ring nothing is known. What an owner says of its ranges may be 5 s old, and which of
  // their addresses are free it does not say: where one may be, it is taken to be there.
  bool IsExhausted(const Cidr& subnet) const;
  bool shut_down() const { return shut_down_; }
  IpamStatus Status() const;
  // What must be on disk when all that was handed out is durable; for checkers.
  absl::btree_map<std::string, IpamRecord> Records() const;
  // What must hold between any two events; for tests.
  absl::Status CheckInvariants() const;

 private:
  using Ticket = OperationQueue::Ticket;
  enum class Way { kGossip, kBroadcast, kUnicast };

  // A caller that waits for the council.
  struct Takeover {
    PeerName peer;
    MonotonicTime deadline;
  };

  // What became of a claim, at once or at last.
  struct Outcome {
    absl::Status status;
    std::vector<Cidr> addresses;
  };

  // The end of every event: the tick is set when something waits for it.
  void Settle();
  bool NeedsTick() const;
  void OnTick();

  // ---- operations (allocator.cc) ----
  void Reply(OperationId id, absl::Status status, std::vector<Cidr> addresses = {});
  void Begin(OperationId id, AllocateOperation operation);
  void Begin(OperationId id, ClaimOperation operation);
  void Begin(OperationId id, const AwaitRingOperation& operation);
  void Begin(OperationId id, const ReleaseOperation& operation);
  void Begin(OperationId id, const DisownOperation& operation);
  void Begin(OperationId id, const TakeOverOperation& operation);
  void Begin(OperationId id, const ShutdownOperation& operation);
  std::optional<Ticket> Wait(WaitingOperation operation);
  void RefuseToWait(OperationId id);
  void GiveAway();
  std::optional<PeerName> ChooseHeir() const;
  std::optional<PeerName> FindPeer(absl::string_view text) const;

  // ---- takeovers (allocator_council.cc) ----
  absl::Status OnCouncilMessage(Now now, PeerName source, ByteView payload, Council::Way way);
  void SettleCouncil();
  void CarryOut(const CouncilTakeover& takeover);
  void AnswerTakeovers();
  std::optional<AllocatorReply> TakeoverReply(OperationId id, const Takeover& takeover) const;
  absl::Status PromisedError(PeerName peer, const CouncilTakeover& promise) const;
  absl::Status NoQuorumError(PeerName peer) const;
  std::vector<std::string> DescribeAll(const std::vector<PeerName>& peers) const;
  std::vector<IpamStatus::Removal> Removals() const;

  // ---- addresses (allocator_addresses.cc) ----
  // Without the first and the last address of what was asked for, whatever it is part of (section 7.1). At least
  // kMinSubnetSize addresses are.
  static AddressRange UsableRange(const Cidr& subnet);
  // None: has to wait.
  std::optional<Cidr> TryAllocate(const AllocateOperation& operation);
  std::optional<Outcome> TryClaim(const ClaimOperation& operation, bool answered);
  void Give(absl::string_view ident, const Cidr& address, bool is_container, Upkeep upkeep, bool answered);
  void Confirm(absl::string_view ident, const IpAddress& address, bool is_container, Upkeep upkeep);
  void Release(absl::string_view ident, const IpAddress& address);
  void ReleaseAll(absl::string_view ident);
  // The row of `ident` is on disk as it is now.
  void FreeBehind(absl::string_view ident);
  void Revive(absl::string_view ident);
  void ReleaseDeadContainers();
  void CancelOfIdent(absl::string_view ident);

  // ---- what waits (allocator_waiting.cc) ----
  bool Serve(Ticket ticket);
  void ServeOthersOf(absl::string_view ident);
  void Answer(Ticket ticket, absl::Status status, std::vector<Cidr> addresses = {});
  // All lines, and these claims.
  void RetryWaiting(const std::vector<Ticket>& claims);
  void AskForSpace(const Cidr& subnet);
  void AskOwner(Ticket ticket);
  AddressRange Wanted(const Cidr& subnet) const;
  void OnDenied(PeerName source, const AddressRange& range);

  // ---- the ring and how it comes to be (allocator_bootstrap.cc) ----
  bool RestoreRing(const RingRecord& record);
  void RestorePaxos(const PaxosRecord& record);
  // `discard`: none of it, for the ring that made it ours is set aside.
  void RestoreAllocation(const AllocationRecord& record, bool discard);
  bool IsElector() const { return std::holds_alternative<ConsensusBootstrap>(config_.bootstrap); }
  std::size_t Quorum() const;
  // A seed without a record makes its ring when nobody that it can hear knows one.
  void DivideUnlessTold();
  void Establish();
  void Propose();
  void CreateRingWhenAgreed();
  // After every change of the ring: `was_empty` before it.
  void OnRingChanged(bool was_empty);
  std::vector<AddressRange> UpdateSpace();
  void RestWhatWasOurs();
  bool VotedForRing() const;
  void EndRest();

  // ---- what is used here and another's (allocator_strays.cc) ----
  void SortStrays(const AddressSet& lost);
  void AskForStrays();
  void RetryStrays();
  void OnStrayDenied(PeerName source, const IpAddress& address);
  std::vector<IpamStatus::Stray> Strays() const;

  // ---- others (allocator_gossip.cc) ----
  absl::Status HandleState(PeerName source, const IpamState& state, Way way);
  absl::Status MergeRing(const Ring& theirs);
  void HearClaims(const PaxosClaims& theirs);
  void OnSpaceRequest(PeerName source, const AddressRange& range);
  void LearnNicknames(const absl::btree_map<PeerName, std::string>& theirs);
  void ForgetNicknames();
  std::string Describe(PeerName peer) const;
  IpamStatus::Named Name(PeerName peer) const;

  // ---- records (allocator_records.cc) ----
  void ChangeRow(absl::string_view ident) { changed_rows_.emplace(ident); }
  void ChangeStaleRowsAlong();
  void RecordState(std::vector<std::string>& keys);
  bool StateIsDurable() const { return writes_.IsDurable(ring_.empty() ? PaxosKey() : RingKey()); }
  absl::btree_map<PeerName, std::string> OwnersNicknames() const;
  std::shared_ptr<const IpamState> ComposeState() const;
  std::shared_ptr<const Bytes> ComposeDigest() const;
  RingRecord ComposeRingRecord() const;

  const AllocatorConfig config_;
  const AddressRange universe_;
  const PeerDirectory& peers_;
  Random random_;
  Logger& logger_;
  Now now_;  // of the event at hand
  bool started_ = false;
  bool shut_down_ = false;

  // On its way into and out of the mesh.
  class CouncilChannel final : public Gossiper {
   public:
    explicit CouncilChannel(Allocator& allocator) : allocator_(allocator) {}
    absl::Status OnUnicast(Now now, PeerName source, ByteView payload) override;
    absl::StatusOr<std::unique_ptr<GossipData>> OnBroadcast(Now now, PeerName source, ByteView payload) override;
    absl::StatusOr<std::unique_ptr<GossipData>> OnGossip(Now now, PeerName sender, ByteView payload) override;
    std::unique_ptr<GossipData> FullState(Now now) override;

   private:
    Allocator& allocator_;
  };

  Ring ring_;
  Space space_;
  absl::btree_set<std::pair<IpAddress, AddressCount>> owned_ranges_;  // those `space_` was made from
  std::optional<PaxosNode> paxos_;                                    // while there is no ring; also a former elector's
  AddressSet resting_;  // perhaps another's, too; not in `space_`, though ours by the ring
  std::optional<MonotonicTime> rest_until_;
  bool promised_away_ = false;  // what we owned, which is why it rests
  Council council_;
  CouncilChannel council_channel_;
  absl::btree_map<OperationId, Takeover> takeovers_;
  absl::btree_map<PeerName, AddressCount> carried_out_;  // just now, by first victim
  bool proposing_ = false;
  bool pleading_ = false;  // an observer that has asked for a ring
  // A seed without a record: when it looks again, when it stops waiting, and which neighbours have spoken.
  struct SeedWait {
    MonotonicTime look_at;
    MonotonicTime until;
    absl::btree_set<PeerName> heard;
  };
  std::optional<SeedWait> seed_wait_;
  absl::btree_map<PeerName, std::string> nicknames_;  // ourselves included
  bool report_is_stale_ = false;                      // what the ring says of our free space, or of nicknames

  Holdings holdings_;
  // An address in them that nobody holds is not free yet. Who claims it has it at once: the rows go in one write.
  StaleRows stale_rows_;
  std::vector<IpAddress> freed_;  // since the last retry
  absl::btree_map<std::string, MonotonicTime> dead_;
  absl::btree_set<std::pair<MonotonicTime, std::string>> dead_deadlines_;

  // In use here, and not in the space: another's by the ring, or ours and at rest.
  struct Stray {
    std::optional<PeerName> asked;  // since the last retry
    bool waits = false;             // for the answer
    bool denied = false;            // at any time
  };
  absl::btree_map<IpAddress, Stray> strays_;
  std::optional<MonotonicTime> strays_due_at_;

  OperationQueue queue_;
  std::optional<MonotonicTime> tick_at_;

  // ---- the output in the making ----
  AllocatorOutput output_;
  absl::btree_set<std::string> changed_rows_;  // idents
  std::vector<PendingWrites::Fresh> fresh_;
  bool state_changed_ = false;
  bool relies_on_ring_ = false;  // a reply that holds only if what we own is ours
  bool broadcast_ = false;
  absl::btree_set<PeerName> ring_updates_;

  PendingWrites writes_;
  // The first write that holds all that we own now; 0: not handed out.
  std::uint64_t ownership_since_ = 0;
  bool ownership_is_durable_ = true;
  std::optional<RingRecord> written_ring_;  // as last handed out
  std::optional<PaxosRecord> written_paxos_;
  bool owed_broadcast_ = false;  // of tellings that failed
  absl::btree_set<PeerName> owed_ring_updates_;

  std::shared_ptr<const IpamState> told_;     // all that is durable; null before the start
  std::shared_ptr<const Bytes> told_digest_;  // of the council; null while there is none
  std::uint64_t gossip_count_ = 0;
};

}  // namespace weave
