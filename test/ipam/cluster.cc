#include "test/ipam/cluster.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "test/support/catch.h"

namespace weave::test {
namespace {

constexpr Duration kGossipInterval = absl::Seconds(30);
constexpr Duration kResaveInterval = absl::Seconds(2);

std::string TextOf(const std::vector<Cidr>& addresses) {
  return absl::StrJoin(addresses, " ", [](std::string* out, const Cidr& cidr) { out->append(cidr.ToString()); });
}

absl::Span<const Cidr> AddressesIn(const IpamRecord& record) {
  const auto* allocation = std::get_if<AllocationRecord>(&record);
  return allocation == nullptr ? absl::Span<const Cidr>() : allocation->addresses;
}

}  // namespace

class Cluster::Directory final : public PeerDirectory {
 public:
  Directory(const Cluster& cluster, Index self) : cluster_(cluster), self_(self) {}

  bool IsReachable(PeerName peer) const override {
    return peer.value() >= 1 && peer.value() <= cluster_.size() && cluster_.Connected(self_, peer.value() - 1);
  }
  bool IsKnown(PeerName peer) const override { return IsReachable(peer); }
  std::size_t DirectPeerCount() const override { return cluster_.size() - 1; }
  bool AwaitsFirstAnswer() const override { return cluster_.peers_[self_].dialling; }
  std::vector<PeerName> Neighbours() const override {
    std::vector<PeerName> neighbours;
    for (Index i = 0; i < cluster_.size(); ++i)
      if (cluster_.Connected(self_, i)) neighbours.push_back(Name(i));
    return neighbours;
  }

