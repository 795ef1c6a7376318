#include "mesh/protocol_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace weave {
namespace {

// The encryption flag of version 2 (spec/mesh.md section 2.3).
constexpr std::uint8_t kInClear = 0;
constexpr std::uint8_t kEncrypted = 1;

// Whoever has not introduced itself gets no more memory than this.
constexpr std::size_t kMaxIntroductionSize = 64 * 1024;

absl::Status PasswordMismatch(bool ours) {
  return absl::FailedPreconditionError(
      ours ? "a password is set here, but the other peer asks for a connection without encryption"
           : "no password is set here, but the other peer asks for an encrypted connection");
}

}  // namespace

ProtocolStream::ProtocolStream(Options options) : options_(std::move(options)) {
  if (options_.password.has_value()) options_.features.public_key = PublicKeyOf(options_.private_key);
}

Bytes ProtocolStream::Begin() { return EncodeVersionHeader(options_.versions); }

void ProtocolStream::Append(ByteView bytes) {
  if (frames_.has_value())
    frames_->Append(bytes);
  else
    start_.insert(start_.end(), bytes.begin(), bytes.end());
}

absl::StatusOr<ProtocolStream::Event> ProtocolStream::Next(Bytes& out) {
  if (version_ == 0) {
    if (start_.size() < kVersionHeaderSize) return Event::kNeedBytes;
    RETURN_IF_ERROR(TakeVersion(out));
  }
  if (!frames_.has_value()) {
    RETURN_IF_ERROR(TakeEncryption(out));
    if (!frames_.has_value()) return Event::kNeedBytes;
  }
  ASSIGN_OR_RETURN(const std::optional<ByteView> frame, frames_->Next());
  if (!frame.has_value()) {
    if (!introduced_ && frames_->buffered_size() > kMaxIntroductionSize)
      return absl::InvalidArgumentError(absl::StrCat("introduction of over ", kMaxIntroductionSize, " bytes"));
    return Event::kNeedBytes;
  }
  message_ = *frame;
  // The features of version 1 travel in clear; everything else is sealed once there is a key.
  if (opener_.has_value() && (introduced_ || version_ >= 2)) {
    ASSIGN_OR_RETURN(opened_, opener_->Open(*frame));
    message_ = opened_;
  }
  if (introduced_) return Event::kMessage;
  RETURN_IF_ERROR(TakeFeatures(message_));
  introduced_ = true;
  return Event::kIntroduced;
}

absl::Status ProtocolStream::TakeVersion(Bytes& out) {
  ASSIGN_OR_RETURN(const VersionRange theirs, DecodeVersionHeader(ByteView(start_).subspan(0, kVersionHeaderSize)));
  ASSIGN_OR_RETURN(version_, ChooseVersion(options_.versions, theirs));
  start_.erase(start_.begin(), start_.begin() + kVersionHeaderSize);
  if (version_ == 1) {
    absl::Status sent = AppendFrame(1, /*first=*/true, EncodeFeatures(options_.features, 1), out);
    StartFrames();
    return sent;
  }
  out.push_back(options_.password.has_value() ? kEncrypted : kInClear);
  if (options_.password.has_value())
    out.insert(out.end(), options_.features.public_key->begin(), options_.features.public_key->end());
  return absl::OkStatus();
}

absl::Status ProtocolStream::TakeEncryption(Bytes& out) {
  if (start_.empty()) return absl::OkStatus();
  const bool ours = options_.password.has_value();
  const std::uint8_t flag = start_.front();
  if (flag != kInClear && flag != kEncrypted)
    return absl::InvalidArgumentError(absl::StrCat("encryption flag ", flag, ": want 0 or 1"));
  if ((flag == kEncrypted) != ours) return PasswordMismatch(ours);
  std::size_t size = 1;
  if (ours) {
    PublicKey key;
    size += key.size();
    if (start_.size() < size) return absl::OkStatus();
    std::copy_n(start_.begin() + 1, key.size(), key.begin());
    RETURN_IF_ERROR(StartSealing(key));
  }
  start_.erase(start_.begin(), start_.begin() + static_cast<std::ptrdiff_t>(size));
  StartFrames();
  const Bytes features = EncodeFeatures(options_.features, 2);
  if (!sealer_.has_value()) return AppendFrame(2, /*first=*/true, features, out);
  Bytes sealed;
  sealer_->Seal(features, sealed);
  return AppendFrame(2, /*first=*/true, sealed, out);
}

void ProtocolStream::StartFrames() {
  frames_.emplace(version_);
  frames_->Append(start_);
  start_ = Bytes();
}

absl::Status ProtocolStream::TakeFeatures(ByteView frame) {
  ASSIGN_OR_RETURN(remote_, DecodeFeatures(frame, version_));
  if (version_ >= 2) return absl::OkStatus();
  const bool ours = options_.password.has_value();
  if (remote_.public_key.has_value() != ours) return PasswordMismatch(ours);
  return ours ? StartSealing(*remote_.public_key) : absl::OkStatus();
}

absl::Status ProtocolStream::StartSealing(const PublicKey& remote_key) {
  ASSIGN_OR_RETURN(session_key_, MakeSessionKey(options_.private_key, remote_key, *options_.password));
  sealer_.emplace(*session_key_, options_.dialled);
  opener_.emplace(*session_key_, !options_.dialled);
  return absl::OkStatus();
}

absl::Status ProtocolStream::Seal(ByteView message, Bytes& out) {
  CHECK(introduced_);
  if (!sealer_.has_value()) return AppendFrame(version_, /*first=*/false, message, out);
  Bytes sealed;
  sealed.reserve(message.size() + kSealOverhead);
  sealer_->Seal(message, sealed);
  return AppendFrame(version_, /*first=*/false, sealed, out);
}

}  // namespace weave
