#include "dns/name_messages.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "wire/gob.h"

namespace weave {

// As it stands on the wire (spec/gob.md section 7).
struct WireNames {
  std::int64_t timestamp = 0;
  std::vector<NameEntryView> entries = {};
};

template <>
struct GobDescription<NameEntryView>
    : GobStruct<"Entry", GobField<"ContainerID", &NameEntryView::container>, GobField<"Origin", &NameEntryView::origin>,
                GobField<"Addr", &NameEntryView::address>, GobField<"Hostname", &NameEntryView::hostname>,
                GobField<"Version", &NameEntryView::version>, GobField<"Tombstone", &NameEntryView::tombstone>> {};

// One entry at a time: what promises more than it brings is found out at the first that is missing.
template <GobText kTypeName>
struct GobCodec<std::vector<NameEntryView>, kTypeName> {
  static constexpr GobType kType{
      .kind = GobKind::kSlice, .name = kTypeName.view(), .element = &GobCodec<NameEntryView>::kType};
  static bool Omitted(const std::vector<NameEntryView>& entries) { return entries.empty(); }

  static void Encode(const std::vector<NameEntryView>& entries, Bytes& out) {
    AppendGobUint(entries.size(), out);
    for (const NameEntryView& entry : entries) GobCodec<NameEntryView>::Encode(entry, out);
  }

  static absl::Status Decode(GobInput& in, const GobDefinitions& definitions, GobTypeId id,
                             std::vector<NameEntryView>& entries) {
    std::size_t count = 0;
    RETURN_IF_ERROR(in.Count(count));
    entries.clear();
    entries.reserve(std::min(count, in.rest().size() / kUsualEntrySize));
    const GobTypeId element = definitions.Find(id)->element;
    for (std::size_t i = 0; i < count; ++i) {
      NameEntryView& entry = entries.emplace_back();
      RETURN_IF_ERROR(GobCodec<NameEntryView>::Decode(in, definitions, element, entry));
      if (entry.hostname.empty()) return in.Invalid("an entry without a hostname");
    }
    return absl::OkStatus();
  }

  // Field numbers, a short id, origin, address, a short name, end.
  static constexpr std::size_t kUsualEntrySize = 24;
};

template <>
struct GobDescription<WireNames> : GobStruct<"GossipData", GobField<"Timestamp", &WireNames::timestamp>,
                                             GobField<"Entries", &WireNames::entries, "Entries">> {};

Bytes EncodeNames(std::int64_t timestamp, absl::Span<const NameEntryPtr> entries) {
  WireNames wire{.timestamp = timestamp};
  wire.entries.reserve(entries.size());
  for (const NameEntryPtr& entry : entries)
    wire.entries.push_back(
        {entry->container, entry->origin, entry->address, entry->hostname, entry->version, entry->tombstone});
  GobWriter writer;
  writer.Write(wire);
  return writer.Take();
}

absl::StatusOr<NameMessage> DecodeNames(ByteView bytes) {
  WireNames wire;
  GobReader reader(bytes);
  RETURN_IF_ERROR(Annotate(reader.Read(wire), "names"));
  return NameMessage{wire.timestamp, std::move(wire.entries)};
}

}  // namespace weave
