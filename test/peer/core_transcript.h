// A PeerCore without a driver: every event returns its effects as text, one line each, in the order in which a driver
// performs them. Notation: `tidy`/`record KEY = VALUE` (`-`: erased), `#ID COMMAND`, `reply ID CODE ADDRESSES`.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "peer/core/peer_core.h"

namespace weave {

Cidr Net(absl::string_view text);
std::vector<Cidr> Nets(absl::string_view texts);           // separated by blanks
std::vector<AddressWish> Wishes(absl::string_view texts);  // 10.2.1.1/24, net:10.2.1.0/24, net:default

// Sandbox number `inode`, of the container `ident` ("c<inode>" unless given).
SandboxRef Box(std::uint64_t inode, std::string ident = "");
EndpointRecord OnRecord(std::uint64_t inode, absl::string_view addresses, std::string boot_id = "boot");
LiveEndpoint Alive(std::uint64_t inode, absl::string_view addresses);
std::string LinkName(std::uint64_t inode);

std::string Describe(const PeerOutput& output);

// Keeps what is logged, without fields.
class KeepingLogger final : public Logger {
 public:
  KeepingLogger() : Logger(LogLevel::kInfo) {}
  const std::vector<std::string>& messages() const { return messages_; }

 private:
  void Write(LogLevel, absl::string_view message, absl::Span<const LogField>) override {
    messages_.emplace_back(message);
  }

  std::vector<std::string> messages_;
};

class Transcript {
 public:
  // Not started yet. `range`: what the peer allocates from, empty: no allocator; `peers`: whom it is to dial, and to
  // agree with about the range, none: it is alone.
  explicit Transcript(absl::string_view range = "", std::vector<DirectPeer> peers = {})
      : core_(Config(range, std::move(peers)), entropy_, logger_) {}

  std::string Start(const std::vector<Record>& records = {}, const HostInventory& inventory = {});
  // A start on an empty host whose first sync (#1) succeeded.
  void StartFresh();

  std::string Attach(RequestId id, const SandboxRef& sandbox, absl::string_view addresses);
  std::string Detach(RequestId id, const SandboxRef& sandbox, absl::string_view addresses = "");
  std::string Expose(RequestId id, absl::string_view addresses);
  std::string Hide(RequestId id, absl::string_view addresses = "");
  std::string Reset(RequestId id);
  std::string Cancel(RequestId id);
  std::string Ask(RequestId id, IpamOperation operation);
  std::string Request(RequestId id, ApiRequest request);

  // What the last event asked to be written is durable: the allocator's part comes back. Until nothing comes any more;
  // the last text that is not empty.
  std::string AllWritten();
  // The same step by step, for what was taken off.
  PeerOutput TakeLast() { return std::exchange(last_, {}); }
  std::string Written(const PeerOutput& output);
  // Time passes, with everything that is due.
  void Pass(Duration duration);
  // Time passes until a timer asks something of the host; nothing within `duration`: none.
  std::optional<HostCommand> PassUntilCommand(Duration duration);

  // `ok` of an attach links the sandbox as LinkName(inode).
  std::string Done(CommandId id, std::uint64_t inode = 0);
  std::string Fail(CommandId id, absl::Status status = absl::InternalError("broken"));
  std::string Looked(CommandId id, bool present);
  std::string Surveyed(CommandId id, AddressSurvey survey);
  std::string Gone(absl::string_view host_ifname);
  std::string PortsChanged();
  std::string BridgeLost();
  // What the last event asked for was not performed: its records could not be written.
  std::string LastNotWritten();
  // Time passes until the next deadline; there must be one.
  std::string Later();

  PeerCore& core() { return core_; }
  const std::vector<std::string>& logged() const { return logger_.messages(); }
  absl::Time clock() const { return absl::FromUnixNanos(now_.nanoseconds()); }

 private:
  // The same numbers every time.
  class FixedEntropy final : public EntropySource {
   public:
    void Fill(absl::Span<std::uint8_t> bytes) override {
      for (std::uint8_t& byte : bytes) byte = ++last_;
    }

   private:
    std::uint8_t last_ = 0;
  };

  static PeerConfig Config(absl::string_view range, std::vector<DirectPeer> peers) {
    PeerConfig config;
    config.name = PeerName(1);
    config.nickname = "test";
    config.boot_id = "boot";
    config.mesh.name = config.name;
    config.dns_domain = "weave.local.";
    if (!range.empty()) config.ipam = IpamConfig{Net(range), Net(range), ConsensusBootstrap{}};
    config.direct_peers = std::move(peers);
    return config;
  }

  std::string Finish(PeerOutput output);
  Now now() const { return {now_, absl::UnixEpoch()}; }

  KeepingLogger logger_;
  FixedEntropy entropy_;
  PeerCore core_;
  MonotonicTime now_;
  PeerOutput last_;
};

}  // namespace weave
