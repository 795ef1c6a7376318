#include "peer/report_value.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "peer/go_text.h"

namespace weave {
namespace {

constexpr std::size_t kIndentWidth = 4;

void AppendQuoted(absl::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    const Rune rune = FirstRune(text);
    const absl::string_view bytes = text.substr(0, rune.size);
    text.remove_prefix(rune.size);
    if (!rune.valid) {
      out += "\\ufffd";
    } else if (rune.code == '"' || rune.code == '\\') {
      absl::StrAppend(&out, "\\", bytes);
    } else if (rune.code == '\n') {
      out += "\\n";
    } else if (rune.code == '\r') {
      out += "\\r";
    } else if (rune.code == '\t') {
      out += "\\t";
    } else if (rune.code < 0x20 || rune.code == '<' || rune.code == '>' || rune.code == '&' || rune.code == 0x2028 ||
               rune.code == 0x2029) {
      absl::StrAppendFormat(&out, "\\u%04x", rune.code);
    } else {
      out.append(bytes.data(), bytes.size());
    }
  }
  out += '"';
}

// Writes values compactly, or indented if asked to.
class JsonWriter {
 public:
  explicit JsonWriter(bool indented) : indented_(indented) {}

  void Write(const ReportValue& value) {
    if (value.IsNull()) {
      out_ += "null";
      return;
    }
    switch (value.kind()) {
      case ReportValue::Kind::kNil:
        break;
      case ReportValue::Kind::kBool:
        out_ += value.AsBool() ? "true" : "false";
        break;
      case ReportValue::Kind::kInt:
        absl::StrAppend(&out_, value.AsInt());
        break;
      case ReportValue::Kind::kUint:
        absl::StrAppend(&out_, value.AsUint());
        break;
      case ReportValue::Kind::kFloat:
        out_ += std::isfinite(value.AsFloat()) ? ShortestFloat(value.AsFloat(), FloatStyle::kJson) : "null";
        break;
      case ReportValue::Kind::kString:
        AppendQuoted(value.AsString(), out_);
        break;
      case ReportValue::Kind::kList:
        WriteSequence('[', value.AsList(), ']', [this](const ReportValue& element) { Write(element); });
        break;
      case ReportValue::Kind::kMap:
        WriteSequence('{', value.AsMap(), '}', [this](const auto& entry) { WriteMember(entry); });
        break;
      case ReportValue::Kind::kStruct:
        WriteStruct(value.AsStruct());
        break;
    }
  }

  std::string Text() && { return std::move(out_); }

 private:
  void WriteStruct(const ReportValue::Struct& value) {
    if (!value.json.empty()) return AppendQuoted(value.json, out_);
    std::vector<ReportValue::Field> present;
    std::copy_if(value.fields.begin(), value.fields.end(), std::back_inserter(present),
                 [](const ReportValue::Field& field) { return !field.second.IsAbsent(); });
    WriteSequence('{', present, '}', [this](const ReportValue::Field& field) { WriteMember(field); });
  }

  template <typename Member>
  void WriteMember(const Member& member) {
    AppendQuoted(member.first, out_);
    out_ += indented_ ? ": " : ":";
    Write(member.second);
  }

  template <typename Sequence, typename WriteElement>
  void WriteSequence(char open, const Sequence& elements, char close, WriteElement write) {
    out_ += open;
    ++depth_;
    bool first = true;
    for (const auto& element : elements) {
      if (!first) out_ += ',';
      first = false;
      NewLine();
      write(element);
    }
    --depth_;
    if (!first) NewLine();
    out_ += close;
  }

  void NewLine() {
    if (!indented_) return;
    out_ += '\n';
    out_.append(depth_ * kIndentWidth, ' ');
  }

  const bool indented_;
  std::size_t depth_ = 0;
  std::string out_;
};

}  // namespace

ReportValue ReportValue::String(std::string value) {
  return ReportValue(std::make_shared<const std::string>(std::move(value)));
}

ReportValue ReportValue::MakeList(List elements) {
  return ReportValue(std::make_shared<const List>(std::move(elements)));
}

ReportValue ReportValue::ListOrNull(List elements) {
  return elements.empty() ? NullList() : MakeList(std::move(elements));
}

ReportValue ReportValue::NullList() { return ReportValue(ListPtr()); }

ReportValue ReportValue::MakeMap(Map entries) { return ReportValue(std::make_shared<const Map>(std::move(entries))); }

ReportValue ReportValue::NullMap() { return ReportValue(MapPtr()); }

ReportValue ReportValue::MakeStruct(std::vector<Field> fields, std::string text, std::string json) {
  return ReportValue(std::make_shared<const Struct>(Struct{std::move(fields), std::move(text), std::move(json)}));
}

ReportValue::Kind ReportValue::kind() const {
  static_assert(std::variant_size_v<Variant> == static_cast<std::size_t>(Kind::kStruct) + 1);
  return static_cast<Kind>(value_.index());
}

const ReportValue::List& ReportValue::AsList() const {
  static const List kEmpty;
  const ListPtr& list = std::get<ListPtr>(value_);
  return list == nullptr ? kEmpty : *list;
}

const ReportValue::Map& ReportValue::AsMap() const {
  static const Map kEmpty;
  const MapPtr& map = std::get<MapPtr>(value_);
  return map == nullptr ? kEmpty : *map;
}

bool ReportValue::IsNull() const {
  switch (kind()) {
    case Kind::kNil:
      return true;
    case Kind::kList:
      return std::get<ListPtr>(value_) == nullptr;
    case Kind::kMap:
      return std::get<MapPtr>(value_) == nullptr;
    default:
      return false;
  }
}

const ReportValue* ReportValue::FindField(absl::string_view name) const {
  const std::vector<Field>& fields = AsStruct().fields;
  const auto field = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.first == name; });
  return field == fields.end() ? nullptr : &field->second;
}

bool ReportValue::IsTrue() const {
  switch (kind()) {
    case Kind::kNil:
      return false;
    case Kind::kBool:
      return AsBool();
    case Kind::kInt:
      return AsInt() != 0;
    case Kind::kUint:
      return AsUint() != 0;
    case Kind::kFloat:
      return AsFloat() != 0;
    case Kind::kString:
      return !AsString().empty();
    case Kind::kList:
      return !AsList().empty();
    case Kind::kMap:
      return !AsMap().empty();
    case Kind::kStruct:
      return true;
  }
  return false;
}

const char* ReportValue::TypeName() const {
  constexpr const char* kNames[] = {"nil", "bool", "int", "uint64", "float64", "string", "list", "map", "struct"};
  return kNames[value_.index()];
}

std::string ReportValue::ToJson() const {
  JsonWriter writer(false);
  writer.Write(*this);
  return std::move(writer).Text();
}

std::string ReportValue::ToIndentedJson() const {
  JsonWriter writer(true);
  writer.Write(*this);
  return std::move(writer).Text();
}

}  // namespace weave
