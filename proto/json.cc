#include "proto/json.h"

#include "absl/strings/ascii.h"
#include "google/protobuf/util/json_util.h"

namespace weave {

absl::Status ParseJson(absl::string_view json, google::protobuf::Message& message) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage({json.data(), json.size()}, &message, options);
  if (status.ok()) return absl::OkStatus();
  // The parser shows the place with the text above a caret; one line is enough for an error's message.
  const std::string text = status.message().ToString();
  return absl::InvalidArgumentError(absl::StripAsciiWhitespace(text.substr(0, text.find('\n'))));
}

}  // namespace weave
