#include "test/peer/core_transcript.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/check.h"

namespace weave {
namespace {

std::string List(const std::vector<Cidr>& addresses) {
  return absl::StrCat(
      "[", absl::StrJoin(addresses, " ", [](std::string* out, const Cidr& c) { absl::StrAppend(out, c.ToString()); }),
      "]");
}

std::string Describe(const RecordChange& change) {
  if (!change.value.has_value()) return absl::StrCat(change.key, " = -");
  if (const auto* endpoint = std::get_if<EndpointRecord>(&*change.value))
    return absl::StrCat(change.key, " = ", List(endpoint->addresses));
  if (const auto* exposure = std::get_if<ExposureRecord>(&*change.value))
    return absl::StrCat(change.key, " = ", exposure->cidr.ToString());
  if (const auto* allocation = std::get_if<AllocationRecord>(&*change.value))
    return absl::StrCat(change.key, " = ", List(allocation->addresses));
  if (!std::holds_alternative<IdentityRecord>(*change.value)) return change.key;
  return absl::StrCat(change.key, " = ", std::get<IdentityRecord>(*change.value).name.ToString());
}

struct DescribeAction {
  std::string operator()(const AttachEndpoint& a) const {
    return absl::StrCat("attach ", a.endpoint.sandbox.netns_inode, " ", List(a.endpoint.addresses));
  }
  std::string operator()(const DetachEndpoint& d) const {
    return absl::StrCat("detach ", d.endpoint.sandbox.netns_inode, " ", List(d.addresses),
                        d.remove_interface ? " and interface" : "");
  }
  std::string operator()(const InspectEndpoint& i) const {
    return absl::StrCat("look at ", i.endpoint.sandbox.netns_inode, " ", i.endpoint.sandbox.ident);
  }
  std::string operator()(const SyncHost& s) const {
    std::vector<Cidr> exposed;
    for (const ExposureRecord& exposure : s.exposures) exposed.push_back(exposure.cidr);
    return absl::StrCat("sync ", List(exposed), " without ", List(s.retired), " ports ", absl::StrJoin(s.ports, ","));
  }
  std::string operator()(const SurveyAddresses& s) const {
    return absl::StrCat("survey after [", s.ports, "]", s.thorough ? " thoroughly" : "");
  }
  std::string operator()(const TearDownHost& t) const {
    return absl::StrCat("tear down ", absl::StrJoin(t.endpoints, " ", [](std::string* out, const EndpointRecord& e) {
                          absl::StrAppend(out, e.sandbox.netns_inode);
                        }));
  }
};

}  // namespace

Cidr Net(absl::string_view text) { return Cidr::Parse(text).value(); }

std::vector<Cidr> Nets(absl::string_view texts) {
  std::vector<Cidr> nets;
  for (absl::string_view text : absl::StrSplit(texts, ' ', absl::SkipEmpty())) nets.push_back(Net(text));
  return nets;
}

std::vector<AddressWish> Wishes(absl::string_view texts) {
  std::vector<AddressWish> wishes;
  for (absl::string_view text : absl::StrSplit(texts, ' ', absl::SkipEmpty())) {
    if (text == "net:default")
      wishes.push_back(AnyAddress{});
    else if (absl::ConsumePrefix(&text, "net:"))
      wishes.push_back(AnyAddress{Net(text)});
    else
      wishes.push_back(Net(text));
  }
  return wishes;
}

SandboxRef Box(std::uint64_t inode, std::string ident) {
  if (ident.empty()) ident = absl::StrCat("c", inode);
  return {std::move(ident), absl::StrCat("/proc/", inode, "/ns/net"), inode};
}

EndpointRecord OnRecord(std::uint64_t inode, absl::string_view addresses, std::string boot_id) {
  return {Box(inode), std::move(boot_id), Nets(addresses), true};
}

std::string LinkName(std::uint64_t inode) { return absl::StrCat("vethwepl", inode); }

LiveEndpoint Alive(std::uint64_t inode, absl::string_view addresses) {
  return {inode, {MacAddress(), LinkName(inode)}, Nets(addresses)};
}

std::string Describe(const PeerOutput& output) {
  std::string text;
  for (const RecordChange& change : output.tidy) absl::StrAppend(&text, "tidy ", Describe(change), "\n");
  for (const RecordChange& change : output.persist) absl::StrAppend(&text, "record ", Describe(change), "\n");
  for (const IpamRecordChange& change : output.ipam.persist) {
    RecordChange own{change.key, std::nullopt};
    if (change.value.has_value()) own.value = ToRecord(*change.value);
    const bool has_text = !change.value.has_value() || std::holds_alternative<AllocationRecord>(*change.value);
    if (has_text) absl::StrAppend(&text, "record ", Describe(own), "\n");
  }
  for (const HostCommand& command : output.commands)
    absl::StrAppend(&text, "#", command.id, " ", std::visit(DescribeAction{}, command.action), "\n");
  for (const Reply& reply : output.replies)
    absl::StrAppend(&text, "reply ", reply.request, " ", absl::StatusCodeToString(reply.status.code()), " ",
                    List(reply.addresses), "\n");
  return text;
}

std::string Transcript::Finish(PeerOutput output) {
  const absl::Status invariants = core_.CheckInvariants();
  WEAVE_CHECK(invariants.ok()) << invariants;
  last_ = std::move(output);
  return Describe(last_);
}

std::string Transcript::Start(const std::vector<Record>& records, const HostInventory& inventory) {
  PeerOutput out;
  core_.OnStart(now(), records, inventory, out);
  return Finish(std::move(out));
}

void Transcript::StartFresh() {
  Start();
  Done(1);
}

std::string Transcript::Attach(RequestId id, const SandboxRef& sandbox, absl::string_view addresses) {
  PeerOutput out;
  core_.OnRequest(now(), id, AttachRequest{sandbox, Wishes(addresses), true}, out);
  return Finish(std::move(out));
}

std::string Transcript::Detach(RequestId id, const SandboxRef& sandbox, absl::string_view addresses) {
  PeerOutput out;
  core_.OnRequest(now(), id, DetachRequest{sandbox, Wishes(addresses)}, out);
  return Finish(std::move(out));
}

std::string Transcript::Expose(RequestId id, absl::string_view addresses) {
  PeerOutput out;
  core_.OnRequest(now(), id, ExposeRequest{Wishes(addresses), true}, out);
  return Finish(std::move(out));
}

std::string Transcript::Hide(RequestId id, absl::string_view addresses) {
  PeerOutput out;
  core_.OnRequest(now(), id, HideRequest{Wishes(addresses)}, out);
  return Finish(std::move(out));
}

std::string Transcript::Reset(RequestId id) {
  PeerOutput out;
  core_.OnRequest(now(), id, ResetRequest{}, out);
  return Finish(std::move(out));
}

std::string Transcript::Cancel(RequestId id) {
  PeerOutput out;
  core_.OnCancel(now(), id, out);
  return Finish(std::move(out));
}

std::string Transcript::Ask(RequestId id, IpamOperation operation) {
  PeerOutput out;
  core_.OnRequest(now(), id, IpamRequest{std::move(operation)}, out);
  return Finish(std::move(out));
}

std::string Transcript::Request(RequestId id, ApiRequest request) {
  PeerOutput out;
  core_.OnRequest(now(), id, std::move(request), out);
  return Finish(std::move(out));
}

std::string Transcript::Written(const PeerOutput& output) {
  PeerOutput out;
  core_.OnReleased(now(), output.ipam, out);
  return Finish(std::move(out));
}

std::string Transcript::AllWritten() {
  std::string text;
  while (!last_.ipam.empty()) {
    const std::string next = Written(TakeLast());
    if (!next.empty()) text = next;
  }
  return text;
}

void Transcript::Pass(Duration duration) {
  const MonotonicTime end = now_ + duration;
  for (std::optional<MonotonicTime> next = core_.NextDeadline(); next.has_value() && *next <= end;
       next = core_.NextDeadline()) {
    now_ = std::max(now_, *next);
    PeerOutput out;
    core_.OnTimer(now(), out);
    Finish(std::move(out));
    AllWritten();
  }
  now_ = end;
}

std::optional<HostCommand> Transcript::PassUntilCommand(Duration duration) {
  const MonotonicTime end = now_ + duration;
  for (std::optional<MonotonicTime> next = core_.NextDeadline(); next.has_value() && *next <= end;
       next = core_.NextDeadline()) {
    now_ = std::max(now_, *next);
    PeerOutput out;
    core_.OnTimer(now(), out);
    std::vector<HostCommand> commands = std::exchange(out.commands, {});
    Finish(std::move(out));
    AllWritten();
    if (!commands.empty()) return std::move(commands.front());
  }
  now_ = end;
  return std::nullopt;
}

std::string Transcript::Done(CommandId id, std::uint64_t inode) {
  PeerOutput out;
  core_.OnCommandDone(now(), id, {absl::OkStatus(), {MacAddress(), LinkName(inode)}, true}, out);
  return Finish(std::move(out));
}

std::string Transcript::Fail(CommandId id, absl::Status status) {
  PeerOutput out;
  core_.OnCommandDone(now(), id, {std::move(status), {}, false}, out);
  return Finish(std::move(out));
}

std::string Transcript::Looked(CommandId id, bool present) {
  PeerOutput out;
  core_.OnCommandDone(now(), id, {absl::OkStatus(), {}, present}, out);
  return Finish(std::move(out));
}

std::string Transcript::Surveyed(CommandId id, AddressSurvey survey) {
  PeerOutput out;
  core_.OnCommandDone(now(), id, {absl::OkStatus(), {}, false, std::move(survey)}, out);
  return Finish(std::move(out));
}

std::string Transcript::PortsChanged() {
  PeerOutput out;
  core_.OnHostChange(now(), weave::PortsChanged{}, out);
  return Finish(std::move(out));
}

std::string Transcript::Gone(absl::string_view host_ifname) {
  PeerOutput out;
  core_.OnHostChange(now(), EndpointGone{std::string(host_ifname)}, out);
  return Finish(std::move(out));
}

std::string Transcript::BridgeLost() {
  PeerOutput out;
  core_.OnHostChange(now(), weave::BridgeLost{}, out);
  return Finish(std::move(out));
}

std::string Transcript::LastNotWritten() {
  PeerOutput out;
  core_.OnPersistFailed(now(), absl::ResourceExhaustedError("disk full"), std::exchange(last_, {}), out);
  return Finish(std::move(out));
}

std::string Transcript::Later() {
  const std::optional<MonotonicTime> deadline = core_.NextHostDeadline();
  WEAVE_CHECK(deadline.has_value());
  now_ = *deadline;
  PeerOutput out;
  core_.OnTimer(now(), out);
  return Finish(std::move(out));
}

}  // namespace weave
