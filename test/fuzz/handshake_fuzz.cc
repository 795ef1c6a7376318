// Fuzz target: what a stranger sends after connecting. First byte: protocol version, and into which pieces the rest is
// cut. However it is cut, the same messages come out, and nothing is held beyond what came in.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "wire/framing.h"
#include "wire/handshake.h"

namespace weave {
namespace {

struct Outcome {
  std::vector<Bytes> messages;
  bool failed = false;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome Read(int version, ByteView stream, std::size_t step) {
  Outcome outcome;
  FrameReader reader(version);
  while (!stream.empty() && !outcome.failed) {
    reader.Append(stream.first(std::min(step, stream.size())));
    stream.remove_prefix(std::min(step, stream.size()));
    for (;;) {
      const auto message = reader.Next();
      outcome.failed = !message.ok();
      if (outcome.failed || !message->has_value()) break;
      outcome.messages.emplace_back((*message)->begin(), (*message)->end());
    }
  }
  return outcome;
}

// The same bytes when the messages are framed again; version 1 may have had definitions between them, which we drop.
void CheckFramedAgain(int version, ByteView stream, const Outcome& outcome) {
  Bytes framed;
  for (std::size_t i = 0; i < outcome.messages.size(); ++i)
    CHECK(AppendFrame(version, i == 0, outcome.messages[i], framed).ok());
  CHECK(framed.size() <= stream.size()) << "messages grew";
  if (version == 2) CHECK(std::equal(framed.begin(), framed.end(), stream.begin()));
  CHECK(Read(version, framed, framed.size() + 1) == (Outcome{outcome.messages, false}));
}

void CheckFeatures(int version, ByteView message) {
  const absl::StatusOr<Features> features = DecodeFeatures(message, version);
  if (!features.ok()) {
    CHECK(features.status().code() == absl::StatusCode::kInvalidArgument) << features.status();
    return;
  }
  CHECK(features->name.known() && features->uid != 0);
  const absl::StatusOr<Features> again = DecodeFeatures(EncodeFeatures(*features, version), version);
  CHECK(again.ok() && *again == *features) << "features changed on their way out and back";
}

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 + weave::kVersionHeaderSize) return 0;
  const int version = data[0] % 2 == 0 ? 2 : 1;
  weave::ByteView stream(data + 1, size - 1);
  if (const auto range = weave::DecodeVersionHeader(stream.first(weave::kVersionHeaderSize)); range.ok()) {
    const auto chosen = weave::ChooseVersion({}, *range);
    CHECK(!chosen.ok() || (*chosen >= 1 && *chosen <= 2));
  }
  stream.remove_prefix(weave::kVersionHeaderSize);
  const weave::Outcome whole = weave::Read(version, stream, stream.size() + 1);
  CHECK(weave::Read(version, stream, data[0] / 2U + 1) == whole) << "messages depend on how they arrive";
  weave::CheckFramedAgain(version, stream, whole);
  if (!whole.messages.empty()) weave::CheckFeatures(version, whole.messages.front());
  return 0;
}
