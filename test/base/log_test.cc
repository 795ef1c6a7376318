#include "base/log.h"

#include <vector>

#include "test/support/catch.h"

namespace weave {
namespace {

std::string Format(absl::string_view value) { return FormatFields(std::vector<LogField>{{"key", value}}); }

TEST_CASE("Plain values stand as they are, others are quoted", "[base]") {
  CHECK(Format("10.32.0.1/12") == "key=10.32.0.1/12");
  CHECK(Format("") == "key=\"\"");
  CHECK(Format("two words") == "key=\"two words\"");
  CHECK(Format("a=b") == "key=\"a=b\"");
  CHECK(FormatFields(std::vector<LogField>{{"count", 3}, {"name", "x"}}) == "count=3 name=x");
  CHECK(FormatFields({}).empty());
}

TEST_CASE("Text from outside cannot forge a second line or field", "[base]") {
  CHECK(Format("x\nlevel=error") == "key=\"x\\nlevel=error\"");
  CHECK(Format("x\" admin=\"1") == "key=\"x\\\" admin=\\\"1\"");
  CHECK(Format("back\\slash") == "key=\"back\\\\slash\"");
  for (int c = 0; c < 0x20; ++c) {
    const std::string line = Format(std::string(1, static_cast<char>(c)));
    CAPTURE(c, line);
    for (char out : line) CHECK(static_cast<unsigned char>(out) >= 0x20);
  }
  CHECK(Format("\x1b[31m").find('\x1b') == std::string::npos);
}

TEST_CASE("Levels are known by the names of the flag", "[base]") {
  for (LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError})
    CHECK(ParseLogLevel(ToString(level)) == level);
  CHECK_FALSE(ParseLogLevel("INFO").has_value());
  CHECK_FALSE(ParseLogLevel("").has_value());
}

class CountingLogger final : public Logger {
 public:
  explicit CountingLogger(LogLevel threshold) : Logger(threshold) {}
  int count = 0;

 private:
  void Write(LogLevel, absl::string_view, absl::Span<const LogField>) override { ++count; }
};

TEST_CASE("A logger writes what reaches its threshold", "[base]") {
  CountingLogger logger(LogLevel::kWarning);
  logger.Debug("a");
  logger.Info("b");
  CHECK(logger.count == 0);
  logger.Warning("c");
  logger.Error("d", {{"why", "because"}});
  CHECK(logger.count == 2);
}

}  // namespace
}  // namespace weave
