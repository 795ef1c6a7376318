#include "sim/disk.h"

#include <utility>

namespace weave::sim {

SimDisk::SimDisk(HostId host, DiskOptions options, EventQueue& queue, Random random, Trace& trace)
    : host_(host), options_(options), queue_(queue), random_(random), trace_(trace) {}

void SimDisk::Write(std::vector<RecordChange> changes, Done done) {
  for (const RecordChange& change : changes) trace_.Note(host_, "write", change.key, change.value.has_value());
  waiting_.push_back({std::move(changes), std::move(done)});
  if (committing_.empty()) StartCommit();
}

void SimDisk::StartCommit() {
  committing_ = std::exchange(waiting_, {});
  queue_.After(Draw(random_, options_.min_latency, options_.max_latency), [this, incarnation = incarnation_] {
    if (incarnation == incarnation_) FinishCommit();
  });
}

void SimDisk::FinishCommit() {
  absl::Status status;
  if (full_)
    status = absl::ResourceExhaustedError("disk full");
  else if (random_.Chance(options_.error_permille, 1000))
    status = absl::UnavailableError("disk error");
  std::vector<PendingWrite> finished = std::exchange(committing_, {});
  trace_.Note(host_, "commit", finished.size(), static_cast<int>(status.code()));
  if (options_.lie_about_sync) before_last_commit_ = durable_;
  if (status.ok())
    for (const PendingWrite& write : finished) Apply(write.changes);
  // The next commit is under way before anybody hears of this one: writes made by a callback belong to the one after.
  if (!waiting_.empty()) StartCommit();
  for (PendingWrite& write : finished) write.done(status);
}

void SimDisk::Apply(const std::vector<RecordChange>& changes) {
  ++change_count_;
  for (const RecordChange& change : changes) {
    if (change.value.has_value())
      durable_.insert_or_assign(change.key, *change.value);
    else
      durable_.erase(change.key);
  }
}

void SimDisk::Crash() {
  ++incarnation_;
  const bool reached_disk = !committing_.empty() && !full_ && random_.Chance(1, 2);
  if (reached_disk)
    for (const PendingWrite& write : committing_) Apply(write.changes);
  if (options_.lie_about_sync) {
    durable_ = before_last_commit_;
    ++change_count_;
  }
  trace_.Note(host_, "disk crash", reached_disk);
  committing_.clear();
  waiting_.clear();
}

void SimDisk::Heal() {
  full_ = false;
  options_.error_permille = 0;
}

}  // namespace weave::sim
