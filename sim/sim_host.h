// One simulated host: a PeerCore behind its OutputGate, driven as the daemon drives it (peer/core_driver.h), on a
// simulated disk and machine.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "base/entropy.h"
#include "base/log.h"
#include "base/random.h"
#include "peer/core/output_gate.h"
#include "peer/core/peer_core.h"
#include "sim/data_path.h"
#include "sim/datagrams.h"
#include "sim/disk.h"
#include "sim/event_queue.h"
#include "sim/host_model.h"
#include "sim/ipam_mutant.h"
#include "sim/mesh_transport.h"
#include "sim/trace.h"

namespace weave::sim {

// Of hosts with a datapath in the kernel.
struct FastPathOptions {
  std::uint32_t missing_permille = 0;     // hosts that have none all the same
  std::uint32_t direct_permille = 0;      // of the others: those whose containers are ports of the datapath
  std::uint32_t old_kernel_permille = 0;  // of the others: those that cannot check sizes
  bool search_mtu = false;
  DataPathMutant mutant = DataPathMutant::kNone;
};

struct SimHostOptions {
  DiskOptions disk;
  HostModelOptions model;
  MeshConfig mesh;
  std::optional<IpamConfig> ipam;         // none: no allocator
  std::optional<std::string> dns_domain;  // none: no names
  Duration tombstone_life = kTombstoneLife;
  Duration max_clock_skew = absl::ZeroDuration();  // of a host's wall clock, either way
  std::uint32_t old_permille = 0;                  // hosts that tell everything and compare nothing, as 2.8 does
  std::optional<FastPathOptions> fast_path;        // none: no host has Open vSwitch

  bool check_invariants = true;  // after every event; what that takes grows with what the peer has

  bool perform_before_durable = false;  // mutant: a gate that does not hold back
  bool answer_twice = false;            // mutant
  bool deaf_to_network_timer = false;   // mutant: nothing is told, repeated or given up in time
  bool forget_writable = false;         // mutant: one chunk leaves each connection
  bool forget_targets = false;          // mutant: a crash loses whom to dial
  bool forget_persist_failure = false;  // mutant: nobody tells the core that its records were not written
  IpamMutant ipam_mutant = IpamMutant::kNone;
};

// What all hosts share.
struct World {
  EventQueue& queue;
  Trace& trace;
  Transport& transport;
  Datagrams& datagrams;
  FrameObserver* frames = nullptr;  // null: containers send none
};

// Hears what callers ask and are told.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  virtual void OnSubmit(RequestId id, const ApiRequest& request) = 0;
  virtual void OnReply(const Reply& reply) = 0;
  virtual void OnCrash() = 0;  // whoever waits is not answered any more
};

class SimHost final : public MeshTransportObserver {
 public:
  using Done = absl::AnyInvocable<void(const Reply&)>;

  // References outlive the host.
  SimHost(HostId id, SimHostOptions options, const World& world, const Random& random, HostObserver& host_observer,
          CallObserver& call_observer);

  static PeerName NameOf(HostId id) { return PeerName(0x0200'0000'0001 + id); }

  void Start();
  // The process dies now; unsynced writes and everything in memory are lost.
  void Crash();
  // The machine goes down: a crash that loses the containers too.
  void Reboot();
  void Heal();
  // Forgets who waits, so that nobody is told when the simulation ends.
  void Abandon() { waiting_.clear(); }
  // After an acknowledged reset nothing of the peer may be left, on the host or on disk.
  void CheckClean();

  // The peer must be up. `done` is called once, unless the peer crashes first.
  RequestId Submit(ApiRequest request, Done done);
  void Cancel(RequestId id);
  // Whoever waits goes.
  void CancelAll();

  // Peers to dial, at once and after every start.
  void ConnectTo(std::vector<HostId> peers);
  const std::vector<HostId>& targets() const { return targets_; }
  std::uint64_t sent_size() const { return mesh_transport_.sent_size(); }

  // ---- MeshTransportObserver ----
  void OnConnected(weave::ConnectionId connection, const SocketAddress& local, const SocketAddress& remote) override;
  void OnAccepted(weave::ConnectionId connection, const SocketAddress& local, const SocketAddress& remote) override;
  void OnReceived(weave::ConnectionId connection, ByteView bytes) override;
  void OnWritable(weave::ConnectionId connection) override;
  void OnClosed(weave::ConnectionId connection, const absl::Status& reason) override;

  bool up() const { return core_ != nullptr; }
  const PeerCore& core() const { return *core_; }
  SimDisk& disk() { return disk_; }
  const SimDisk& disk() const { return disk_; }
  HostModel& model() { return model_; }
  const HostModel& model() const { return model_; }
  SimDataPath& data_path() { return data_path_; }
  const SimDataPath& data_path() const { return data_path_; }
  HostId id() const { return id_; }
  // By the clocks of this host.
  Now now() const;
  bool Waits(RequestId id) const { return waiting_.contains(id); }
  std::size_t waiting_count() const { return waiting_.size(); }
  std::uint64_t request_count() const { return last_request_; }
  std::uint64_t crash_count() const { return crash_count_; }

 private:
  // Core log lines become trace lines.
  class TraceLogger final : public Logger {
   public:
    TraceLogger(HostId id, Trace& trace) : Logger(LogLevel::kDebug), id_(id), trace_(trace) {}

   private:
    void Write(LogLevel level, absl::string_view message, absl::Span<const LogField> fields) override;

    const HostId id_;
    Trace& trace_;
  };

  class SeededEntropy final : public EntropySource {
   public:
    explicit SeededEntropy(Random random) : random_(random) {}
    void Fill(absl::Span<std::uint8_t> bytes) override {
      for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random_.Next());
    }

   private:
    Random random_;
  };

  std::vector<DirectPeer> DirectPeersOf(const std::vector<HostId>& peers) const;
  void OnNetwork(const NetworkEvent& event);
  void PerformNetwork(NetworkOutput output);
  void Take(PeerOutput output);
  void Push(PeerOutput output);
  void Release();
  void Perform(PeerOutput output);
  void ArmTimer();
  void Arm(std::optional<MonotonicTime>& armed, std::optional<MonotonicTime> deadline, bool background);
  void Hand(const AllocatorOutput& ipam);
  void HandEarly(const AllocatorOutput& ipam);
  void Answer(const Reply& reply);

  const HostId id_;
  const SimHostOptions options_;
  const Duration clock_skew_;
  const bool old_;
  EventQueue& queue_;
  Trace& trace_;
  CallObserver& call_observer_;
  TraceLogger logger_;
  SeededEntropy entropy_;
  MeshTransport mesh_transport_;
  SimDataPath data_path_;
  std::vector<HostId> targets_;
  SimDisk disk_;
  HostModel model_;

  std::unique_ptr<PeerCore> core_;  // null: down
  OutputGate gate_;
  std::uint64_t incarnation_ = 0;
  std::optional<MonotonicTime> work_timer_;     // what of the peer must come to an end
  std::optional<MonotonicTime> network_timer_;  // what never does
  absl::btree_map<RequestId, Done> waiting_;
  RequestId last_request_ = 0;
  std::uint64_t crash_count_ = 0;
};

}  // namespace weave::sim
