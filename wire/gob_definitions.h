// The type definitions of one gob stream from outside, and what follows from them: which of its fields are ours, and
// how to step over the others (spec/gob.md sections 2, 3, 5).
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "wire/gob_primitives.h"
#include "wire/gob_type.h"

namespace weave {

using GobTypeId = std::int32_t;

// More than any peer needs by far. They keep a hostile stream from making lookups slow or stacks deep.
inline constexpr std::size_t kMaxGobDefinitions = 256;     // in a stream
inline constexpr std::size_t kMaxGobFields = 1024;         // in a struct
inline constexpr std::size_t kMaxGobSkippedDepth = 64;     // of values inside values that nobody asked for
inline constexpr GobTypeId kFirstDefinableGobTypeId = 64;  // spec/gob.md section 2

struct GobDefinition {
  GobTypeId id = 0;
  GobKind kind = GobKind::kStruct;
  absl::string_view name;
  GobTypeId key = 0;         // of a map
  GobTypeId element = 0;     // of an array, slice or map
  std::uint64_t length = 0;  // of an array
  std::size_t first_field = 0;
  std::size_t field_count = 0;
};

class GobDefinitions {
 public:
  struct Field {
    absl::string_view name;
    GobTypeId type = 0;
  };

  // Takes in the definition of `id`, which is all that `in` holds. InvalidArgument for a malformed one, for an id that
  // is taken or reserved, and beyond the limits above.
  absl::Status Define(GobTypeId id, GobInput& in);

  // Null when the stream has not defined it.
  const GobDefinition* Find(GobTypeId id) const;
  absl::Span<const Field> FieldsOf(const GobDefinition& definition) const {
    return absl::MakeConstSpan(fields_).subspan(definition.first_field, definition.field_count);
  }

  // Whether values of `id` can be read as `wanted`: fields go by name, kinds agree exactly. InvalidArgument naming what
  // differs. Needed once before FieldMap and the codecs.
  absl::Status Match(const GobType& wanted, GobTypeId id);

  // For every field of the struct `id` the index of ours, or -1. After a successful Match.
  absl::Span<const std::int16_t> FieldMap(const GobType& wanted, GobTypeId id) const;

  // Steps over a value of any type.
  absl::Status Skip(GobInput& in, GobTypeId id) const { return SkipAt(in, id, 0); }

 private:
  struct Plan {
    const GobType* wanted = nullptr;
    GobTypeId id = 0;
    std::size_t first = 0;
    std::size_t count = 0;
  };

  const Plan* FindPlan(const GobType& wanted, GobTypeId id) const;
  absl::Status MatchStruct(const GobType& wanted, const GobDefinition& definition);
  absl::Status SkipAt(GobInput& in, GobTypeId id, std::size_t depth) const;
  absl::Status SkipStruct(GobInput& in, const GobDefinition& definition, std::size_t depth) const;
  absl::Status SkipInterface(GobInput& in) const;

  // Room for what the mesh sends without an allocation.
  absl::InlinedVector<GobDefinition, 4> definitions_;
  absl::InlinedVector<Field, 12> fields_;
  absl::InlinedVector<Plan, 4> plans_;
  absl::InlinedVector<std::int16_t, 12> field_maps_;
};

// Walks through the fields of a struct value, unknown ones aside.
class GobStructReader {
 public:
  // `id` matches `wanted`.
  GobStructReader(const GobDefinitions& definitions, const GobType& wanted, GobTypeId id);

  // The next of our fields: its index and type on the wire; index -1 at the end of the struct.
  absl::Status Next(GobInput& in, int& index, GobTypeId& type);

 private:
  const GobDefinitions& definitions_;
  absl::Span<const GobDefinitions::Field> fields_;
  absl::Span<const std::int16_t> map_;
  std::size_t next_ = 0;  // the lowest field number that may come
};

}  // namespace weave
