#include "overlay/mtu_search.h"

#include <algorithm>

#include "overlay/checksum.h"

namespace weave {
namespace {

constexpr Duration kFirstTimeout = absl::Milliseconds(10);  // doubled with each attempt
constexpr std::size_t kUdpHeadersSize = 28;                 // IPv4 without options, and UDP

}  // namespace

std::size_t MtuSearch::max_payload_size() const {
  return std::min(mtu_ + overhead_, kMaxIpv4PacketSize) - kUdpHeadersSize;
}

std::optional<std::size_t> MtuSearch::OnMessageTooBig(Now now, std::size_t path_mtu) {
  const std::size_t mtu = std::clamp(path_mtu, overhead_ + kLeast, kMaxIpv4PacketSize) - overhead_;
  if (candidate_.has_value() && mtu >= *candidate_) return std::nullopt;
  mtu_ = mtu;
  highest_good_ = std::min(assumed_good_, mtu);
  lowest_bad_ = mtu + 1;
  candidate_ = mtu;
  tests_sent_ = 0;
  return Test(now);
}

std::optional<std::size_t> MtuSearch::OnVerified(Now now, std::size_t mtu) {
  if (!candidate_.has_value() || mtu != *candidate_) return std::nullopt;
  highest_good_ = mtu;
  return Narrow(now);
}

std::optional<std::size_t> MtuSearch::OnTimer(Now now) {
  if (!deadline_.has_value() || now.monotonic < *deadline_) return std::nullopt;
  if (tests_sent_ < kAttemptCount) return Test(now);
  lowest_bad_ = *candidate_;
  return Narrow(now);
}

std::size_t MtuSearch::Test(Now now) {
  deadline_ = now.monotonic + kFirstTimeout * (1 << tests_sent_);
  ++tests_sent_;
  return *candidate_;
}

std::optional<std::size_t> MtuSearch::Narrow(Now now) {
  if (highest_good_ + 1 >= lowest_bad_) {
    mtu_ = highest_good_;
    candidate_.reset();
    deadline_.reset();
    return std::nullopt;
  }
  candidate_ = (highest_good_ + lowest_bad_) / 2;
  tests_sent_ = 0;
  return Test(now);
}

}  // namespace weave
