#include "dns/name_comparison.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "dns/name_registry.h"
#include "wire/gob.h"

namespace weave {

// Parts stand in byte slices, each in the same number of bytes.
struct WireNameComparison {
  std::int64_t timestamp = 0;
  Bytes sums;
  Bytes wanted;
};

template <>
struct GobDescription<WireNameComparison>
    : GobStruct<"nameComparison",  //
                GobField<"Timestamp", &WireNameComparison::timestamp>, GobField<"Sums", &WireNameComparison::sums>,
                GobField<"Wanted", &WireNameComparison::wanted>> {};

namespace {

constexpr std::size_t kPartSize = 2;
constexpr std::size_t kCountSize = 4;
constexpr std::size_t kFingerprintsSize = 8;
constexpr std::size_t kSumSize = kPartSize + kCountSize + kFingerprintsSize;

absl::Status CheckSize(absl::string_view what, ByteView bytes, std::size_t size) {
  if (bytes.size() % size == 0 && bytes.size() / size <= kMaxPartCount) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("name comparison: ", what, " in ", bytes.size(),
                                                 " bytes, want a multiple of ", size, " up to ", size * kMaxPartCount));
}

absl::Status TakePart(ByteView& bytes, NamePart& part) {
  const std::uint64_t number = TakeBigEndian(kPartSize, bytes);
  if (!IsNamePart(number))
    return absl::InvalidArgumentError(
        absl::StrCat("name comparison: part ", number, ", want 1, 64 to 127 or 4096 to 8191"));
  part = static_cast<NamePart>(number);
  return absl::OkStatus();
}

}  // namespace

Bytes EncodeNameComparison(const NameComparison& comparison) {
  WireNameComparison wire;
  wire.timestamp = comparison.timestamp;
  wire.sums.reserve(comparison.sums.size() * kSumSize);
  for (const NameComparison::Sum& sum : comparison.sums) {
    AppendBigEndian(sum.part, kPartSize, wire.sums);
    AppendBigEndian(sum.of.count, kCountSize, wire.sums);
    AppendBigEndian(sum.of.fingerprints, kFingerprintsSize, wire.sums);
  }
  for (const NamePart part : comparison.wanted) AppendBigEndian(part, kPartSize, wire.wanted);
  GobWriter writer;
  writer.Write(wire);
  return writer.Take();
}

absl::StatusOr<NameComparison> DecodeNameComparison(ByteView payload) {
  GobReader reader(payload);
  WireNameComparison wire;
  RETURN_IF_ERROR(Annotate(reader.Read(wire), "name comparison"));
  RETURN_IF_ERROR(CheckSize("sums", wire.sums, kSumSize));
  RETURN_IF_ERROR(CheckSize("wanted parts", wire.wanted, kPartSize));
  NameComparison comparison;
  comparison.timestamp = wire.timestamp;
  comparison.sums.resize(wire.sums.size() / kSumSize);
  ByteView sums = wire.sums;
  for (NameComparison::Sum& sum : comparison.sums) {
    RETURN_IF_ERROR(TakePart(sums, sum.part));
    sum.of.count = static_cast<std::uint32_t>(TakeBigEndian(kCountSize, sums));
    sum.of.fingerprints = TakeBigEndian(kFingerprintsSize, sums);
  }
  comparison.wanted.resize(wire.wanted.size() / kPartSize);
  ByteView wanted = wire.wanted;
  for (NamePart& part : comparison.wanted) RETURN_IF_ERROR(TakePart(wanted, part));
  return comparison;
}

void NameComparisonGossip::Merge(const GossipData& other) {
  const auto& more = static_cast<const NameComparisonGossip&>(other);
  timestamp_ = std::max(timestamp_, more.timestamp_);
  sums_.insert(more.sums_.begin(), more.sums_.end());
  wanted_.insert(more.wanted_.begin(), more.wanted_.end());
}

std::vector<Bytes> NameComparisonGossip::Encode() const {
  NameComparison comparison;
  comparison.timestamp = timestamp_;
  for (const NamePart part : sums_) comparison.sums.push_back({part, registry_.SumOf(part)});
  comparison.wanted.assign(wanted_.begin(), wanted_.end());
  return {EncodeNameComparison(comparison)};
}

}  // namespace weave
