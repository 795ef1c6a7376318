// A set of peers as a bit for each, for sets that are merged and compared all the time.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace weave {

// The place of a peer in our table for as long as we know it. Small; one that became free is given again.
using PeerSlot = std::uint32_t;

class PeerSet {
 public:
  void Insert(PeerSlot slot) {
    if (slot / 64 >= words_.size()) words_.resize(slot / 64 + 1);
    words_[slot / 64] |= Bit(slot);
  }
  void Erase(PeerSlot slot) {
    if (slot / 64 < words_.size()) words_[slot / 64] &= ~Bit(slot);
  }
  bool Contains(PeerSlot slot) const { return slot / 64 < words_.size() && (words_[slot / 64] & Bit(slot)) != 0; }

  void Merge(const PeerSet& other) {
    if (words_.size() < other.words_.size()) words_.resize(other.words_.size());
    for (std::size_t i = 0; i < other.words_.size(); ++i) words_[i] |= other.words_[i];
  }
  void Remove(const PeerSet& other) {
    for (std::size_t i = 0; i < std::min(words_.size(), other.words_.size()); ++i) words_[i] &= ~other.words_[i];
  }

  bool empty() const {
    return std::all_of(words_.begin(), words_.end(), [](std::uint64_t word) { return word == 0; });
  }

  // Calls `visit(slot)` for each, in ascending order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      for (std::uint64_t word = words_[i]; word != 0; word &= word - 1)
        visit(static_cast<PeerSlot>(i * 64 + static_cast<std::size_t>(std::countr_zero(word))));
    }
  }

 private:
  static constexpr std::uint64_t Bit(PeerSlot slot) { return std::uint64_t{1} << (slot % 64); }

  std::vector<std::uint64_t> words_;
};

}  // namespace weave
