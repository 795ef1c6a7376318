#include "fastdp/os/ovs_dpif.h"

#include <linux/openvswitch.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "fastdp/os/netlink_attributes.h"
#include "fastdp/os/ovs_codec.h"
#include "fastdp/os/ovs_request.h"
#include "fastdp/os/ovs_socket.h"
#include "fastdp/os/upcall_socket.h"
#include "host/netlink.h"
#include "host/netlink_socket.h"
#include "io/fd.h"
#include "io/sockaddr.h"

namespace weave {
namespace {

// A port that another program just let go may stay taken for a moment (spec/overlay.md section 3.3).
constexpr int kVxlanAttempts = 5;
constexpr useconds_t kVxlanRetryMicroseconds = 10'000;

// What is waiting, so that a storm of changes does not keep packets waiting.
constexpr int kMaxChangeReads = 64;

constexpr const char* kSending = "sending a frame";
constexpr const char* kPutting = "making a flow";

absl::Status CheckSizes(ByteView frame, ByteView actions) {
  if (frame.size() > kMaxAttributeSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("a frame of ", frame.size(), " bytes, want at most ", kMaxAttributeSize));
  }
  if (actions.size() > kMaxAttributeSize) {
    return absl::ResourceExhaustedError(
        absl::StrCat("actions of ", actions.size(), " bytes, the kernel takes at most ", kMaxAttributeSize));
  }
  return absl::OkStatus();
}

}  // namespace

class OvsDpif::Impl {
 public:
  Impl(OvsSocket ovs, NetlinkSocket changes, UpcallSocket upcalls, Netlink links, OvsDatapathInfo datapath,
       Logger& logger)
      : ovs_(std::move(ovs)),
        changes_(std::move(changes)),
        upcalls_(std::move(upcalls)),
        links_(std::move(links)),
        datapath_(std::move(datapath)),
        logger_(logger) {}

  // Subscribed already: what changes from here on is heard.
  absl::Status TakeOver();

  void ReceiveUpcalls(Events& events);
  void ReceiveChanges(Events& events);

  bool can_check_sizes() const { return can_check_sizes_; }
  absl::Status Execute(ByteView frame, const FlowActions& actions);
  absl::Status PutFlow(const FlowKey& key, const FlowActions& actions);
  Dpif::Handled ExecuteAndPutFlow(ByteView frame, const FlowActions& now, const FlowKey& key,
                                  const FlowActions& from_now_on);
  absl::Status DeleteFlow(const FlowKey& key);
  absl::Status ClearFlowStats(const FlowKey& key);
  absl::StatusOr<std::vector<FlowStats>> DumpFlows();
  std::optional<std::size_t> PathMtu(const IpAddress& local, const IpAddress& remote) const;
  absl::StatusOr<std::vector<Vport>> ListVports();
  absl::StatusOr<Vport> EnsureVxlanVport(std::uint16_t udp_port);

  const UpcallSocket& upcalls() const { return upcalls_; }
  const NetlinkSocket& changes() const { return changes_; }
  Stats stats() const {
    Stats result = stats_;
    result.lost = upcalls_.lost();
    return result;
  }

 private:
  struct ForeignFlow {
    int attribute;
    Bytes value;
  };

  // ---- ports ----
  void OnChange(const nlmsghdr& header, Events& events);
  void OnVport(const OvsVportInfo& info, Events& events);
  void Forget(VportNumber number, Events& events);
  // After the kernel dropped changes: what is different from what we know.
  void CatchUp(Events& events);
  absl::Status TakeUpcalls(const OvsVportInfo& info);
  void ProbeSizeChecks();

  // ---- misses ----
  void OnPacket(const nlmsghdr& header, Events& events);

  // ---- flows ----
  absl::Status ReadFlow(const OvsMessage& message, std::vector<FlowStats>& ours, std::vector<FlowKey>& incomplete,
                        std::vector<ForeignFlow>& foreign, std::vector<FlowStats>& lost);
  absl::Status PutError(const FlowKey& key, absl::Status put);
  absl::StatusOr<std::optional<FlowStats>> GetFlow(const FlowKey& key);
  absl::Status DeleteForeign(const std::vector<ForeignFlow>& flows);
  absl::Status TakeFlows(const std::vector<FlowStats>& flows);