 private:
  const Cluster& cluster_;
  const Index self_;
};

Cluster::Cluster(ClusterOptions options) : options_(std::move(options)), random_(options_.seed) {
  now_ = {MonotonicTime(1'000'000'000), absl::FromUnixSeconds(1'800'000'000)};
  gossip_at_ = now_.monotonic + kGossipInterval;
  peers_.resize(options_.peers);
  SeedBootstrap seeds;
  for (Index i = 0; i < peers_.size(); ++i) seeds.seeds.push_back(Name(i));
  for (Index i = 0; i < peers_.size(); ++i) {
    AllocatorConfig& config = peers_[i].config;
    config.self = Name(i);
    config.nickname = absl::StrCat("host", i);
    config.range = Cidr::Parse(options_.range).value();
    config.default_subnet = config.range;
    config.bootstrap = options_.bootstraps.empty() ? IpamBootstrap(seeds)
                                                   : options_.bootstraps[std::min(i, options_.bootstraps.size() - 1)];
    peers_[i].directory = std::make_unique<Directory>(*this, i);
  }
  for (Index i = 0; i < peers_.size(); ++i) Restart(i);
  RunUntilQuiet();
  GossipAll();
  RunUntilQuiet();
}

Cluster::~Cluster() = default;

bool Cluster::Connected(Index a, Index b) const {
  return a != b && alive(a) && alive(b) && !cuts_.contains(std::minmax(a, b));
}

// ---- callers ----

OperationId Cluster::Do(Index i, IpamOperation operation) {
  const OperationId id = ++last_operation_;
  Caller caller{i, "", false, std::nullopt};
  if (const auto* allocate = std::get_if<AllocateOperation>(&operation))
    caller = {i, allocate->ident, true, std::nullopt};
  if (const auto* claim = std::get_if<ClaimOperation>(&operation)) caller = {i, claim->ident, true, std::nullopt};
  if (const auto* release = std::get_if<ReleaseOperation>(&operation)) {
    caller = {i, release->ident, false, release->address};
    StopUsing(i, release->ident, release->address);
  }
  // Nobody there may rely on an address any more.
  if (std::holds_alternative<ShutdownOperation>(operation))
    absl::erase_if(in_use_, [&](const auto& use) { return use.second.peer == i; });
  callers_.emplace(id, caller);
  at(i).OnOperation(now_, id, std::move(operation));
  Collect(i);
  return id;
}

OperationId Cluster::Allocate(Index i, const std::string& ident, const std::string& subnet) {
  return Do(i, AllocateOperation{ident, Cidr::Parse(subnet.empty() ? options_.range : subnet).value()});
}
OperationId Cluster::Claim(Index i, const std::string& ident, const std::string& address, bool no_error_on_unknown) {
  return Do(i, ClaimOperation{ident, Cidr::Parse(address).value(), false, no_error_on_unknown});
}
OperationId Cluster::Release(Index i, const std::string& ident, const std::string& address) {
  ReleaseOperation release{ident, std::nullopt};
  if (!address.empty()) release.address = IpAddress::Parse(address).value();
  return Do(i, release);
}

void Cluster::Cancel(Index i, OperationId id) {
  at(i).OnCancel(now_, id);
  Collect(i);
}

const AllocatorReply* Cluster::ReplyTo(OperationId id) const {
  const auto reply = replies_.find(id);
  return reply == replies_.end() ? nullptr : &reply->second;
}

std::string Cluster::Text(OperationId id) const {
  const AllocatorReply* reply = ReplyTo(id);
  if (reply == nullptr) return "";
  if (!reply->status.ok()) return std::string(reply->status.message());
  return reply->addresses.empty() ? "OK" : TextOf(reply->addresses);
}

std::string Cluster::Answer(OperationId id) {
  RunUntilQuiet();
  return Text(id);
}

std::string Cluster::AddressesOf(Index i, const std::string& ident) {
  return TextOf(at(i).Lookup(ident, std::nullopt));
}

// ---- the world ----

// Everything a peer wants to be done lines up behind what it wanted before.
void Cluster::Collect(Index i) {
  Peer& peer = peers_[i];
  AllocatorOutput output = peer.allocator->TakeOutput();
  if (output.empty()) return;
  CHECK(output.persist.empty() == (output.telling.sequence == 0));
  if (options_.mutant == Mutant::kReplyBeforeDisk)
    for (const AllocatorReply& reply : std::exchange(output.replies, {})) OnReply(i, reply);
  if (options_.mutant == Mutant::kTellBeforeDisk) Perform(i, std::exchange(output.telling, {}));
  peer.outputs.push_back(std::move(output));
}

// Whenever the power goes, no address is found in two rows.
void Cluster::Write(Peer& peer, const std::vector<IpamRecordChange>& changes) {
  for (const IpamRecordChange& change : changes) {
    const auto former = peer.disk.find(change.key);
    if (former == peer.disk.end()) continue;
    for (const Cidr& cidr : AddressesIn(former->second)) peer.named_by.erase(cidr.address());
    peer.disk.erase(former);
  }
  for (const IpamRecordChange& change : changes) {
    if (!change.value.has_value()) continue;
    peer.disk[change.key] = *change.value;
    for (const Cidr& cidr : AddressesIn(*change.value)) {
      const auto [other, alone] = peer.named_by.emplace(cidr.address(), change.key);
      INFO(cidr << " is named by " << change.key << " and by " << other->second);
      REQUIRE(alone);
    }
  }
}

// The first output: its write, then what follows it.
bool Cluster::PerformNext(Index i) {
  Peer& peer = peers_[i];
  if (peer.allocator == nullptr || peer.outputs.empty()) return false;
  const bool writes = !peer.outputs.front().persist.empty();
  if (writes && peer.disk_held) return false;
  AllocatorOutput output = std::move(peer.outputs.front());
  peer.outputs.pop_front();
  if (writes && (std::exchange(peer.next_write_fails, false) || peer.disk_fails)) {
    for (AllocatorReply reply : output.replies) {
      reply.status = absl::UnavailableError("disk");
      OnReply(i, reply);
    }
    peer.allocator->OnPersistFailed(now_, output);
    if (!peer.resave_at.has_value()) peer.resave_at = now_.monotonic + kResaveInterval;
    Collect(i);
    return true;
  }
  peer.rows_written += output.persist.size();
  Write(peer, output.persist);
  if (!output.telling.empty()) Perform(i, output.telling);
  for (const AllocatorReply& reply : output.replies) OnReply(i, reply);
  return true;
}

void Cluster::Perform(Index i, const IpamTelling& telling) {
  Allocator& allocator = at(i);
  allocator.OnDurable(telling);
  for (const IpamSend& send : telling.unicasts) Send({i, send.to.value() - 1, Message::Kind::kUnicast, send.payload});
  if (telling.broadcast) {
    const std::unique_ptr<GossipData> state = allocator.FullState(now_);
    REQUIRE(state != nullptr);
    for (Index to = 0; to < size(); ++to)
      for (Bytes& payload : state->Encode()) Send({i, to, Message::Kind::kBroadcast, std::move(payload)});
  }
  for (const CouncilSend& send : telling.council)
    for (Index to = 0; to < size(); ++to)
      if (!send.to.has_value() || *send.to == Name(to))
        Send({i, to, send.to.has_value() ? Message::Kind::kUnicast : Message::Kind::kBroadcast, send.payload, true});
  if (options_.mutant != Mutant::kTellBeforeDisk) Collect(i);
}

void Cluster::Send(Message message) {
  if (message.to >= size() || !Connected(message.from, message.to)) return;
  sent_.push_back(message);
  messages_.push_back(std::move(message));
}

void Cluster::Deliver(const Message& message) {
  if (!Connected(message.from, message.to)) return;
  Gossiper& allocator = message.council ? at(message.to).council_channel() : at(message.to);
  absl::Status status;
  if (message.kind == Message::Kind::kUnicast) {
    status = allocator.OnUnicast(now_, Name(message.from), message.payload);
  } else if (message.kind == Message::Kind::kBroadcast) {
    status = allocator.OnBroadcast(now_, Name(message.from), message.payload).status();
  } else {
    status = allocator.OnGossip(now_, Name(message.from), message.payload).status();
  }
  if (!status.ok()) errors_.push_back(absl::StrCat(message.to, ": ", status.message()));
  if (options_.mutant == Mutant::kVoteForSilent && message.council)
    for (Index silent = 0; silent < size(); ++silent)
      if (!Connected(silent, message.to)) (void)allocator.OnUnicast(now_, Name(silent), message.payload);
  Collect(message.to);
}

void Cluster::RunUntilQuiet() {
  bool busy = true;
  while (busy) {
    busy = FireTimers();
    for (Index i = 0; i < size(); ++i)
      while (PerformNext(i)) busy = true;
    while (!messages_.empty()) {
      busy = true;
      const Message message = std::move(messages_.front());
      messages_.pop_front();
      Deliver(message);
    }
  }
}

std::optional<MonotonicTime> Cluster::NextDeadline() const {
  std::optional<MonotonicTime> deadline = gossip_at_;
  for (const Peer& peer : peers_) {
    if (peer.allocator == nullptr) continue;
    deadline = Earliest({deadline, peer.allocator->NextDeadline(), peer.resave_at});
  }
  return deadline;
}

bool Cluster::FireTimers() {
  bool fired = false;
  for (Index i = 0; i < size(); ++i) {
    Peer& peer = peers_[i];
    if (peer.allocator == nullptr) continue;
    const std::optional<MonotonicTime> deadline = peer.allocator->NextDeadline();
    if (deadline.has_value() && *deadline <= now_.monotonic) {
      peer.allocator->OnTimer(now_);
      Collect(i);
      fired = true;
    }
    if (peer.resave_at.has_value() && *peer.resave_at <= now_.monotonic) Resave(i);
  }
  if (gossip_at_ <= now_.monotonic) {
    gossip_at_ = now_.monotonic + kGossipInterval;
    GossipAll();
    fired = true;
  }
  return fired;
}

void Cluster::RunFor(Duration duration) {
  const MonotonicTime end = now_.monotonic + duration;
  RunUntilQuiet();
  while (true) {
    const MonotonicTime next = std::min(*NextDeadline(), end);
    if (next > now_.monotonic) {
      now_.wall += next - now_.monotonic;
      now_.monotonic = next;
    }
    RunUntilQuiet();
    if (next == end) return;
  }
}

void Cluster::Gossip(Index from, Index to) {
  if (!Connected(from, to)) return;
  // In this order, as the allocator's channel listens first.
  if (const std::unique_ptr<GossipData> digest = at(from).council_channel().FullState(now_))
    for (Bytes& payload : digest->Encode()) Send({from, to, Message::Kind::kGossip, std::move(payload), true});
  if (const std::unique_ptr<GossipData> state = at(from).FullState(now_))
    for (Bytes& payload : state->Encode()) Send({from, to, Message::Kind::kGossip, std::move(payload)});
}

void Cluster::GossipAll() {
  for (Index from = 0; from < size(); ++from)
    for (Index to = 0; to < size(); ++to) Gossip(from, to);
}

void Cluster::TellTopology() {
  for (Index i = 0; i < size(); ++i) {
    if (!alive(i)) continue;
    at(i).OnTopologyChange(now_);
    Collect(i);
  }
}

void Cluster::Cut(Index a, Index b) {
  cuts_.insert(std::minmax(a, b));
  std::erase_if(messages_, [&](const Message& m) { return !Connected(m.from, m.to); });
  TellTopology();
}

void Cluster::Heal() {
  cuts_.clear();
  TellTopology();
  GossipAll();
}

void Cluster::Crash(Index i) {
  Peer& peer = peers_[i];
  // Writes that had begun may have reached the disk.
  for (const AllocatorOutput& output : peer.outputs) {
    if (peer.disk_fails || peer.disk_held || !random_.Chance(1, 2)) break;
    Write(peer, output.persist);
  }
  peer.outputs.clear();
  peer.allocator.reset();
  peer.resave_at.reset();
  std::erase_if(messages_, [&](const Message& m) { return m.from == i || m.to == i; });
  for (auto& [id, caller] : callers_) {
    if (caller.peer != i || replies_.contains(id)) continue;
    replies_[id] = {id, absl::UnavailableError("crash"), {}, 0};
    if (!caller.wants_address) StopUsing(i, caller.ident, caller.releases);  // perhaps it was released
  }
  TellTopology();
}

void Cluster::Destroy(Index i) {
  Crash(i);
  absl::erase_if(in_use_, [&](const auto& use) { return use.second.peer == i; });
}

void Cluster::Restart(Index i) {
  Peer& peer = peers_[i];
  CHECK(peer.allocator == nullptr);
  if (options_.mutant == Mutant::kForgetPromises) peer.disk.erase(PaxosKey());
  if (const auto ring = peer.disk.find(RingKey()); options_.mutant == Mutant::kForgetVotes && ring != peer.disk.end())
    if (std::optional<CouncilMemory>& council = std::get<RingRecord>(ring->second).council) council->claim = {};
  peer.config.uid = options_.seed * 1'000'000 + i * 1'000 + static_cast<std::uint64_t>(++peer.lives);
  peer.allocator = std::make_unique<Allocator>(peer.config, *peer.directory,
                                               random_.Split(absl::StrCat(i, "/", peer.lives)), logger_);
  std::vector<IpamRecord> records;
  peer.named_by.clear();
  for (const auto& [key, record] : peer.disk) {
    records.push_back(record);
    for (const Cidr& cidr : AddressesIn(record)) peer.named_by.emplace(cidr.address(), key);
  }
  peer.allocator->OnStart(now_, records);
  Collect(i);
  TellTopology();
  for (Index other = 0; other < size(); ++other) {
    Gossip(i, other);
    Gossip(other, i);
  }
}

void Cluster::Resave(Index i) {
  peers_[i].resave_at.reset();
  at(i).Resave(now_);
  Collect(i);
}

bool Cluster::Step() {
  const std::uint64_t kind = random_.Below(10);
  const Index i = random_.Below(size());
  if (kind < 4) return PerformNext(i);
  if (kind < 5) {
    now_.monotonic = now_.monotonic + absl::Milliseconds(random_.Below(700));
    return FireTimers();
  }
  if (messages_.empty()) return false;
  // In order between two peers, in any order otherwise.
  std::size_t at = random_.Below(messages_.size());
  if (!lose_messages_) {
    for (std::size_t earlier = 0; earlier < at; ++earlier)
      if (messages_[earlier].from == messages_[at].from && messages_[earlier].to == messages_[at].to) at = earlier;
  }
  const Message message = messages_[at];
  const std::uint64_t fate = lose_messages_ ? random_.Below(12) : 11;
  if (fate != 0) messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(at));
  if (fate != 1) Deliver(message);
  return true;
}

