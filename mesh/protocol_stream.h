// One TCP connection as a stream of protocol messages: the introduction, then frames, in either protocol version, in
// clear or sealed (spec/mesh.md sections 2 to 4). Bytes in, messages out; it owns no socket and no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "wire/framing.h"
#include "wire/handshake.h"
#include "wire/session.h"

namespace weave {

class ProtocolStream {
 public:
  struct Options {
    VersionRange versions;
    Features features;                    // ours; the public key is filled in here
    std::optional<std::string> password;  // none: in clear
    PrivateKey private_key = {};          // fresh random bytes; used with a password only
    bool dialled = false;                 // we opened the connection
  };

  enum class Event : std::uint8_t {
    kNeedBytes,   // nothing more until Append
    kIntroduced,  // once, before the first message: see remote(), version(), session_key()
    kMessage,     // see message()
  };

  explicit ProtocolStream(Options options);

  // What goes out first, before anything is received.
  Bytes Begin();

  // Takes received bytes; holds at most one incomplete message and what follows it in `bytes`.
  void Append(ByteView bytes);

  // What comes next in what was received. Appends to `out` what the introduction has to answer. An error ends the
  // connection: FailedPrecondition when the two peers do not fit together (version, encryption), InvalidArgument for
  // anything malformed, a wrong password included.
  absl::StatusOr<Event> Next(Bytes& out);

  // After kMessage, until the next call of Append or Next.
  ByteView message() const { return message_; }

  // From kIntroduced on.
  const Features& remote() const { return remote_; }
  int version() const { return version_; }
  const std::optional<SessionKey>& session_key() const { return session_key_; }

  bool header_received() const { return version_ != 0; }

  // Appends `message` to `out` as it travels. From kIntroduced on. InvalidArgument when it is too large.
  absl::Status Seal(ByteView message, Bytes& out);

 private:
  absl::Status TakeVersion(Bytes& out);
  absl::Status TakeEncryption(Bytes& out);
  absl::Status TakeFeatures(ByteView frame);
  void StartFrames();
  absl::Status StartSealing(const PublicKey& remote_key);

  Options options_;
  Bytes start_;      // received and not yet understood, until frames begin
  int version_ = 0;  // 0: not agreed yet
  std::optional<FrameReader> frames_;
  bool introduced_ = false;
  Features remote_;
  std::optional<SessionKey> session_key_;
  std::optional<TcpSealer> sealer_;
  std::optional<TcpOpener> opener_;
  Bytes opened_;
  ByteView message_;
};

}  // namespace weave
