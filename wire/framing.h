// Where one message ends and the next begins on a TCP connection: length prefixes in version 2, a gob stream in version 1
// (spec/mesh.md sections 2.3, 2.4). Holds at most one incomplete message.
#pragma once

#include <cstddef>
#include <optional>

#include "absl/status/statusor.h"
#include "base/bytes.h"

namespace weave {

// Cuts a received byte stream into messages. The first one of version 1 is the whole gob stream of the feature map
// (definitions included), later ones are the contents of the []byte values; of version 2, what stands between prefixes.
class FrameReader {
 public:
  explicit FrameReader(int version) : version_(version) {}

  // Takes received bytes. A message that is announced as larger than kMaxMessageSize is reported by Next, and its memory
  // is never reserved ahead of its bytes.
  void Append(ByteView bytes);

  // The next complete message, valid until the next call of Append or Next; none: more bytes are needed. InvalidArgument
  // when the stream cannot be continued.
  absl::StatusOr<std::optional<ByteView>> Next();

  // Bytes held now.
  std::size_t buffered_size() const;

 private:
  const int version_;
  // (the implementer's choice)
};

// Appends `message` to `out` as it travels. `first`: the feature map, which version 1 sends as it is.
// InvalidArgument when it is larger than kMaxMessageSize.
absl::Status AppendFrame(int version, bool first, ByteView message, Bytes& out);

}  // namespace weave