// ---- the oracle ----

void Cluster::OnReply(Index i, const AllocatorReply& reply) {
  const auto caller = callers_.find(reply.operation);
  REQUIRE(caller != callers_.end());
  if (replies_.contains(reply.operation)) violations_.push_back(absl::StrCat("answered twice: ", reply.operation));
  replies_[reply.operation] = reply;
  // Who asked for a release uses the address no more, whatever the disk says.
  if (!reply.status.ok() && caller->second.wants_address) return;
  for (const Cidr& cidr : reply.addresses) {
    const IpAddress& address = cidr.address();
    if (!peers_[i].config.range.Contains(address)) continue;
    const std::string ident = caller->second.ident == "_" ? address.ToString() : caller->second.ident;
    if (caller->second.wants_address)
      Use(i, ident, address);
    else
      StopUsing(i, ident, address);
  }
}

void Cluster::Use(Index i, const std::string& ident, const IpAddress& address) {
  // Who claims an address for an unknown holder is told "yes" when a known one has it.
  if (ident == address.ToString() && at(i).Lookup(ident, std::nullopt).empty()) return;
  const auto [use, added] = in_use_.emplace(address, User{i, ident});
  if (!added && (use->second.peer != i || use->second.ident != ident))
    violations_.push_back(absl::StrCat(address.ToString(), " given to ", ident, " on ", i, " is in use by ",
                                       use->second.ident, " on ", use->second.peer));
}

