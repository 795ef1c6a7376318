#include "fastdp/tunnel_mtu.h"

#include <algorithm>

namespace weave {

std::optional<std::size_t> TunnelMtuFinder::Begin(Now now) {
  if (std::exchange(begun_, true) || !ceiling_.has_value()) return std::nullopt;
  return FirstSearch(now);
}

std::optional<std::size_t> TunnelMtuFinder::OnCeiling(Now now, std::size_t ceiling) {
  const bool first = !ceiling_.has_value();
  ceiling_ = std::max(ceiling, floor_);
  again_in_ = kSearchAgainFirst;
  mtu_ = std::min(mtu_, *ceiling_);
  if (!begun_) return std::nullopt;
  return first ? FirstSearch(now) : Search(now, *ceiling_);
}

// Data does not wait for the first search: a connection that comes anew would otherwise cut those flows short that
// pass already.
std::optional<std::size_t> TunnelMtuFinder::FirstSearch(Now now) {
  mtu_ = *ceiling_;
  return Search(now, *ceiling_);
}

std::optional<std::size_t> TunnelMtuFinder::Search(Now now, std::size_t from) {
  again_at_.reset();
  search_ = MtuSearch(/*overhead=*/0, floor_);
  if (from <= floor_) return std::nullopt;
  return search_.OnMessageTooBig(now, from);
}

std::optional<std::size_t> TunnelMtuFinder::Verify(Now now) {
  if (!begun_ || search_.searching() || mtu_ <= floor_) return std::nullopt;
  const std::optional<MonotonicTime> again_at = again_at_;
  const std::optional<std::size_t> test = Search(now, mtu_);
  again_at_ = again_at;
  return test;
}

std::optional<std::size_t> TunnelMtuFinder::Retry(Now now) {
  again_in_ = kSearchAgainFirst;
  if (!search_.searching()) return SearchForMore(now);
  again_at_ = now.monotonic;  // once this search is over
  return std::nullopt;
}

std::optional<std::size_t> TunnelMtuFinder::SearchForMore(Now now) {
  if (!begun_ || !ceiling_.has_value() || mtu_ >= *ceiling_) return std::nullopt;
  return Search(now, *ceiling_);
}

std::optional<std::size_t> TunnelMtuFinder::OnVerified(Now now, std::size_t mtu) {
  if (!search_.searching()) return std::nullopt;
  return Adopt(now, search_.OnVerified(now, mtu));
}

std::optional<std::size_t> TunnelMtuFinder::OnTimer(Now now) {
  if (search_.searching()) return Adopt(now, search_.OnTimer(now));
  if (!again_at_.has_value() || now.monotonic < *again_at_) return std::nullopt;
  again_at_.reset();
  return SearchForMore(now);
}

std::optional<std::size_t> TunnelMtuFinder::Adopt(Now now, std::optional<std::size_t> test) {
  if (search_.highest_good() > mtu_ || search_.lowest_bad() <= mtu_) mtu_ = std::max(search_.highest_good(), floor_);
  if (!search_.searching() && mtu_ < *ceiling_ && !again_at_.has_value()) {
    again_at_ = now.monotonic + again_in_;
    again_in_ = std::min(2 * again_in_, kSearchAgainLast);
  }
  return test;
}

std::optional<MonotonicTime> TunnelMtuFinder::NextDeadline() const {
  return search_.searching() ? search_.NextDeadline() : again_at_;
}

}  // namespace weave
