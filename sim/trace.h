// What happened, as a hash over every event and effect, and on demand as text. Two runs of one seed must agree in it.
// Also keeps the first violation a checker found.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "sim/event_queue.h"

namespace weave::sim {

using HostId = std::uint32_t;

class Trace {
 public:
  // Lines kept for a report.
  static constexpr std::size_t kKeptLines = 80;

  explicit Trace(const EventQueue& queue) : queue_(queue) {}

  // Text costs time: a run hashes only, and is run again with text when it failed.
  void KeepText() { keep_text_ = true; }
  // Gets every line as it is made.
  void PrintTo(std::function<void(absl::string_view)> sink) {
    keep_text_ = true;
    sink_ = std::move(sink);
  }

  // `what` names the event or effect; the rest are numbers and texts that tell it from others.
  template <typename... Args>
  void Note(HostId host, absl::string_view what, const Args&... args) {
    Mix(static_cast<std::uint64_t>(queue_.time().nanoseconds()));
    Mix(host);
    Mix(what);
    (Mix(args), ...);
    if (keep_text_) Keep(host, what, absl::StrCat(Word(args)...));
  }

  std::uint64_t hash() const { return hash_; }
  const std::deque<std::string>& lines() const { return lines_; }

  // A promise was broken. The first one counts: it ends the run.
  void Violation(HostId host, absl::string_view text);
  const std::optional<std::string>& violation() const { return violation_; }

 private:
  void Mix(std::uint64_t value);
  void Mix(absl::string_view text);
  void Keep(HostId host, absl::string_view what, absl::string_view rest);

  template <typename T>
  static std::string Word(const T& value) {
    return absl::StrCat(" ", value);
  }

  const EventQueue& queue_;
  std::uint64_t hash_ = 0x9e3779b97f4a7c15;
  bool keep_text_ = false;
  std::function<void(absl::string_view)> sink_;
  std::deque<std::string> lines_;
  std::optional<std::string> violation_;
};

}  // namespace weave::sim
