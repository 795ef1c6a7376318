// The daemon's driver of PeerCore: feeds it events on the loop, writes its records, performs its effects in order.
#pragma once

#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "io/event_loop.h"
#include "io/record_store.h"
#include "peer/core/output_gate.h"
#include "peer/core/peer_core.h"
#include "peer/host_executor.h"
#include "peer/network_port.h"

namespace weave {

// Loop thread only. Destroyed after the store and the executor stopped calling back (see the order in main.cc).
class CoreDriver {
 public:
  using Done = absl::AnyInvocable<void(const Reply&)>;

  // Everything passed by reference outlives the driver.
  CoreDriver(EventLoop& loop, PeerCore& core, RecordStore& store, HostExecutor& host, NetworkPort& network);
  CoreDriver(const CoreDriver&) = delete;
  CoreDriver& operator=(const CoreDriver&) = delete;

  void Start(const std::vector<Record>& records, const HostInventory& inventory);

  // `done` gets the one answer, on the loop.
  RequestId Submit(ApiRequest request, Done done);
  // The caller of a request went; harmless when it was answered already.
  void Cancel(RequestId id);
  void HostChanged(const HostChange& change);
  void OnNetwork(const NetworkEvent& event);

  bool Waits(RequestId id) const { return waiting_.contains(id); }

  // Requests that have not been answered.
  std::size_t waiting_count() const { return waiting_.size(); }

  // Runs on the loop after every event, whether or not it changed the core's state.
  void SetObserver(absl::AnyInvocable<void()> observer) { observer_ = std::move(observer); }

 private:
  void Take(PeerOutput output);
  // Into the gate; what it has to write goes to the store.
  void Hold(PeerOutput output);
  void Release();
  void Perform(PeerOutput output);
  void ArmTimer();

  EventLoop& loop_;
  PeerCore& core_;
  RecordStore& store_;
  HostExecutor& host_;
  NetworkPort& network_;
  OutputGate gate_;
  std::unique_ptr<Timer> timer_;
  RequestId last_request_ = 0;
  absl::flat_hash_map<RequestId, Done> waiting_;
  absl::AnyInvocable<void()> observer_;
};

}  // namespace weave
