// Checkers: they stand outside the system, watch what really is on the hosts and what callers were told, and know the
// promises. A broken one is a Trace::Violation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "peer/core/peer_output.h"
#include "sim/host_model.h"
#include "sim/sim_host.h"
#include "sim/trace.h"

namespace weave::sim {

// At every instant of one host: no address on two sandboxes, or on a sandbox and the bridge; what a caller was told is
// attached stays, what a caller was told is detached stays away, until a caller asks otherwise or the container ends.
// Of all hosts of one network: no address of the range has two holders. A holder is a host's interfaces, or one that a
// caller there was told to have the address.
class NetworkOracle {
 public:
  NetworkOracle(std::optional<Cidr> range, Trace& trace) : range_(range), trace_(trace) {}

  void OnAddressAdded(HostId host, const IpAddress& address);
  void OnAddressRemoved(HostId host, const IpAddress& address);

  // A caller was told that `holder`, whose name is not empty, has the address; perhaps not for the first time.
  void OnGiven(HostId host, const std::string& holder, const IpAddress& address);
  // It is about to ask that the address, or all that it has, be released.
  void OnGivenBack(HostId host, const std::string& holder, const std::optional<IpAddress>& address);
  // Of those on this host nobody relies on anything any more.
  void OnHostLost(HostId host);

  std::vector<IpAddress> GivenTo(HostId host, const std::string& holder) const;
  std::vector<std::pair<std::string, IpAddress>> GivenOn(HostId host) const;

 private:
  using Holder = std::pair<HostId, std::string>;  // without a name: interfaces

  void Add(const Holder& holder, const IpAddress& address);

  const std::optional<Cidr> range_;  // none: hosts give out addresses as they like
  Trace& trace_;
  absl::btree_map<IpAddress, absl::btree_map<Holder, int>> held_;
};

class AddressOracle final : public HostObserver, public CallObserver {
 public:
  // References outlive the oracle.
  AddressOracle(HostId host, NetworkOracle& network, Trace& trace) : host_(host), network_(network), trace_(trace) {}

  // The model the oracle compares answers with; outlives it.
  void Watch(const HostModel& model) { model_ = &model; }

  void OnAddressAdded(LifeId life, const Cidr& address) override;
  void OnAddressRemoved(LifeId life, const Cidr& address, bool by_force) override;
  void OnLifeEnded(LifeId life) override;

  void OnSubmit(RequestId id, const ApiRequest& request) override;
  void OnReply(const Reply& reply) override;
  void OnCrash() override;

  // With nothing under way and nobody interfering: what was promised is there.
  void CheckAtRest();

 private:
  using Claim = std::pair<LifeId, IpAddress>;

  struct Pending {
    LifeId life = kBridgeLife;
    ApiRequest request;
  };

  LifeId LifeOf(const SandboxRef& sandbox) const;
  bool IsOn(LifeId life, const IpAddress& address) const;
  // Does a request under way for the same holder touch this address in the way `adds` says?
  bool Contested(LifeId life, const IpAddress& address, bool adds) const;
  bool ResetPending() const;
  void ExpectOn(LifeId life, const std::vector<Cidr>& addresses);
  void ExpectOff(LifeId life, const std::vector<Cidr>& addresses);
  std::string Name(LifeId life) const;

  const HostId host_;
  NetworkOracle& network_;
  Trace& trace_;
  const HostModel* model_ = nullptr;
  absl::btree_map<IpAddress, absl::btree_map<LifeId, int>> on_;
  absl::btree_set<Claim> must_be_on_;
  absl::btree_set<Claim> must_be_off_;
  absl::btree_map<RequestId, Pending> pending_;
};

// At rest, when all is healed: the machine is what the core says, and so are the records on disk.
void CheckHostAtRest(const SimHost& host, Trace& trace);

// At rest everybody was answered and no work is left. `quiet`: the event queue ran empty within its time.
void CheckLiveness(const SimHost& host, bool quiet, Trace& trace);

}  // namespace weave::sim