  // ---- VXLAN ports ----
  absl::StatusOr<std::optional<Vport>> FindVxlan(std::uint16_t udp_port);
  // The kernel's errno, 0: made.
  absl::StatusOr<int> MakeVxlan(const std::string& name, std::uint16_t udp_port);
  absl::StatusOr<bool> IsDown(const std::string& name);
  absl::Status DeleteVport(const std::string& name);

  OvsSocket ovs_;
  NetlinkSocket changes_;
  UpcallSocket upcalls_;
  Netlink links_;
  const OvsDatapathInfo datapath_;
  Logger& logger_;
  std::map<VportNumber, Vport> vports_;  // whose misses come here
  bool gone_ = false;
  bool can_check_sizes_ = false;
  Stats stats_;
};

// ---- ports ----

absl::Status OvsDpif::Impl::TakeOver() {
  ASSIGN_OR_RETURN(const std::vector<OvsVportInfo> vports, ovs_.ListVports(datapath_.index));
  for (const OvsVportInfo& info : vports) {
    RETURN_IF_ERROR(TakeUpcalls(info));
    vports_[info.vport.number] = info.vport;
  }
  ProbeSizeChecks();
  return absl::OkStatus();
}

// With actions that do nothing to the frame.
void OvsDpif::Impl::ProbeSizeChecks() {
  const Bytes frame(60, 0);
  NetlinkAttributeWriter check, actions;
  check.PutNumber<std::uint16_t>(OVS_CHECK_PKT_LEN_ATTR_PKT_LEN, frame.size())
      .Put(OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_GREATER, {})
      .Put(OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_LESS_EQUAL, {});
  actions.Put(OVS_ACTION_ATTR_CHECK_PKT_LEN, check.Take());
  const absl::Status probed =
      ovs_.netlink().Perform(ovs_.requests().Execute(datapath_.index, frame, actions.Take()), "checking a size");
  can_check_sizes_ = probed.ok();
  if (!probed.ok())
    logger_.Warning("this kernel's Open vSwitch cannot keep large packets from paths that do not carry them",
                    {{"reason", probed.message()}});
}

absl::Status OvsDpif::Impl::TakeUpcalls(const OvsVportInfo& info) {
  if (info.upcall_pid == upcalls_.pid()) return absl::OkStatus();
  return ovs_.netlink().Exchange(ovs_.requests().SetUpcallPid(datapath_.index, info.vport.number, upcalls_.pid()),
                                 absl::StrCat("taking the misses of the port ", info.vport.name), {ENODEV});
}

void OvsDpif::Impl::ReceiveChanges(Events& events) {
  for (int i = 0; i < kMaxChangeReads; ++i) {
    const absl::StatusOr<bool> read = changes_.ReadEvents([&](const nlmsghdr& header) { OnChange(header, events); });
    if (absl::IsResourceExhausted(read.status())) {
      CatchUp(events);
    } else if (!read.ok() || !*read) {
      return;
    }
  }
}

void OvsDpif::Impl::OnChange(const nlmsghdr& header, Events& events) {
  const absl::StatusOr<OvsMessage> message = DecodeOvsMessage(PayloadOf(header));
  if (!message.ok()) {
    ++stats_.malformed;
    return;
  }
  if (message->datapath != datapath_.index || gone_) return;
  const OvsFamilies& families = ovs_.requests().families();
  if (header.nlmsg_type == families.datapath && message->command == OVS_DP_CMD_DEL) {
    gone_ = true;
    return events.OnDatapathGone();
  }
  if (header.nlmsg_type != families.vport) return;
  const absl::StatusOr<OvsVportInfo> info = DecodeOvsVport(*message);
  if (!info.ok()) {
    ++stats_.malformed;
  } else if (message->command == OVS_VPORT_CMD_DEL) {
    Forget(info->vport.number, events);
  } else {
    OnVport(*info, events);
  }
}

