#include "plugin/cni/cni_json.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "proto/json.h"

namespace weave {
namespace {

constexpr std::size_t kIndent = 4;

}  // namespace

absl::Status FromStruct(const google::protobuf::Struct& object, google::protobuf::Message& message) {
  return ParseJson(PrintJsonLine(object), message);
}

std::string PrintJsonLine(const google::protobuf::Message& message) {
  std::string json;
  CHECK(google::protobuf::util::MessageToJsonString(message, &json).ok()) << message.GetTypeName();
  return json;
}

std::string PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;  // one blank for each level
  std::string json;
  CHECK(google::protobuf::util::MessageToJsonString(message, &json, options).ok()) << message.GetTypeName();
  std::string wide;
  for (absl::string_view line : absl::StrSplit(absl::StripTrailingAsciiWhitespace(json), '\n')) {
    const std::size_t depth = std::min(line.find_first_not_of(' '), line.size());
    absl::StrAppend(&wide, wide.empty() ? "" : "\n", std::string(kIndent * depth, ' '), line.substr(depth));
  }
  return wide;
}

}  // namespace weave
