#include "wire/handshake.h"

#include <algorithm>
#include <array>
#include <limits>

#include "absl/container/btree_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "wire/gob.h"

namespace weave {
namespace {

constexpr absl::string_view kMagic = "weave";
constexpr absl::string_view kFlavour = "mac";

using FeatureMap = absl::btree_map<absl::string_view, absl::string_view>;

absl::Status Malformed(absl::string_view key, absl::string_view value, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat("feature ", key, " is \"", value, "\", want ", wanted));
}

absl::StatusOr<absl::string_view> Required(const FeatureMap& map, absl::string_view key) {
  const auto found = map.find(key);
  if (found == map.end()) return absl::InvalidArgumentError(absl::StrCat("feature ", key, " is missing"));
  return found->second;
}

std::optional<absl::string_view> Optional(const FeatureMap& map, absl::string_view key) {
  const auto found = map.find(key);
  if (found == map.end()) return std::nullopt;
  return found->second;
}

// Digits only, in the range `low` to `high`.
absl::StatusOr<std::uint64_t> ParseNumber(absl::string_view key, absl::string_view text, std::uint64_t low,
                                          std::uint64_t high) {
  std::uint64_t value = 0;
  bool valid = !text.empty();
  for (const char c : text) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    valid = valid && digit <= 9 && value <= (high - digit) / 10;
    if (valid) value = value * 10 + digit;
  }
  if (!valid || value < low) return Malformed(key, text, absl::StrCat("a decimal number of ", low, " to ", high));
  return value;
}

// What the reference peer's language takes for a boolean.
absl::StatusOr<bool> ParseBool(absl::string_view key, absl::string_view text) {
  for (const absl::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == yes) return true;
  }
  for (const absl::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == no) return false;
  }
  return Malformed(key, text, "true or false");
}

absl::StatusOr<PublicKey> ParsePublicKey(absl::string_view text) {
  const absl::StatusOr<Bytes> bytes = FromHex(text);
  PublicKey key;
  if (!bytes.ok() || bytes->size() != key.size())
    return Malformed("PublicKey", text, absl::StrCat(2 * key.size(), " hex digits"));
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

constexpr std::uint64_t kMaxNumber = std::numeric_limits<std::uint64_t>::max();

absl::StatusOr<Features> FromMap(const FeatureMap& map, int version) {
  Features features;
  ASSIGN_OR_RETURN(const absl::string_view flavour, Required(map, "PeerNameFlavour"));
  if (flavour != kFlavour) return Malformed("PeerNameFlavour", flavour, absl::StrCat("\"", kFlavour, "\""));
  ASSIGN_OR_RETURN(const absl::string_view name, Required(map, "Name"));
  ASSIGN_OR_RETURN(features.name, PeerName::Parse(name));
  ASSIGN_OR_RETURN(const absl::string_view nickname, Required(map, "NickName"));
  features.nickname = std::string(nickname);
  ASSIGN_OR_RETURN(const absl::string_view uid, Required(map, "UID"));
  ASSIGN_OR_RETURN(features.uid, ParseNumber("UID", uid, 1, kMaxNumber));
  ASSIGN_OR_RETURN(const absl::string_view connection_id, Required(map, "ConnID"));
  ASSIGN_OR_RETURN(features.connection_id, ParseNumber("ConnID", connection_id, 0, kMaxNumber));
  if (version == 1) {
    if (const auto key = Optional(map, "PublicKey")) {
      ASSIGN_OR_RETURN(features.public_key, ParsePublicKey(*key));
    }
    return features;
  }
  if (const auto short_id = Optional(map, "ShortID")) {
    ASSIGN_OR_RETURN(const std::uint64_t value, ParseNumber("ShortID", *short_id, 0, kMaxShortId));
    features.short_id = static_cast<ShortId>(value);
  }
  if (const auto trusted = Optional(map, "Trusted")) {
    ASSIGN_OR_RETURN(features.trusted, ParseBool("Trusted", *trusted));
  }
  if (const auto inventory = Optional(map, "TopologyInventory")) {
    ASSIGN_OR_RETURN(features.inventory, ParseBool("TopologyInventory", *inventory));
  }
  if (const auto channels = Optional(map, "ComparedChannels")) {
    if (channels->size() > kMaxChannelListSize)
      return absl::InvalidArgumentError(absl::StrCat("feature ComparedChannels has ", channels->size(),
                                                     " bytes, want at most ", kMaxChannelListSize));
    features.compared_channels = std::string(*channels);
  }
  if (const auto overlays = Optional(map, "Overlays")) features.overlays = std::string(*overlays);
  return features;
}

}  // namespace

Bytes EncodeVersionHeader(VersionRange range) {
  Bytes header(kMagic.begin(), kMagic.end());
  header.push_back(static_cast<std::uint8_t>(range.min));
  header.push_back(static_cast<std::uint8_t>(range.max));
  return header;
}

absl::StatusOr<VersionRange> DecodeVersionHeader(ByteView header) {
  CHECK(header.size() == kVersionHeaderSize) << header.size();
  if (AsText(header.first(kMagic.size())) != kMagic)
    return absl::InvalidArgumentError(absl::StrCat("the other end is not a peer: it opened with ", ToHex(header),
                                                   ", want ", ToHex(AsBytes(kMagic)), " and two version numbers"));
  return VersionRange{header[kMagic.size()], header[kMagic.size() + 1]};
}

absl::StatusOr<int> ChooseVersion(VersionRange ours, VersionRange theirs) {
  const int version = std::min(ours.max, theirs.max);
  if (version < std::max(ours.min, theirs.min))
    return absl::FailedPreconditionError(absl::StrCat("no protocol version in common: ours are ", ours.min, " to ",
                                                      ours.max, ", theirs ", theirs.min, " to ", theirs.max));
  return version;
}

Bytes EncodeFeatures(const Features& features, int version) {
  FeatureMap map;
  const std::string name = features.name.ToString();
  const std::string uid = absl::StrCat(features.uid);
  const std::string connection_id = absl::StrCat(features.connection_id);
  const std::string short_id = absl::StrCat(features.short_id.value_or(0));
  const std::string public_key = features.public_key.has_value() ? ToHex(*features.public_key) : "";
  map["PeerNameFlavour"] = kFlavour;
  map["Name"] = name;
  map["NickName"] = features.nickname;
  map["UID"] = uid;
  map["ConnID"] = connection_id;
  if (version == 1) {
    if (features.public_key.has_value()) map["PublicKey"] = public_key;
  } else {
    if (features.short_id.has_value()) map["ShortID"] = short_id;
    map["Trusted"] = features.trusted ? "true" : "false";
    if (features.overlays.has_value()) map["Overlays"] = *features.overlays;
    if (features.inventory) map["TopologyInventory"] = "true";
    if (!features.compared_channels.empty()) map["ComparedChannels"] = features.compared_channels;
  }
  GobWriter writer;
  writer.Write(map);
  return writer.Take();
}

absl::StatusOr<Features> DecodeFeatures(ByteView stream, int version) {
  GobReader reader(stream);
  FeatureMap map;
  RETURN_IF_ERROR(Annotate(reader.Read(map), "features"));
  return FromMap(map, version);
}

}  // namespace weave
