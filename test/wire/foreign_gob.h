// Gob streams put together by hand, as an encoder of another kind or a hostile peer would write them. Independent of
// what wire/ encodes with, apart from the integers.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "wire/gob_primitives.h"

namespace weave::foreign {

inline Bytes Join(std::initializer_list<Bytes> parts) {
  Bytes joined;
  for (const Bytes& part : parts) joined.insert(joined.end(), part.begin(), part.end());
  return joined;
}

inline Bytes Uint(std::uint64_t value) {
  Bytes bytes;
  AppendGobUint(value, bytes);
  return bytes;
}

inline Bytes Int(std::int64_t value) {
  Bytes bytes;
  AppendGobInt(value, bytes);
  return bytes;
}

// A string or byte slice.
inline Bytes Text(const std::string& text) { return Join({Uint(text.size()), Bytes(text.begin(), text.end())}); }

// Any message: its type id, negative for a definition, and what follows.
inline Bytes Message(std::int64_t id, const Bytes& content) {
  const Bytes body = Join({Int(id), content});
  return Join({Uint(body.size()), body});
}

// A value that is not a struct.
inline Bytes Value(std::int64_t id, const Bytes& content) { return Message(id, Join({{0}, content})); }

inline Bytes CommonType(const std::string& name, std::int64_t id) {
  return name.empty() ? Join({{1, 2}, Int(id), {0}}) : Join({{1, 1}, Text(name), {1}, Int(id), {0}});
}

inline Bytes DefineArray(std::int64_t id, std::int64_t element, std::int64_t length) {
  return Message(-id, Join({{1}, CommonType("", id), {1}, Int(element), {1}, Int(length), {0, 0}}));
}

inline Bytes DefineSlice(std::int64_t id, std::int64_t element) {
  return Message(-id, Join({{2}, CommonType("", id), {1}, Int(element), {0, 0}}));
}

using Fields = std::vector<std::pair<std::string, std::int64_t>>;

inline Bytes DefineStruct(std::int64_t id, const std::string& name, const Fields& fields) {
  Bytes list = fields.empty() ? Bytes() : Join({{1}, Uint(fields.size())});
  for (const auto& [field, type] : fields) list = Join({list, {1}, Text(field), {1}, Int(type), {0}});
  return Message(-id, Join({{3}, CommonType(name, id), list, {0, 0}}));
}

inline Bytes DefineMap(std::int64_t id, std::int64_t key, std::int64_t element) {
  return Message(-id, Join({{4}, CommonType("", id), {1}, Int(key), {1}, Int(element), {0, 0}}));
}

// A type that encodes itself: 5 GobEncoder, 6 BinaryMarshaler, 7 TextMarshaler.
inline Bytes DefineOpaque(std::int64_t id, std::uint8_t part) {
  return Message(-id, Join({{part}, CommonType("Time", id), {0, 0}}));
}

}  // namespace weave::foreign
