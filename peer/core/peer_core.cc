#include "peer/core/peer_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace weave {
namespace {

// How long records that could not be written wait for the next attempt.
constexpr Duration kSaveInterval = absl::Seconds(2);

absl::Status ResettingError() { return absl::FailedPreconditionError("this peer is being reset"); }

// What no host or container may be called.
absl::Status CheckUsable(const Cidr& cidr) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("address ", cidr.ToString(), " ", why));
  };
  const IpAddress& address = cidr.address();
  if (!address.IsV4()) return bad("is not an IPv4 address: only IPv4 is supported");
  if (cidr.prefix_length() == 0) return bad("has no network: want a prefix length of 1 to 32");
  const std::uint32_t first_octet = address.v4() >> 24;
  if (first_octet == 0 || first_octet >= 224) return bad("is not a unicast address");
  if (first_octet == 127) return bad("is a loopback address");
  return absl::OkStatus();
}

absl::Status CheckAddresses(const std::vector<Cidr>& addresses) {
  absl::btree_set<IpAddress> seen;
  for (const Cidr& cidr : addresses) {
    if (absl::Status usable = CheckUsable(cidr); !usable.ok()) return usable;
    if (!seen.insert(cidr.address()).second)
      return absl::InvalidArgumentError(absl::StrCat("address ", cidr.ToString(), " is given twice"));
  }
  return absl::OkStatus();
}

absl::Status CheckRequest(const ApiRequest& request) {
  struct Checker {
    absl::Status operator()(const AttachRequest& r) const { return Given(r.addresses); }
    absl::Status operator()(const DetachRequest& r) const { return CheckAddresses(r.addresses); }
    absl::Status operator()(const ExposeRequest& r) const { return Given(r.addresses); }
    absl::Status operator()(const HideRequest& r) const { return CheckAddresses(r.addresses); }
    absl::Status operator()(const ResetRequest&) const { return absl::OkStatus(); }
    absl::Status operator()(const ConnectRequest& r) const {
      for (const DirectPeer& peer : r.peers)
        if (peer.text.size() > kMaxDirectPeerSize)
          return absl::InvalidArgumentError(absl::StrCat("peer \"", peer.text.substr(0, 60),
                                                         "...\" is too long: want at most ", kMaxDirectPeerSize,
                                                         " characters"));
      return absl::OkStatus();
    }
    absl::Status operator()(const ForgetRequest&) const { return absl::OkStatus(); }

    static absl::Status Given(const std::vector<Cidr>& addresses) {
      if (addresses.empty()) return absl::InvalidArgumentError("no address given");
      return CheckAddresses(addresses);
    }
  };
  return std::visit(Checker{}, request);
}

}  // namespace

PeerCore::PeerCore(PeerConfig config, EntropySource& entropy, Logger& logger)
    : config_(std::move(config)),
      logger_(logger),
      endpoints_(config_.boot_id, addresses_, command_ids_, logger),
      host_(
          addresses_, command_ids_, [this] { return endpoints_.Ports(); }, logger),
      network_(config_.mesh, entropy, logger) {}

void PeerCore::OnStart(Now now, const std::vector<Record>& records, const HostInventory& inventory, PeerOutput& out) {
  std::vector<EndpointRecord> endpoints;
  std::vector<ExposureRecord> exposures;
  std::optional<PeerName> former_name;
  std::vector<std::string> former_peers;
  for (const Record& record : records) {
    if (const auto* endpoint = std::get_if<EndpointRecord>(&record)) endpoints.push_back(*endpoint);
    if (const auto* exposure = std::get_if<ExposureRecord>(&record)) exposures.push_back(*exposure);
    if (const auto* identity = std::get_if<IdentityRecord>(&record)) former_name = identity->name;
    if (const auto* peers = std::get_if<DirectPeersRecord>(&record)) former_peers = peers->peers;
  }
  if (former_name != config_.name) out.persist.push_back({IdentityKey(), IdentityRecord{config_.name}});
  endpoints_.Hold(endpoints, inventory, out);
  host_.Hold(inventory.bridge_addresses);
  endpoints_.Restore(endpoints, inventory, out);
  host_.Restore(exposures, inventory.bridge_addresses, out);
  host_.Refresh(out);
  network_.Start(now, config_.direct_peers, out.network);
  if (network_.mesh().DirectPeers() != former_peers) RecordDirectPeers(out);
}

void PeerCore::OnRequest(Now now, RequestId id, ApiRequest request, PeerOutput& out) {
  if (std::holds_alternative<ResetRequest>(request)) return OnReset(id, out);
  absl::Status refusal = resetting() ? ResettingError() : CheckRequest(request);
  if (!refusal.ok()) {
    out.replies.push_back({id, std::move(refusal), {}});
    return;
  }
  if (auto* attach = std::get_if<AttachRequest>(&request)) return endpoints_.OnAttach(id, std::move(*attach), out);
  if (auto* detach = std::get_if<DetachRequest>(&request)) return endpoints_.OnDetach(id, std::move(*detach), out);
  if (const auto* expose = std::get_if<ExposeRequest>(&request)) return host_.OnExpose(id, *expose, out);
  if (const auto* hide = std::get_if<HideRequest>(&request)) return host_.OnHide(id, *hide, out);
  if (const auto* connect = std::get_if<ConnectRequest>(&request)) return OnConnect(now, id, *connect, out);
  OnForget(now, id, std::get<ForgetRequest>(request), out);
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
}

