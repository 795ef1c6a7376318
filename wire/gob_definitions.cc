#include "wire/gob_definitions.h"

#include <algorithm>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace weave {
namespace {

// Calls `take(field_number)` for every field of a struct, up to and with its end.
template <typename Take>
absl::Status ReadFields(GobInput& in, std::uint64_t field_count, Take take) {
  for (std::uint64_t next = 0;;) {
    std::uint64_t delta = 0;
    RETURN_IF_ERROR(in.Uint(delta));
    if (delta == 0) return absl::OkStatus();
    if (delta > field_count - next)
      return in.Invalid(absl::StrCat("field ", delta, " beyond the previous one, the struct has ", field_count));
    next += delta;
    RETURN_IF_ERROR(take(next - 1));
  }
}

absl::Status ReadTypeId(GobInput& in, GobTypeId& id) {
  std::int64_t value = 0;
  RETURN_IF_ERROR(in.Int(value));
  if (value <= 0 || value > std::numeric_limits<GobTypeId>::max())
    return in.Invalid(absl::StrCat("type id ", value, " in a definition"));
  id = static_cast<GobTypeId>(value);
  return absl::OkStatus();
}

// CommonType {Name string, Id int}. The id repeats that of the message, which is the one that counts.
absl::Status ReadCommonType(GobInput& in, GobDefinition& definition) {
  return ReadFields(in, 2, [&](std::uint64_t field) {
    if (field == 0) {
      ByteView name;
      RETURN_IF_ERROR(in.ByteString(name));
      definition.name = AsText(name);
      return absl::OkStatus();
    }
    std::int64_t id = 0;
    return in.Int(id);
  });
}

absl::Status ReadArrayType(GobInput& in, GobDefinition& definition) {
  definition.kind = GobKind::kArray;
  return ReadFields(in, 3, [&](std::uint64_t field) {
    if (field == 0) return ReadCommonType(in, definition);
    if (field == 1) return ReadTypeId(in, definition.element);
    std::int64_t length = 0;
    RETURN_IF_ERROR(in.Int(length));
    if (length < 0) return in.Invalid(absl::StrCat("array of ", length, " elements"));
    definition.length = static_cast<std::uint64_t>(length);
    return absl::OkStatus();
  });
}

absl::Status ReadSliceType(GobInput& in, GobDefinition& definition) {
  definition.kind = GobKind::kSlice;
  return ReadFields(in, 2, [&](std::uint64_t field) {
    return field == 0 ? ReadCommonType(in, definition) : ReadTypeId(in, definition.element);
  });
}

absl::Status ReadMapType(GobInput& in, GobDefinition& definition) {
  definition.kind = GobKind::kMap;
  return ReadFields(in, 3, [&](std::uint64_t field) {
    if (field == 0) return ReadCommonType(in, definition);
    return ReadTypeId(in, field == 1 ? definition.key : definition.element);
  });
}

absl::Status ReadFieldType(GobInput& in, GobDefinitions::Field& result) {
  const absl::Status status = ReadFields(in, 2, [&](std::uint64_t field) {
    if (field == 1) return ReadTypeId(in, result.type);
    ByteView name;
    RETURN_IF_ERROR(in.ByteString(name));
    result.name = AsText(name);
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(status);
  if (result.name.empty() || result.type == 0) return in.Invalid("field without name or type in a definition");
  return absl::OkStatus();
}

template <typename Fields>
absl::Status ReadStructType(GobInput& in, GobDefinition& definition, Fields& fields) {
  definition.kind = GobKind::kStruct;
  definition.first_field = fields.size();
  return ReadFields(in, 2, [&](std::uint64_t field) {
    if (field == 0) return ReadCommonType(in, definition);
    RETURN_IF_ERROR(in.Count(definition.field_count));
    if (definition.field_count > kMaxGobFields)
      return in.Invalid(absl::StrCat("struct of ", definition.field_count, " fields, want at most ", kMaxGobFields));
    for (std::size_t i = 0; i < definition.field_count; ++i) {
      GobDefinitions::Field result;
      RETURN_IF_ERROR(ReadFieldType(in, result));
      fields.push_back(result);
    }
    return absl::OkStatus();
  });
}

absl::Status ReadOpaqueType(GobInput& in, GobDefinition& definition) {
  definition.kind = GobKind::kOpaque;
  return ReadFields(in, 1, [&](std::uint64_t) { return ReadCommonType(in, definition); });
}

std::string Describe(GobTypeId id, const GobDefinition* definition) {
  if (id > 0 && IsBasic(static_cast<GobKind>(std::min<GobTypeId>(id, 255))))
    return std::string(WithArticle(static_cast<GobKind>(id)));
  if (definition == nullptr) return absl::StrCat("type ", id, ", which is not defined");
  return absl::StrCat(WithArticle(definition->kind), definition->name.empty() ? "" : " ", definition->name);
}

}  // namespace

absl::string_view WithArticle(GobKind kind) {
  switch (kind) {
    case GobKind::kBool:
      return "a bool";
    case GobKind::kInt:
      return "a signed integer";
    case GobKind::kUint:
      return "an unsigned integer";
    case GobKind::kFloat:
      return "a float";
    case GobKind::kBytes:
      return "a byte slice";
    case GobKind::kString:
      return "a string";
    case GobKind::kComplex:
      return "a complex number";
    case GobKind::kInterface:
      return "an interface";
    case GobKind::kArray:
      return "an array";
    case GobKind::kSlice:
      return "a slice";
    case GobKind::kStruct:
      return "a struct";
    case GobKind::kMap:
      return "a map";
    case GobKind::kOpaque:
      return "a type that encodes itself";
  }
  return "an unknown type";
}

absl::Status GobDefinitions::Define(GobTypeId id, GobInput& in) {
  if (id < kFirstDefinableGobTypeId) return in.Invalid(absl::StrCat("definition of the reserved type ", id));
  if (Find(id) != nullptr) return in.Invalid(absl::StrCat("second definition of type ", id));
  if (definitions_.size() == kMaxGobDefinitions)
    return in.Invalid(absl::StrCat("more than ", kMaxGobDefinitions, " definitions"));
  GobDefinition definition;
  definition.id = id;
  int parts = 0;
  RETURN_IF_ERROR(ReadFields(in, 7, [&](std::uint64_t field) {
    ++parts;
    switch (field) {
      case 0:
        return ReadArrayType(in, definition);
      case 1:
        return ReadSliceType(in, definition);
      case 2:
        return ReadStructType(in, definition, fields_);
      case 3:
        return ReadMapType(in, definition);
      default:  // GobEncoder, BinaryMarshaler, TextMarshaler
        return ReadOpaqueType(in, definition);
    }
  }));
  if (parts != 1) return in.Invalid(absl::StrCat("definition with ", parts, " types, want one"));
  if (!in.empty()) return in.Invalid(absl::StrCat(in.rest().size(), " bytes left over after a definition"));
  const bool has_element =
      definition.kind == GobKind::kArray || definition.kind == GobKind::kSlice || definition.kind == GobKind::kMap;
  if ((has_element && definition.element == 0) || (definition.kind == GobKind::kMap && definition.key == 0))
    return in.Invalid(absl::StrCat("definition of ", WithArticle(definition.kind), " without its element's type"));
  definitions_.push_back(definition);
  return absl::OkStatus();
}

const GobDefinition* GobDefinitions::Find(GobTypeId id) const {
  for (const GobDefinition& definition : definitions_) {
    if (definition.id == id) return &definition;
  }
  return nullptr;
}

absl::Status GobDefinitions::Match(const GobType& wanted, GobTypeId id) {
  const auto mismatch = [&](const GobDefinition* definition) {
    return absl::InvalidArgumentError(
        absl::StrCat("gob: ", Describe(id, definition), " where ", WithArticle(wanted.kind), " is expected"));
  };
  if (IsBasic(wanted.kind)) return id == static_cast<GobTypeId>(wanted.kind) ? absl::OkStatus() : mismatch(Find(id));
  if (FindPlan(wanted, id) != nullptr) return absl::OkStatus();
  const GobDefinition* definition = Find(id);
  if (definition == nullptr || definition->kind != wanted.kind) return mismatch(definition);
  if (wanted.kind == GobKind::kStruct) return MatchStruct(wanted, *definition);
  if (wanted.kind == GobKind::kMap) RETURN_IF_ERROR(Match(*wanted.key, definition->key));
  return Match(*wanted.element, definition->element);
}

absl::Status GobDefinitions::MatchStruct(const GobType& wanted, const GobDefinition& definition) {
  const absl::Span<const Field> fields = FieldsOf(definition);
  plans_.push_back(Plan{&wanted, definition.id, field_maps_.size(), fields.size()});
  // The whole map comes before the types of the fields: those append theirs.
  for (const Field& field : fields) {
    const auto found = std::find_if(wanted.fields.begin(), wanted.fields.end(),
                                    [&](const GobFieldType& ours) { return ours.name == field.name; });
    field_maps_.push_back(found == wanted.fields.end() ? std::int16_t{-1}
                                                       : static_cast<std::int16_t>(found - wanted.fields.begin()));
  }
  const std::size_t first = field_maps_.size() - fields.size();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::int16_t ours = field_maps_[first + i];
    if (ours < 0) continue;
    if (const absl::Status status = Match(*wanted.fields[static_cast<std::size_t>(ours)].type, fields[i].type);
        !status.ok())
      return absl::InvalidArgumentError(absl::StrCat(status.message(), " (field \"", fields[i].name, "\")"));
  }
  return absl::OkStatus();
}

const GobDefinitions::Plan* GobDefinitions::FindPlan(const GobType& wanted, GobTypeId id) const {
  for (const Plan& plan : plans_) {
    if (plan.id == id && plan.wanted == &wanted) return &plan;
  }
  return nullptr;
}

absl::Span<const std::int16_t> GobDefinitions::FieldMap(const GobType& wanted, GobTypeId id) const {
  const Plan* plan = FindPlan(wanted, id);
  CHECK(plan != nullptr) << "type " << id << " was not matched";
  return absl::MakeConstSpan(field_maps_).subspan(plan->first, plan->count);
}

absl::Status GobDefinitions::SkipAt(GobInput& in, GobTypeId id, std::size_t depth) const {
  if (depth > kMaxGobSkippedDepth) return in.Invalid(absl::StrCat("values nested deeper than ", kMaxGobSkippedDepth));
  std::uint64_t number = 0;
  ByteView bytes;
  switch (id) {
    case static_cast<GobTypeId>(GobKind::kBool):
    case static_cast<GobTypeId>(GobKind::kInt):
    case static_cast<GobTypeId>(GobKind::kUint):
    case static_cast<GobTypeId>(GobKind::kFloat):
      return in.Uint(number);
    case static_cast<GobTypeId>(GobKind::kBytes):
    case static_cast<GobTypeId>(GobKind::kString):
      return in.ByteString(bytes);
    case static_cast<GobTypeId>(GobKind::kComplex):
      RETURN_IF_ERROR(in.Uint(number));
      return in.Uint(number);
    case static_cast<GobTypeId>(GobKind::kInterface):
      return SkipInterface(in);
    default:
      break;
  }
  const GobDefinition* definition = Find(id);
  if (definition == nullptr) return in.Invalid(absl::StrCat("value of type ", id, ", which is not defined"));
  if (definition->kind == GobKind::kStruct) return SkipStruct(in, *definition, depth);
  if (definition->kind == GobKind::kOpaque) return in.ByteString(bytes);
  std::size_t count = 0;
  RETURN_IF_ERROR(in.Count(count));
  if (definition->kind == GobKind::kArray && count != definition->length)
    return in.Invalid(absl::StrCat(count, " elements of an array of ", definition->length));
  for (std::size_t i = 0; i < count; ++i) {
    if (definition->kind == GobKind::kMap) RETURN_IF_ERROR(SkipAt(in, definition->key, depth + 1));
    RETURN_IF_ERROR(SkipAt(in, definition->element, depth + 1));
  }
  return absl::OkStatus();
}

absl::Status GobDefinitions::SkipStruct(GobInput& in, const GobDefinition& definition, std::size_t depth) const {
  const absl::Span<const Field> fields = FieldsOf(definition);
  return ReadFields(in, fields.size(), [&](std::uint64_t field) { return SkipAt(in, fields[field].type, depth + 1); });
}

// The name of the type inside, empty for none; its id; the value with its size before it.
absl::Status GobDefinitions::SkipInterface(GobInput& in) const {
  ByteView bytes;
  RETURN_IF_ERROR(in.ByteString(bytes));
  if (bytes.empty()) return absl::OkStatus();
  std::int64_t id = 0;
  RETURN_IF_ERROR(in.Int(id));
  if (id <= 0) return in.Invalid("definition inside a value");
  return in.ByteString(bytes);
}

GobStructReader::GobStructReader(const GobDefinitions& definitions, const GobType& wanted, GobTypeId id)
    : definitions_(definitions), map_(definitions.FieldMap(wanted, id)) {
  fields_ = definitions.FieldsOf(*definitions.Find(id));
}

absl::Status GobStructReader::Next(GobInput& in, int& index, GobTypeId& type) {
  for (;;) {
    std::uint64_t delta = 0;
    RETURN_IF_ERROR(in.Uint(delta));
    if (delta == 0) {
      index = -1;
      return absl::OkStatus();
    }
    if (delta > fields_.size() - next_)
      return in.Invalid(absl::StrCat("field ", delta, " beyond the previous one, the struct has ", fields_.size()));
    next_ += delta;
    index = map_[next_ - 1];
    type = fields_[next_ - 1].type;
    if (index >= 0) return absl::OkStatus();
    RETURN_IF_ERROR(definitions_.Skip(in, type));
  }
}

}  // namespace weave
