// A registry in a network whose peers a test names, on a clock that it turns.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "base/log.h"
#include "dns/name_messages.h"
#include "dns/name_registry.h"
#include "test/support/catch.h"

namespace weave::test {

constexpr PeerName kSelf(1);
constexpr PeerName kFriend(2);
constexpr PeerName kOther(3);

inline std::uint32_t V4(const std::string& text) { return IpAddress::Parse(text).value().v4(); }

struct Peers final : KnownPeers {
  bool IsKnown(PeerName peer) const override { return known.contains(peer); }
  std::set<PeerName> known = {kSelf, kFriend, kOther};
};

struct NameWorld {
  explicit NameWorld(PeerName self = kSelf, const std::string& domain = "weave.local.")
      : names(self, domain, peers, logger) {}

  Now now() const {
    return {MonotonicTime(absl::ToInt64Nanoseconds(elapsed)), absl::FromUnixSeconds(1'800'000'000) + elapsed};
  }

  // As `sender` says them now.
  Bytes Message(std::vector<NameEntry> entries, Duration skew = absl::ZeroDuration()) const {
    std::vector<NameEntryPtr> shared;
    for (NameEntry& entry : entries) shared.push_back(std::make_shared<const NameEntry>(std::move(entry)));
    return EncodeNames(absl::ToUnixSeconds(now().wall + skew), shared);
  }
  // Tag 4: what is passed on.
  std::vector<NameEntry> Hear(std::vector<NameEntry> entries) {
    return Entries(names.OnGossip(now(), kFriend, Message(std::move(entries))).value().get());
  }
  // What we tell of our own since the last call.
  std::vector<NameEntry> Told() { return Entries(names.TakeBroadcast(now()).get()); }

  static std::vector<NameEntry> Entries(const GossipData* data) {
    std::vector<NameEntry> entries;
    if (data == nullptr) return entries;
    for (const Bytes& payload : data->Encode()) {
      const NameMessage message = DecodeNames(payload).value();
      for (const NameEntryView& view : message.entries) entries.push_back(view.ToEntry());
    }
    return entries;
  }

  std::vector<std::uint32_t> Lookup(const std::string& name) const {
    const absl::Span<const std::uint32_t> found = names.Lookup(FoldName(name));
    return {found.begin(), found.end()};
  }

  Peers peers;
  NullLogger logger;
  Duration elapsed = absl::ZeroDuration();
  NameRegistry names;
};

inline NameEntry Name(PeerName origin, const std::string& container, const std::string& address,
                      const std::string& hostname, std::int64_t version = 0, std::int64_t tombstone = 0) {
  return {container, origin, V4(address), hostname, version, tombstone};
}

}  // namespace weave::test

namespace weave {

inline std::ostream& operator<<(std::ostream& out, const NameEntry& e) {
  return out << e.hostname << " " << IpAddress::V4(e.address) << " " << e.container << "@" << e.origin << " v"
             << e.version << " t" << e.tombstone;
}

}  // namespace weave