void OvsDpif::Impl::OnVport(const OvsVportInfo& info, Events& events) {
  const auto known = vports_.find(info.vport.number);
  // Told again, or somebody else takes its misses now: two that take them from each other would never end.
  if (known != vports_.end() && known->second == info.vport) return;
  if (known != vports_.end()) Forget(info.vport.number, events);
  if (const absl::Status taken = TakeUpcalls(info); !taken.ok())
    logger_.Warning("a port of the datapath has no path for unknown frames", {{"error", taken.message()}});
  vports_[info.vport.number] = info.vport;
  events.OnVportAdded(info.vport);
}

void OvsDpif::Impl::Forget(VportNumber number, Events& events) {
  if (vports_.erase(number) > 0) events.OnVportGone(number);
}

void OvsDpif::Impl::CatchUp(Events& events) {
  if (gone_) return;
  const absl::StatusOr<std::vector<OvsVportInfo>> now = ovs_.ListVports(datapath_.index);
  if (absl::IsNotFound(now.status())) {
    gone_ = true;
    return events.OnDatapathGone();
  }
  if (!now.ok()) {
    logger_.Warning("the ports of the datapath may have changed unnoticed", {{"error", now.status().message()}});
    return;
  }
  std::set<VportNumber> left;
  for (const auto& [number, vport] : vports_) left.insert(number);
  for (const OvsVportInfo& info : *now) left.erase(info.vport.number);
  for (const VportNumber number : left) Forget(number, events);
  for (const OvsVportInfo& info : *now) OnVport(info, events);
}

// ---- misses ----

// Also of a datapath that is gone: its sockets stay readable until what others do is read.
void OvsDpif::Impl::ReceiveUpcalls(Events& events) {
  upcalls_.Receive([&](const nlmsghdr& header) { OnPacket(header, events); });
}

void OvsDpif::Impl::OnPacket(const nlmsghdr& header, Events& events) {
  if (gone_) return;
  const absl::StatusOr<OvsMessage> message = DecodeOvsMessage(PayloadOf(header));
  if (header.nlmsg_type != ovs_.requests().families().packet || !message.ok()) {
    ++stats_.malformed;
    return;
  }
  if (message->datapath != datapath_.index) return;  // of a datapath that had our number as a port's receiver
  const absl::StatusOr<Upcall> upcall = DecodeOvsUpcall(*message);
  if (!upcall.ok()) {
    ++stats_.malformed;
    return;
  }
  ++stats_.upcalls;
  events.OnUpcall(*upcall);
}

absl::Status OvsDpif::Impl::Execute(ByteView frame, const FlowActions& actions) {
  const Bytes encoded = EncodeFlowActions(actions, upcalls_.pid());
  RETURN_IF_ERROR(CheckSizes(frame, encoded));
  return ovs_.netlink().Perform(ovs_.requests().Execute(datapath_.index, frame, encoded), kSending);
}

// ---- flows ----

absl::Status OvsDpif::Impl::PutFlow(const FlowKey& key, const FlowActions& actions) {
  const Bytes encoded = EncodeFlowActions(actions, upcalls_.pid());
  RETURN_IF_ERROR(CheckSizes({}, encoded));
  return PutError(key, ovs_.netlink().Perform(ovs_.requests().PutFlow(datapath_.index, key, encoded), kPutting));
}

Dpif::Handled OvsDpif::Impl::ExecuteAndPutFlow(ByteView frame, const FlowActions& now, const FlowKey& key,
                                               const FlowActions& from_now_on) {
  const Bytes actions = EncodeFlowActions(now, upcalls_.pid()), flow = EncodeFlowActions(from_now_on, upcalls_.pid());
  // One that cannot be sent must not keep the other from it.
  if (!CheckSizes(frame, actions).ok() || !CheckSizes({}, flow).ok())
    return {Execute(frame, now), PutFlow(key, from_now_on)};
  const NetlinkSocket::BothPerformed done =
      ovs_.netlink().PerformBoth(ovs_.requests().Execute(datapath_.index, frame, actions), kSending,
                                 ovs_.requests().PutFlow(datapath_.index, key, flow), kPutting);
  return {done.first, PutError(key, done.second)};
}

