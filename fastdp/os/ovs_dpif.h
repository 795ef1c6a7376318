// The datapath of the kernel as Dpif: flows, packets, ports and misses over generic netlink.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/log.h"
#include "fastdp/dpif.h"

namespace weave {

// One thread after Open. The datapath, its ports and its flows stay when this ends.
//
// Frames of misses are whole: before the kernel hands one up it completes a checksum that was left to the hardware,
// cuts what is larger than the MTU (GSO) into frames, and puts a VLAN tag that lies beside into the frame
// (net/openvswitch/datapath.c, queue_userspace_packet). A flow matches only frames without a VLAN tag, because the
// kernel always matches on that and our keys have none: tagged frames keep coming up.
//
// Requests of the path of a miss (Execute, PutFlow, both at once, DeleteFlow, ClearFlowStats) are done within the
// system call that sends them and ask for no acknowledgement: one look tells whether an error lies behind.
class OvsDpif final : public Dpif {
 public:
  // Of a datapath that exists in the calling thread's namespace (EnsureOvsDatapath); NotFound: there is none. From now
  // on every port's misses come here, also those of ports that are added later, and no longer to whom they came before.
  static absl::StatusOr<std::unique_ptr<OvsDpif>> Open(absl::string_view datapath, Logger& logger);
  ~OvsDpif() override;
  OvsDpif(const OvsDpif&) = delete;
  OvsDpif& operator=(const OvsDpif&) = delete;

  // Ports before the misses that enter by them. Of the ports that were there at Open ListVports() tells.
  class Events {
   public:
    virtual ~Events() = default;
    virtual void OnUpcall(const Upcall& upcall) = 0;
    virtual void OnVportAdded(const Vport& vport) = 0;  // also those that EnsureVxlanVport() made
    virtual void OnVportGone(VportNumber number) = 0;
    // The datapath itself was deleted by somebody else; nothing more will come.
    virtual void OnDatapathGone() = 0;
  };
  // What is readable has something to give. The events may call Dpif, not these.
  int upcall_fd() const;
  void ReceiveUpcalls(Events& events);  // up to a batch: 64 packets
  int vport_fd() const;
  void ReceiveChanges(Events& events);

  struct Stats {
    std::uint64_t upcalls = 0;
    std::uint64_t lost = 0;       // the kernel could not queue: all of them since Linux 4.12, before at least so many
    std::uint64_t malformed = 0;  // messages that make no sense, or are of no frame that a flow of ours could match
  };
  Stats stats() const;

  // ---- Dpif ----
  bool can_check_sizes() const override;
  absl::Status Execute(ByteView frame, const FlowActions& actions) override;
  absl::Status PutFlow(const FlowKey& key, const FlowActions& actions) override;
  Handled ExecuteAndPutFlow(ByteView frame, const FlowActions& now, const FlowKey& key,
                            const FlowActions& from_now_on) override;
  absl::Status DeleteFlow(const FlowKey& key) override;
  absl::Status ClearFlowStats(const FlowKey& key) override;
  absl::StatusOr<std::vector<FlowStats>> DumpFlows() override;
  std::optional<std::size_t> PathMtu(const IpAddress& local, const IpAddress& remote) override;
  absl::StatusOr<std::vector<Vport>> ListVports() override;
  absl::StatusOr<Vport> EnsureVxlanVport(std::uint16_t udp_port) override;

 private:
  class Impl;
  explicit OvsDpif(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace weave
