// Where one message ends and the next begins on a TCP connection: length prefixes in version 2, a gob stream in version
// 1 (spec/mesh.md sections 2.3, 2.4). Holds at most one incomplete message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "wire/gob_primitives.h"

namespace weave {

// The largest first message, the secretbox included. Ours, not the reference peer's: strangers may make a peer hold
// this much, and a feature map takes some 200 bytes.
inline constexpr std::size_t kMaxFeaturesSize = 65536;

// Cuts a received byte stream into messages. The first one of version 1 is the whole gob stream of the feature map
// (definitions included), later ones are the contents of the []byte values; of version 2, what stands between prefixes.
class FrameReader {
 public:
  explicit FrameReader(int version) : version_(version) {}

  // Takes received bytes. A message that is announced as larger than kMaxMessageSize, or the first one as larger than
  // kMaxFeaturesSize, is reported by Next, and its memory is never reserved ahead of its bytes.
  void Append(ByteView bytes);

  // The next complete message, valid until the next call of Append or Next; none: more bytes are needed.
  // InvalidArgument when the stream cannot be continued; then always.
  absl::StatusOr<std::optional<ByteView>> Next();

  // Bytes held now.
  std::size_t buffered_size() const { return buffer_.size() - start_; }

 private:
  absl::Status NextOfPrefixed(std::optional<ByteView>& message);
  absl::Status NextOfStream(std::optional<ByteView>& message);
  absl::Status PeekGobMessage(ByteView& content, std::size_t& size) const;
  static absl::Status TakeByteSlice(std::int64_t id, GobInput& in, std::optional<ByteView>& message);
  std::size_t max_size() const;

  const int version_;
  Bytes buffer_;
  std::size_t start_ = 0;    // of what Next has not given yet
  std::size_t scanned_ = 0;  // version 1: bytes from there on that are known to be definitions of the feature map
  bool first_ = true;
  absl::Status failure_;
};

// Appends `message` to `out` as it travels. `first`: the feature map, which version 1 sends as it is.
// InvalidArgument when it is larger than kMaxMessageSize, or kMaxFeaturesSize for the first.
absl::Status AppendFrame(int version, bool first, ByteView message, Bytes& out);

}  // namespace weave
