#include "wire/gob.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"

namespace weave {
namespace gob_internal {

void CloseMessage(std::size_t start, Bytes& out) {
  const std::size_t size = out.size() - start - 1;
  if (size < 0x80) {
    out[start] = static_cast<std::uint8_t>(size);
    return;
  }
  Bytes prefix;
  AppendGobUint(size, prefix);
  out[start] = prefix.front();
  out.insert(out.begin() + static_cast<std::ptrdiff_t>(start) + 1, prefix.begin() + 1, prefix.end());
}

}  // namespace gob_internal

void AppendGobBytesMessage(ByteView value, Bytes& out) {
  AppendGobUint(2 + GobUintSize(value.size()) + value.size(), out);
  AppendGobInt(static_cast<GobTypeId>(GobKind::kBytes), out);
  out.push_back(0);
  AppendGobBytes(value, out);
}

// A struct gets its id before its fields do, a slice or map after its elements (spec/gob.md section 5).
GobTypeId GobWriter::IdOf(const GobType& type) {
  if (IsBasic(type.kind)) return static_cast<GobTypeId>(type.kind);
  const auto known = std::find_if(types_.begin(), types_.end(), [&](const Known& k) { return k.type == &type; });
  if (known != types_.end()) return known->id;
  if (type.kind == GobKind::kStruct) {
    const GobTypeId id = next_id_++;
    types_.push_back({&type, id});
    for (const GobFieldType& field : type.fields) IdOf(*field.type);
    return id;
  }
  if (type.key != nullptr) IdOf(*type.key);
  IdOf(*type.element);
  types_.push_back({&type, next_id_});
  return next_id_++;
}

// The outer type first, then depth-first what it is made of.
void GobWriter::Define(const GobType& type) {
  if (IsBasic(type.kind)) return;
  const auto known = std::find_if(types_.begin(), types_.end(), [&](const Known& k) { return k.type == &type; });
  if (known->defined) return;
  known->defined = true;
  AppendDefinition(type, known->id);
  for (const GobFieldType& field : type.fields) Define(*field.type);
  if (type.key != nullptr) Define(*type.key);
  if (type.element != nullptr) Define(*type.element);
}

// The value of a wireType (spec/gob.md section 3).
void GobWriter::AppendDefinition(const GobType& type, GobTypeId id) {
  const std::size_t start = out_.size();
  out_.push_back(0);
  AppendGobInt(-id, out_);
  out_.push_back(type.kind == GobKind::kSlice ? 2 : type.kind == GobKind::kStruct ? 3 : 4);
  out_.push_back(1);  // CommonType
  if (!type.name.empty()) {
    out_.push_back(1);
    AppendGobBytes(AsBytes(type.name), out_);
  }
  out_.push_back(type.name.empty() ? 2 : 1);
  AppendGobInt(id, out_);
  out_.push_back(0);
  if (type.key != nullptr) {
    out_.push_back(1);
    AppendGobInt(IdOf(*type.key), out_);
  }
  if (type.element != nullptr) {
    out_.push_back(1);
    AppendGobInt(IdOf(*type.element), out_);
  }
  if (!type.fields.empty()) {
    out_.push_back(1);
    AppendGobUint(type.fields.size(), out_);
  }
  for (const GobFieldType& field : type.fields) {
    out_.push_back(1);
    AppendGobBytes(AsBytes(field.name), out_);
    out_.push_back(1);
    AppendGobInt(IdOf(*field.type), out_);
    out_.push_back(0);
  }
  out_.push_back(0);
  out_.push_back(0);
  gob_internal::CloseMessage(start, out_);
}

absl::StatusOr<bool> GobReader::HasValue() {
  bool found = false;
  if (failure_.ok()) failure_ = FindValue(found);
  if (!failure_.ok()) return failure_;
  return found;
}

absl::Status GobReader::FindValue(bool& found) {
  while (value_id_ == 0 && position_ < stream_.size()) {
    GobInput in(stream_.subspan(position_), position_);
    ByteView message;
    RETURN_IF_ERROR(in.ByteString(message));
    message_ = stream_.subspan(position_, in.position());
    position_ += in.position();
    GobInput content(message, position_ - message.size());
    std::int64_t id = 0;
    RETURN_IF_ERROR(content.Int(id));
    if (id == 0 || id > std::numeric_limits<GobTypeId>::max() || id < -std::numeric_limits<GobTypeId>::max())
      return content.Invalid(absl::StrCat("message of type ", id));
    if (id < 0) {
      RETURN_IF_ERROR(definitions_.Define(static_cast<GobTypeId>(-id), content));
    } else {
      value_id_ = static_cast<GobTypeId>(id);
      value_ = content;
    }
  }
  found = value_id_ != 0;
  return absl::OkStatus();
}

absl::Status GobReader::NextValue(const GobType& type, GobInput& in, GobTypeId& id) {
  if (failure_.ok()) failure_ = TakeValue(type, in, id);
  return failure_;
}

absl::Status GobReader::TakeValue(const GobType& type, GobInput& in, GobTypeId& id) {
  bool found = false;
  RETURN_IF_ERROR(FindValue(found));
  if (!found)
    return absl::InvalidArgumentError(
        absl::StrCat("gob: the stream ends where ", WithArticle(type.kind), " is expected"));
  in = value_;
  id = std::exchange(value_id_, 0);
  RETURN_IF_ERROR(definitions_.Match(type, id));
  if (type.kind == GobKind::kStruct) {
    const auto map = definitions_.FieldMap(type, id);
    const bool foreign = std::all_of(map.begin(), map.end(), [](std::int16_t index) { return index < 0; });
    if (foreign && !map.empty() && !type.fields.empty())
      return in.Invalid(absl::StrCat("a struct without any field of ", type.name));
    return absl::OkStatus();
  }
  std::uint64_t zero = 0;
  RETURN_IF_ERROR(in.Uint(zero));
  if (zero != 0) return in.Invalid("no zero before a value that is not a struct");
  return absl::OkStatus();
}

absl::Status GobReader::Finish(absl::Status status, const GobInput& in) {
  failure_ = std::move(status);
  if (failure_.ok() && !in.empty())
    failure_ = in.Invalid(absl::StrCat(in.rest().size(), " bytes left over after a value"));
  return failure_;
}

}  // namespace weave
