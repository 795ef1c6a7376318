// The vocabulary between PeerCore and its drivers: requests in, effects out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "base/ip.h"
#include "base/mac.h"
#include "ipam/allocator.h"
#include "mesh/connection_maker.h"
#include "peer/core/network_event.h"
#include "peer/core/records.h"

namespace weave {

// Chosen by the driver, unique among the requests it has not been answered yet.
using RequestId = std::uint64_t;
// Chosen by the core, never reused.
using CommandId = std::uint64_t;

// ---- requests: what callers ask; each is answered by exactly one Reply ----

// Any address of a subnet (`net:10.2.0.0/16`); none: of the default subnet (`net:default`).
struct AnyAddress {
  std::optional<Cidr> subnet;

  friend bool operator==(const AnyAddress&, const AnyAddress&) = default;
};

// An address as callers ask for it (contract A1-08): exactly this one, or any that is free. Of addresses to be taken
// away: this one, or all that there are in the subnet.
using AddressWish = std::variant<Cidr, AnyAddress>;

std::vector<AddressWish> Exactly(const std::vector<Cidr>& addresses);

// No wish: net:default. Without an allocator every wish must be an exact address, and there must be one.
struct AttachRequest {
  SandboxRef sandbox;
  std::vector<AddressWish> wishes;
  bool multicast_route = true;
  std::string hostname = {};  // registered for its addresses once they are there; empty: none
};

// No wish: net:default; without an allocator all addresses.
struct DetachRequest {
  SandboxRef sandbox;
  std::vector<AddressWish> wishes;
};

// Wishes as AttachRequest's.
struct ExposeRequest {
  std::vector<AddressWish> wishes;
  bool masquerade = true;
  std::string hostname = {};  // as AttachRequest's
};

// Wishes as DetachRequest's.
struct HideRequest {
  std::vector<AddressWish> wishes;
};

// What the allocator is asked directly, for holders whose interfaces are not ours to make. NotFound without an
// allocator.
struct IpamRequest {
  IpamOperation operation;
};

// Registers a name for an address, of whoever has it. A name outside the domain is ignored. NotFound without a
// registry, as the next.
struct AddNameRequest {
  std::string holder;
  IpAddress address;
  std::string hostname;
};

// Takes back those of our own names that match; what is absent matches all. The spelling of `hostname` counts.
struct RemoveNamesRequest {
  std::optional<std::string> holder;
  std::optional<IpAddress> address;
  std::optional<std::string> hostname;
};

// Takes everything this peer made out of the host and forgets it. Nothing else is accepted afterwards.
struct ResetRequest {};

// Dials these peers from now on, beside those named before or in their place.
struct ConnectRequest {
  std::vector<DirectPeer> peers;
  bool replace = false;
};

// Dials these no more; what is connected stays until it ends.
struct ForgetRequest {
  std::vector<std::string> peers;  // as they were given
};

using ApiRequest = std::variant<AttachRequest, DetachRequest, ExposeRequest, HideRequest, IpamRequest, AddNameRequest,
                                RemoveNamesRequest, ResetRequest, ConnectRequest, ForgetRequest>;

// InvalidArgument: the request cannot mean anything. AlreadyExists: an address belongs to somebody else.
// ResourceExhausted: disk full, or too many operations waiting. Cancelled: the caller went. Otherwise what the host
// said.
struct Reply {
  RequestId request = 0;
  absl::Status status;
  std::vector<Cidr> addresses;  // attach, expose: in the order of the wishes; detach, hide: those removed
  AddressCount taken_over = 0;  // TakeOverOperation
};

// ---- commands: what the host shall do; each is answered by PeerCore::OnCommandDone ----

// Makes the interface or adopts what is there, and adds the addresses that are missing. All or nothing.
struct AttachEndpoint {
  EndpointRecord endpoint;
};

// Removes addresses that are there; the interface too when `remove_interface`. A vanished sandbox is success.
struct DetachEndpoint {
  EndpointRecord endpoint;
  std::vector<Cidr> addresses;
  bool remove_interface = false;
};

// Is the endpoint's interface still there? Answered by HostResult::present.
struct InspectEndpoint {
  EndpointRecord endpoint;
};

// The whole desired state of the bridge and the packet filter; idempotent. The driver may get the next one only after
// it answered this one.
struct SyncHost {
  std::vector<ExposureRecord> exposures;
  std::vector<Cidr> retired;       // addresses to take off the bridge
  std::vector<std::string> ports;  // host-side interfaces that belong in the bridge
};

// Removes endpoints, bridge and rules. Idempotent.
struct TearDownHost {
  std::vector<EndpointRecord> endpoints;
};

// Which addresses are in use on this host, whoever made the interfaces? Answered by HostResult::survey.
struct SurveyAddresses {
  std::string ports;      // AddressSurvey::ports of the last one
  bool thorough = false;  // look into containers also when the ports are the same
};

using HostAction =
    std::variant<AttachEndpoint, DetachEndpoint, InspectEndpoint, SyncHost, TearDownHost, SurveyAddresses>;

struct HostCommand {
  CommandId id = 0;
  HostAction action;
};

// An endpoint's interface pair as the host made it. Not recorded: a start finds it again.
struct EndpointLink {
  MacAddress mac;           // of the sandbox's side
  std::string host_ifname;  // of the host's side