void Cluster::StopUsing(Index i, const std::string& ident, const std::optional<IpAddress>& address) {
  absl::erase_if(in_use_, [&](const auto& use) {
    return use.second.peer == i && use.second.ident == ident && (!address.has_value() || use.first == *address);
  });
}

void Cluster::CheckAll() {
  CHECK_THAT(absl::StrJoin(violations_, "; "), Catch::Equals(""));
  for (Index i = 0; i < size(); ++i) {
    if (!alive(i)) continue;
    REQUIRE(at(i).CheckInvariants() == absl::OkStatus());
    CHECK(at(i).stray_count() == 0);
  }
  for (const auto& [key, user] : in_use_) {
    const IpAddress& address = key;  // a lambda captures no structured binding in Clang 14
    if (!alive(user.peer)) continue;
    INFO(address << " of " << user.ident << " on " << user.peer);
    const std::vector<Cidr> held = at(user.peer).Lookup(user.ident, std::nullopt);
    CHECK(std::any_of(held.begin(), held.end(), [&](const Cidr& cidr) { return cidr.address() == address; }));
  }
}

void Cluster::CheckHoldings() {
  absl::btree_map<IpAddress, Index> holders;
  for (Index i = 0; i < size(); ++i) {
    if (!alive(i)) continue;
    REQUIRE(at(i).CheckInvariants() == absl::OkStatus());
    CHECK(at(i).stray_count() == 0);
    for (const auto& [ident, record] : at(i).allocations()) {
      for (const Cidr& cidr : record.addresses) {
        if (!peers_[i].config.range.Contains(cidr.address())) continue;
        const auto [holder, added] = holders.emplace(cidr.address(), i);
        INFO(cidr << " on " << i << " and " << holder->second);
        REQUIRE(added);
      }
    }
  }
}

