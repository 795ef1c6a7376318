// The golden vectors of test/golden/vectors as values: bytes captured from reference peers with their decodings
// (spec/vectors/README.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "wire/session.h"
#include "wire/topology.h"

namespace weave {

// A protocol message and what it says. Empty: does not apply, or the vector does not tell.
struct MessageVector {
  std::size_t offset = 0;  // in its direction of the TCP stream, where there is one
  std::size_t length = 0;
  std::optional<Bytes> plaintext;
  int tag = 0;
  std::string channel;
  std::string source;
  std::string destination;
  std::optional<std::vector<PeerSummary>> topology;
};

// One direction of a TCP connection.
struct HalfStream {
  bool dialled = false;
  Bytes bytes;
  std::map<std::string, std::string> features;
  std::optional<PublicKey> public_key;
  std::optional<PrivateKey> private_key;
  std::vector<MessageVector> messages;
};

struct StreamVector {
  int version = 0;
  HalfStream client;
  HalfStream server;
  std::uint64_t connection_uid = 0;
  std::optional<std::string> password;
  SessionKey session_key = {};
};

// `name` without `.json`. A missing or malformed file fails the test.
StreamVector ReadStream(const std::string& name);

// The messages of topology_gossip.json.
std::vector<MessageVector> ReadTopologyMessages();

// The stream `name` of gob_types.json.
Bytes ReadGobStream(const std::string& name);

}  // namespace weave