  friend bool operator==(const EndpointLink&, const EndpointLink&) = default;
};

// An address on another container interface in the bridge: CNI's, Docker's, an earlier peer's.
struct AddressInUse {
  std::string holder;  // by whose name it will be freed, or kUnknownHolder (base/attachment.h)
  Cidr address;
};

struct AddressSurvey {
  std::string ports;                         // of the bridge and where they lead: differs when any of that does
  std::vector<AddressInUse> in_use;          // also of endpoints that the core knows
  absl::btree_set<std::string> attachments;  // whose interfaces are there, with or without an address
  // On any interface of this host, or of a container that an interface of this host leads to.
  absl::btree_set<IpAddress> present;
  bool complete = false;  // no container was out of sight
};

struct HostResult {
  absl::Status status;
  EndpointLink link;                         // AttachEndpoint
  bool present = false;                      // InspectEndpoint
  std::optional<AddressSurvey> survey = {};  // SurveyAddresses; none: the ports are the same
};

// ---- what the host does by itself ----

struct EndpointGone {
  std::string host_ifname;  // the host side vanished, and the sandbox's side with it
};

struct BridgeLost {};  // deleted or emptied by somebody else

struct PortsChanged {};  // a container's interface came into the bridge or left it, by whomever

using HostChange = std::variant<EndpointGone, BridgeLost, PortsChanged>;

// A sandbox on record whose namespace and interface a start found alive.
struct LiveEndpoint {
  std::uint64_t netns_inode = 0;
  EndpointLink link;
  std::vector<Cidr> addresses;  // those really on the interface
};

// An interface of `weave attach` that a start found, and no record tells of.
struct StrayEndpoint {
  SandboxRef sandbox;
  LiveEndpoint live;
};

// What a start finds on the host.
struct HostInventory {
  std::vector<Cidr> bridge_addresses;
  std::vector<LiveEndpoint> endpoints;
  std::vector<std::uint64_t> unattached = {};  // namespaces on record that are alive, without the interface
  std::vector<StrayEndpoint> strays = {};
  std::vector<AddressInUse> in_use = {};
};

// The effects of one event: a driver never lets two events share an output. The driver makes `persist` durable first;
// only then it performs commands and replies, in order. Outputs are performed in the order in which they were made
// (peer/core/output_gate.h).
struct PeerOutput {
  std::vector<RecordChange> tidy;     // written first, but nothing waits for it: a start could do without
  std::vector<RecordChange> persist;  // where both name a key, this is what stays
  std::vector<RequestId> recorded;    // expose, hide and reset requests that `persist` is for; see OnPersistFailed
  std::vector<HostCommand> commands;
  std::vector<Reply> replies;
  // The allocator's: its records are written with `persist`; the rest comes back by PeerCore::OnReleased, so that
  // neither a caller nor another peer hears of anything that a crash would undo.
  AllocatorOutput ipam;
  NetworkOutput network;  // performed at once: waits neither for `persist` nor for earlier outputs

  bool empty() const {
    return persist.empty() && tidy.empty() && commands.empty() && replies.empty() && ipam.empty() && network.empty();
  }
};

// Hands out command ids to the components of one core.
class CommandIds {
 public:
  CommandId Next() { return ++last_; }

 private:
  CommandId last_ = 0;
};

}  // namespace weave
