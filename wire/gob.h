// Gob streams: writing values with their type definitions as the reference peer's encoder does, byte for byte, and
// reading those of any peer (spec/gob.md). Which C++ types are understood, and how: wire/gob_codec.h.
//
//   GobWriter writer;                       GobReader reader(bytes);
//   writer.Write(range);                    Range range;
//   Bytes bytes = writer.Take();            RETURN_IF_ERROR(reader.Read(range));
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "wire/gob_codec.h"
#include "wire/gob_definitions.h"
#include "wire/gob_primitives.h"
#include "wire/gob_type.h"

namespace weave {

// The first id that an encoder gives to a type of its own.
inline constexpr GobTypeId kFirstGobTypeId = 65;

// Appends the message of one value to a stream in which `id` is the type of T.
template <typename T>
void AppendGobMessage(GobTypeId id, const T& value, Bytes& out);
// The same for a byte slice, in one pass.
void AppendGobBytesMessage(ByteView value, Bytes& out);

// One stream.
class GobWriter {
 public:
  // Appends the definitions that `value` needs and the stream lacks, then the value.
  template <typename T>
  void Write(const T& value) {
    const GobTypeId id = Define<T>();
    AppendGobMessage(id, value, out_);
  }

  // Appends the missing definitions only. The id of T.
  template <typename T>
  GobTypeId Define() {
    const GobTypeId id = IdOf(GobCodec<T>::kType);
    Define(GobCodec<T>::kType);
    return id;
  }

  // What was appended since the last Take. The stream goes on.
  Bytes Take() { return std::exchange(out_, {}); }

 private:
  struct Known {
    const GobType* type = nullptr;
    GobTypeId id = 0;
    bool defined = false;
  };

  GobTypeId IdOf(const GobType& type);
  void Define(const GobType& type);
  void AppendDefinition(const GobType& type, GobTypeId id);

  Bytes out_;
  std::vector<Known> types_;
  GobTypeId next_id_ = kFirstGobTypeId;
};

// One complete stream from outside. After an error there is nothing more to read.
class GobReader {
 public:
  // `stream` outlives the reader and all views that it gives.
  explicit GobReader(ByteView stream) : stream_(stream) {}

  // Takes in definitions up to the next value. False: there is none, the stream ends here.
  absl::StatusOr<bool> HasValue();

  // The next value, which must be of T's gob type: kinds agree exactly, fields go by name, unknown ones are stepped
  // over, missing ones are as in T{}. InvalidArgument otherwise, for malformed bytes, and at the end of the stream.
  template <typename T>
  absl::Status Read(T& value) {
    GobInput in;
    GobTypeId id = 0;
    RETURN_IF_ERROR(NextValue(GobCodec<T>::kType, in, id));
    value = T{};
    return Finish(GobCodec<T>::Decode(in, definitions_, id, value), in);
  }

  // Steps over the next value, of which only the type is looked at.
  template <typename T>
  absl::Status Skip() {
    GobInput in;
    GobTypeId id = 0;
    return NextValue(GobCodec<T>::kType, in, id);
  }

  // A look ahead at the value that HasValue has found: its type on the wire, its bytes, and its whole message.
  GobTypeId value_type() const { return value_id_; }
  ByteView value() const { return value_.rest(); }
  ByteView message() const { return message_; }

  // What is left of the stream.
  ByteView rest() const { return stream_.subspan(position_); }

 private:
  absl::Status FindValue(bool& found);
  absl::Status NextValue(const GobType& type, GobInput& in, GobTypeId& id);
  absl::Status TakeValue(const GobType& type, GobInput& in, GobTypeId& id);
  absl::Status Finish(absl::Status status, const GobInput& in);

  ByteView stream_;
  std::size_t position_ = 0;
  ByteView message_;        // of the next value
  GobInput value_;          // the same, behind its type id
  GobTypeId value_id_ = 0;  // 0: not found yet
  GobDefinitions definitions_;
  absl::Status failure_;
};

namespace gob_internal {

// Puts the size of what stands in `out` from `start` on before it. One byte was left for it at `start`.
void CloseMessage(std::size_t start, Bytes& out);

}  // namespace gob_internal

template <typename T>
void AppendGobMessage(GobTypeId id, const T& value, Bytes& out) {
  const std::size_t start = out.size();
  out.push_back(0);
  AppendGobInt(id, out);
  // A value that is no struct stands behind a zero, like a field of number 0.
  if (GobCodec<T>::kType.kind != GobKind::kStruct) out.push_back(0);
  GobCodec<T>::Encode(value, out);
  gob_internal::CloseMessage(start, out);
}

}  // namespace weave
