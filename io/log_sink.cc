#include "io/log_sink.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace weave {
namespace {

// systemd.exec(5): JOURNAL_STREAM is `device:inode` of the stream that leads to the journal; a child whose standard
// error was redirected still inherits the variable.
bool StandardErrorIsJournal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat info;
  return stream != nullptr && ::fstat(STDERR_FILENO, &info) == 0 &&
         absl::StrCat(info.st_dev, ":", info.st_ino) == stream;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// sd-daemon(3)
absl::string_view JournalPrefix(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "<7>";
    case LogLevel::kInfo:
      return "<6>";
    case LogLevel::kWarning:
      return "<4>";
    case LogLevel::kError:
      return "<3>";
  }
  return "<3>";
}

absl::string_view LinePrefix(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarning:
      return "WARNING";
    case LogLevel::kError:
      return "ERROR";
  }
  return "ERROR";
}

class StderrLogger final : public Logger {
 public:
  explicit StderrLogger(LogLevel threshold)
      : Logger(threshold),
        journal_(StandardErrorIsJournal()),
        logger_("weave", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    logger_.set_level(spdlog::level::trace);
    logger_.set_error_handler([](const std::string&) {});
    logger_.set_pattern("%v");
  }

 private:
  void Write(LogLevel level, absl::string_view message, absl::Span<const LogField> fields) override try {
    std::string line = journal_ ? std::string(JournalPrefix(level))
                                : absl::StrCat(LinePrefix(level), ": ",
                                               absl::FormatTime("%Y-%m-%d %H:%M:%E6S", absl::Now(), zone_), " ");
    absl::StrAppend(&line, message);
    if (!fields.empty()) absl::StrAppend(&line, " ", FormatFields(fields));
    logger_.log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
  } catch (...) {
    // A log that cannot be written must not stop what it reports on.
  }

  const bool journal_;
  const absl::TimeZone zone_ = absl::LocalTimeZone();
  spdlog::logger logger_;
};

}  // namespace

std::unique_ptr<Logger> MakeStderrLogger(LogLevel threshold) { return std::make_unique<StderrLogger>(threshold); }

}  // namespace weave
