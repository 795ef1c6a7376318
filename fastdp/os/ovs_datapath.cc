#include "fastdp/os/ovs_datapath.h"

#include <linux/openvswitch.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "fastdp/os/ovs_socket.h"
#include "host/netlink.h"
#include "io/fd.h"

namespace weave {
namespace {

// Of its own, so that the probe touches no datapath that works. One name: what a killed probe left behind is the next
// one's.
constexpr absl::string_view kProbeName = "weave-probe";

struct HeldPort {
  Fd socket;
  std::uint16_t port = 0;
};

// A UDP port that is certainly taken, so that the probe takes none.
absl::StatusOr<HeldPort> HoldUdpPort() {
  HeldPort held{Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), 0};
  if (!held.socket.valid()) return ErrnoError(errno, "a UDP socket");
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(held.socket.get(), generic, size) != 0 || ::getsockname(held.socket.get(), generic, &size) != 0)
    return ErrnoError(errno, "any UDP port");
  held.port = ntohs(address.sin_port);
  return held;
}

absl::Status NeedLinkName(absl::string_view name) {
  if (IsLinkName(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("not a name of an interface: \"", name,
                                                 "\", want 1 to 15 characters without blanks, slashes and colons"));
}

absl::StatusOr<OvsDatapathInfo> NeedDatapath(OvsSocket& ovs, absl::string_view name) {
  ASSIGN_OR_RETURN(const std::optional<OvsDatapathInfo> found, ovs.FindDatapath(name));
  if (found.has_value()) return *found;
  return absl::NotFoundError(absl::StrCat("no Open vSwitch datapath is called ", name));
}

absl::StatusOr<OvsDatapathInfo> Ensure(OvsSocket& ovs, absl::string_view name) {
  RETURN_IF_ERROR(
      ovs.netlink().Exchange(ovs.requests().NewDatapath(name), absl::StrCat("making the datapath ", name), {EEXIST}));
  ASSIGN_OR_RETURN(const std::optional<OvsDatapathInfo> found, ovs.FindDatapath(name));
  if (!found.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the interface ", name, " exists and is not an Open vSwitch datapath"));
  }
  if (found->features == kOvsFeatures) return *found;
  // Somebody else made it, to whom misses came by processor and not by port.
  RETURN_IF_ERROR(ovs.netlink().Exchange(ovs.requests().SetDatapathFeatures(found->index),
                                         absl::StrCat("setting the features of the datapath ", name)));
  return *found;
}

absl::Status Delete(OvsSocket& ovs, absl::string_view name) {
  return ovs.netlink().Exchange(ovs.requests().DeleteDatapath(name), absl::StrCat("deleting the datapath ", name),
                                {ENODEV});
}

// EADDRINUSE comes from a kernel that would have made the port.
absl::Status ProbeVxlan(OvsSocket& ovs, int datapath) {
  ASSIGN_OR_RETURN(const HeldPort held, HoldUdpPort());
  const std::string name = absl::StrCat("vxlan-", held.port);
  absl::Status made = ovs.netlink().Exchange(
      ovs.requests().NewVport(datapath, name, OVS_VPORT_TYPE_VXLAN, held.port, 0), "a VXLAN port", {EADDRINUSE});
  if (ovs.netlink().last_errno() != EAFNOSUPPORT) return made;
  return absl::FailedPreconditionError("this kernel's Open vSwitch has no VXLAN (module vport-vxlan)");
}

absl::Status AsPrecondition(const absl::Status& status) {
  if (!absl::IsNotFound(status)) return status;
  return absl::FailedPreconditionError(status.message());
}

}  // namespace

absl::Status ProbeOvs() {
  absl::StatusOr<OvsSocket> ovs = OvsSocket::Open();
  if (!ovs.ok()) return AsPrecondition(ovs.status());
  const absl::StatusOr<OvsDatapathInfo> datapath = Ensure(*ovs, kProbeName);
  RETURN_IF_ERROR(AsPrecondition(datapath.status()));
  const absl::Status vxlan = ProbeVxlan(*ovs, datapath->index);
  absl::Status deleted = Delete(*ovs, kProbeName);
  RETURN_IF_ERROR(AsPrecondition(vxlan));
  return deleted;
}

absl::StatusOr<int> EnsureOvsDatapath(absl::string_view name) {
  RETURN_IF_ERROR(NeedLinkName(name));
  absl::StatusOr<OvsSocket> ovs = OvsSocket::Open();
  if (!ovs.ok()) return AsPrecondition(ovs.status());
  ASSIGN_OR_RETURN(const OvsDatapathInfo datapath, Ensure(*ovs, name));
  return datapath.index;
}

absl::Status DeleteOvsDatapath(absl::string_view name) {
  if (!IsLinkName(name)) return absl::OkStatus();
  absl::StatusOr<OvsSocket> ovs = OvsSocket::Open();
  if (absl::IsNotFound(ovs.status())) return absl::OkStatus();
  RETURN_IF_ERROR(ovs.status());
  return Delete(*ovs, name);
}

absl::Status AddOvsPort(absl::string_view datapath, absl::string_view interface) {
  RETURN_IF_ERROR(NeedLinkName(interface));
  absl::StatusOr<OvsSocket> ovs = OvsSocket::Open();
  if (!ovs.ok()) return AsPrecondition(ovs.status());
  ASSIGN_OR_RETURN(const OvsDatapathInfo target, NeedDatapath(*ovs, datapath));
  const std::string what = absl::StrCat("adding ", interface, " to the datapath ", datapath);
  absl::Status added = ovs->netlink().Exchange(
      ovs->requests().NewVport(target.index, interface, OVS_VPORT_TYPE_NETDEV, std::nullopt, 0), what);
  const int error = ovs->netlink().last_errno();
  if (error != EEXIST && error != EBUSY) return added;

  ASSIGN_OR_RETURN(const std::optional<OvsVportInfo> found, ovs->FindVport(interface));
  if (found.has_value() && found->datapath == target.index) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(what, ": it is a port of another ", found ? "datapath" : "bridge"));
}

absl::Status RemoveOvsPort(absl::string_view datapath, absl::string_view interface) {
  if (!IsLinkName(interface)) return absl::OkStatus();
  absl::StatusOr<OvsSocket> ovs = OvsSocket::Open();
  if (absl::IsNotFound(ovs.status())) return absl::OkStatus();
  RETURN_IF_ERROR(ovs.status());
  ASSIGN_OR_RETURN(const std::optional<OvsDatapathInfo> target, ovs->FindDatapath(datapath));
  if (!target.has_value()) return absl::OkStatus();
  return ovs->netlink().Exchange(ovs->requests().DeleteVport(target->index, interface),
                                 absl::StrCat("removing ", interface, " from the datapath ", datapath), {ENODEV});
}

}  // namespace weave
