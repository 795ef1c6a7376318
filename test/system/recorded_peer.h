// The other end of a connection with the real `weaver`: a peer of Weave Net 2.8 whose words were recorded
// (test/golden/vectors), or anybody who says what a test wants.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "io/fd.h"
#include "test/wire/vectors.h"
#include "wire/framing.h"
#include "wire/handshake.h"
#include "wire/messages.h"
#include "wire/session.h"

namespace weave {

// A host of its own (network and mount namespaces of this process) with one `weaver` on port 6783.
class WeaverHost {
 public:
  // `name`: as --name takes it. Exits with 77 (skipped) when not root. Waits until the peer is ready.
  explicit WeaverHost(absl::string_view name, std::vector<std::string> args = {});
  WeaverHost(const WeaverHost&) = delete;
  WeaverHost& operator=(const WeaverHost&) = delete;
  ~WeaverHost();

  bool IsRunning() const;
  // A page of the peer's HTTP status; an error's text when it does not answer.
  std::string Page(absl::string_view path) const;
  void Connect(absl::string_view peer) const;
  std::string Log() const;
  std::size_t MemorySize() const;  // resident, in bytes

 private:
  pid_t pid_ = 0;
};

// A blocking TCP connection with a time-out of 20 s, which no passing test waits for.
class TestConnection {
 public:
  // To the weaver of this host.
  static TestConnection Dial();
  explicit TestConnection(Fd fd) : fd_(std::move(fd)) {}

  void Send(ByteView bytes);
  // Appends what arrives to `bytes`; false when the other end has closed or reset the connection.
  bool Receive(Bytes& bytes);
  // Nothing has ended the connection so far.
  bool IsOpen() const;

 private:
  Fd fd_;
};

// Where a test waits for the weaver to dial.
class TestListener {
 public:
  TestListener();
  std::string address() const;
  TestConnection Accept() const;

 private:
  Fd fd_;
};

// What the weaver says on one connection, message by message.
class WeaverWords {
 public:
  // With a password: the session's key, from the public key of the weaver. Asked for once.
  using FindKey = std::function<SessionKey(const PublicKey&)>;

  // `weaver_dialled`: it opened the connection. `version`: what both will agree on.
  WeaverWords(TestConnection& connection, int version, bool weaver_dialled, FindKey find_key = nullptr)
      : connection_(connection),
        reader_(version),
        version_(version),
        weaver_dialled_(weaver_dialled),
        find_key_(std::move(find_key)) {}

  // The version header, and the encryption flag of version 2.
  void ReadStart();
  // The next message, the first of which is the feature map; none when the connection has ended.
  std::optional<Bytes> Next();
  Features ReadFeatures();
  // Heartbeats, gossip and so on, until `wanted` is among them; fails the test when the connection ends before.
  void ReadUntil(const std::function<bool(const Bytes&)>& wanted);

  // Known after ReadStart in version 2, after ReadFeatures in version 1.
  const std::optional<SessionKey>& session_key() const { return session_key_; }

 private:
  void Fill(std::size_t size);
  void StartOpening(const PublicKey& weaver);

  TestConnection& connection_;
  FrameReader reader_;
  const int version_;
  const bool weaver_dialled_;
  const FindKey find_key_;
  Bytes received_;  // before frames begin
  std::optional<SessionKey> session_key_;
  std::optional<TcpOpener> opener_;
};

bool Eventually(const std::function<bool()>& condition);

}  // namespace weave
