// The log front: a line is a level, a constant message and named fields. Where it goes (standard error, journal, a
// simulation's trace) is the sink's business; a core writes to the Logger it was given and knows no sink.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weave {

enum class LogLevel { kDebug, kInfo, kWarning, kError };  // contract A3-11

// "debug", "info", "warning", "error".
absl::string_view ToString(LogLevel level);
std::optional<LogLevel> ParseLogLevel(absl::string_view text);

struct LogField {
  LogField(absl::string_view field_name, const absl::AlphaNum& field_value)
      : name(field_name), value(field_value.data(), field_value.size()) {}

  absl::string_view name;  // lower_snake_case
  std::string value;
};

// `name=value` pairs separated by blanks; a value with blanks, quotes or control characters is quoted and escaped, so
// that text from outside cannot forge a second line.
std::string FormatFields(absl::Span<const LogField> fields);

class Logger {
 public:
  using Fields = std::initializer_list<LogField>;

  virtual ~Logger() = default;

  void Debug(absl::string_view message, Fields fields = {}) { Log(LogLevel::kDebug, message, fields); }
  void Info(absl::string_view message, Fields fields = {}) { Log(LogLevel::kInfo, message, fields); }
  void Warning(absl::string_view message, Fields fields = {}) { Log(LogLevel::kWarning, message, fields); }
  void Error(absl::string_view message, Fields fields = {}) { Log(LogLevel::kError, message, fields); }

  void Log(LogLevel level, absl::string_view message, Fields fields) {
    if (level >= threshold_) Write(level, message, absl::MakeConstSpan(fields.begin(), fields.size()));
  }

 protected:
  explicit Logger(LogLevel threshold) : threshold_(threshold) {}

  // May be called from any thread unless the implementation says otherwise.
  virtual void Write(LogLevel level, absl::string_view message, absl::Span<const LogField> fields) = 0;

 private:
  const LogLevel threshold_;
};

// Discards everything: for tests and tools that have nowhere to write.
class NullLogger final : public Logger {
 public:
  NullLogger() : Logger(LogLevel::kError) {}

 private:
  void Write(LogLevel, absl::string_view, absl::Span<const LogField>) override {}
};

}  // namespace weave
