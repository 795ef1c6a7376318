// The peer as the plugin's drivers see it: addresses, in the words of the plugin protocol. All calls share a
// connection, which is made anew when the peer was started again.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "client/peer_client.h"
#include "io/mutex.h"

namespace weave {

// Any thread; blocks. A peer that is absent or hangs is an error within two seconds: Unavailable, NotFound or
// DeadlineExceeded. What the peer itself refuses comes as `400 Bad Request: why` and a newline, the text that 2.8 had
// from its HTTP interface, with the peer's code.
class PeerAccess {
 public:
  // `upkeep`: of addresses that are asked for.
  PeerAccess(std::string api_socket, v1::Upkeep upkeep) : api_socket_(std::move(api_socket)), upkeep_(upkeep) {}

  // Waits for other peers for up to half a minute.
  absl::StatusOr<Cidr> Allocate(const Cidr& range) const;
  absl::Status Claim(const Cidr& address) const;

  // NotFound: nobody has it.
  absl::Status Release(const IpAddress& address) const;

  // Whether somebody on this host has it.
  absl::StatusOr<bool> IsHeld(const IpAddress& address) const;

  // Addresses that we, or plugins before us, asked for with UPKEEP_DOCKER; the peer's own words, as the next.
  absl::StatusOr<std::vector<IpAddress>> HeldForDocker() const;
  // Docker knows nothing of these any more.
  absl::Status Disown(const std::vector<IpAddress>& addresses) const;

  // The peer's own words.
  absl::Status RemoveInterface(int link_index, absl::string_view name) const;

  // FailedPrecondition: the peer allocates no addresses.
  absl::StatusOr<Cidr> DefaultSubnet() const;

  // ---- names of containers; the peer's own words ----

  // With the final dot. NotFound: the peer serves no names.
  absl::StatusOr<std::string> NameDomain() const;
  // Those outside the domain are passed over. Repeating it changes nothing. The first error; the others are told all
  // the same.
  absl::Status AddNames(const std::string& container_id, const std::string& address,
                        const std::vector<std::string>& names) const;
  // Holders of the names that this peer has registered, some more than once.
  absl::StatusOr<std::vector<std::string>> NameHolders() const;
  // All of the container's.
  absl::Status RemoveNames(const std::string& container_id) const;

 private:
  absl::StatusOr<std::shared_ptr<PeerClient>> Reach() const;

  const std::string api_socket_;
  const v1::Upkeep upkeep_;
  mutable Mutex mutex_;
  mutable std::shared_ptr<PeerClient> client_ ABSL_GUARDED_BY(mutex_);  // of the last call, perhaps ended since
};

}  // namespace weave
