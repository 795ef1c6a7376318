#include "wire/framing.h"

#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/wire/foreign_gob.h"
#include "wire/gob.h"
#include "wire/messages.h"

namespace weave {
namespace {

Bytes Body(absl::string_view text) { return Bytes(text.begin(), text.end()); }

// What Next gives until it wants more or gives up.
std::vector<std::string> Messages(FrameReader& reader, absl::Status* error = nullptr) {
  std::vector<std::string> messages;
  for (;;) {
    const auto message = reader.Next();
    if (!message.ok()) {
      REQUIRE(error != nullptr);
      *error = message.status();
      return messages;
    }
    if (!message->has_value()) return messages;
    messages.emplace_back((*message)->begin(), (*message)->end());
  }
}

std::string ErrorOf(int version, const std::vector<Bytes>& chunks) {
  FrameReader reader(version);
  absl::Status error;
  for (const Bytes& chunk : chunks) {
    reader.Append(chunk);
    Messages(reader, &error);
  }
  CHECK(error.code() == absl::StatusCode::kInvalidArgument);
  // The stream is over: nothing is kept, and no more is taken.
  reader.Append(Bytes(1000));
  CHECK(reader.buffered_size() == 0);
  CHECK_FALSE(reader.Next().ok());
  return std::string(error.message());
}

// The feature map of a version 1 stream, and any message on any version.
const Bytes& Map() {
  static const Bytes map =
      foreign::Join({foreign::DefineMap(66, 6, 6),
                     foreign::Value(66, foreign::Join({{1}, foreign::Text("Name"), foreign::Text("x")}))});
  return map;
}

TEST_CASE("Messages come out as they went in, however they are cut on the way", "[wire]") {
  for (const int version : {1, 2}) {
    CAPTURE(version);
    const Bytes first = version == 1 ? Map() : Body("features");
    const std::vector<Bytes> sent = {Body("a"),       Body(""),           Bytes(127, 'x'),
                                     Bytes(128, 'y'), Bytes(70'000, 'z'), Body("end")};
    Bytes stream;
    REQUIRE(AppendFrame(version, true, first, stream).ok());
    std::vector<std::string> expected = {std::string(first.begin(), first.end())};
    for (const Bytes& message : sent) {
      REQUIRE(AppendFrame(version, false, message, stream).ok());
      expected.emplace_back(message.begin(), message.end());
    }
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, stream.size()}) {
      CAPTURE(step);
      FrameReader reader(version);
      std::vector<std::string> received;
      for (ByteView rest = stream; !rest.empty(); rest.remove_prefix(std::min(step, rest.size()))) {
        reader.Append(rest.first(std::min(step, rest.size())));
        for (std::string& message : Messages(reader)) received.push_back(std::move(message));
      }
      CHECK(received == expected);
      CHECK(reader.buffered_size() == 0);
    }
  }
}

TEST_CASE("A message of version 2 stands behind its size in four bytes", "[wire]") {
  Bytes out;
  REQUIRE(AppendFrame(2, false, Body("abc"), out).ok());
  CHECK(ToHex(out) == "00000003616263");
}

TEST_CASE("A message of version 1 is a byte slice of the gob stream", "[wire]") {
  Bytes out;
  REQUIRE(AppendFrame(1, false, Body("abc"), out).ok());
  CHECK(ToHex(out) == "060a0003616263");
}

TEST_CASE("A message that is announced too large ends the connection at once", "[wire]") {
  CHECK(ErrorOf(2, {{0x00, 0x01, 0x00, 0x01}}) == "message of 65537 bytes, want at most 65536");
  CHECK(ErrorOf(2, {{0, 0, 0, 1, 'f'}, {0x00, 0xa0, 0x00, 0x01}}) ==
        "message of 10485761 bytes, want at most 10485760");
  CHECK(ErrorOf(2, {{0, 0, 0, 1, 'f'}, {0xff, 0xff, 0xff, 0xff}}) ==
        "message of 4294967295 bytes, want at most 10485760");
  CHECK(ErrorOf(1, {{0xfd, 0x01, 0x00, 0x01}}) == "message of 65537 bytes, want at most 65536");
  CHECK(ErrorOf(1, {Map(), {0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}) ==
        "message of 18446744073709551615 bytes, want at most 10485771");
  CHECK(ErrorOf(1, {Map(), {0xf7}, Bytes(8, 0xff)}) == "gob, byte 0: integer of 9 bytes, want at most 8");
}

TEST_CASE("The largest message passes, one byte more does not", "[wire]") {
  for (const int version : {1, 2}) {
    CAPTURE(version);
    const Bytes first = version == 1 ? Map() : Body("f");
    Bytes stream;
    REQUIRE(AppendFrame(version, true, first, stream).ok());
    REQUIRE(AppendFrame(version, false, Bytes(kMaxMessageSize), stream).ok());
    FrameReader reader(version);
    reader.Append(stream);
    const auto messages = Messages(reader);
    REQUIRE(messages.size() == 2);
    CHECK(messages[1].size() == kMaxMessageSize);

    Bytes untouched;
    CHECK(AppendFrame(version, false, Bytes(kMaxMessageSize + 1), untouched).message() ==
          "message of 10485761 bytes, want at most 10485760");
    CHECK(AppendFrame(version, true, Bytes(kMaxFeaturesSize + 1), untouched).message() ==
          "message of 65537 bytes, want at most 65536");
    CHECK(untouched.empty());
  }
  Bytes too_large = Map();
  AppendGobBytesMessage(Bytes(kMaxMessageSize + 1), too_large);
  CHECK(ErrorOf(1, {too_large}) == "message of 10485761 bytes, want at most 10485760");
}

TEST_CASE("Definitions without end before the feature map end the connection", "[wire]") {
  Bytes stream;
  for (std::int64_t id = 100; stream.size() < kMaxFeaturesSize; ++id)
    stream = foreign::Join({stream, foreign::DefineSlice(id, 6)});
  CHECK(ErrorOf(1, {stream, Map()}).find("want at most 65536") != std::string::npos);
}

TEST_CASE("A later definition on a version 1 connection is of no consequence", "[wire]") {
  FrameReader reader(1);
  reader.Append(Map());
  CHECK(Messages(reader).size() == 1);
  reader.Append(
      foreign::Join({foreign::DefineSlice(70, 6), foreign::Value(5, foreign::Text("a")), foreign::DefineSlice(71, 6)}));
  CHECK(Messages(reader) == std::vector<std::string>{"a"});
  CHECK(reader.buffered_size() == 0);
}

TEST_CASE("What is not a byte slice on a version 1 connection ends it", "[wire]") {
  CHECK(ErrorOf(1, {Map(), foreign::Value(6, foreign::Text("a"))}) ==
        "value of type 6 on the connection, want a byte slice");
  CHECK(ErrorOf(1, {Map(), Map()}) == "value of type 66 on the connection, want a byte slice");
  CHECK(ErrorOf(1, {Map(), {3, 10, 1, 0}}) == "gob, byte 2: no zero before a value that is not a struct");
  CHECK(ErrorOf(1, {Map(), {4, 10, 0, 0, 7}}) == "gob, byte 3: 1 bytes left over after a value");
  CHECK(ErrorOf(1, {Map(), {3, 10, 0, 1}}) == "gob, byte 3: 1 bytes announced, 0 left");
  CHECK(ErrorOf(1, {{0}}) == "gob, byte 0: cut short");
}

}  // namespace
}  // namespace weave
