// A packet socket on the router's end of the veth pair into the bridge: every frame that the bridge sends there, and
// the way in for frames of other hosts (spec/overlay.md section 6). Frames pass as the kernel has them, with segments
// and checksums left to be done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "io/fd.h"
#include "sleeve/frame_batch.h"

namespace weave {

// One thread at a time.
class BridgeTap {
 public:
  // As the kernel and this socket count frames.
  struct Stats {
    std::uint64_t received = 0;  // taken or dropped
    std::uint64_t dropped = 0;   // the buffer was full
    std::uint64_t injection_failures = 0;
  };

  using OnFrame = absl::FunctionRef<void(const Frame& frame)>;

  // An interface of the calling thread's namespace, in promiscuous mode for as long as this lives; only what arrives on
  // it is seen, nothing that is sent. `buffer_size`: bytes of frames that wait.
  static absl::StatusOr<std::unique_ptr<BridgeTap>> Open(absl::string_view interface, std::size_t buffer_size);

  BridgeTap(const BridgeTap&) = delete;
  BridgeTap& operator=(const BridgeTap&) = delete;
  ~BridgeTap();

  int fd() const { return fd_.get(); }
  const std::string& interface() const { return interface_; }

  // What has arrived, up to a batch; false: nothing. The frames are valid until the next call.
  bool Receive(OnFrame on_frame);
  // What cannot be injected is lost, and counted.
  void Inject(const FrameBatch& batch);

  // The interface went down: it comes up again, or it is about to be gone. Cleared by the next frame.
  bool down() const { return down_; }
  // The interface is gone: nothing will come any more.
  bool dead() const;
  const Stats& stats();

 private:
  class Inbox;
  class Outbox;

  BridgeTap(Fd fd, absl::string_view interface);

  const Fd fd_;
  const std::string interface_;
  const std::unique_ptr<Inbox> inbox_;
  const std::unique_ptr<Outbox> outbox_;
  bool down_ = false;
  Stats stats_;
};

}  // namespace weave