std::string Cluster::Describe() const {
  std::string text;
  for (Index i = 0; i < size(); ++i) {
    if (!alive(i)) continue;
    const Allocator& allocator = *peers_[i].allocator;
    absl::StrAppend(&text, "\npeer ", i, ": ", ToString(allocator.ring()), "\n  waiting ",
                    allocator.Status().pending_allocations.size());
    for (const auto& [ident, record] : allocator.allocations())
      absl::StrAppend(&text, ", ", ident, " ", TextOf(record.addresses));
  }
  return text;
}

bool Cluster::HasFreeAddress() const {
  const AddressRange range = Cidr::Parse(options_.range).value().Range();
  for (absl::uint128 offset = 1; offset + 1 < range.size; ++offset) {
    const IpAddress address = AddressAt(range.start.family(), range.start.value() + offset);
    for (const Peer& peer : peers_) {
      if (peer.allocator == nullptr || peer.allocator->ring().OwnerOf(address) != peer.config.self) continue;
      const auto& rows = peer.allocator->allocations();
      const bool held = std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
        return std::any_of(row.second.addresses.begin(), row.second.addresses.end(),
                           [&](const Cidr& cidr) { return cidr.address() == address; });
      });
      if (!held) return true;
    }
  }
  return false;
}

void Cluster::CheckConverged() {
  std::optional<Index> first;
  for (Index i = 0; i < size(); ++i) {
    if (!alive(i)) continue;
    if (!first.has_value()) first = i;
    INFO("peer " << i << ": " << at(i).ring() << "\npeer " << *first << ": " << at(*first).ring());
    CHECK(at(i).ring() == at(*first).ring());
    CHECK(at(i).Records() == disk(i));
  }
}

}  // namespace weave::test
