#include "wire/handshake.h"

#include <string>
#include <utility>
#include <vector>

#include "test/support/catch.h"
#include "wire/gob.h"

namespace weave {
namespace {

using TextMap = std::vector<std::pair<std::string, std::string>>;  // keys may repeat

TextMap Typical() {
  return {{"PeerNameFlavour", "mac"},
          {"Name", "00:00:00:00:00:02"},
          {"NickName", "peer2"},
          {"UID", "6416987608517698510"},
          {"ConnID", "18446744073709551615"},
          {"ShortID", "553"},
          {"Trusted", "true"},
          {"Overlays", "fastdp sleeve"}};
}

TextMap With(const std::string& key, const std::string& value) {
  TextMap map = Typical();
  map.emplace_back(key, value);
  return map;
}

TextMap Without(const std::string& key) {
  TextMap map = Typical();
  map.erase(std::find_if(map.begin(), map.end(), [&](const auto& pair) { return pair.first == key; }));
  return map;
}

absl::StatusOr<Features> Decode(const TextMap& map, int version = 2) {
  GobWriter writer;
  writer.Write(map);
  return DecodeFeatures(writer.Take(), version);
}

std::string ErrorOf(const TextMap& map, int version = 2) {
  const auto features = Decode(map, version);
  CHECK(features.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(features.status().message());
}

Features TypicalFeatures() {
  Features features;
  features.name = PeerName(2);
  features.nickname = "peer2";
  features.uid = 6416987608517698510U;
  features.connection_id = ~std::uint64_t{0};
  features.short_id = 553;
  features.trusted = true;
  features.overlays = "fastdp sleeve";
  return features;
}

TEST_CASE("The version header is seven bytes", "[wire]") {
  CHECK(ToHex(EncodeVersionHeader({})) == "77656176650102");
  CHECK(ToHex(EncodeVersionHeader({2, 2})) == "77656176650202");
  CHECK(DecodeVersionHeader(FromHex("77656176650109").value()).value() == VersionRange{1, 9});
  CHECK(DecodeVersionHeader(FromHex("77656176650201").value()).value() == VersionRange{2, 1});
  CHECK(std::string(DecodeVersionHeader(AsBytes("GET / H")).status().message()) ==
        "the other end is not a peer: it opened with 474554202f2048, want 7765617665 and two version numbers");
}

TEST_CASE("Two peers use the highest version both have", "[wire]") {
  struct Row {
    VersionRange ours, theirs;
    int version;  // 0: none
  };
  for (const Row& row : {Row{{1, 2}, {1, 2}, 2}, Row{{1, 2}, {1, 1}, 1}, Row{{1, 2}, {1, 9}, 2}, Row{{2, 2}, {1, 2}, 2},
                         Row{{2, 2}, {1, 1}, 0}, Row{{1, 2}, {3, 9}, 0}, Row{{1, 2}, {2, 1}, 0},
                         Row{{1, 2}, {0, 255}, 2}, Row{{1, 2}, {0, 0}, 0}}) {
    CAPTURE(row.ours.min, row.ours.max, row.theirs.min, row.theirs.max);
    const auto version = ChooseVersion(row.ours, row.theirs);
    CHECK(version.value_or(0) == row.version);
    if (!version.ok()) CHECK(version.status().code() == absl::StatusCode::kFailedPrecondition);
  }
  CHECK(std::string(ChooseVersion({1, 2}, {3, 9}).status().message()) ==
        "no protocol version in common: ours are 1 to 2, theirs 3 to 9");
}

TEST_CASE("Features of version 2 are read", "[wire]") { CHECK(Decode(Typical()).value() == TypicalFeatures()); }

TEST_CASE("Version 1 has neither short id nor trust nor overlays, whatever is sent", "[wire]") {
  Features expected = TypicalFeatures();
  expected.short_id.reset();
  expected.trusted = false;
  expected.overlays.reset();
  CHECK(Decode(Typical(), 1).value() == expected);
  CHECK(Decode(With("ShortID", "nonsense"), 1).value() == expected);
  expected.public_key.emplace().fill(0xab);
  std::string hex;
  for (int i = 0; i < 32; ++i) hex += i % 2 == 0 ? "ab" : "AB";
  CHECK(Decode(With("PublicKey", hex), 1).value() == expected);
}

TEST_CASE("What only some peers send may be absent, and what nobody knows is ignored", "[wire]") {
  CHECK_FALSE(Decode(Without("ShortID")).value().short_id.has_value());
  CHECK_FALSE(Decode(Without("Trusted")).value().trusted);
  CHECK_FALSE(Decode(Without("Overlays")).value().overlays.has_value());
  CHECK(Decode(With("Colour", "blue")).value() == TypicalFeatures());
  CHECK(Decode(With("PublicKey", "nonsense")).value() == TypicalFeatures());
  CHECK(Decode(With("NickName", "")).value().nickname.empty());
  CHECK(Decode(With("ComparedChannels", "one two")).value().compared_channels == "one two");
  CHECK(Decode(With("ComparedChannels", std::string(1025, 'c'))).status().message() ==
        "feature ComparedChannels has 1025 bytes, want at most 1024");
  CHECK(Decode(With("Overlays", "")).value().overlays == "");
}

TEST_CASE("Of a feature sent twice the last counts", "[wire]") {
  CHECK(Decode(With("NickName", "other")).value().nickname == "other");
}

TEST_CASE("Booleans are read as the reference peer reads them", "[wire]") {
  for (const char* yes : {"1", "t", "T", "TRUE", "true", "True"}) CHECK(Decode(With("Trusted", yes)).value().trusted);
  for (const char* no : {"0", "f", "F", "FALSE", "false", "False"})
    CHECK_FALSE(Decode(With("Trusted", no)).value().trusted);
  for (const char* neither : {"", "yes", "tRUE", "2", " true"}) CHECK_FALSE(Decode(With("Trusted", neither)).ok());
}

TEST_CASE("Numbers are decimal, of digits only", "[wire]") {
  CHECK(Decode(With("UID", "0007")).value().uid == 7);
  CHECK(Decode(With("ConnID", "0")).value().connection_id == 0);
  CHECK(Decode(With("ShortID", "4095")).value().short_id == 4095);
  CHECK(Decode(With("ShortID", "0")).value().short_id == 0);
  for (const char* text :
       {"", "-1", "+1", "1 ", " 1", "0x1", "1_0", "18446744073709551616", "99999999999999999999", "1.0"})
    CHECK_FALSE(Decode(With("ConnID", text)).ok());
}

TEST_CASE("A missing or malformed feature is refused by name", "[wire]") {
  for (const char* key : {"PeerNameFlavour", "Name", "NickName", "UID", "ConnID"}) {
    CHECK(ErrorOf(Without(key)) == absl::StrCat("feature ", key, " is missing"));
    CHECK(ErrorOf(Without(key), 1) == absl::StrCat("feature ", key, " is missing"));
  }
  CHECK(ErrorOf(With("PeerNameFlavour", "hash")) == "feature PeerNameFlavour is \"hash\", want \"mac\"");
  CHECK(ErrorOf(With("Name", "peer")).find("invalid peer name \"peer\"") == 0);
  CHECK(ErrorOf(With("Name", "00:00:00:00:00:00")).find("invalid peer name") == 0);
  CHECK(ErrorOf(With("UID", "0")) == "feature UID is \"0\", want a decimal number of 1 to 18446744073709551615");
  CHECK(ErrorOf(With("ShortID", "4096")) == "feature ShortID is \"4096\", want a decimal number of 0 to 4095");
  CHECK(ErrorOf(With("Trusted", "maybe")) == "feature Trusted is \"maybe\", want true or false");
  CHECK(ErrorOf(With("PublicKey", "abcd"), 1) == "feature PublicKey is \"abcd\", want 64 hex digits");
}

TEST_CASE("What is not a feature map is refused", "[wire]") {
  for (const char* hex : {"", "00", "0b0c0008746f706f6c6f6779", "0eff81040102ff8200010c010c0000"}) {
    CAPTURE(hex);
    const auto features = DecodeFeatures(FromHex(hex).value(), 2);
    CHECK(features.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(features.status().message()).find("features: ") == 0);
  }
}

TEST_CASE("Features are written in alphabetical order, each version with its own", "[wire]") {
  const auto keys = [](const Features& features, int version) {
    const Bytes stream = EncodeFeatures(features, version);
    CHECK(DecodeFeatures(stream, version).ok());
    GobReader reader(stream);
    TextMap map;
    REQUIRE(reader.Read(map).ok());
    std::string text;
    for (const auto& [key, value] : map) absl::StrAppend(&text, key, "=", value, "\n");
    return text;
  };
  Features features = TypicalFeatures();
  CHECK(keys(features, 2) ==
        "ConnID=18446744073709551615\nName=00:00:00:00:00:02\nNickName=peer2\nOverlays=fastdp sleeve\n"
        "PeerNameFlavour=mac\nShortID=553\nTrusted=true\nUID=6416987608517698510\n");
  features.public_key.emplace().fill(0xab);
  CHECK(keys(features, 1) == absl::StrCat("ConnID=18446744073709551615\nName=00:00:00:00:00:02\nNickName=peer2\n"
                                          "PeerNameFlavour=mac\nPublicKey=",
                                          ToHex(*features.public_key), "\nUID=6416987608517698510\n"));
}

}  // namespace
}  // namespace weave