// `put`: what the last request ended with.
absl::Status OvsDpif::Impl::PutError(const FlowKey& key, absl::Status put) {
  if (put.ok() || ovs_.netlink().last_errno() != ENOENT) return put;
  return absl::FailedPreconditionError(
      absl::StrCat("making the flow ", ToString(key), ": one of another program matches the same frames"));
}

absl::Status OvsDpif::Impl::DeleteFlow(const FlowKey& key) {
  return ovs_.netlink().Perform(ovs_.requests().DeleteFlow(datapath_.index, OVS_FLOW_ATTR_KEY, EncodeFlowKey(key)),
                                "deleting a flow", {ENOENT});
}

absl::Status OvsDpif::Impl::ClearFlowStats(const FlowKey& key) {
  return ovs_.netlink().Perform(ovs_.requests().ClearFlowStats(datapath_.index, key), "clearing a flow's counters");
}

absl::StatusOr<std::vector<FlowStats>> OvsDpif::Impl::DumpFlows() {
  std::vector<FlowStats> ours;
  std::vector<FlowKey> incomplete;
  std::vector<ForeignFlow> foreign;
  std::vector<FlowStats> lost;  // name the socket of an earlier process
  absl::Status malformed;
  RETURN_IF_ERROR(ovs_.netlink().Exchange(
      ovs_.requests().ListFlows(datapath_.index), "listing the flows of the datapath", [&](const nlmsghdr& header) {
        const absl::StatusOr<OvsMessage> message = DecodeOvsMessage(PayloadOf(header));
        malformed.Update(message.ok() ? ReadFlow(*message, ours, incomplete, foreign, lost) : message.status());
      }));
  RETURN_IF_ERROR(malformed);
  for (const FlowKey& key : incomplete) {
    ASSIGN_OR_RETURN(std::optional<FlowStats> flow, GetFlow(key));
    if (flow.has_value()) {
      lost.push_back(*flow);  // perhaps
      ours.push_back(*std::move(flow));
    } else {
      foreign.push_back({OVS_FLOW_ATTR_KEY, EncodeFlowKey(key)});
    }
  }
  RETURN_IF_ERROR(DeleteForeign(foreign));
  RETURN_IF_ERROR(TakeFlows(lost));
  return ours;
}

// What they find too large comes here from now on.
absl::Status OvsDpif::Impl::TakeFlows(const std::vector<FlowStats>& flows) {
  for (const FlowStats& flow : flows) RETURN_IF_ERROR(PutFlow(flow.key, flow.actions));
  return absl::OkStatus();
}

absl::Status OvsDpif::Impl::ReadFlow(const OvsMessage& message, std::vector<FlowStats>& ours,
                                     std::vector<FlowKey>& incomplete, std::vector<ForeignFlow>& foreign,
                                     std::vector<FlowStats>& lost) {
  ASSIGN_OR_RETURN(OvsFlow flow, DecodeOvsFlow(message));
  switch (flow.form) {
    case OvsFlow::Form::kOurs:
      if (flow.upcall_pid != 0 && flow.upcall_pid != upcalls_.pid()) lost.push_back(flow.flow);
      ours.push_back(std::move(flow.flow));
      break;
    case OvsFlow::Form::kActionsLeftOut:
      incomplete.push_back(flow.flow.key);
      break;
    case OvsFlow::Form::kForeign: {
      const bool has_ufid = !flow.ufid.empty();
      const ByteView value = has_ufid ? flow.ufid : flow.key;
      foreign.push_back({has_ufid ? OVS_FLOW_ATTR_UFID : OVS_FLOW_ATTR_KEY, Bytes(value.begin(), value.end())});
    }
  }
  return absl::OkStatus();
}

