#include "fastdp/os/ipsec_keeper.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/btree_map.h"
#include "base/check.h"
#include "io/worker_pool.h"

namespace weave {
namespace {

using EndPair = std::pair<IpAddress, IpAddress>;  // local, remote

EspAssociation InboundOf(const EndPair& pair, Spi spi) { return {pair.second, pair.first, spi}; }
EspAssociation OutboundOf(const EndPair& pair, Spi spi) { return {pair.first, pair.second, spi}; }

// What of a pair is in the kernel.
struct KeptPath {
  EndPair pair;
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;
  std::optional<Spi> inbound;
  std::optional<Spi> outbound;
};

// Of a connection.
struct LivePath {
  KeptPath path;
  bool asked = false;                           // for the inbound side
  std::optional<absl::Status> guarded;          // what became of it, rules included
  std::optional<absl::Status> untold_outbound;  // what became of the other, which waits for the inbound side
  bool settled = false;                         // both are told, or one that failed
};

// Without one.
struct RestingPath {
  enum class State { kRests, kLeaves, kGone };  // kLeaves: the kernel is asked. kGone: only rules may be there still

  KeptPath path;
  MonotonicTime until;
  State state = State::kRests;
};

struct ClearConnection {
  EndPair pair;
  bool told = false;
};

absl::StatusOr<Spi> Outcome(absl::Status status) {
  if (!status.ok()) return status;
  return Spi{0};
}

}  // namespace

class IpsecKeeper::Impl {
 public:
  Impl(EventLoop& loop, absl::StatusOr<std::unique_ptr<Esp>> esp, SetPaths set_paths, OnNotice on_notice,
       Logger& logger, Duration linger)
      : loop_(loop),
        esp_(std::move(esp)),
        set_paths_(std::move(set_paths)),
        on_notice_(std::move(on_notice)),
        logger_(logger),
        linger_(linger),
        timer_(loop.MakeTimer([this] { EndRest(); })),
        worker_("ipsec", 1) {}
  ~Impl() { alive_.reset(); }

  void Adopt(const IpsecLeftovers& leftovers);
  void Perform(std::vector<IpsecCommand> commands);

  std::size_t live_count() const { return live_.size(); }
  std::size_t resting_count() const { return resting_.size(); }

 private:
  using Work = absl::AnyInvocable<absl::StatusOr<Spi>(Esp&)>;
  using Then = absl::AnyInvocable<void(const absl::StatusOr<Spi>&)>;
  struct Alive {};

  void Do(SetUpInbound command);
  void Do(SetUpOutbound command);
  void Do(const PassInClear& command);
  void Do(const TearDownIpsec& command);

  void OnInboundAdded(ConnectionId connection, const EndPair& pair, const absl::StatusOr<Spi>& spi);
  void OnRulesPlaced(ConnectionId connection, const absl::Status& status);
  void OnOutboundAdded(ConnectionId connection, const EspAssociation& association, const absl::Status& status);
  void SettleInbound(ConnectionId connection, const absl::Status& status);
  void TellOutbound(ConnectionId connection);
  void Settle(LivePath& live);
  void TellClear(const EndPair& pair, const absl::Status& status);

  void Rest(KeptPath path);
  void Prolong(const EndPair& pair);
  MonotonicTime RestEnd(const EndPair& pair) const;
  bool MayEnd(const RestingPath& resting) const;
  void HandOverPolicy(const KeptPath& from);
  void EndRest();
  void Remove(std::uint64_t id, RestingPath& resting);
  void OnLeft(std::uint64_t id, const absl::Status& status);
  void OnForgotten(std::uint64_t id, const absl::Status& status);
  void Arm();

  bool InUse(const EndPair& pair) const;
  bool IsClear(const EndPair& pair) const;
  std::vector<IpsecPath> Paths() const;
  void PlacePaths(absl::AnyInvocable<void(absl::Status)> done);
  void RemoveUnused(const EspAssociation& association);
  void InWorker(Work work, Then then);
  void Tell(ConnectionId connection, IpsecNotice notice);

  EventLoop& loop_;
  const absl::StatusOr<std::unique_ptr<Esp>> esp_;  // what it points to: the worker's
  SetPaths set_paths_;
  OnNotice on_notice_;
  Logger& logger_;
  const Duration linger_;
  std::shared_ptr<Alive> alive_ = std::make_shared<Alive>();

