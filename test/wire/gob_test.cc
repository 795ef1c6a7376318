#include "wire/gob.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/support/catch.h"
#include "test/wire/foreign_gob.h"
#include "test/wire/gob_types.h"
#include "test/wire/vectors.h"

namespace weave {
namespace {

using namespace foreign;  // NOLINT: a vocabulary

constexpr int kBoolId = 1, kIntId = 2, kUintId = 3, kBytesId = 5, kStringId = 6, kInterfaceId = 8;

template <typename T>
T ReadOne(const Bytes& stream) {
  GobReader reader(stream);
  T value{};
  const absl::Status status = reader.Read(value);
  INFO(status);
  REQUIRE(status.ok());
  CHECK_FALSE(reader.HasValue().value());
  return value;
}

template <typename T>
std::string ErrorOf(const Bytes& stream) {
  GobReader reader(stream);
  T value{};
  const absl::Status status = reader.Read(value);
  CHECK((status.ok() || status.code() == absl::StatusCode::kInvalidArgument));
  CHECK(reader.HasValue().ok() == status.ok());  // an error stays
  return std::string(status.message());
}

TEST_CASE("Integers take the bytes they need and come back", "[wire]") {
  const std::vector<std::pair<std::uint64_t, std::string>> rows = {{0, "00"},
                                                                   {127, "7f"},
                                                                   {128, "ff80"},
                                                                   {255, "ffff"},
                                                                   {256, "fe0100"},
                                                                   {0xffffffff, "fcffffffff"},
                                                                   {~std::uint64_t{0}, "f8ffffffffffffffff"}};
  for (const auto& [value, hex] : rows) {
    CAPTURE(value);
    CHECK(ToHex(Uint(value)) == hex);
    CHECK(GobUintSize(value) == Uint(value).size());
    const Bytes bytes = Uint(value);
    GobInput in(bytes);
    std::uint64_t read = 1;
    REQUIRE(in.Uint(read).ok());
    CHECK(read == value);
    CHECK(in.empty());
  }
  for (const std::int64_t value :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{63}, std::int64_t{-64}, std::int64_t{64}, std::int64_t{-65},
        std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
    CAPTURE(value);
    CHECK(ReadOne<std::int64_t>(Value(kIntId, Int(value))) == value);
  }
}

TEST_CASE("Integers with leading zeros are read, those of more than eight bytes are not", "[wire]") {
  CHECK(ReadOne<std::uint64_t>(Value(kUintId, {0xf8, 0, 0, 0, 0, 0, 0, 0, 5})) == 5);
  CHECK(ReadOne<std::uint64_t>(Value(kUintId, {0xff, 0})) == 0);
  CHECK(ErrorOf<std::uint64_t>(Value(kUintId, {0xf7, 1, 0, 0, 0, 0, 0, 0, 0, 0})) ==
        "gob, byte 3: integer of 9 bytes, want at most 8");
}

// Go 1.19's encoding of two values of a struct with Tombstone, Float, Hostname, Complex, Array, ByPoint (a map keyed by
// a struct), Addr, Nothing and Something (interfaces), Time (encodes itself), Flag, Data, List (a recursive type), Deep
// ([][]map[string]struct) and Origin, in this order.
constexpr char kForeignStream[] =
    "ffbcff8103010107466f726569676e01ff8200010f0109546f6d6273746f6e650104000105466c6f61740108000108486f73746e616d65010c"
    "00"
    "0107436f6d706c6578010e000105417272617901ff840001074279506f696e7401ff8a0001044164647201060001074e6f7468696e67011000"
    "01"
    "09536f6d657468696e67011000010454696d6501ff8c000104466c6167010200010444617461010a0001044c69737401ff8e00010444656570"
    "01"
    "ff980001064f726967696e01060000001aff830101010a5b325d666c6f6174333201ff84000108010400002dff890401011b6d61705b6d6169"
    "6e"
    "2e506f696e745d5b5d6d61696e2e506f696e7401ff8a0001ff8601ff88000018ff85030102ff8600010201015801060001015901040000000d"
    "ff"
    "87020102ff880001ff86000010ff8b0501010454696d6501ff8c00000026ff8d030101044e6f646501ff8e00010201044e65787401ff8e0001"
    "05"
    "4c6162656c010c00000028ff97020101195b5d5b5d6d61705b737472696e675d6d61696e2e496e6e657201ff980001ff9600000dff95020102"
    "ff"
    "960001ff9400000fff93040102ff9400010c01ff9000001aff8f030102ff9000010201014101ff880001014201ff9200000026ff9104010115"
    "6d"
    "61705b737472696e675d6d61696e2e506f696e7401ff9200010c01ff860000ff87ff82010d01fef83f010377656201fef03fffc00102fef03f"
    "40"
    "01010103010700020101010400010301080001fc0a200001020a6d61696e2e496e6e6572ff9011010101090112000101017001010102000001"
    "0f"
    "010000000ed0fa260000000000ffff01010104646174610101010203656e6400000001020101016b01010101010200000001050022ff820305"
    "61"
    "6761696e02020000040a6d61696e2e506f696e74ff8605010701100000";

// The definitions of a stream backwards, then its values.
Bytes WithDefinitionsReversed(ByteView stream) {
  Bytes definitions;
  Bytes values;
  GobInput in(stream);
  while (!in.empty()) {
    const ByteView before = in.rest();
    ByteView body;
    REQUIRE(in.ByteString(body).ok());
    std::int64_t id = 0;
    REQUIRE(GobInput(body).Int(id).ok());
    const ByteView message = before.first(before.size() - in.rest().size());
    Bytes& target = id < 0 ? definitions : values;
    target.insert(id < 0 ? target.begin() : target.end(), message.begin(), message.end());
  }
  return Join({definitions, values});
}

TEST_CASE("A struct is read by the names of its fields, whatever else another peer sends with it", "[wire][golden]") {
  const Bytes stream = FromHex(kForeignStream).value();
  for (const Bytes& bytes : {stream, WithDefinitionsReversed(stream)}) {
    GobReader reader(bytes);
    GobNameEntry entry;
    REQUIRE(reader.Read(entry).ok());
    CHECK(entry.tombstone == -7);
    CHECK(entry.hostname == "web");
    CHECK(entry.address == 0x0a200001);
    CHECK(entry.origin == PeerName(5));
    CHECK(entry.container_id.empty());  // did not arrive
    CHECK(entry.version == 0);
    REQUIRE(reader.Read(entry).ok());
    CHECK(entry.hostname == "again");
    CHECK(entry.tombstone == 0);  // nothing is left of the first
    CHECK_FALSE(reader.HasValue().value());
  }
}

TEST_CASE("Type ids are those of the stream, from 64 on", "[wire]") {
  for (const std::int64_t id : {64, 65, 127, 128, 70'000, 0x7fffffff}) {
    CAPTURE(id);
    const std::int64_t list = id == 64 ? 65 : id - 1;
    const GobNames names = ReadOne<GobNames>(Join({
        DefineSlice(list, 99),
        DefineStruct(99, "AnyName", {{"Hostname", kStringId}, {"ContainerID", kStringId}}),
        DefineStruct(id, "", {{"Entries", list}}),
        Message(id, Join({{1, 2, 1}, Text("web"), {0, 2}, Text("c1"), {0, 0}})),
    }));
    REQUIRE(names.entries.size() == 2);
    CHECK(names.entries[0].hostname == "web");
    CHECK(names.entries[1].container_id == "c1");
  }
}

TEST_CASE("Unknown values are stepped over only as deep as a stack may be", "[wire]") {
  // type List struct { Next *List }
  const auto nested = [](std::size_t depth) {
    Bytes value(depth, 1);
    value.insert(value.end(), depth + 1, 0);
    return Join({DefineStruct(66, "List", {{"Next", 66}}), DefineStruct(65, "", {{"Start", kUintId}, {"List", 66}}),
                 Message(65, Join({{1, 9, 1}, value, {0}}))});
  };
  CHECK(ReadOne<GobRange>(nested(kMaxGobSkippedDepth)).start == 9);
  CHECK(ErrorOf<GobRange>(nested(kMaxGobSkippedDepth + 1)).find("nested deeper than 64") != std::string::npos);
  CHECK(ErrorOf<GobRange>(nested(100'000)).find("nested deeper than 64") != std::string::npos);
}

TEST_CASE("A value of another kind than expected is refused, also where nothing of it is sent", "[wire]") {
  const Bytes empty_list = {1, 0};
  const std::vector<std::pair<Bytes, std::string>> rows = {
      {Join({DefineStruct(65, "Names", {{"Timestamp", kUintId}}), Message(65, {0})}),
       "gob: an unsigned integer where a signed integer is expected (field \"Timestamp\")"},
      {Join({DefineStruct(65, "Names", {{"Entries", kBytesId}}), Message(65, {0})}),
       "gob: a byte slice where a slice is expected (field \"Entries\")"},
      {Join({DefineSlice(66, kStringId), DefineStruct(65, "Names", {{"Entries", 66}}), Message(65, {0})}),
       "gob: a string where a struct is expected (field \"Entries\")"},
      {Join({DefineStruct(65, "Names", {{"Timestamp", kIntId}, {"Entries", 66}}), Message(65, {0})}),
       "gob: type 66, which is not defined where a slice is expected (field \"Entries\")"},
      {Join({DefineStruct(67, "Entry", {{"Addr", kIntId}}), DefineSlice(66, 67),
             DefineStruct(65, "Names", {{"Entries", 66}}), Message(65, {0})}),
       "gob: a signed integer where an unsigned integer is expected (field \"Addr\") (field \"Entries\")"},
      {Join({DefineArray(66, 67, 0), DefineStruct(65, "Names", {{"Entries", 66}}), Message(65, {0})}),
       "gob: an array where a slice is expected (field \"Entries\")"},
      {Join({DefineStruct(65, "Point", {{"X", kIntId}}), Message(65, {0})}),
       "gob, byte 29: a struct without any field of GossipData"},
      {Value(kStringId, Text("names")), "gob: a string where a struct is expected"},
      {Message(65, {0}), "gob: type 65, which is not defined where a struct is expected"},
  };
  for (const auto& [stream, message] : rows) CHECK(ErrorOf<GobNames>(stream) == message);
  CHECK(ErrorOf<std::string>(Value(kBytesId, Text("x"))) == "gob: a byte slice where a string is expected");
  CHECK(ErrorOf<bool>(Value(kUintId, {1})) == "gob: an unsigned integer where a bool is expected");
}

TEST_CASE("A struct without fields matches any struct", "[wire]") {
  CHECK(ReadOne<GobRange>(Join({DefineStruct(65, "Empty", {}), Message(65, {0})})).end == 0);
}

TEST_CASE("A number that does not fit is refused", "[wire]") {
  CHECK(ErrorOf<std::uint16_t>(Value(kUintId, Uint(65536))) == "gob, byte 7: 65536 is more than 65535");
  CHECK(ErrorOf<std::uint32_t>(Value(kUintId, Uint(std::uint64_t{1} << 32))) ==
        "gob, byte 9: 4294967296 is more than 4294967295");
  CHECK(ErrorOf<std::int32_t>(Value(kIntId, Int(std::int64_t{1} << 31))) ==
        "gob, byte 9: 2147483648 is not within -2147483648 to 2147483647");
  CHECK(ErrorOf<PeerName>(Value(kUintId, Uint(std::uint64_t{1} << 48))) ==
        "gob, byte 11: 281474976710656 is not a peer name of 48 bits");
  CHECK(ReadOne<PeerName>(Value(kUintId, Uint(0xffffffffffff))) == PeerName(0xffffffffffff));
}

TEST_CASE("Malformed streams are refused with the place and the reason", "[wire]") {
  const Bytes range = DefineStruct(65, "Range", {{"Start", kUintId}, {"End", kUintId}});  // 38 bytes
  const Bytes common = CommonType("", 65);
  const std::vector<std::pair<Bytes, std::string>> rows = {
      {{}, "gob: the stream ends where a struct is expected"},
      {range, "gob: the stream ends where a struct is expected"},
      {{0x80}, "gob, byte 0: integer of 128 bytes, want at most 8"},
      {{0xfe, 1}, "gob, byte 0: integer cut short"},
      {{5, 1, 2}, "gob, byte 1: 5 bytes announced, 2 left"},
      {{0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
       "gob, byte 9: 18446744073709551615 bytes announced, 0 left"},
      {{0}, "gob, byte 1: cut short"},
      {Message(0, {0}), "gob, byte 2: message of type 0"},
      {Message(std::int64_t{1} << 31, {0}), "gob, byte 7: message of type 2147483648"},
      {Message(std::numeric_limits<std::int64_t>::min(), {0}), "gob, byte 10: message of type -9223372036854775808"},
      {Join({range, Message(65, {})}), "gob, byte 41: cut short"},
      {Join({range, Message(65, {1, 5})}), "gob, byte 43: cut short"},
      {Join({range, Message(65, {3, 5, 0})}), "gob, byte 42: field 3 beyond the previous one, the struct has 2"},
      {Join({range, Message(65, {2, 5, 1, 5, 0})}), "gob, byte 44: field 1 beyond the previous one, the struct has 2"},
      {Join({range, Message(65, {0, 0})}), "gob, byte 42: 1 bytes left over after a value"},
      {Join({range, range}), "gob, byte 41: second definition of type 65"},
      {DefineStruct(63, "Range", {{"Start", kUintId}}), "gob, byte 2: definition of the reserved type 63"},
      {Message(-65, {0}), "gob, byte 4: definition with 0 types, want one"},
      {Message(-65, Join({{2}, common, {1}, Int(6), {0, 1}, common, {0, 0}})),
       "gob, byte 20: definition with 2 types, want one"},
      {Message(-65, Join({{1}, common, {1}, Int(6), {0, 1}, common, {1}, Int(6), {0, 0}})),
       "gob, byte 22: definition with 2 types, want one"},
      {Message(-65, {8, 0}), "gob, byte 4: field 8 beyond the previous one, the struct has 7"},
      {Message(-65, Join({{2}, common, {0, 0}})), "gob, byte 11: definition of a slice without its element's type"},
      {Message(-65, Join({{4}, common, {2}, Int(6), {0, 0}})),
       "gob, byte 13: definition of a map without its element's type"},
      {DefineSlice(65, 0), "gob, byte 11: type id 0 in a definition"},
      {DefineSlice(65, -65), "gob, byte 12: type id -65 in a definition"},
      {DefineArray(65, 6, -1), "gob, byte 13: array of -1 elements"},
      {DefineStruct(65, "", {{"", kUintId}}), "gob, byte 16: field without name or type in a definition"},
      {Message(-65, Join({{2}, common, {1}, Int(6), {0, 0, 0}})), "gob, byte 13: 1 bytes left over after a definition"},
      {Message(-65, Join({{3}, common, {1, 0x7f}})), "gob, byte 11: 127 elements announced in 0 bytes"},
      {Join({DefineStruct(66, "", {{"Start", kUintId}, {"X", 67}}), Message(66, {2, 0, 0})}),
       "gob, byte 34: value of type 67, which is not defined"},
      {Join({DefineStruct(66, "", {{"Start", kUintId}, {"X", 67}}), DefineArray(67, kBoolId, 3),
             Message(66, {2, 2, 1, 1, 0})}),
       "gob, byte 50: 2 elements of an array of 3"},
      {Join({DefineStruct(66, "", {{"Start", kUintId}, {"X", kInterfaceId}}),
             Message(66, Join({{2}, Text("T"), Int(-67), {0}}))}),
       "gob, byte 37: definition inside a value"},
  };
  for (const auto& [stream, message] : rows) {
    CAPTURE(ToHex(stream));
    CHECK(ErrorOf<GobRange>(stream) == message);
  }
  CHECK(ErrorOf<std::string>(Message(kStringId, Join({{1}, Text("x")}))) ==
        "gob, byte 3: no zero before a value that is not a struct");
}

TEST_CASE("A count is believed only as far as the bytes reach", "[wire]") {
  CHECK(ErrorOf<std::vector<std::string>>(Join({DefineSlice(65, kStringId), Value(65, Uint(1'000'000'000))})) ==
        "gob, byte 22: 1000000000 elements announced in 0 bytes");
  using Map = absl::btree_map<std::string, std::string>;
  CHECK(ErrorOf<Map>(Join({DefineMap(65, kStringId, kStringId), Value(65, Join({Uint(4), {0, 0, 0}}))})) ==
        "gob, byte 20: 4 elements announced in 3 bytes");
  // Each pair takes two bytes.
  CHECK(ErrorOf<Map>(Join({DefineMap(65, kStringId, kStringId), Value(65, Join({Uint(3), {0, 0, 0}}))})) ==
        "gob, byte 23: cut short");
}

TEST_CASE("Definitions are taken in up to a limit far above any peer's needs", "[wire]") {
  Bytes stream;
  for (std::int64_t id = 66; id < 66 + 255; ++id) stream = Join({stream, DefineSlice(id, kStringId)});
  const Bytes last = Join({DefineStruct(65, "Range", {{"Start", kUintId}}), Message(65, {1, 7, 0})});
  CHECK(ReadOne<GobRange>(Join({stream, last})).start == 7);
  CHECK(ErrorOf<GobRange>(Join({stream, DefineSlice(1000, kStringId), last})).find("more than 256 definitions") !=
        std::string::npos);

  Fields fields(kMaxGobFields, {"Other", kUintId});
  fields.back().first = "End";
  CHECK(ReadOne<GobRange>(Join({DefineStruct(65, "", fields), Message(65, Join({Uint(1024), {5, 0}}))})).end == 5);
  fields.push_back({"Start", kUintId});
  CHECK(ErrorOf<GobRange>(DefineStruct(65, "", fields)).find("struct of 1025 fields, want at most 1024") !=
        std::string::npos);
}

TEST_CASE("A stream cut anywhere is refused, except between its messages", "[wire]") {
  for (const char* name : {"ipam-paxos-accepted", "dns-2", "persist-owned"}) {
    CAPTURE(name);
    const Bytes stream = ReadGobStream(name);
    for (std::size_t size = 0; size < stream.size(); ++size) {
      CAPTURE(size);
      const ByteView cut = ByteView(stream).first(size);
      GobIpamState ipam;
      GobNames names;
      std::vector<std::pair<std::string, GobOwned>> owned;
      CHECK_FALSE(GobReader(cut).Read(ipam).ok());
      CHECK_FALSE(GobReader(cut).Read(names).ok());
      CHECK_FALSE(GobReader(cut).Read(owned).ok());
    }
  }
}

TEST_CASE("Of the same key twice in a map the last value stays", "[wire]") {
  const Bytes stream =
      Join({DefineMap(65, kUintId, kStringId), Value(65, Join({{2}, Uint(7), Text("first"), Uint(7), Text("last")}))});
  const auto map = ReadOne<absl::btree_map<PeerName, std::string>>(stream);
  CHECK(map == absl::btree_map<PeerName, std::string>{{PeerName(7), "last"}});
  CHECK(ReadOne<std::vector<std::pair<PeerName, std::string>>>(stream).size() == 2);
}

TEST_CASE("An empty map and no map are two things", "[wire]") {
  CHECK_FALSE(ReadOne<GobIpamState>(ReadGobStream("ipam-observer")).paxos.has_value());
  const GobIpamState elector = ReadOne<GobIpamState>(ReadGobStream("ipam-elector-empty"));
  REQUIRE(elector.paxos.has_value());
  CHECK(elector.paxos->empty());
}

TEST_CASE("A type is defined once in a stream, however often its values are sent", "[wire]") {
  GobWriter writer;
  writer.Write(GobRange{1, 2});
  CHECK(ToHex(writer.Take()) ==
        "25ff810301010552616e676501ff82000102010553746172740106000103456e640106000000"
        "07ff820101010200");
  writer.Write(GobRange{0, 3});
  CHECK(ToHex(writer.Take()) == "05ff82020300");
  writer.Write(std::vector<GobRange>{{4, 0}});
  CHECK(ToHex(writer.Take()) == "0dff83020102ff840001ff82000007ff840001010400");
}

TEST_CASE("A value can be stepped over by its type alone", "[wire]") {
  const Bytes stream = Join({Value(kStringId, Text("one")), Value(kUintId, {0xff}), Value(kStringId, Text("two"))});
  GobReader reader(stream);
  REQUIRE(reader.Skip<std::string>().ok());
  REQUIRE(reader.Skip<std::uint64_t>().ok());  // cut short, but nobody looked
  std::string text;
  REQUIRE(reader.Read(text).ok());
  CHECK(text == "two");
  CHECK(reader.rest().empty());
  CHECK_FALSE(GobReader(stream).Skip<std::uint64_t>().ok());
}

TEST_CASE("Long messages have their size before them", "[wire]") {
  for (const std::size_t size : {0, 1, 123, 124, 125, 126, 250, 255, 256, 65'530, 65'536, 100'000}) {
    CAPTURE(size);
    const Bytes value(size, 0x5a);
    GobWriter writer;
    writer.Write(value);
    Bytes in_one_pass;
    AppendGobBytesMessage(value, in_one_pass);
    const Bytes bytes = writer.Take();
    CHECK(bytes == in_one_pass);
    CHECK(ReadOne<Bytes>(bytes) == value);
  }
}

}  // namespace
}  // namespace weave