void PeerCore::OnCancel(Now, RequestId id, PeerOutput& out) { endpoints_.OnCancel(id, out); }

void PeerCore::OnCommandDone(Now now, CommandId id, const HostResult& result, PeerOutput& out) {
  if (reset_ == ResetState::kTearingDown && id == tear_down_) return FinishReset(now, result, out);
  const bool known = endpoints_.OnCommandDone(now, id, result, out) || host_.OnCommandDone(now, id, result, out);
  CHECK(known) << "command " << id;
  if (endpoints_.TakeStrayPort()) host_.Refresh(out);
  ContinueReset(out);
}

void PeerCore::OnHostChange(Now, const HostChange& change, PeerOutput& out) {
  if (resetting()) return;
  if (const auto* gone = std::get_if<EndpointGone>(&change)) return endpoints_.OnEndpointGone(*gone, out);
  endpoints_.OnBridgeLost();
  host_.Refresh(out);
}

void PeerCore::OnPersistFailed(Now now, const absl::Status& status, const PeerOutput& dropped, PeerOutput& out) {
  logger_.Error("records could not be written", {{"reason", status.message()}});
  for (const RecordChange& change : dropped.tidy) unsaved_.insert(change.key);
  for (const RecordChange& change : dropped.persist) unsaved_.insert(change.key);
  doubtful_.insert(unsaved_.begin(), unsaved_.end());
  if (!save_at_.has_value()) save_at_ = now.monotonic + kSaveInterval;
  host_.OnPersistFailed(dropped.recorded, status, out);
  for (const HostCommand& command : dropped.commands)
    if (!host_.OnCommandDropped(command.id, out)) OnCommandDone(now, command.id, HostResult{status, {}, false}, out);
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
}

void PeerCore::OnTimer(Now now, PeerOutput& out) {
  endpoints_.OnTimer(now, out);
  host_.OnTimer(now, out);
  network_.OnTimer(now, out.network);
  if (save_at_.has_value() && now.monotonic >= *save_at_) SaveAgain(out);
}

void PeerCore::SaveAgain(PeerOutput& out) {
  save_at_.reset();
  const absl::btree_map<std::string, Record> records = Records();
  for (const std::string& key : std::exchange(unsaved_, {})) {
    const auto record = records.find(key);
    out.tidy.push_back({key, record == records.end() ? std::nullopt : std::optional<Record>(record->second)});
  }
}

std::optional<MonotonicTime> PeerCore::NextDeadline() const {
  return Earliest({NextHostDeadline(), network_.NextDeadline()});
}

std::optional<MonotonicTime> PeerCore::NextHostDeadline() const {
  return Earliest({endpoints_.NextDeadline(), host_.NextDeadline(), save_at_});
}

void PeerCore::OnReset(RequestId id, PeerOutput& out) {
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
    endpoints_.Close(ResettingError(), out);
    host_.Close(ResettingError(), out);
  }
  ContinueReset(out);
}

void PeerCore::ContinueReset(PeerOutput& out) {
  if (reset_ != ResetState::kDraining || reset_requests_.empty() || !endpoints_.idle() || !host_.idle()) return;
  reset_ = ResetState::kTearingDown;
  tear_down_ = command_ids_.Next();
  out.commands.push_back({tear_down_, TearDownHost{endpoints_.Records()}});
}

void PeerCore::FinishReset(Now now, const HostResult& result, PeerOutput& out) {
  erased_ = doubtful_;
  for (const auto& [key, record] : Records()) erased_.insert(key);
  reset_ = result.status.ok() ? ResetState::kDone : ResetState::kDraining;
  const std::vector<RequestId> requests = std::exchange(reset_requests_, {});
  for (const RequestId id : requests) out.replies.push_back({id, result.status, {}});
  if (!result.status.ok()) return;
  network_.Stop(now, "this peer has been reset", out.network);
  unsaved_.clear();
  out.recorded = requests;
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
  return snapshot;
}

absl::btree_map<std::string, Record> PeerCore::Records() const {
  absl::btree_map<std::string, Record> records;
  if (reset_ == ResetState::kDone) return records;
  records.emplace(IdentityKey(), IdentityRecord{config_.name});
  if (std::vector<std::string> peers = network_.mesh().DirectPeers(); !peers.empty())
    records.emplace(DirectPeersKey(), DirectPeersRecord{std::move(peers)});
  for (const EndpointRecord& endpoint : endpoints_.Records())
    records.emplace(EndpointKey(endpoint.sandbox.netns_inode), endpoint);
  for (const ExposureRecord& exposure : host_.List()) records.emplace(ExposureKey(exposure.cidr.address()), exposure);
  return records;
}

absl::Status PeerCore::CheckInvariants() const {
  for (const ExposureRecord& exposure : host_.List()) {
    const AddressHolder* holder = addresses_.HolderOf(exposure.cidr.address());
    if (holder == nullptr || holder->key != ExposureKey(exposure.cidr.address()))
      return absl::InternalError(absl::StrCat("exposed address ", exposure.cidr.ToString(), " is not held"));
  }
  if (absl::Status status = network_.mesh().CheckInvariants(); !status.ok()) return status;
  return endpoints_.CheckInvariants();
}

}  // namespace weave
