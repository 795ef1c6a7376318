#include "peer/peer_targets.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/socket_address.h"
#include "base/status.h"

namespace weave {
namespace {

constexpr int kResolverCount = 2;

absl::Status Invalid(absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("invalid peer name \"", text, "\", should be host[:port]"));
}

// Sleeve is IPv4 only, so the other addresses of a host that has one are of no use.
std::vector<SocketAddress> WithPort(const std::vector<IpAddress>& addresses, std::uint16_t port) {
  std::vector<SocketAddress> result;
  for (const IpAddress& ip : addresses)
    if (ip.IsV4() || !addresses.front().IsV4()) result.push_back({ip, port});
  return result;
}

}  // namespace

absl::StatusOr<PeerTarget> ParsePeerTarget(absl::string_view text) {
  if (const absl::StatusOr<IpAddress> ip = IpAddress::Parse(text); ip.ok()) return PeerTarget{ip->ToString(), 0};
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    const absl::StatusOr<IpAddress> ip = IpAddress::Parse(text.substr(1, text.size() - 2));
    if (!ip.ok() || ip->IsV4()) return Invalid(text);
    return PeerTarget{ip->ToString(), 0};
  }
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) {
    if (text.empty()) return Invalid(text);
    return PeerTarget{std::string(text), 0};
  }
  if (const absl::StatusOr<SocketAddress> address = SocketAddress::Parse(text); address.ok())
    return PeerTarget{address->ip.ToString(), address->port};
  const absl::string_view host = text.substr(0, colon);
  const absl::string_view port_text = text.substr(colon + 1);
  std::uint32_t port = 0;
  const bool port_ok = !port_text.empty() && port_text.size() <= 5 &&
                       port_text.find_first_not_of("0123456789") == absl::string_view::npos &&
                       absl::SimpleAtoi(port_text, &port) && port <= 65535;
  if (host.empty() || host.find_first_of(":[]") != absl::string_view::npos || !port_ok) return Invalid(text);
  return PeerTarget{std::string(host), static_cast<std::uint16_t>(port)};
}

// One call of Resolve, shared by the lookups under way.
struct PeerTargetResolver::Lookup {
  std::vector<std::string> texts;
  std::vector<std::optional<absl::StatusOr<std::vector<SocketAddress>>>> found;  // one for each text
  std::size_t missing = 0;
  Callback callback;

  void Take(std::size_t index, absl::StatusOr<std::vector<SocketAddress>> addresses) {
    found[index] = std::move(addresses);
    if (--missing > 0) return;
    Result result;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (found[i]->ok()) {
        result.peers.push_back({texts[i], **std::move(found[i])});
      } else {
        result.failed.push_back(texts[i]);
        result.errors.push_back(found[i]->status());
      }
    }
    callback(std::move(result));
  }
};

PeerTargetResolver::PeerTargetResolver(EventLoop& loop)
    : loop_(loop), workers_("peer lookup", kResolverCount), resolver_(loop, workers_) {}

void PeerTargetResolver::Resolve(std::vector<std::string> texts, Callback callback) {
  auto lookup = std::make_shared<Lookup>();
  lookup->texts = std::move(texts);
  lookup->found.resize(lookup->texts.size());
  lookup->missing = lookup->texts.size();
  lookup->callback = std::move(callback);
  if (lookup->texts.empty()) return loop_.Post([lookup] { lookup->callback({}); });
  for (std::size_t i = 0; i < lookup->texts.size(); ++i) {
    const absl::StatusOr<PeerTarget> target = ParsePeerTarget(lookup->texts[i]);
    if (!target.ok()) {
      loop_.Post([lookup, i, status = target.status()] { lookup->Take(i, status); });
      continue;
    }
    resolver_.Resolve(target->host, [lookup, i, port = target->port](absl::StatusOr<std::vector<IpAddress>> addresses) {
      if (addresses.ok())
        lookup->Take(i, WithPort(*addresses, port));
      else
        lookup->Take(i, addresses.status());
    });
  }
}

}  // namespace weave
