#include "sim/trace.h"

#include <bit>
#include <cstring>

#include "absl/strings/str_format.h"

namespace weave::sim {

void Trace::Mix(std::uint64_t value) {
  hash_ = (std::rotl(hash_, 23) ^ value) * 0x9fb21c651e98df25;
  hash_ ^= hash_ >> 29;
}

void Trace::Mix(absl::string_view text) {
  Mix(static_cast<std::uint64_t>(text.size()));
  while (!text.empty()) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 8 && i < text.size(); ++i)
      word |= std::uint64_t{static_cast<unsigned char>(text[i])} << (8 * i);
    Mix(word);
    text.remove_prefix(std::min<std::size_t>(8, text.size()));
  }
}

void Trace::Keep(HostId host, absl::string_view what, absl::string_view rest) {
  std::string line = absl::StrFormat("%13.6f  host %d  %s%s", static_cast<double>(queue_.time().nanoseconds()) / 1e9,
                                     host, what, rest);
  if (sink_) sink_(line);
  lines_.push_back(std::move(line));
  if (lines_.size() > kKeptLines) lines_.pop_front();
}

void Trace::Violation(HostId host, absl::string_view text) {
  Note(host, "VIOLATION", text);
  if (!violation_.has_value()) violation_ = absl::StrCat("host ", host, ": ", text);
}

}  // namespace weave::sim
