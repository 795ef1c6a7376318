// From C++ types to gob: one description of a struct gives its definition, its encoding and its decoding.
//
//   struct Range { std::uint32_t start = 0, end = 0; };
//   template <>
//   struct GobDescription<Range> : GobStruct<"Range", GobField<"Start", &Range::start>, GobField<"End", &Range::end>>
//   {};
//
// C++                                   gob                  in a struct it is omitted when
// bool, integers                        bool, int, uint      false, 0
// std::string, absl::string_view        string               empty
// Bytes, ByteView                       byte slice           empty
// std::vector<T>                        slice                empty
// absl::btree_map, vector of pairs      map                  never: an empty map is sent
// described structs                     struct               never
// std::optional<T>                      T                    nothing is in it: Go's nil map or nil pointer
// PeerName                              uint                 unknown
//
// Views point into the bytes decoded. Of the same key twice in a map the last value stays; a vector of pairs keeps all,
// in the order of the wire. The rules of omission are those of spec/gob.md section 4.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/status.h"
#include "wire/gob_definitions.h"
#include "wire/gob_primitives.h"
#include "wire/gob_type.h"

namespace weave {

// Text as a template argument.
template <std::size_t kSize>
struct GobText {
  constexpr GobText(const char (&literal)[kSize]) { std::copy_n(literal, kSize, text); }  // NOLINT: reads as a literal
  constexpr absl::string_view view() const { return {text, kSize - 1}; }

