// The datapath of the kernel as Dpif: flows, packets, ports and misses over generic netlink.
#pragma once

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/log.h"
#include "fastdp/dpif.h"

namespace weave {

// One thread after Open. The datapath, its ports and its flows stay when this ends.
class OvsDpif final : public Dpif {
 public:
  // Of a datapath that exists in the calling thread's namespace (EnsureOvsDatapath). From now on every port's misses
  // come here, also those of ports that are added later.
  static absl::StatusOr<std::unique_ptr<OvsDpif>> Open(absl::string_view datapath, Logger& logger);
  ~OvsDpif() override;
  OvsDpif(const OvsDpif&) = delete;
  OvsDpif& operator=(const OvsDpif&) = delete;

  // What happened, in order.
  class Events {
   public:
    virtual ~Events() = default;
    virtual void OnUpcall(const Upcall& upcall) = 0;
    virtual void OnVportAdded(const Vport& vport) = 0;
    virtual void OnVportGone(VportNumber number) = 0;
    // The datapath itself was deleted by somebody else; nothing more will come.
    virtual void OnDatapathGone() = 0;
  };
  // Readable when Receive() has something to give.
  int upcall_fd() const;
  int vport_fd() const;
  // Up to a batch (64 packets). The events may call Dpif.
  void Receive(Events& events);

  struct Stats {
    std::uint64_t upcalls = 0;
    std::uint64_t lost = 0;       // the kernel could not queue: by its word, at least this often
    std::uint64_t malformed = 0;  // messages that make no sense
  };
  const Stats& stats() const;

  // ---- Dpif ----
  absl::Status Execute(ByteView frame, const FlowActions& actions) override;
  absl::Status PutFlow(const FlowKey& key, const FlowActions& actions) override;
  absl::Status DeleteFlow(const FlowKey& key) override;
  absl::Status ClearFlowStats(const FlowKey& key) override;
  absl::StatusOr<std::vector<FlowStats>> DumpFlows() override;
  absl::StatusOr<std::vector<Vport>> ListVports() override;
  absl::StatusOr<Vport> EnsureVxlanVport(std::uint16_t udp_port) override;

 private:
  class Impl;
  explicit OvsDpif(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace weave
