#include "io/log_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <regex>
#include <thread>

#include "absl/strings/str_split.h"
#include "io/fd.h"
#include "io/file.h"
#include "test/io/scratch.h"
#include "test/support/catch.h"

namespace weave {
namespace {

// Standard error goes to a file while this exists.
class RedirectedError {
 public:
  explicit RedirectedError(const std::string& path) : path_(path), saved_(::dup(STDERR_FILENO)) {
    const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    ::dup2(file.get(), STDERR_FILENO);
  }
  ~RedirectedError() { ::dup2(saved_.get(), STDERR_FILENO); }

  std::vector<std::string> Lines() const {
    return absl::StrSplit(ReadSmallFile(path_).value_or("unreadable"), '\n', absl::SkipEmpty());
  }

 private:
  std::string path_;
  Fd saved_;
};

TEST_CASE("A line says level, time, message and fields", "[io]") {
  const ScratchDirectory scratch;
  const RedirectedError error(scratch / "log");
  const auto log = MakeStderrLogger(LogLevel::kInfo);
  log->Debug("not shown");
  log->Info("peer joined", {{"peer", "a:b"}, {"address", "10.0.0.1"}});
  log->Error("100% {} broken", {{"text", "one\ntwo"}});
  const std::vector<std::string> lines = error.Lines();
  REQUIRE(lines.size() == 2);
  const std::string time = R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} )";
  CHECK(std::regex_match(lines[0], std::regex("INFO: " + time + "peer joined peer=a:b address=10.0.0.1")));
  CHECK(std::regex_match(lines[1], std::regex("ERROR: " + time + R"(100% \{\} broken text="one\\ntwo")")));
}

TEST_CASE("Under the journal lines carry its priorities instead, but only on its own stream", "[io]") {
  const ScratchDirectory scratch;
  const RedirectedError error(scratch / "log");
  struct stat info;
  REQUIRE(::fstat(STDERR_FILENO, &info) == 0);
  ::setenv("JOURNAL_STREAM", absl::StrCat(info.st_dev, ":", info.st_ino).c_str(), 1);
  MakeStderrLogger(LogLevel::kDebug)->Warning("careful", {{"n", 1}});
  ::setenv("JOURNAL_STREAM", "1:2", 1);
  MakeStderrLogger(LogLevel::kDebug)->Warning("redirected");
  ::unsetenv("JOURNAL_STREAM");
  const std::vector<std::string> lines = error.Lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == "<4>careful n=1");
  CHECK(absl::StartsWith(lines[1], "WARNING: 2"));
}

TEST_CASE("Lines of several threads do not mix", "[io]") {
  const ScratchDirectory scratch;
  const RedirectedError error(scratch / "log");
  const auto log = MakeStderrLogger(LogLevel::kInfo);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) log->Info(std::string(100, static_cast<char>('a' + t)));
    });
  for (std::thread& thread : threads) thread.join();
  const std::vector<std::string> lines = error.Lines();
  CHECK(lines.size() == 400);
  const std::regex whole(R"(INFO: [-0-9]+ [:.0-9]+ (a+|b+|c+|d+))");
  int mixed = 0;
  for (const std::string& line : lines) mixed += std::regex_match(line, whole) ? 0 : 1;
  CHECK(mixed == 0);
}

TEST_CASE("Logging to a full device is silent", "[io]") {
  const RedirectedError error("/dev/full");
  MakeStderrLogger(LogLevel::kInfo)->Info("nobody hears this");
  SUCCEED();
}

}  // namespace
}  // namespace weave
