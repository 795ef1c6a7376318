// The netlink socket to which Open vSwitch sends packets that no flow matched.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "io/fd.h"

namespace weave {

// One thread. Packets are read into memory of its own, many in a system call; none is made or copied for one.
class UpcallSocket {
 public:
  static constexpr std::size_t kBatchCount = 64;

  // In the calling thread's namespace.
  static absl::StatusOr<UpcallSocket> Open();

  int fd() const { return fd_.get(); }
  // The port id that vports name as their receiver.
  std::uint32_t pid() const { return pid_; }

  // The netlink messages that are there, up to a batch; valid during the call.
  void Receive(absl::FunctionRef<void(const nlmsghdr&)> visit);

  // Packets for which the queue had no room. Kernels before 4.12 say only that there were some: then each time counts
  // one.
  std::uint64_t lost() const;

 private:
  struct Batch;
  struct DeleteBatch {
    void operator()(Batch* batch) const;
  };

  UpcallSocket(Fd fd, std::uint32_t pid);

  Fd fd_;
  std::uint32_t pid_ = 0;
  std::unique_ptr<Batch, DeleteBatch> batch_;
  std::uint64_t overrun_count_ = 0;
};

}  // namespace weave
