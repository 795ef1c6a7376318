// Fuzz target: a stored record, as a damaged or foreign disk hands it back. The key is the text before the first zero
// byte.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "peer/record_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  if (zero == absl::string_view::npos) return 0;
  const absl::string_view key = input.substr(0, zero);
  const absl::StatusOr<weave::Record> record = weave::DecodeRecord(key, input.substr(zero + 1));
  if (!record.ok()) {
    CHECK(record.status().code() == absl::StatusCode::kDataLoss) << record.status();
    return 0;
  }
  // What was accepted can be written, and is then the same.
  const absl::StatusOr<std::string> bytes = weave::EncodeRecord(key, *record);
  CHECK(bytes.ok()) << bytes.status();
  CHECK(*weave::DecodeRecord(key, *bytes) == *record) << "a record changed on its way to disk and back";
  return 0;
}
