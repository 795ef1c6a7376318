#include "peer/core/peer_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "peer/core/request_check.h"

namespace weave {
namespace {

// How long records that could not be written wait for the next attempt.
constexpr Duration kSaveInterval = absl::Seconds(2);

// How long those we gave our addresses to may take to hear of it before connections end (spec/control.md section 6).
constexpr Duration kGiveAwayPause = absl::Milliseconds(500);

absl::Status ResettingError() { return absl::FailedPreconditionError("this peer is being reset"); }

std::unique_ptr<Allocator> MakeAllocator(const PeerConfig& config, const PeerDirectory& directory,
                                         EntropySource& entropy, Logger& logger) {
  if (!config.ipam.has_value()) return nullptr;
  AllocatorConfig allocator;
  allocator.self = config.name;
  allocator.nickname = config.nickname;
  allocator.range = config.ipam->range;
  allocator.default_subnet = config.ipam->default_subnet;
  allocator.bootstrap = config.ipam->bootstrap;
  while (allocator.uid == 0) allocator.uid = entropy.Next();
  return std::make_unique<Allocator>(std::move(allocator), directory, Random(entropy.Next()), logger);
}

}  // namespace

PeerCore::PeerCore(PeerConfig config, EntropySource& entropy, Logger& logger)
    : config_(std::move(config)),
      logger_(logger),
      endpoints_(config_.boot_id, addresses_, command_ids_, logger),
      host_(
          addresses_, command_ids_, [this] { return endpoints_.Ports(); }, logger),
      network_(config_.mesh, config_.fastdp, entropy, logger),
      directory_(network_.mesh()),
      allocator_(MakeAllocator(config_, directory_, entropy, logger)),
      planner_(allocator_.get(), addresses_, endpoints_, host_, logger),
      watch_(allocator_.get(), addresses_, planner_, command_ids_, logger),
      names_(config_.dns_domain.has_value()
                 ? std::make_unique<NameKeeper>(config_.name, *config_.dns_domain, directory_, addresses_, endpoints_,
                                                logger, config_.tombstone_life)
                 : nullptr) {
  if (allocator_ != nullptr) {
    network_.AddChannel(kIpamChannel, *allocator_);
    network_.AddChannel(kCouncilChannel, allocator_->council_channel());
  }
  if (names_ != nullptr) network_.AddComparingChannel(kNameChannel, names_->registry());
}

void PeerCore::OnStart(Now now, const std::vector<Record>& records, const HostInventory& inventory, PeerOutput& out) {
  std::vector<EndpointRecord> endpoints;
  std::vector<ExposureRecord> exposures;
  IdentityRecord former;
  std::vector<std::string> former_peers;
  std::vector<IpamRecord> ipam;
  std::vector<NameRecord> names;
  for (const Record& record : records) {
    if (std::optional<IpamRecord> own = ToIpamRecord(record)) ipam.push_back(*std::move(own));
    if (const auto* endpoint = std::get_if<EndpointRecord>(&record)) endpoints.push_back(*endpoint);
    if (const auto* exposure = std::get_if<ExposureRecord>(&record)) exposures.push_back(*exposure);
    if (const auto* identity = std::get_if<IdentityRecord>(&record)) former = *identity;
    if (const auto* peers = std::get_if<DirectPeersRecord>(&record)) former_peers = peers->peers;
    if (const auto* name = std::get_if<NameRecord>(&record)) names.push_back(*name);
  }
  // Before the allocator, which guesses from the peers that are dialled how many must agree: a start that claims what
  // it finds attached would agree with itself otherwise, and own what others gave out already.
  recorded_ = former;
  network_.Start(now, {former.name == config_.name ? former.short_id : std::nullopt, former.interface_mtu},
                 config_.direct_peers, out.network);
  recorded_ = Identity();
  if (former != recorded_) out.persist.push_back({IdentityKey(), recorded_});
  endpoints_.Hold(endpoints, inventory, out);
  host_.Hold(inventory.bridge_addresses);
  endpoints_.Adopt(inventory.strays, out);
  endpoints_.Restore(endpoints, inventory, out);
  host_.Restore(exposures, inventory.bridge_addresses, out);
  if (allocator_ != nullptr) allocator_->OnStart(now, ipam);
  planner_.Restore(now, inventory.in_use);
  watch_.Start(now, !former.boot_id.empty() && former.boot_id != config_.boot_id);
  if (names_ != nullptr) names_->Restore(names, out);
  host_.Refresh(out);
  if (network_.mesh().DirectPeers() != former_peers) RecordDirectPeers(out);
  Finish(now, out);
}

// The end of every event: what its parts have to tell each other.
void PeerCore::Finish(Now now, PeerOutput& out) {
  planner_.Settle(now, out);
  RecordIdentity(out);
  SettleNames(now, out);
  if (allocator_ == nullptr || reset_ == ResetState::kDone) return;
  if (std::exchange(routes_seen_, network_.mesh().route_generation()) != network_.mesh().route_generation())
    allocator_->OnTopologyChange(now);
  out.ipam = allocator_->TakeOutput();
  for (const AllocatorReply& reply : out.ipam.replies) {
    planner_.OnAnswered(reply);
    watch_.OnGiven(now, reply.addresses);
  }
}

// Another peer may have had our short id, and paths may carry something else now.
void PeerCore::RecordIdentity(PeerOutput& out) {
  if (reset_ == ResetState::kDone || (recorded_.short_id == network_.mesh().topology().self_short_id() &&
                                      recorded_.interface_mtu == InterfaceMtuToRecord()))
    return;
  recorded_ = Identity();
  out.tidy.push_back({IdentityKey(), recorded_});
}

IdentityRecord PeerCore::Identity() const {
  return {config_.name, config_.boot_id, network_.mesh().topology().self_short_id(), InterfaceMtuToRecord()};
}

// A run with --mtu, or without a datapath, keeps what was known before.
std::optional<std::size_t> PeerCore::InterfaceMtuToRecord() const {
  const std::optional<std::size_t> mtu = network_.interface_mtu();
  return mtu.has_value() ? mtu : recorded_.interface_mtu;
}

void PeerCore::SettleNames(Now now, PeerOutput& out) {
  const AddressPlanner::LetGo let_go = planner_.TakeLetGo();
  if (names_ == nullptr || reset_ == ResetState::kDone) return;
  NameRegistry& registry = names_->registry();
  if (std::exchange(topology_seen_, network_.mesh().topology().generation()) != network_.mesh().topology().generation())
    registry.OnTopologyChange(now);
  names_->Settle(now, let_go, out);
  if (const std::unique_ptr<NameGossip> news = registry.TakeBroadcast(now))
    network_.Broadcast(now, kNameChannel, *news, out.network);
}

void PeerCore::OnReleased(Now now, const AllocatorOutput& ipam, PeerOutput& out) {
  if (allocator_ == nullptr || reset_ == ResetState::kDone) return;
  Tell(now, ipam.telling, out);
  for (const AllocatorReply& reply : ipam.replies) OnAllocatorReply(now, reply, out);
  Finish(now, out);
}

void PeerCore::Tell(Now now, const IpamTelling& telling, PeerOutput& out) {
  allocator_->OnDurable(telling);
  for (const IpamSend& send : telling.unicasts)
    if (const absl::Status sent = network_.Unicast(now, kIpamChannel, send.to, send.payload, out.network); !sent.ok())
      logger_.Debug("a message about addresses is lost", {{"peer", send.to.ToString()}, {"reason", sent.message()}});
  if (telling.broadcast)
    if (const std::unique_ptr<GossipData> state = allocator_->FullState(now); state != nullptr)
      network_.Broadcast(now, kIpamChannel, *state, out.network);
  for (const CouncilSend& send : telling.council) TellCouncil(now, send, out);
}

void PeerCore::TellCouncil(Now now, const CouncilSend& send, PeerOutput& out) {
  if (!send.to.has_value())
    return network_.Broadcast(now, kCouncilChannel, *allocator_->CouncilBroadcast(send.payload), out.network);
  const absl::Status sent = network_.Unicast(now, kCouncilChannel, *send.to, send.payload, out.network);
  if (!sent.ok())
    logger_.Debug("a message of the council is lost", {{"peer", send.to->ToString()}, {"reason", sent.message()}});
}

void PeerCore::OnAllocatorReply(Now now, const AllocatorReply& reply, PeerOutput& out) {
  if (reset_ == ResetState::kGivingAway && reply.operation == give_away_) return OnGaveAway(now, reply.status, out);
  planner_.OnReply(now, reply, out);
}

void PeerCore::OnRequest(Now now, RequestId id, ApiRequest request, PeerOutput& out) {
  Dispatch(now, id, std::move(request), out);
  Finish(now, out);
}

void PeerCore::Dispatch(Now now, RequestId id, ApiRequest request, PeerOutput& out) {
  if (std::holds_alternative<ResetRequest>(request)) return OnReset(now, id, out);
  absl::Status refusal = resetting() ? ResettingError() : CheckRequest(request);
  if (!refusal.ok()) {
    out.replies.push_back({id, std::move(refusal), {}});
    return;
  }
  if (const auto* connect = std::get_if<ConnectRequest>(&request)) return OnConnect(now, id, *connect, out);
  if (const auto* forget = std::get_if<ForgetRequest>(&request)) return OnForget(now, id, *forget, out);
  if (std::holds_alternative<AddNameRequest>(request) || std::holds_alternative<RemoveNamesRequest>(request))
    return OnNameRequest(now, id, request, out);
  if (names_ != nullptr) {
    if (const auto* attach = std::get_if<AttachRequest>(&request))
      names_->Expect(id, attach->sandbox.ident, attach->hostname);
    if (const auto* expose = std::get_if<ExposeRequest>(&request)) names_->Expect(id, kExposeName, expose->hostname);
  }
  if (const auto* ipam = std::get_if<IpamRequest>(&request);
      ipam != nullptr && std::holds_alternative<DisownOperation>(ipam->operation))
    watch_.LookSoon(now);
  planner_.OnRequest(now, id, std::move(request), out);
}

void PeerCore::OnNameRequest(Now now, RequestId id, const ApiRequest& request, PeerOutput& out) {
  if (names_ == nullptr) {
    out.replies.push_back({id, absl::NotFoundError("this peer serves no names: it was started with --no-dns"), {}});
    return;
  }
  if (const auto* add = std::get_if<AddNameRequest>(&request)) names_->OnAdd(*add);
  if (const auto* remove = std::get_if<RemoveNamesRequest>(&request)) names_->OnRemove(now, *remove);
  out.replies.push_back({id, absl::OkStatus(), {}});
}

std::vector<std::string> PeerCore::NameHoldersToCheck() const {
  return names_ == nullptr ? std::vector<std::string>() : names_->HoldersToCheck();
}

void PeerCore::OnConnect(Now now, RequestId id, const ConnectRequest& request, PeerOutput& out) {
  const std::size_t known = request.replace ? 0 : network_.mesh().DirectPeers().size();
  if (known + request.peers.size() > kMaxDirectPeerCount) {
    out.replies.push_back({id,
                           absl::ResourceExhaustedError(absl::StrCat("at most ", kMaxDirectPeerCount,
                                                                     " peers can be named, ", known, " are already")),
                           {}});
    return;
  }
  network_.Connect(now, request.peers, request.replace, out.network);
  RecordDirectPeers(out);
  out.replies.push_back({id, absl::OkStatus(), {}});
}

void PeerCore::OnForget(Now now, RequestId id, const ForgetRequest& request, PeerOutput& out) {
  network_.Forget(now, request.peers, out.network);
  RecordDirectPeers(out);
  out.replies.push_back({id, absl::OkStatus(), {}});
}

// A peer that cannot be recorded is dialled all the same.
void PeerCore::RecordDirectPeers(PeerOutput& out) {
  DirectPeersRecord record{network_.mesh().DirectPeers()};
  const bool none = record.peers.empty();
  out.tidy.push_back({DirectPeersKey(), none ? std::nullopt : std::optional<Record>(std::move(record))});
}

void PeerCore::OnNetwork(Now now, const NetworkEvent& event, PeerOutput& out) {
  network_.OnEvent(now, event, out.network);
  Finish(now, out);
}

void PeerCore::OnCancel(Now now, RequestId id, PeerOutput& out) {
  if (!planner_.OnCancel(now, id, out)) endpoints_.OnCancel(id, out);
  Finish(now, out);
}

void PeerCore::OnCommandDone(Now now, CommandId id, const HostResult& result, PeerOutput& out) {
  HandleCommandDone(now, id, result, out);
  Finish(now, out);
}

void PeerCore::HandleCommandDone(Now now, CommandId id, const HostResult& result, PeerOutput& out) {
  if (reset_ == ResetState::kTearingDown && id == tear_down_) return FinishTearDown(now, result, out);
  const bool known = endpoints_.OnCommandDone(now, id, result, out) || host_.OnCommandDone(now, id, result, out) ||
                     watch_.OnCommandDone(now, id, result);
  CHECK(known) << "command " << id;
  if (endpoints_.TakeStrayPort()) host_.Refresh(out);
  ContinueReset(out);
}

void PeerCore::OnHostChange(Now now, const HostChange& change, PeerOutput& out) {
  if (resetting()) return;
  if (const auto* gone = std::get_if<EndpointGone>(&change)) {
    endpoints_.OnEndpointGone(*gone, out);
  } else if (std::holds_alternative<PortsChanged>(change)) {
    watch_.LookSoon(now);
  } else {
    endpoints_.OnBridgeLost();
    host_.Refresh(out);
  }
  Finish(now, out);
}

void PeerCore::OnPersistFailed(Now now, const absl::Status& status, const PeerOutput& dropped, PeerOutput& out) {
  logger_.Error("records could not be written", {{"reason", status.message()}});
  for (const RecordChange& change : dropped.tidy) unsaved_.insert(change.key);
  for (const RecordChange& change : dropped.persist) unsaved_.insert(change.key);
  doubtful_.insert(unsaved_.begin(), unsaved_.end());
  for (const IpamRecordChange& change : dropped.ipam.persist) doubtful_.insert(change.key);  // written by Resave
  if (!save_at_.has_value()) save_at_ = now.monotonic + kSaveInterval;
  host_.OnPersistFailed(dropped.recorded, status, out);
  for (const HostCommand& command : dropped.commands)
    if (!host_.OnCommandDropped(command.id, out))
      HandleCommandDone(now, command.id, HostResult{status, {}, false}, out);
  if (allocator_ != nullptr && reset_ != ResetState::kDone && !dropped.ipam.empty()) {
    allocator_->OnPersistFailed(now, dropped.ipam);
    for (AllocatorReply reply : dropped.ipam.replies) {
      if (reply.status.ok()) reply = {reply.operation, status, {}, 0};
      OnAllocatorReply(now, reply, out);
    }
  }
  ContinueReset(out);
  // The answer to a reset tells that the records are gone. No other answer tells of the records beside it: what it says
  // is as true as before.
  for (Reply reply : dropped.replies) {
    if (std::find(dropped.recorded.begin(), dropped.recorded.end(), reply.request) != dropped.recorded.end()) {
      reply.status = status;
      reset_ = ResetState::kDraining;
    }
    out.replies.push_back(std::move(reply));
  }
  Finish(now, out);
}

void PeerCore::OnTimer(Now now, PeerOutput& out) {
  endpoints_.OnTimer(now, out);
  host_.OnTimer(now, out);
  watch_.OnTimer(now, out);
  network_.OnTimer(now, out.network);
  if (allocator_ != nullptr && reset_ != ResetState::kDone) allocator_->OnTimer(now);
  if (names_ != nullptr) names_->registry().OnTimer(now);
  if (save_at_.has_value() && now.monotonic >= *save_at_) SaveAgain(now, out);
  if (erase_at_.has_value() && now.monotonic >= *erase_at_) EraseEverything(now, out);
  Finish(now, out);
}

void PeerCore::SaveAgain(Now now, PeerOutput& out) {
  save_at_.reset();
  if (allocator_ != nullptr && reset_ != ResetState::kDone) allocator_->Resave(now);
  const absl::btree_map<std::string, Record> records = Records();
  for (const std::string& key : std::exchange(unsaved_, {})) {
    const auto record = records.find(key);
    out.tidy.push_back({key, record == records.end() ? std::nullopt : std::optional<Record>(record->second)});
  }
}

std::optional<MonotonicTime> PeerCore::NextDeadline() const {
  std::optional<MonotonicTime> allocator;
  if (allocator_ != nullptr && reset_ != ResetState::kDone) allocator = allocator_->NextDeadline();
  std::optional<MonotonicTime> names;
  if (names_ != nullptr) names = names_->registry().NextDeadline();
  return Earliest({NextHostDeadline(), watch_.NextDeadline(), network_.NextDeadline(), allocator, names});
}

std::optional<MonotonicTime> PeerCore::NextHostDeadline() const {
  return Earliest({endpoints_.NextDeadline(), host_.NextDeadline(), save_at_, erase_at_});
}

void PeerCore::OnReset(Now now, RequestId id, PeerOutput& out) {
  if (reset_ == ResetState::kDone) {
    for (const std::string& key : erased_) out.persist.push_back({key, std::nullopt});  // may not be on disk yet
    out.recorded.push_back(id);
    out.replies.push_back({id, absl::OkStatus(), {}});
    return;
  }
  reset_requests_.push_back(id);
  if (reset_ == ResetState::kNone) {
    logger_.Info("resetting");
    reset_ = ResetState::kDraining;
    planner_.Close(now, ResettingError());
    watch_.Close();
    endpoints_.Close(ResettingError(), out);
    host_.Close(ResettingError(), out);
  } else if (reset_ == ResetState::kGivingAway && give_away_ == 0) {
    GiveAway(now);  // once more: it could not be recorded
  }
  ContinueReset(out);
}

void PeerCore::ContinueReset(PeerOutput& out) {
  if (reset_ != ResetState::kDraining || reset_requests_.empty() || !endpoints_.idle() || !host_.idle()) return;
  reset_ = ResetState::kTearingDown;
  tear_down_ = command_ids_.Next();
  out.commands.push_back({tear_down_, TearDownHost{endpoints_.Records()}});
}

void PeerCore::FinishTearDown(Now now, const HostResult& result, PeerOutput& out) {
  if (!result.status.ok()) {
    reset_ = ResetState::kDraining;
    return RefuseReset(result.status, out);
  }
  if (allocator_ == nullptr) return EraseEverything(now, out);
  reset_ = ResetState::kGivingAway;
  GiveAway(now);
}

// Not before our addresses are off every interface: who gets them may hand them out at once.
void PeerCore::GiveAway(Now now) {
  give_away_ = planner_.NextOperation();
  allocator_->OnOperation(now, give_away_, ShutdownOperation{});
}

void PeerCore::OnGaveAway(Now now, const absl::Status& status, PeerOutput& out) {
  give_away_ = 0;
  const bool before = absl::IsCancelled(status);  // somebody else asked for it
  if (!status.ok() && !before) return RefuseReset(status, out);
  if (network_.mesh().connection_count() == 0) return EraseEverything(now, out);
  reset_ = ResetState::kPausing;
  erase_at_ = now.monotonic + kGiveAwayPause;
}

void PeerCore::RefuseReset(const absl::Status& status, PeerOutput& out) {
  for (const RequestId id : std::exchange(reset_requests_, {})) out.replies.push_back({id, status, {}});
}

void PeerCore::EraseEverything(Now now, PeerOutput& out) {
  erase_at_.reset();
  erased_ = doubtful_;
  for (const auto& [key, record] : Records()) erased_.insert(key);
  reset_ = ResetState::kDone;
  network_.Stop(now, "this peer has been reset", out.network);
  unsaved_.clear();
  out.recorded = std::exchange(reset_requests_, {});
  for (const RequestId id : out.recorded) out.replies.push_back({id, absl::OkStatus(), {}});
  for (const std::string& key : erased_) out.persist.push_back({key, std::nullopt});
}

PeerSnapshot PeerCore::Snapshot() const {
  PeerSnapshot snapshot;
  snapshot.name = config_.name;
  snapshot.nickname = config_.nickname;
  snapshot.ready = ready();
  snapshot.host_error = host_error();
  snapshot.resetting = resetting();
  snapshot.endpoints = endpoints_.List();
  snapshot.exposures = host_.List();
  if (allocator_ != nullptr) snapshot.ipam = allocator_->Status();
  return snapshot;
}

absl::btree_map<std::string, Record> PeerCore::Records() const {
  absl::btree_map<std::string, Record> records;
  if (reset_ == ResetState::kDone) return records;
  records.emplace(IdentityKey(), Identity());
  if (std::vector<std::string> peers = network_.mesh().DirectPeers(); !peers.empty())
    records.emplace(DirectPeersKey(), DirectPeersRecord{std::move(peers)});
  for (const EndpointRecord& endpoint : endpoints_.Records())
    records.emplace(EndpointKey(endpoint.sandbox.netns_inode), endpoint);
  for (const ExposureRecord& exposure : host_.List()) records.emplace(ExposureKey(exposure.cidr.address()), exposure);
  if (allocator_ != nullptr)
    for (const auto& [key, record] : allocator_->Records()) records.emplace(key, ToRecord(record));
  if (names_ != nullptr) records.merge(names_->Records());
  return records;
}

absl::Status PeerCore::CheckInvariants() const {
  for (const ExposureRecord& exposure : host_.List()) {
    const AddressHolder* holder = addresses_.HolderOf(exposure.cidr.address());
    if (holder == nullptr || holder->key != ExposureKey(exposure.cidr.address()))
      return absl::InternalError(absl::StrCat("exposed address ", exposure.cidr.ToString(), " is not held"));
  }
  RETURN_IF_ERROR(network_.mesh().CheckInvariants());
  if (allocator_ != nullptr) RETURN_IF_ERROR(allocator_->CheckInvariants());
  if (names_ != nullptr) RETURN_IF_ERROR(names_->registry().CheckInvariants());
  return endpoints_.CheckInvariants();
}

}  // namespace weave
