// What goes into the allocator and what comes out: configuration, operations, replies, effects, status.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/peer_name.h"
#include "ipam/ipam_messages.h"
#include "ipam/ipam_records.h"
#include "ipam/ring.h"
#include "wire/topology.h"

namespace weave {

// ---- how a ring comes to be (spec/ipam.md section 5) ----

struct ConsensusBootstrap {
  std::optional<std::size_t> peer_count;  // none: guessed from the peers that are dialled
};
struct SeedBootstrap {
  std::vector<PeerName> seeds;  // at least one
};
struct ObserverBootstrap {};
using IpamBootstrap = std::variant<ConsensusBootstrap, SeedBootstrap, ObserverBootstrap>;

struct AllocatorConfig {
  PeerName self;
  std::string nickname;
  Cidr range;           // the universe: without host bits, at least 4 addresses
  Cidr default_subnet;  // overlaps the range
  IpamBootstrap bootstrap;
  PeerUid uid = 0;  // of a Paxos node that has no record
};

// What the allocator asks about the mesh. Implemented by PeerCore; answers are those of this turn.
class PeerDirectory {
 public:
  virtual ~PeerDirectory() = default;
  // There is a way to it now.
  virtual bool IsReachable(PeerName peer) const = 0;
  // It is part of the topology.
  virtual bool IsKnown(PeerName peer) const = 0;
  // Named by the user and still tried or connected.
  virtual std::size_t DirectPeerCount() const = 0;
  // Somebody named by the user has neither answered nor failed to since.
  virtual bool AwaitsFirstAnswer() const = 0;
  // Those connected to us, established or not.
  virtual std::vector<PeerName> Neighbours() const = 0;
};

// ---- operations; each is answered once by an AllocatorReply, at once or after a wait without limit ----

// Chosen by PeerCore; unique among those not answered.
using OperationId = std::uint64_t;

// An address in `subnet` for `ident`: the one it has there, or else the lowest free one.
struct AllocateOperation {
  std::string ident;
  Cidr subnet;  // a network of at least 4 addresses
  bool is_container = false;
  Upkeep upkeep = Upkeep::kHolder;  // of all that `ident` has, from now on
};

// Exactly this address, inside the range or outside of it. `ident` "_": the holder is unknown.
struct ClaimOperation {
  std::string ident;
  Cidr address;
  bool is_container = false;
  bool no_error_on_unknown = false;  // answer OK at once where the ring or the owner would have to be waited for
  Upkeep upkeep = Upkeep::kHolder;   // as AllocateOperation's
};

// Waits until there is a ring (`weave prime`).
struct AwaitRingOperation {};

// Do not wait for space; all but a takeover are answered in the same output.

// One address of `ident`, or all of them. NotFound: it has none ("Delete: no addresses for ID").
struct ReleaseOperation {
  std::string ident;
  std::optional<IpAddress> address;
};
// Of addresses under the upkeep of Docker: it knows nothing of them any more, so they are left to their interfaces.
// Others are passed over.
struct DisownOperation {
  std::vector<IpAddress> addresses;
};
// Takes over all ranges of a dead peer, by nickname or by name (`weave rmpeer`). Of nobody, or ourselves: 0 addresses.
// Answered when the council has agreed, or after 10 s. `force`: decided here alone (docs/ipam.md).
struct TakeOverOperation {
  std::string peer;
  bool force = false;
};
// Gives everything away and cancels what waits (`weave reset`); every later operation is answered with Cancelled.
struct ShutdownOperation {};

using IpamOperation = std::variant<AllocateOperation, ClaimOperation, AwaitRingOperation, ReleaseOperation,
                                   DisownOperation, TakeOverOperation, ShutdownOperation>;

// InvalidArgument: the request cannot mean anything here (a subnet outside the range). AlreadyExists: somebody else has
// the address. FailedPrecondition: its owner does not give it. Cancelled: by OnCancel, the holder's end, or shutdown.
// NotFound: see ReleaseOperation.
struct AllocatorReply {
  OperationId operation = 0;
  absl::Status status;
  std::vector<Cidr> addresses;  // allocate, claim: the address; release: those that were freed
  AddressCount taken_over = 0;
};

struct IpamSend {
  PeerName to;
  Bytes payload;  // of a unicast on kIpamChannel
};

struct CouncilSend {
  std::optional<PeerName> to;  // none: everyone
  Bytes payload;               // on kCouncilChannel
};

// What may be told to others once everything recorded before is on disk.
struct IpamTelling {
  // Of the output's records; 0: it has none. OnDurable learns by it what is on disk, so an output with records always
  // has a telling that is not empty, and it comes back before the output's replies leave.
  std::uint64_t sequence = 0;
  std::shared_ptr<const IpamState> state;       // what FullState says from then on; null: as before
  std::vector<IpamSend> unicasts;               // `state` comes first
  bool broadcast = false;                       // `state` to everyone
  std::vector<CouncilSend> council;             // behind the rest
  std::shared_ptr<const Bytes> council_digest;  // what the council's FullState says from then on; null: as before

  bool empty() const { return sequence == 0 && state == nullptr && unicasts.empty() && !broadcast && council.empty(); }
};

struct AllocatorOutput {
  std::vector<IpamRecordChange> persist;  // durable before anything below
  std::vector<AllocatorReply> replies;
  IpamTelling telling;  // back by OnDurable

  bool empty() const { return persist.empty() && replies.empty() && telling.empty(); }
};

// For status pages, the report and metrics (spec/control.md sections 3 to 5).
struct IpamStatus {
  struct Owner {
    PeerName peer;
    std::string nickname;
    AddressCount count = 0;
    bool reachable = false;  // ourselves, or part of the topology
  };
  struct PendingClaim {
    std::string ident;
    Cidr address;
  };
  struct PendingAllocation {
    std::string ident;
    Cidr subnet;
  };

  // none: an elector that has not proposed, an observer, or a ring.
  struct Election {
    std::size_t known_count = 0;
    std::size_t quorum = 0;
  };
  // A peer whose ranges are, or may soon be, somebody else's.
  struct Named {
    PeerName peer;
    std::string nickname;
  };
  struct Removal {
    Named peer;
    std::optional<Named> heir;  // none: not agreed, and callers here wait for it
    std::size_t voter_count = 0;
    std::size_t member_count = 0;
    std::vector<Named> silent;
  };
  // In use here, and by the ring another's: what only lost data, a removal of the living or --force brings about.
  struct Stray {
    IpAddress address;
    std::string holder;
    Named owner;
    bool used_there = false;  // the owner has not given it back when asked last
  };
  Cidr range;
  Cidr default_subnet;
  std::optional<Election> election;
  bool elector = false;
  bool priming = false;  // an observer, or a seed without a record, that has asked for a ring
  std::vector<RingEntry> entries;
  std::vector<Owner> owners;     // ourselves first, then by name
  std::size_t active_count = 0;  // our own addresses in use, inside the range
  std::vector<PendingClaim> pending_claims;
  std::vector<PendingAllocation> pending_allocations;
  std::vector<Removal> removals;  // under way
  std::vector<Stray> strays;
  // Who may vote on takeovers, ourselves perhaps included; none while there is no ring.
  std::size_t reachable_voter_count = 0;
  std::size_t unreachable_voter_count = 0;
  bool quorum = false;  // those that can be reached are enough
};

}  // namespace weave
