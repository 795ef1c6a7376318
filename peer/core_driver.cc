#include "peer/core_driver.h"

#include <utility>

#include "base/check.h"
#include "peer/record_codec.h"

namespace weave {
namespace {

// Every record of ours can be encoded: its bounds are those of the requests.
StoreBatch EncodeChanges(const std::vector<RecordChange>& changes) {
  StoreBatch batch;
  for (const RecordChange& change : changes) {
    StoreChange& stored = batch.emplace_back();
    stored.key = change.key;
    if (!change.value.has_value()) continue;
    absl::StatusOr<std::string> bytes = EncodeRecord(change.key, *change.value);
    CHECK(bytes.ok()) << bytes.status().ToString();
    stored.value = *std::move(bytes);
  }
  return batch;
}

}  // namespace

CoreDriver::CoreDriver(EventLoop& loop, PeerCore& core, RecordStore& store, HostExecutor& host, NetworkPort& network)
    : loop_(loop), core_(core), store_(store), host_(host), network_(network), timer_(loop.MakeTimer([this] {
        PeerOutput output;
        core_.OnTimer(loop_.now(), output);
        Take(std::move(output));
      })) {}

void CoreDriver::Start(const std::vector<Record>& records, const HostInventory& inventory) {
  PeerOutput output;
  core_.OnStart(loop_.now(), records, inventory, output);
  Take(std::move(output));
}

RequestId CoreDriver::Submit(ApiRequest request, Done done) {
  const RequestId id = ++last_request_;
  waiting_.emplace(id, std::move(done));
  PeerOutput output;
  core_.OnRequest(loop_.now(), id, std::move(request), output);
  Take(std::move(output));
  return id;
}

void CoreDriver::Cancel(RequestId id) {
  if (!waiting_.contains(id)) return;
  PeerOutput output;
  core_.OnCancel(loop_.now(), id, output);
  Take(std::move(output));
}

void CoreDriver::HostChanged(const HostChange& change) {
  PeerOutput output;
  core_.OnHostChange(loop_.now(), change, output);
  Take(std::move(output));
}

void CoreDriver::OnNetwork(const NetworkEvent& event) {
  PeerOutput output;
  core_.OnNetwork(loop_.now(), event, output);
  Take(std::move(output));
}

void CoreDriver::Take(PeerOutput output) {
  if (output.network.interface_mtu.has_value())
    host_.SetInterfaceMtu(static_cast<std::uint32_t>(*output.network.interface_mtu));
  network_.Perform(std::exchange(output.network, {}));
  if (!output.empty()) Hold(std::move(output));
  Release();
  ArmTimer();
  if (observer_) observer_();
}

void CoreDriver::Hold(PeerOutput output) {
  if (std::optional<PendingWrite> write = gate_.Push(std::move(output))) {
    store_.Commit(EncodeChanges(write->changes), [this, sequence = write->sequence](absl::Status status) {
      loop_.Post([this, sequence, status = std::move(status)] {
        gate_.OnDurable(sequence, status);
        Release();
      });
    });
  }
}

void CoreDriver::Release() {
  while (std::optional<OutputGate::Released> released = gate_.Pop()) {
    if (released->status.ok()) {
      Perform(std::move(released->output));
      continue;
    }
    PeerOutput output;
    core_.OnPersistFailed(loop_.now(), released->status, released->output, output);
    Take(std::move(output));
  }
}

void CoreDriver::Perform(PeerOutput output) {
  for (HostCommand& command : output.commands) {
    host_.Execute(std::move(command.action), [this, id = command.id](const HostResult& result) {
      PeerOutput next;
      core_.OnCommandDone(loop_.now(), id, result, next);
      Take(std::move(next));
    });
  }
  for (const Reply& reply : output.replies) {
    const auto waiting = waiting_.find(reply.request);
    CHECK(waiting != waiting_.end()) << "reply to unknown request " << reply.request;
    Done done = std::move(waiting->second);
    waiting_.erase(waiting);
    done(reply);
  }
  if (output.ipam.empty()) return;
  PeerOutput next;
  core_.OnReleased(loop_.now(), output.ipam, next);
  Take(std::move(next));
}

void CoreDriver::ArmTimer() {
  if (const std::optional<MonotonicTime> deadline = core_.NextDeadline())
    timer_->Arm(*deadline);
  else
    timer_->Disarm();
}

}  // namespace weave
