// A peer that says exactly what a test makes it say, over the simulated TCP: for what no router of ours would do.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "mesh/protocol_stream.h"
#include "sim/mesh_transport.h"
#include "test/mesh/mesh_world.h"
#include "wire/messages.h"

namespace weave::test {

class ScriptedPeer {
 public:
  struct Options {
    PeerName name = PeerName(0xbad);
    std::optional<std::string> password = std::nullopt;
    bool introduces_itself = true;       // false: connects and says nothing
    bool inventory = false;              // announces the channel "topology inventory"
    std::string compared_channels = "";  // what it announces of these
  };

  // On a host of the simulation that has nothing else.
  ScriptedPeer(MeshWorld& world, sim::HostId id, Options options)
      : world_(world), id_(id), options_(std::move(options)) {
    world_.transport.Listen(id, [this](const sim::TransportEvent& event) { OnEvent(event); });
  }
  ScriptedPeer(MeshWorld& world, sim::HostId id) : ScriptedPeer(world, id, Options()) {}

  void Dial(sim::HostId to) {
    closed = introduced = false;
    end_ = world_.transport.Connect(id_, to);
    Open(/*dialled=*/true);
  }

  // Runs until it is introduced.
  void Join(sim::HostId to) {
    Dial(to);
    REQUIRE(world_.RunUntil([this] { return introduced; }, absl::Seconds(10)));
  }

  // A protocol message.
  void Say(ByteView message) {
    Bytes bytes;
    REQUIRE(stream_->Seal(message, bytes).ok());
    SayRaw(bytes);
  }
  void SayGossip(MessageTag tag, absl::string_view channel, ByteView payload, PeerName source,
                 PeerName destination = {}) {
    Say(EncodeGossip(tag, {channel, source, destination, payload}));
  }
  // Bytes as they are.
  void SayRaw(ByteView bytes) {
    unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
    Flush();
  }

  // Messages with `tag` that it was sent.
  std::size_t CountOf(MessageTag tag) const {
    return static_cast<std::size_t>(std::count_if(messages.begin(), messages.end(), [tag](const Bytes& message) {
      return !message.empty() && message[0] == static_cast<std::uint8_t>(tag);
    }));
  }
  // Of those the ones of a channel.
  std::size_t CountOf(MessageTag tag, absl::string_view channel) const {
    return static_cast<std::size_t>(std::count_if(messages.begin(), messages.end(), [&](const Bytes& message) {
      return !message.empty() && message[0] == static_cast<std::uint8_t>(tag) &&
             DecodeGossip(message).value().channel == channel;
    }));
  }

  bool connected = false;
  bool introduced = false;
  bool closed = false;  // by the other end
  std::vector<Bytes> messages;

 private:
  void Open(bool dialled) {
    unsent_.clear();
    ProtocolStream::Options options;
    options.password = options_.password;
    options.private_key[0] = 1;
    options.dialled = dialled;
    options.features.name = options_.name;
    options.features.nickname = "scripted";
    options.features.uid = 77;
    options.features.connection_id = ++last_connection_id_;
    options.features.overlays = "hello";
    options.features.inventory = options_.inventory;
    options.features.compared_channels = options_.compared_channels;
    stream_.emplace(std::move(options));
  }

  void OnEvent(const sim::TransportEvent& event) {
    if (const auto* accepted = std::get_if<sim::Accepted>(&event)) {
      end_ = accepted->connection;
      Open(/*dialled=*/false);
      Begin();
    }
    if (std::holds_alternative<sim::Connected>(event)) Begin();
    if (std::holds_alternative<sim::Writable>(event)) Flush();
    if (std::holds_alternative<sim::Closed>(event)) closed = true;
    if (const auto* received = std::get_if<sim::Received>(&event)) Take(received->bytes);
  }

  void Begin() {
    connected = true;
    if (options_.introduces_itself) SayRaw(stream_->Begin());
  }

  void Take(ByteView bytes) {
    if (!options_.introduces_itself) return;
    stream_->Append(bytes);
    while (true) {
      Bytes answer;
      const absl::StatusOr<ProtocolStream::Event> event = stream_->Next(answer);
      SayRaw(answer);
      if (!event.ok() || *event == ProtocolStream::Event::kNeedBytes) return;
      introduced = true;
      if (*event == ProtocolStream::Event::kMessage)
        messages.emplace_back(stream_->message().begin(), stream_->message().end());
    }
  }

  void Flush() {
    if (unsent_.empty()) return;
    const std::size_t taken = world_.transport.Send(end_, unsent_);
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(taken));
  }

  MeshWorld& world_;
  const sim::HostId id_;
  const Options options_;
  sim::ConnectionId end_ = 0;
  std::uint64_t last_connection_id_ = 0;
  std::optional<ProtocolStream> stream_;
  Bytes unsent_;
};

}  // namespace weave::test
