// Peers that share a ring as allocators do, without the allocator: they hand out addresses, ask each other for space,
// leave, are taken over, crash and come back with what they recorded. The network loses, repeats and reorders what they
// say. An oracle stands outside: it knows only which peer has given which address to somebody.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "ipam/ring.h"
#include "ipam/space.h"

namespace weave::test {

// Finds an address that two peers have given away. Sees no ring.
class AddressOracle {
 public:
  void OnGiven(PeerName peer, const IpAddress& address) {
    std::set<PeerName>& holders = holders_[address];
    holders.insert(peer);
    if (holders.size() > 1 && violation_.empty())
      violation_ = absl::StrCat(address.ToString(), " was given by ", holders.begin()->ToString(), " and ",
                                holders.rbegin()->ToString());
  }
  void OnBack(PeerName peer, const IpAddress& address) { holders_[address].erase(peer); }
  // Nobody uses what it gave any more.
  void OnGone(PeerName peer) {
    for (auto& [address, holders] : holders_) holders.erase(peer);
  }

  // Empty: none so far.
  const std::string& violation() const { return violation_; }

 private:
  std::map<IpAddress, std::set<PeerName>> holders_;
  std::string violation_;
};

// Finds an address that two peers own, each in its own view of the ring. Nothing for none.
class RingChecker {
 public:
  void Add(PeerName peer, const Ring& view);
  const std::string& violation() const { return violation_; }

 private:
  struct Part {
    absl::uint128 end;
    PeerName owner;
  };
  std::map<absl::uint128, Part> parts_;  // by first address
  std::string violation_;
};

struct RingWorldOptions {
  std::uint64_t seed = 1;
  std::size_t peer_count = 5;
  AddressRange universe = {IpAddress::V4(0x0a00'0000), 128};
  bool crashes = true;
  bool partitions = true;
  bool removals = true;               // by themselves, or by others once they are dead
  bool record_before_telling = true;  // false: the bug that the rule of the record excludes
  // Peers are taken over while they live or before their last grants have spread, and old disks are put back. Addresses
  // may be given twice then; but each peer stays consistent and keeps what it gave, and all agree on who owns what.
  bool careless_operator = false;
};

class RingWorld {
 public:
  explicit RingWorld(RingWorldOptions options);

  // One random thing happens.
  void Step();
  // Everybody is up and hears everybody, until there is nothing new.
  void Settle();

  // What is wrong: a refused ring, an inconsistent peer and, but for a careless operator, an address given or owned
  // twice. Empty: nothing.
  const std::string& failure() const {
    return oracle_.violation().empty() || options_.careless_operator ? failure_ : oracle_.violation();
  }
  const AddressOracle& oracle() const { return oracle_; }
  // After Settle.
  bool Agreed() const;
  // As far as who owns what.
  bool AgreedOnOwners() const;
  std::string Describe() const;
  // Every ring that was told to somebody.
  const std::vector<Ring>& told() const { return told_; }
  std::size_t grant_count() const { return grant_count_; }
  std::size_t crash_count() const { return crash_count_; }
  // Addresses that a peer gave and no more owned when it heard of it.
  std::size_t stray_count() const { return stray_count_; }
  std::size_t removal_count() const { return removal_count_; }

 private:
  enum class Life { kUp, kDown, kGone };
  // What is on disk.
  struct Record {
    Ring ring;
    std::set<IpAddress> given;
  };
  struct Peer {
    PeerName name;
    Record record;
    Ring ring;
    Space space;
    std::set<IpAddress> given;
    Life life = Life::kUp;
    bool side = false;  // of the partition
    std::optional<Record> old_disk = {};
  };
  struct Message {
    std::size_t from = 0;
    std::size_t to = 0;
    std::optional<Ring> ring;  // none: a request for space
  };

  const Ring& Tellable(const Peer& peer) const { return options_.record_before_telling ? peer.record.ring : peer.ring; }
  Peer* RandomUp();
  std::size_t IndexOf(PeerName name) const;
  void Allocate(Peer& peer);
  void GiveBack(Peer& peer);
  void Ask(Peer& peer);
  void OnRequest(Peer& peer, std::size_t from);
  void OnRing(Peer& peer, const Ring& ring);
  static void OwnAsByRing(Peer& peer);
  void RecordNow(Peer& peer) { peer.record = {peer.ring, peer.given}; }
  void Tell(const Peer& peer, std::size_t to);
  void TellAll(const Peer& peer);
  void Deliver();
  void Crash(Peer& peer);
  void Restart(Peer& peer);
  void Leave(Peer& peer);
  void TakeOver();
  void TakeOverCarelessly();
  void CheckPeer(const Peer& peer);
  void CheckOwners();
  void Fail(std::string text) {
    if (failure_.empty()) failure_ = std::move(text);
  }

  const RingWorldOptions options_;
  Random random_;
  std::vector<Peer> peers_;
  std::vector<Message> network_;
  bool partitioned_ = false;
  bool settling_ = false;  // nobody crashes
  AddressOracle oracle_;
  std::string failure_;
  std::vector<Ring> told_;
  std::size_t grant_count_ = 0;
  std::size_t crash_count_ = 0;
  std::size_t removal_count_ = 0;
  std::size_t stray_count_ = 0;
};

}  // namespace weave::test
