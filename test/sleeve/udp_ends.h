// A UDP port of the sleeve path with what it received, for tests that use the real kernel.
#pragma once

#include <poll.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "sleeve/os/udp_port.h"
#include "test/support/catch.h"

namespace weave {

// Waits until `fd` can be read; a minute is a failure.
inline void AwaitReadable(int fd) {
  pollfd readable = {fd, POLLIN, 0};
  REQUIRE(poll(&readable, 1, 60'000) == 1);
}

struct UdpEnd {
  struct Arrival {
    IpAddress local;
    SocketAddress remote;
    std::string text;
  };

  explicit UdpEnd(std::optional<IpAddress> host = IpAddress::V4(0x7f000001)) {
    auto opened = UdpPort::Open(host, 0);
    REQUIRE(opened.status() == absl::OkStatus());
    port = *std::move(opened);
  }

  const SocketAddress& address() const { return port->address(); }

  // As many batches as it takes; what the kernel says is too large is in `too_big`.
  void Send(const SocketAddress& to, const std::vector<std::string>& texts, bool dont_fragment,
            std::optional<IpAddress> from = std::nullopt) {
    const DatagramRoute route{from, to};
    DatagramBatch batch;
    const auto flush = [&] {
      port->Send(batch, [&](const SocketAddress& remote, std::size_t mtu) { too_big.emplace_back(remote, mtu); });
      batch.Clear();
    };
    for (const std::string& text : texts) {
      if (!batch.Fits(text.size())) flush();
      const absl::Span<std::uint8_t> bytes = batch.Begin(route, dont_fragment, text.size());
      std::copy(text.begin(), text.end(), bytes.begin());
    }
    flush();
  }

  // The texts of what arrived, once it is `count`.
  std::vector<std::string> Take(std::size_t count) {
    while (arrivals.size() < count) {
      AwaitReadable(port->fd());
      port->Receive([&](const IpAddress& local, const SocketAddress& remote, ByteView bytes) {
        arrivals.push_back({local, remote, std::string(AsText(bytes))});
      });
    }
    std::vector<std::string> texts;
    for (const Arrival& arrival : arrivals) texts.push_back(arrival.text);
    return texts;
  }

  std::unique_ptr<UdpPort> port;
  std::vector<Arrival> arrivals;
  std::vector<std::pair<SocketAddress, std::size_t>> too_big;
};

}  // namespace weave
