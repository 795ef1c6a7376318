#include "sleeve/frame_crypto.h"

#include <sodium/crypto_secretbox.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "sleeve/sleeve_codec.h"

namespace weave {
namespace {

static_assert(crypto_secretbox_KEYBYTES == std::tuple_size_v<SessionKey>);
static_assert(crypto_secretbox_MACBYTES == kSealOverhead);

using Nonce = std::array<std::uint8_t, crypto_secretbox_NONCEBYTES>;

constexpr std::size_t kWordSize = 8;
constexpr std::size_t kSealedHeaderSize = kSenderNameSize + kSealedDatagramOverhead;
constexpr std::uint64_t kDontFragmentBit = std::uint64_t{1} << 63;

constexpr int kBlockBits = 20;
constexpr std::uint64_t kBlockMask = (std::uint64_t{1} << kBlockBits) - 1;

// Only byte 0 differs from that of a message on TCP with the same counter, by a bit.
Nonce NonceOf(bool sender_dialled, const std::uint8_t* word) {
  Nonce nonce = {};
  nonce[0] = sender_dialled ? 0x80 : 0;
  std::copy_n(word, kWordSize, nonce.end() - kWordSize);
  return nonce;
}

bool Contains(const std::vector<std::uint64_t>& block, std::uint64_t offset) {
  const std::size_t word = offset / 64;
  return word < block.size() && (block[word] >> (offset % 64) & 1) != 0;
}

}  // namespace

FrameSealer::FrameSealer(PeerName sender, const std::optional<SessionKey>& key, bool sender_dialled, bool dont_fragment)
    : sender_(sender), key_(key), sender_dialled_(sender_dialled), dont_fragment_(dont_fragment) {}

void FrameSealer::Seal(absl::Span<std::uint8_t> datagram) {
  CHECK(datagram.size() >= header_size()) << datagram.size();
  WriteBigEndian(sender_.value(), kSenderNameSize, datagram.data());
  if (!key_.has_value()) return;
  std::uint8_t* word = datagram.data() + kSenderNameSize;
  WriteBigEndian(next_number_++ | (dont_fragment_ ? kDontFragmentBit : 0), kWordSize, word);
  std::uint8_t* tag = word + kWordSize;
  std::uint8_t* frames = tag + kSealOverhead;
  const Nonce nonce = NonceOf(sender_dialled_, word);
  CHECK(crypto_secretbox_detached(frames, tag, frames, datagram.size() - kSealedHeaderSize, nonce.data(),
                                  key_->data()) == 0);
}

bool ReplayWindow::IsFresh(std::uint64_t number) const {
  const std::uint64_t index = number >> kBlockBits;
  if (index > current_index_) return true;
  if (index == current_index_) return !Contains(current_, number & kBlockMask);
  return index + 1 == current_index_ && !Contains(previous_, number & kBlockMask);
}

void ReplayWindow::Mark(std::uint64_t number) {
  const std::uint64_t index = number >> kBlockBits;
  if (index > current_index_) {
    std::swap(previous_, current_);
    if (index > current_index_ + 1) previous_.clear();
    current_.clear();
    current_index_ = index;
  }
  CHECK(index + 1 >= current_index_) << "sequence number " << number << " is too old";
  Block& block = index == current_index_ ? current_ : previous_;
  const std::uint64_t offset = number & kBlockMask;
  if (offset / 64 >= block.size()) block.resize(offset / 64 + 1);
  block[offset / 64] |= std::uint64_t{1} << (offset % 64);
}

FrameOpener::FrameOpener(const std::optional<SessionKey>& key, bool sender_dialled)
    : key_(key), sender_dialled_(sender_dialled) {}

FrameOpener::Result FrameOpener::Open(ByteView datagram) {
  if (!key_.has_value()) {
    if (datagram.size() < kSenderNameSize) return {Outcome::kMalformed, {}};
    return {Outcome::kOpened, datagram.subspan(kSenderNameSize)};
  }
  if (datagram.size() < kSealedHeaderSize) return {Outcome::kMalformed, {}};
  const std::uint8_t* word = datagram.data() + kSenderNameSize;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kWordSize; ++i) value = value << 8 | word[i];
  const std::uint64_t number = value & ~kDontFragmentBit;
  ReplayWindow& window = (value & kDontFragmentBit) != 0 ? dont_fragment_ : ordinary_;
  // Before the work of opening; only what opens may move the window.
  if (!window.IsFresh(number)) return {Outcome::kReplayed, {}};

  const std::uint8_t* tag = word + kWordSize;
  const ByteView box = datagram.subspan(kSealedHeaderSize);
  const Nonce nonce = NonceOf(sender_dialled_, word);
  opened_.resize(box.size());
  if (crypto_secretbox_open_detached(opened_.data(), box.data(), tag, box.size(), nonce.data(), key_->data()) != 0)
    return {Outcome::kForged, {}};
  window.Mark(number);
  return {Outcome::kOpened, opened_};
}

}  // namespace weave
