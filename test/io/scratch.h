// What the tests of io share: a directory that goes away, what a file holds, a logger that remembers.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "io/file.h"
#include "io/mutex.h"
#include "test/support/catch.h"

namespace weave {

class ScratchDirectory {
 public:
  ScratchDirectory() : path_((std::filesystem::temp_directory_path() / "weave-io-XXXXXX").string()) {
    WEAVE_CHECK(::mkdtemp(path_.data()) != nullptr) << path_;
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string operator/(absl::string_view name) const { return absl::StrCat(path_, "/", name); }

  // Names in the directory, sorted.
  std::vector<std::string> List() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::string path_;
};

inline std::string Content(const std::string& path) {
  const absl::StatusOr<std::string> content = ReadSmallFile(path, 1 << 24);
  REQUIRE(content.status() == absl::OkStatus());
  return *content;
}

class RememberingLogger final : public Logger {
 public:
  RememberingLogger() : Logger(LogLevel::kDebug) {}

  std::vector<std::string> lines() const {
    const MutexLock lock(&mutex_);
    return lines_;
  }

  int CountOf(absl::string_view part) const {
    int count = 0;
    for (const std::string& line : lines()) count += absl::StrContains(line, part) ? 1 : 0;
    return count;
  }

  // Returns once a line contains `part`; the test's time limit bounds the wait.
  void WaitFor(absl::string_view part) const {
    const MutexLock lock(&mutex_);
    while (!Contains(part)) changed_.Wait(&mutex_);
  }

 private:
  void Write(LogLevel level, absl::string_view message, absl::Span<const LogField> fields) override {
    const MutexLock lock(&mutex_);
    lines_.push_back(absl::StrCat(ToString(level), ": ", message, " ", FormatFields(fields)));
    changed_.SignalAll();
  }

  bool Contains(absl::string_view part) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (const std::string& line : lines_)
      if (absl::StrContains(line, part)) return true;
    return false;
  }

  mutable Mutex mutex_;
  mutable CondVar changed_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace weave
