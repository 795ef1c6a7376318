// The gob types that values have on our side: what an encoder defines and what a decoder wants to see (spec/gob.md
// section 2). Made from C++ types by wire/gob_codec.h.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weave {

// Up to kInterface the value is the type id on the wire.
enum class GobKind : std::uint8_t {
  kBool = 1,
  kInt = 2,
  kUint = 3,
  kFloat = 4,
  kBytes = 5,
  kString = 6,
  kComplex = 7,
  kInterface = 8,
  kArray,
  kSlice,
  kStruct,
  kMap,
  kOpaque,  // a type that encodes itself; on the wire a byte slice
};

constexpr bool IsBasic(GobKind kind) { return kind <= GobKind::kInterface; }

// For messages: `an unsigned integer`.
absl::string_view WithArticle(GobKind kind);

struct GobType;

struct GobFieldType {
  absl::string_view name;
  const GobType* type = nullptr;
};

// Lives as long as the program. Two types are the same when they are the same object, as in Go, where two structs of
// equal fields differ.
struct GobType {
  GobKind kind = GobKind::kStruct;
  absl::string_view name = {};                 // informative only; empty: not sent
  const GobType* key = nullptr;                // of a map
  const GobType* element = nullptr;            // of a slice or map
  absl::Span<const GobFieldType> fields = {};  // of a struct
};

}  // namespace weave
