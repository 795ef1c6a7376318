// What name servers say to each other (spec/dns.md section 1), as bytes and as values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "dns/name_entry.h"

namespace weave {

// The channel's name.
inline constexpr char kNameChannel[] = "nameserver";

// An entry that points into the bytes it was read from: most that arrive are known, and copied nowhere.
struct NameEntryView {
  absl::string_view container;
  PeerName origin;
  std::uint32_t address = 0;
  absl::string_view hostname;
  std::int64_t version = 0;
  std::int64_t tombstone = 0;

  NameEntry ToEntry() const {
    return {std::string(container), origin, address, std::string(hostname), version, tombstone};
  }
};

struct NameMessage {
  std::int64_t timestamp = 0;  // the sender's clock when it composed the message, seconds since 1970
  std::vector<NameEntryView> entries;
};

// `entries` are sorted by identity, none twice: a 2.8 peer ends its process otherwise.
Bytes EncodeNames(std::int64_t timestamp, absl::Span<const NameEntryPtr> entries);

// Entries in the order of the wire, perhaps twice. InvalidArgument for what is no such message, and for entries without
// a name, which say nothing and of which many fit in few bytes.
absl::StatusOr<NameMessage> DecodeNames(ByteView bytes);

}  // namespace weave