  char text[kSize] = {};
};

// Specialise for a struct, deriving from GobStruct.
template <typename T>
struct GobDescription;

// kType, Omitted, Encode and Decode of T. kTypeName names the slice or map type; other types name themselves.
template <typename T, GobText kTypeName = "">
struct GobCodec;

template <typename T>
struct GobMember;
template <typename Struct, typename Member>
struct GobMember<Member Struct::*> {
  using Type = Member;
};

// A field in the order of the definition. kTypeName: what the reference peer calls the field's slice or map type, where
// the bytes are to be the same as its own.
template <GobText kFieldName, auto kMemberPointer, GobText kTypeName = "">
struct GobField {
  using Codec = GobCodec<typename GobMember<decltype(kMemberPointer)>::Type, kTypeName>;
  static constexpr auto kMember = kMemberPointer;
  static constexpr GobFieldType Type() { return {kFieldName.view(), &Codec::kType}; }
};

template <GobText kTypeName, typename... Fields>
struct GobStruct {
  static constexpr absl::string_view kName = kTypeName.view();
  using FieldList = std::tuple<Fields...>;
};

template <>
struct GobCodec<bool> {
  static constexpr GobType kType{.kind = GobKind::kBool};
  static bool Omitted(bool value) { return !value; }
  static void Encode(bool value, Bytes& out) { out.push_back(value ? 1 : 0); }
  static absl::Status Decode(GobInput& in, const GobDefinitions&, GobTypeId, bool& value) {
    std::uint64_t number = 0;
    RETURN_IF_ERROR(in.Uint(number));
    value = number != 0;
    return absl::OkStatus();
  }
};

template <std::unsigned_integral T>
struct GobCodec<T> {
  static constexpr GobType kType{.kind = GobKind::kUint};
  static bool Omitted(T value) { return value == 0; }
  static void Encode(T value, Bytes& out) { AppendGobUint(value, out); }
  static absl::Status Decode(GobInput& in, const GobDefinitions&, GobTypeId, T& value) {
    std::uint64_t number = 0;
    RETURN_IF_ERROR(in.Uint(number));
    if (number > std::numeric_limits<T>::max())
      return in.Invalid(absl::StrCat(number, " is more than ", std::numeric_limits<T>::max()));
    value = static_cast<T>(number);
    return absl::OkStatus();
  }
};

template <std::signed_integral T>
struct GobCodec<T> {
  static constexpr GobType kType{.kind = GobKind::kInt};
  static bool Omitted(T value) { return value == 0; }
  static void Encode(T value, Bytes& out) { AppendGobInt(value, out); }
  static absl::Status Decode(GobInput& in, const GobDefinitions&, GobTypeId, T& value) {
    std::int64_t number = 0;
    RETURN_IF_ERROR(in.Int(number));
    if (number < std::numeric_limits<T>::min() || number > std::numeric_limits<T>::max())
      return in.Invalid(absl::StrCat(number, " is not within ", std::numeric_limits<T>::min(), " to ",
                                     std::numeric_limits<T>::max()));
    value = static_cast<T>(number);
    return absl::OkStatus();
  }
};

template <>
struct GobCodec<PeerName> {
  static constexpr GobType kType{.kind = GobKind::kUint};
  static bool Omitted(PeerName value) { return !value.known(); }
  static void Encode(PeerName value, Bytes& out) { AppendGobUint(value.value(), out); }
  static absl::Status Decode(GobInput& in, const GobDefinitions&, GobTypeId, PeerName& value) {
    std::uint64_t number = 0;
    RETURN_IF_ERROR(in.Uint(number));
    value = PeerName(number);
    if (value.value() != number) return in.Invalid(absl::StrCat(number, " is not a peer name of 48 bits"));
    return absl::OkStatus();
  }
};

// Byte slices and strings.
template <typename T, GobKind kKind>
struct GobByteCodec {
  static constexpr GobType kType{.kind = kKind};
  static bool Omitted(const T& value) { return value.empty(); }
  static void Encode(const T& value, Bytes& out) {
    if constexpr (kKind == GobKind::kString)
      AppendGobBytes(AsBytes(value), out);
    else
      AppendGobBytes(value, out);
  }
  static absl::Status Decode(GobInput& in, const GobDefinitions&, GobTypeId, T& value) {
    ByteView bytes;
    RETURN_IF_ERROR(in.ByteString(bytes));
    if constexpr (std::is_same_v<T, ByteView>)
      value = bytes;
    else if constexpr (std::is_same_v<T, absl::string_view>)
      value = AsText(bytes);
    else
      value.assign(bytes.begin(), bytes.end());
    return absl::OkStatus();
  }
};
template <>
struct GobCodec<Bytes> : GobByteCodec<Bytes, GobKind::kBytes> {};
template <>
struct GobCodec<ByteView> : GobByteCodec<ByteView, GobKind::kBytes> {};
template <>
struct GobCodec<std::string> : GobByteCodec<std::string, GobKind::kString> {};
template <>
struct GobCodec<absl::string_view> : GobByteCodec<absl::string_view, GobKind::kString> {};

template <typename T, GobText kTypeName>
struct GobCodec<std::optional<T>, kTypeName> {
  using Inner = GobCodec<T, kTypeName>;
  static constexpr const GobType& kType = Inner::kType;  // the same type, hence the same object
  static bool Omitted(const std::optional<T>& value) { return !value.has_value(); }
  static void Encode(const std::optional<T>& value, Bytes& out) { Inner::Encode(*value, out); }
  static absl::Status Decode(GobInput& in, const GobDefinitions& definitions, GobTypeId id, std::optional<T>& value) {
    return Inner::Decode(in, definitions, id, value.emplace());
  }
};

template <typename T, GobText kTypeName>
struct GobCodec<std::vector<T>, kTypeName> {
  static constexpr GobType kType{.kind = GobKind::kSlice, .name = kTypeName.view(), .element = &GobCodec<T>::kType};
  static bool Omitted(const std::vector<T>& value) { return value.empty(); }
  static void Encode(const std::vector<T>& value, Bytes& out) {
    AppendGobUint(value.size(), out);
    for (const T& element : value) GobCodec<T>::Encode(element, out);
  }
  static absl::Status Decode(GobInput& in, const GobDefinitions& definitions, GobTypeId id, std::vector<T>& value) {
    std::size_t count = 0;
    RETURN_IF_ERROR(in.Count(count));
    const GobTypeId element_id = definitions.Find(id)->element;
    value.clear();
    value.reserve(std::min(count, kMaxReservedCount));
    for (std::size_t i = 0; i < count; ++i)
      RETURN_IF_ERROR(GobCodec<T>::Decode(in, definitions, element_id, value.emplace_back()));
    return absl::OkStatus();
  }