  absl::btree_map<ConnectionId, LivePath> live_;
  absl::btree_map<ConnectionId, ClearConnection> clear_;
  absl::btree_map<std::uint64_t, RestingPath> resting_;
  std::uint64_t last_resting_ = 0;
  absl::btree_map<EndPair, Spi> policies_;  // where those of each pair point
  std::unique_ptr<Timer> timer_;
  WorkerPool worker_;  // last member: joined first
};

void IpsecKeeper::Impl::Adopt(const IpsecLeftovers& leftovers) {
  for (const IpsecLeftover& found : leftovers.in_use) {
    Rest({{found.local, found.remote}, found.local_port, found.remote_port, found.inbound, found.outbound});
    if (found.outbound) policies_[{found.local, found.remote}] = *found.outbound;
  }
  if (!leftovers.in_use.empty()) {
    logger_.Info("going on with encrypted paths of an earlier run", {{"count", leftovers.in_use.size()}});
    PlacePaths([](const absl::Status&) {});  // a failure is the packet filter's to report
  }
  for (const EspAssociation& unused : leftovers.unused) RemoveUnused(unused);
}

void IpsecKeeper::Impl::Perform(std::vector<IpsecCommand> commands) {
  for (IpsecCommand& command : commands) std::visit([this](auto& one) { Do(std::move(one)); }, command);
}

// ---- the overlay's commands

void IpsecKeeper::Impl::Do(SetUpInbound command) {
  LivePath& live = live_[command.connection];
  CHECK(!std::exchange(live.asked, true)) << command.connection;
  const EndPair pair(command.local, command.remote);
  live.path.pair = pair;
  live.path.local_port = command.local_port;
  live.path.remote_port = command.remote_port;
  Prolong(pair);
  InWorker([command](Esp& esp) { return esp.AddInbound(command.local, command.remote, command.key); },
           [this, connection = command.connection, pair](const absl::StatusOr<Spi>& spi) {
             OnInboundAdded(connection, pair, spi);
           });
}

void IpsecKeeper::Impl::Do(SetUpOutbound command) {
  const EndPair pair(command.local, command.remote);
  const EspAssociation association = OutboundOf(pair, command.spi);
  KeptPath& path = live_[command.connection].path;
  path.pair = pair;
  path.remote_port = command.remote_port;
  // An index that the other end uses again is the new association's from now on.
  for (auto& [id, resting] : resting_) {
    if (resting.path.pair == pair && resting.path.outbound == command.spi) resting.path.outbound.reset();
  }
  InWorker([association, port = command.remote_port,
            key = command.key](Esp& esp) { return Outcome(esp.AddOutbound(association, port, key)); },
           [this, connection = command.connection, association](const absl::StatusOr<Spi>& outcome) {
             OnOutboundAdded(connection, association, outcome.status());
           });
}

void IpsecKeeper::Impl::Do(const PassInClear& command) {
  const EndPair pair(command.local, command.remote);
  clear_[command.connection] = {pair, false};
  for (auto& [id, resting] : resting_) {
    if (resting.path.pair == pair) resting.until = loop_.now().monotonic;
  }
  Arm();
  TellClear(pair, absl::OkStatus());
}

void IpsecKeeper::Impl::Do(const TearDownIpsec& command) {
  clear_.erase(command.connection);
  const auto found = live_.find(command.connection);
  if (found == live_.end()) return;
  const KeptPath path = found->second.path;
  live_.erase(found);
  HandOverPolicy(path);
  Rest(path);
  Prolong(path.pair);
  TellClear(path.pair, absl::OkStatus());
}

// ---- what became of them

void IpsecKeeper::Impl::OnInboundAdded(ConnectionId connection, const EndPair& pair, const absl::StatusOr<Spi>& spi) {
  const auto found = live_.find(connection);
  if (found == live_.end()) {  // torn down meanwhile
    if (spi.ok()) RemoveUnused(InboundOf(pair, *spi));
    return;
  }
  if (!spi.ok()) return SettleInbound(connection, spi.status());
  found->second.path.inbound = *spi;
  PlacePaths([this, connection](const absl::Status& status) { OnRulesPlaced(connection, status); });
}

void IpsecKeeper::Impl::OnRulesPlaced(ConnectionId connection, const absl::Status& status) {
  const auto found = live_.find(connection);
  if (found == live_.end()) return;
  if (!status.ok()) {
    KeptPath& path = found->second.path;
    RemoveUnused(InboundOf(path.pair, *path.inbound));
    path.inbound.reset();
    PlacePaths([](const absl::Status&) {});
  }
  SettleInbound(connection, status);
}

void IpsecKeeper::Impl::SettleInbound(ConnectionId connection, const absl::Status& status) {
  LivePath& live = live_.at(connection);
  live.guarded = status;
  if (!status.ok()) Settle(live);
  Tell(connection, InboundReady{connection, status, live.path.inbound.value_or(0)});
  TellOutbound(connection);
}

void IpsecKeeper::Impl::OnOutboundAdded(ConnectionId connection, const EspAssociation& association,
                                        const absl::Status& status) {
  const EndPair pair(association.source, association.destination);
  if (status.ok()) policies_[pair] = association.spi;
  const auto found = live_.find(connection);
  KeptPath one;
  one.pair = pair;
  if (found == live_.end()) {  // torn down meanwhile
    if (!status.ok()) return;
    one.outbound = association.spi;
    HandOverPolicy(one);
    return Rest(one);
  }
  LivePath& live = found->second;
  if (status.ok()) {
    one.outbound = std::exchange(live.path.outbound, association.spi);
    if (one.outbound && *one.outbound != association.spi) Rest(one);
  }
  live.untold_outbound = status;
  TellOutbound(connection);
}

void IpsecKeeper::Impl::TellOutbound(ConnectionId connection) {
  LivePath& live = live_.at(connection);
  if (!live.untold_outbound || !live.guarded) return;
  absl::Status status = *std::exchange(live.untold_outbound, std::nullopt);
  if (status.ok()) status = *live.guarded;
  Settle(live);
  Tell(connection, OutboundReady{connection, status});
}

// From here on both directions are its own, or it will have none.
void IpsecKeeper::Impl::Settle(LivePath& live) {
  live.settled = true;
  Prolong(live.path.pair);
}

void IpsecKeeper::Impl::TellClear(const EndPair& pair, const absl::Status& status) {
  if (status.ok() && InUse(pair)) return;
  for (auto& [connection, clear] : clear_) {
    if (clear.pair == pair && !std::exchange(clear.told, true)) Tell(connection, ClearReady{connection, status});
  }
}

// ---- what rests

void IpsecKeeper::Impl::Rest(KeptPath path) {
  if (!path.inbound && !path.outbound) return;
  const MonotonicTime until = RestEnd(path.pair);
  resting_[++last_resting_] = {std::move(path), until};
  Arm();
}

void IpsecKeeper::Impl::Prolong(const EndPair& pair) {
  const MonotonicTime until = RestEnd(pair);
  for (auto& [id, resting] : resting_) {
    if (resting.path.pair == pair) resting.until = std::max(resting.until, until);
  }
  Arm();
}

MonotonicTime IpsecKeeper::Impl::RestEnd(const EndPair& pair) const {
  return IsClear(pair) ? loop_.now().monotonic : loop_.now().monotonic + linger_;
}

// The other connection of the pair, if there is one, has its association still.
void IpsecKeeper::Impl::HandOverPolicy(const KeptPath& from) {
  const auto policy = policies_.find(from.pair);
  if (policy == policies_.end() || from.outbound != policy->second) return;
  for (const auto& [connection, live] : live_) {
    if (live.path.pair != from.pair || !live.path.outbound) continue;
    policy->second = *live.path.outbound;
    return InWorker([association = OutboundOf(from.pair, policy->second),
                     port = live.path.remote_port](Esp& esp) { return Outcome(esp.PointPolicies(association, port)); },
                    [](const auto&) {});
  }
}

// Policies first: the rules of a pair go with its inbound association, and must not go before its policy.
void IpsecKeeper::Impl::EndRest() {
  for (const bool sends : {true, false}) {
    for (auto& [id, resting] : resting_) {
      const bool due = MayEnd(resting) && resting.until <= loop_.now().monotonic;
      if (due && resting.path.outbound.has_value() == sends) Remove(id, resting);
    }
  }
  Arm();
}

void IpsecKeeper::Impl::Remove(std::uint64_t id, RestingPath& resting) {
  resting.state = RestingPath::State::kLeaves;
  InWorker(
      [path = resting.path](Esp& esp) {
        absl::Status status;
        if (path.outbound) status = esp.RemoveOutbound(OutboundOf(path.pair, *path.outbound));
        if (path.inbound) status.Update(esp.RemoveAssociation(InboundOf(path.pair, *path.inbound)));
        return Outcome(status);
      },
      [this, id](const absl::StatusOr<Spi>& outcome) { OnLeft(id, outcome.status()); });
}

void IpsecKeeper::Impl::OnLeft(std::uint64_t id, const absl::Status& status) {
  RestingPath& resting = resting_.at(id);
  if (!status.ok()) {
    logger_.Warning("an encrypted path that is over stays for now", {{"reason", status.message()}});
    resting.state = RestingPath::State::kRests;
    resting.until = loop_.now().monotonic + linger_;
    return Arm();
  }
  resting.state = RestingPath::State::kGone;
  if (!resting.path.inbound) return OnForgotten(id, status);
  PlacePaths([this, id](const absl::Status& placed) { OnForgotten(id, placed); });
}

void IpsecKeeper::Impl::OnForgotten(std::uint64_t id, const absl::Status& status) {
  const auto found = resting_.find(id);
  const KeptPath path = found->second.path;
  resting_.erase(found);
  const auto policy = policies_.find(path.pair);
  if (policy != policies_.end() && path.outbound == policy->second) policies_.erase(policy);
  TellClear(path.pair, status);
}

// Not while a successor is being set up, however long that takes.
bool IpsecKeeper::Impl::MayEnd(const RestingPath& resting) const {
  const auto holds = [&](const auto& entry) {
    return entry.second.path.pair == resting.path.pair && !entry.second.settled;
  };
  return resting.state == RestingPath::State::kRests && std::none_of(live_.begin(), live_.end(), holds);
}

void IpsecKeeper::Impl::Arm() {
  std::optional<MonotonicTime> next;
  for (const auto& [id, resting] : resting_) {
    if (MayEnd(resting)) next = next ? std::min(*next, resting.until) : resting.until;
  }
  if (next) {
    timer_->Arm(*next);
  } else {
    timer_->Disarm();
  }
}

// ----

bool IpsecKeeper::Impl::InUse(const EndPair& pair) const {
  const auto is_of_pair = [&](const auto& entry) { return entry.second.path.pair == pair; };
  return std::any_of(live_.begin(), live_.end(), is_of_pair) ||
         std::any_of(resting_.begin(), resting_.end(), is_of_pair);
}

bool IpsecKeeper::Impl::IsClear(const EndPair& pair) const {
  return std::any_of(clear_.begin(), clear_.end(), [&](const auto& entry) { return entry.second.pair == pair; });
}

std::vector<IpsecPath> IpsecKeeper::Impl::Paths() const {
  std::vector<IpsecPath> paths;
  const auto add = [&](const KeptPath& path) {
    if (path.inbound)
      paths.push_back({path.pair.first, path.pair.second, *path.inbound, path.local_port, path.remote_port});
  };
  for (const auto& [connection, live] : live_) add(live.path);
  for (const auto& [id, resting] : resting_) {
    if (resting.state != RestingPath::State::kGone) add(resting.path);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

void IpsecKeeper::Impl::PlacePaths(absl::AnyInvocable<void(absl::Status)> done) {
  // In a later turn: the packet filter's keeper may answer at once.
  set_paths_(Paths(), [&loop = loop_, alive = std::weak_ptr<Alive>(alive_),
                       done = std::move(done)](absl::Status status) mutable {
    loop.Post([alive, done = std::move(done), status = std::move(status)]() mutable {
      if (!alive.expired()) done(status);
    });
  });
}

// Nobody was told of it, or nothing leads to it.
void IpsecKeeper::Impl::RemoveUnused(const EspAssociation& association) {
  InWorker([association](Esp& esp) { return Outcome(esp.RemoveAssociation(association)); },
           [this](const absl::StatusOr<Spi>& outcome) {
             if (!outcome.ok())
               logger_.Warning("an unused security association stays", {{"reason", outcome.status().message()}});
           });
}

void IpsecKeeper::Impl::InWorker(Work work, Then then) {
  auto answer = [this, alive = std::weak_ptr<Alive>(alive_),
                 then = std::move(then)](absl::StatusOr<Spi> outcome) mutable {
    loop_.Post([alive, then = std::move(then), outcome = std::move(outcome)]() mutable {
      if (!alive.expired()) then(outcome);
    });
  };
  if (!esp_.ok()) return answer(esp_.status());
  worker_.Submit(
      [esp = esp_->get(), work = std::move(work), answer = std::move(answer)]() mutable { answer(work(*esp)); });
}

void IpsecKeeper::Impl::Tell(ConnectionId connection, IpsecNotice notice) {
  loop_.Post([this, alive = std::weak_ptr<Alive>(alive_), connection, notice = std::move(notice)] {
    if (alive.expired() || (!live_.contains(connection) && !clear_.contains(connection))) return;
    on_notice_(notice);
  });
}

// ----

IpsecKeeper::IpsecKeeper(EventLoop& loop, absl::StatusOr<std::unique_ptr<Esp>> esp, const IpsecLeftovers& leftovers,
                         SetPaths set_paths, OnNotice on_notice, Logger& logger, Duration linger)
    : impl_(std::make_unique<Impl>(loop, std::move(esp), std::move(set_paths), std::move(on_notice), logger, linger)) {
  impl_->Adopt(leftovers);
}

IpsecKeeper::~IpsecKeeper() = default;

void IpsecKeeper::Perform(std::vector<IpsecCommand> commands) { impl_->Perform(std::move(commands)); }

std::size_t IpsecKeeper::live_count() const { return impl_->live_count(); }
std::size_t IpsecKeeper::resting_count() const { return impl_->resting_count(); }

}  // namespace weave
