#include "io/resolver.h"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "io/fd.h"
#include "io/sockaddr.h"

namespace weave {
namespace {

using Addresses = std::vector<IpAddress>;

constexpr std::size_t kMaxNameSize = 253;  // bytes of text, RFC 1035 section 2.3.4

bool Consists(absl::string_view text, bool (*of)(unsigned char)) { return std::all_of(text.begin(), text.end(), of); }

// What can be a name in DNS or /etc/hosts. A last label that is a number makes it an attempt at an address, as 10.1 or
// 0x7f000001, which the system's resolver would understand in ways nobody means.
bool IsHostName(absl::string_view host) {
  if (host.empty() || host.size() > kMaxNameSize) return false;
  const auto allowed = [](unsigned char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.'; };
  if (!Consists(host, allowed)) return false;
  if (host.back() == '.') host.remove_suffix(1);
  const absl::string_view last = host.substr(host.rfind('.') + 1);
  const bool hex = absl::StartsWithIgnoreCase(last, "0x") && Consists(last.substr(2), absl::ascii_isxdigit);
  return !hex && !Consists(last, absl::ascii_isdigit);  // an empty label included
}

absl::Status LookupError(absl::string_view host, int code, int err) {
  const std::string what = absl::StrCat("resolve \"", host, "\"");
  switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
      return absl::NotFoundError(absl::StrCat(what, ": no such host"));
    case EAI_MEMORY:
      return absl::ResourceExhaustedError(absl::StrCat(what, ": out of memory"));
    case EAI_SYSTEM:
      return ErrnoError(err, what);
    default:
      return absl::UnavailableError(absl::StrCat(what, ": ", gai_strerror(code)));
  }
}

// Blocks.
absl::StatusOr<Addresses> LookUp(const std::string& host) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;  // otherwise each address comes once per kind of socket
  addrinfo* list = nullptr;
  const int code = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (code != 0) return LookupError(host, code, errno);
  Addresses addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6) continue;
    sockaddr_storage storage = {};
    std::memcpy(&storage, entry->ai_addr, std::min<std::size_t>(entry->ai_addrlen, sizeof storage));
    const IpAddress ip = FromKernel(storage).ip;
    if (std::find(addresses.begin(), addresses.end(), ip) == addresses.end()) addresses.push_back(ip);
  }
  freeaddrinfo(list);
  if (addresses.empty()) return LookupError(host, EAI_NODATA, 0);
  std::stable_partition(addresses.begin(), addresses.end(), [](const IpAddress& ip) { return ip.IsV4(); });
  return addresses;
}

}  // namespace

struct Resolver::State {
  struct Lookup {
    Callback callback;
    std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);  // for the worker
  };

  void Answer(std::uint64_t id, absl::StatusOr<Addresses> result) {
    const auto found = lookups.find(id);
    if (found == lookups.end()) return;
    Callback callback = std::move(found->second.callback);
    lookups.erase(found);
    callback(std::move(result));
  }

  std::uint64_t next_id = 1;
  std::map<std::uint64_t, Lookup> lookups;
  int outstanding_count = 0;  // tasks the pool has, cancelled ones included
};

Resolver::Resolver(EventLoop& loop, WorkerPool& pool) : loop_(loop), pool_(pool), state_(std::make_shared<State>()) {}

Resolver::~Resolver() {
  for (auto& [id, lookup] : state_->lookups) *lookup.cancelled = true;
}

std::uint64_t Resolver::Resolve(absl::string_view host, Callback callback) {
  const std::uint64_t id = state_->next_id++;
  State::Lookup& lookup = state_->lookups[id];
  lookup.callback = std::move(callback);
  const std::weak_ptr<State> weak = state_;
  const auto answer_soon = [this, &weak, id](absl::StatusOr<Addresses> result) {
    loop_.Post([weak, id, result = std::move(result)]() mutable {
      if (const auto state = weak.lock()) state->Answer(id, std::move(result));
    });
  };

  if (const absl::StatusOr<IpAddress> literal = IpAddress::Parse(host); literal.ok()) {
    answer_soon(Addresses{*literal});
  } else if (!IsHostName(host)) {
    answer_soon(absl::InvalidArgumentError(
        absl::StrCat("resolve \"", absl::CHexEscape(host.substr(0, kMaxNameSize)),
                     "\": want an IP address or a host name of letters, digits, '-', '_' and '.'")));
  } else if (state_->outstanding_count == kMaxOutstanding) {
    answer_soon(absl::ResourceExhaustedError(
        absl::StrCat("resolve \"", host, "\": ", kMaxOutstanding, " lookups are under way")));
  } else {
    ++state_->outstanding_count;
    pool_.Submit([&loop = loop_, weak, id, cancelled = lookup.cancelled, name = std::string(host)] {
      absl::StatusOr<Addresses> result = absl::CancelledError();
      if (!*cancelled) result = LookUp(name);
      loop.Post([weak, id, result = std::move(result)]() mutable {
        const auto state = weak.lock();
        if (state == nullptr) return;
        --state->outstanding_count;
        state->Answer(id, std::move(result));
      });
    });
  }
  return id;
}

void Resolver::Cancel(std::uint64_t lookup) {
  const auto found = state_->lookups.find(lookup);
  if (found == state_->lookups.end()) return;
  *found->second.cancelled = true;
  state_->lookups.erase(found);
}

}  // namespace weave