// None: gone meanwhile, or with actions that are not ours.
absl::StatusOr<std::optional<FlowStats>> OvsDpif::Impl::GetFlow(const FlowKey& key) {
  std::optional<FlowStats> result;
  const auto visit = [&](const nlmsghdr& header) {
    const absl::StatusOr<OvsMessage> message = DecodeOvsMessage(PayloadOf(header));
    absl::StatusOr<OvsFlow> flow = message.ok() ? DecodeOvsFlow(*message) : absl::StatusOr<OvsFlow>(message.status());
    if (flow.ok() && flow->form == OvsFlow::Form::kOurs) result = std::move(flow->flow);
  };
  RETURN_IF_ERROR(ovs_.netlink().Exchange(ovs_.requests().GetFlow(datapath_.index, EncodeFlowKey(key)),
                                          "asking for a flow", visit, {ENOENT}));
  return result;
}

absl::Status OvsDpif::Impl::DeleteForeign(const std::vector<ForeignFlow>& flows) {
  for (const ForeignFlow& flow : flows) {
    RETURN_IF_ERROR(ovs_.netlink().Perform(ovs_.requests().DeleteFlow(datapath_.index, flow.attribute, flow.value),
                                           "deleting a flow of another program", {ENOENT}));
  }
  if (!flows.empty()) logger_.Warning("deleted flows of another program from the datapath", {{"count", flows.size()}});
  return absl::OkStatus();
}