 private:
  // A count is only a promise: room for more is made as the elements arrive.
  static constexpr std::size_t kMaxReservedCount = 64;
};

// Maps: Container has pairs of key and value.
template <typename Container, typename Key, typename Value, GobText kTypeName>
struct GobMapCodec {
  static constexpr GobType kType{.kind = GobKind::kMap,
                                 .name = kTypeName.view(),
                                 .key = &GobCodec<Key>::kType,
                                 .element = &GobCodec<Value>::kType};
  static bool Omitted(const Container&) { return false; }
  static void Encode(const Container& value, Bytes& out) {
    AppendGobUint(value.size(), out);
    for (const auto& [key, element] : value) {
      GobCodec<Key>::Encode(key, out);
      GobCodec<Value>::Encode(element, out);
    }
  }
  static absl::Status Decode(GobInput& in, const GobDefinitions& definitions, GobTypeId id, Container& value) {
    std::size_t count = 0;
    RETURN_IF_ERROR(in.Count(count));
    const GobDefinition* definition = definitions.Find(id);
    value.clear();
    for (std::size_t i = 0; i < count; ++i) {
      Key key{};
      Value element{};
      RETURN_IF_ERROR(GobCodec<Key>::Decode(in, definitions, definition->key, key));
      RETURN_IF_ERROR(GobCodec<Value>::Decode(in, definitions, definition->element, element));
      if constexpr (requires { value.insert_or_assign(std::move(key), std::move(element)); })
        value.insert_or_assign(std::move(key), std::move(element));
      else
        value.emplace_back(std::move(key), std::move(element));
    }
    return absl::OkStatus();
  }
};
template <typename Key, typename Value, GobText kTypeName>
struct GobCodec<absl::btree_map<Key, Value>, kTypeName>
    : GobMapCodec<absl::btree_map<Key, Value>, Key, Value, kTypeName> {};
template <typename Key, typename Value, GobText kTypeName>
struct GobCodec<std::vector<std::pair<Key, Value>>, kTypeName>
    : GobMapCodec<std::vector<std::pair<Key, Value>>, Key, Value, kTypeName> {};

// Described structs.
template <typename T, GobText kTypeName>
struct GobCodec {
  template <typename List>
  struct Fields;
  template <typename... Field>
  struct Fields<std::tuple<Field...>> {
    static constexpr std::array<GobFieldType, sizeof...(Field)> kTypes = {Field::Type()...};

    static void Encode(const T& value, Bytes& out) {
      std::uint64_t delta = 0;
      const auto encode = [&]<typename F>(F) {
        ++delta;
        if (F::Codec::Omitted(value.*F::kMember)) return;
        AppendGobUint(delta, out);
        F::Codec::Encode(value.*F::kMember, out);
        delta = 0;
      };
      (encode(Field()), ...);
      out.push_back(0);
    }

    using Decoder = absl::Status (*)(GobInput&, const GobDefinitions&, GobTypeId, T&);
    static constexpr std::array<Decoder, sizeof...(Field)> kDecoders = {
        [](GobInput& in, const GobDefinitions& definitions, GobTypeId id, T& value) {
          return Field::Codec::Decode(in, definitions, id, value.*Field::kMember);
        }...};
  };
  using All = Fields<typename GobDescription<T>::FieldList>;

  static constexpr GobType kType{
      .kind = GobKind::kStruct, .name = GobDescription<T>::kName, .fields = absl::MakeConstSpan(All::kTypes)};
  static bool Omitted(const T&) { return false; }
  static void Encode(const T& value, Bytes& out) { All::Encode(value, out); }
  // Fields that do not arrive keep what they are: pass a fresh value.
  static absl::Status Decode(GobInput& in, const GobDefinitions& definitions, GobTypeId id, T& value) {
    GobStructReader fields(definitions, kType, id);
    for (;;) {
      int index = 0;
      GobTypeId field_id = 0;
      RETURN_IF_ERROR(fields.Next(in, index, field_id));
      if (index < 0) return absl::OkStatus();
      RETURN_IF_ERROR(All::kDecoders[static_cast<std::size_t>(index)](in, definitions, field_id, value));
    }
  }
};

}  // namespace weave
