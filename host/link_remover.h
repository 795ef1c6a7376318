// Takes container interfaces away for those who must not wait for all of it.
//
// Within a millisecond or two of RTM_DELLINK a link and its other end are silent, without addresses and out of sight,
// and their names can be given again. The call itself comes back when every processor has passed a grace period, which
// takes ten times as long (netdev_run_todo() in net/core/dev.c). In between there is nothing left to fail.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "io/event_loop.h"
#include "io/worker_pool.h"

namespace weave {

// Loop thread only. Destroying it waits for the removals under way; later answers are dropped.
class LinkRemover {
 public:
  using Done = absl::AnyInvocable<void(const absl::Status&)>;

  // `loop` outlives this.
  explicit LinkRemover(EventLoop& loop);
  ~LinkRemover();
  LinkRemover(const LinkRemover&) = delete;
  LinkRemover& operator=(const LinkRemover&) = delete;

  // Removes the host's end of a container's interface (IsHostEnd) in the namespace of the process, and the other end
  // with it. `done` is called once, in a later turn, when neither is there any more. NotFound: no link has that index
  // and name, or it is none of a container.
  void Remove(int link_index, std::string name, Done done);

  // The kernel has told that this link is gone. Without it Remove answers when the kernel is done.
  void OnGone(int link_index);

 private:
  struct Alive {};

  void Answer(int link_index, const absl::Status& status);

  EventLoop& loop_;
  absl::btree_map<int, std::vector<Done>> waiting_;  // by index
  std::shared_ptr<Alive> alive_ = std::make_shared<Alive>();
  WorkerPool workers_;  // last member: joined first
};

}  // namespace weave