// As for a packet of ours from one to the other: by the routes, and by what routers have said to their packets.
std::optional<std::size_t> OvsDpif::Impl::PathMtu(const IpAddress& local, const IpAddress& remote) const {
  constexpr std::uint16_t kDiscard = 9;  // any port: nothing is sent
  const KernelAddress from({local, 0}), to({remote, kDiscard});
  const Fd socket(::socket(to.get()->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid() || ::bind(socket.get(), from.get(), from.size()) != 0 ||
      ::connect(socket.get(), to.get(), to.size()) != 0)
    return std::nullopt;
  int mtu = 0;
  socklen_t size = sizeof mtu;
  if (::getsockopt(socket.get(), IPPROTO_IP, IP_MTU, &mtu, &size) != 0 || mtu <= 0) return std::nullopt;
  return static_cast<std::size_t>(mtu);
}

absl::StatusOr<std::vector<Vport>> OvsDpif::Impl::ListVports() {
  ASSIGN_OR_RETURN(std::vector<OvsVportInfo> infos, ovs_.ListVports(datapath_.index));
  std::vector<Vport> result;
  for (OvsVportInfo& info : infos) result.push_back(std::move(info.vport));
  return result;
}

// ---- VXLAN ports ----

absl::StatusOr<Vport> OvsDpif::Impl::EnsureVxlanVport(std::uint16_t udp_port) {
  ASSIGN_OR_RETURN(std::optional<Vport> found, FindVxlan(udp_port));
  const std::string name = absl::StrCat("vxlan-", udp_port);
  for (int attempt = 0; !found.has_value() && attempt < kVxlanAttempts; ++attempt) {
    if (attempt > 0) ::usleep(kVxlanRetryMicroseconds);
    ASSIGN_OR_RETURN(const int error, MakeVxlan(name, udp_port));
    if (error == EEXIST)
      return absl::UnavailableError(absl::StrCat("an interface ", name, " of another program exists"));
    ASSIGN_OR_RETURN(found, FindVxlan(udp_port));
  }
  if (found.has_value()) return *found;
  return absl::UnavailableError(absl::StrCat("UDP port ", udp_port, " for VXLAN is taken by another program"));
}

// Kernels of a while make the port also when they cannot have its UDP port, and leave the interface down. What is so,
// is deleted: it was asked for in vain.
absl::StatusOr<std::optional<Vport>> OvsDpif::Impl::FindVxlan(std::uint16_t udp_port) {
  ASSIGN_OR_RETURN(const std::vector<Vport> vports, ListVports());
  for (const Vport& vport : vports) {
    if (vport.kind != VportKind::kVxlan || vport.udp_port != udp_port) continue;
    ASSIGN_OR_RETURN(const bool down, IsDown(vport.name));
    if (!down) return vport;
    RETURN_IF_ERROR(DeleteVport(vport.name));
  }
  return std::nullopt;
}

absl::StatusOr<int> OvsDpif::Impl::MakeVxlan(const std::string& name, std::uint16_t udp_port) {
  RETURN_IF_ERROR(ovs_.netlink().Exchange(
      ovs_.requests().NewVport(datapath_.index, name, OVS_VPORT_TYPE_VXLAN, udp_port, upcalls_.pid()),
      absl::StrCat("making the port ", name), {EADDRINUSE, EEXIST}));
  return ovs_.netlink().last_errno();
}

absl::StatusOr<bool> OvsDpif::Impl::IsDown(const std::string& name) {
  ASSIGN_OR_RETURN(const std::optional<LinkInfo> link, links_.FindLink(name));
  return link.has_value() && !link->up;
}

absl::Status OvsDpif::Impl::DeleteVport(const std::string& name) {
  return ovs_.netlink().Exchange(ovs_.requests().DeleteVport(datapath_.index, name),
                                 absl::StrCat("deleting the port ", name), {ENODEV});
}

// ---- the front ----

absl::StatusOr<std::unique_ptr<OvsDpif>> OvsDpif::Open(absl::string_view datapath, Logger& logger) {
  ASSIGN_OR_RETURN(OvsSocket ovs, OvsSocket::Open());
  ASSIGN_OR_RETURN(std::optional<OvsDatapathInfo> found, ovs.FindDatapath(datapath));
  if (!found.has_value()) return absl::NotFoundError(absl::StrCat("no Open vSwitch datapath is called ", datapath));
  ASSIGN_OR_RETURN(NetlinkSocket changes, NetlinkSocket::Open(NETLINK_GENERIC));
  RETURN_IF_ERROR(changes.Subscribe(ovs.requests().families().vport_group));
  RETURN_IF_ERROR(changes.Subscribe(ovs.requests().families().datapath_group));
  ASSIGN_OR_RETURN(UpcallSocket upcalls, UpcallSocket::Open());
  ASSIGN_OR_RETURN(Netlink links, Netlink::Open());
  auto impl = std::make_unique<Impl>(std::move(ovs), std::move(changes), std::move(upcalls), std::move(links),
                                     *std::move(found), logger);
  RETURN_IF_ERROR(impl->TakeOver());
  return std::unique_ptr<OvsDpif>(new OvsDpif(std::move(impl)));
}

OvsDpif::OvsDpif(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OvsDpif::~OvsDpif() = default;

int OvsDpif::upcall_fd() const { return impl_->upcalls().fd(); }
int OvsDpif::vport_fd() const { return impl_->changes().fd(); }
void OvsDpif::ReceiveUpcalls(Events& events) { impl_->ReceiveUpcalls(events); }
void OvsDpif::ReceiveChanges(Events& events) { impl_->ReceiveChanges(events); }
OvsDpif::Stats OvsDpif::stats() const { return impl_->stats(); }

bool OvsDpif::can_check_sizes() const { return impl_->can_check_sizes(); }
absl::Status OvsDpif::Execute(ByteView frame, const FlowActions& actions) { return impl_->Execute(frame, actions); }
absl::Status OvsDpif::PutFlow(const FlowKey& key, const FlowActions& actions) { return impl_->PutFlow(key, actions); }
Dpif::Handled OvsDpif::ExecuteAndPutFlow(ByteView frame, const FlowActions& now, const FlowKey& key,
                                         const FlowActions& from_now_on) {
  return impl_->ExecuteAndPutFlow(frame, now, key, from_now_on);
}
absl::Status OvsDpif::DeleteFlow(const FlowKey& key) { return impl_->DeleteFlow(key); }
absl::Status OvsDpif::ClearFlowStats(const FlowKey& key) { return impl_->ClearFlowStats(key); }
absl::StatusOr<std::vector<FlowStats>> OvsDpif::DumpFlows() { return impl_->DumpFlows(); }
std::optional<std::size_t> OvsDpif::PathMtu(const IpAddress& local, const IpAddress& remote) {
  return impl_->PathMtu(local, remote);
}
absl::StatusOr<std::vector<Vport>> OvsDpif::ListVports() { return impl_->ListVports(); }
absl::StatusOr<Vport> OvsDpif::EnsureVxlanVport(std::uint16_t udp_port) { return impl_->EnsureVxlanVport(udp_port); }

}  // namespace weave
