// One netlink socket and the exchange of a request for its answers. What speaks to the kernel stands on it: host/, and
// fastdp/os/ for Open vSwitch and ESP. Nobody else has a use for it.
#pragma once

#include <netlink/msg.h>
#include <netlink/netlink.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"

namespace weave {

// A request being built. Running out of room is a CHECK: our requests are small, a page holds them. One that carries
// what may be long says how much.
class NetlinkRequest {
 public:
  NetlinkRequest(int type, int flags);
  NetlinkRequest(int type, int flags, std::size_t room_bytes);  // headers and padding included

  // Appends the family's fixed header (ifinfomsg and the like).
  template <typename Header>
  NetlinkRequest& Append(const Header& header) {
    return AppendBytes(&header, sizeof header);
  }
  NetlinkRequest& Put(int attribute, ByteView value);
  NetlinkRequest& Put(int attribute, absl::string_view text);  // zero-terminated
  NetlinkRequest& PutU8(int attribute, std::uint8_t value);
  NetlinkRequest& PutU32(int attribute, std::uint32_t value);
  NetlinkRequest& Begin(int attribute);  // of a nest
  NetlinkRequest& End();

  nl_msg* get() const { return message_.get(); }
  ByteView payload() const;  // as PayloadOf()

 private:
  struct Free {
    void operator()(nl_msg* message) const { nlmsg_free(message); }
  };

  NetlinkRequest& AppendBytes(const void* data, std::size_t size);

  std::unique_ptr<nl_msg, Free> message_;
  std::vector<nlattr*> nests_;
};

// Behind the netlink header.
ByteView PayloadOf(const nlmsghdr& header);

class NetlinkSocket {
 public:
  // Sees each message of an answer; a pointer is valid during the call.
  using Visitor = absl::FunctionRef<void(const nlmsghdr&)>;

  // In the calling thread's namespace. `protocol`: NETLINK_ROUTE and the like. `queue_size`: what the kernel may keep
  // for us at a time, in bytes as it counts them; 0: 64 KiB, too little for an answer of 60 KiB and what comes behind
  // it.
  static absl::StatusOr<NetlinkSocket> Open(int protocol = NETLINK_ROUTE, int queue_size = 0);

  // Sends and reads until the kernel says the answer is complete. `what` opens the text of an error. The errnos in
  // `fine` count as success. A dump that the kernel could not make consistent is Aborted: ask again.
  absl::Status Exchange(const NetlinkRequest& request, absl::string_view what, Visitor visit,
                        std::initializer_list<int> fine = {});
  absl::Status Exchange(const NetlinkRequest& request, absl::string_view what, std::initializer_list<int> fine = {});
  // As Exchange, for what has no answer but an error and is asked often: no acknowledgement is made or waited for. The
  // kernel does what a request asks within the system call that sends it, so one that has left no error behind is done.
  absl::Status Perform(const NetlinkRequest& request, absl::string_view what, std::initializer_list<int> fine = {});
  // Two of those in one system call: the kernel does the second whatever becomes of the first.
  struct BothPerformed {
    absl::Status first;
    absl::Status second;
  };
  BothPerformed PerformBoth(const NetlinkRequest& first, absl::string_view what_first, const NetlinkRequest& second,
                            absl::string_view what_second);
  // With which the kernel refused the last request, also when it was a fine one; 0: it did not.
  int last_errno() const { return last_errno_; }

  // For a subscriber: events of a multicast group, read without blocking.
  absl::Status Subscribe(int group);
  // Visits what is there. False: nothing was. ResourceExhausted: the kernel dropped events.
  absl::StatusOr<bool> ReadEvents(Visitor visit);

  int fd() const { return nl_socket_get_fd(socket_.get()); }

 private:
  struct Free {
    void operator()(nl_sock* socket) const { nl_socket_free(socket); }
  };

  struct Datagram;
  // The next datagram from the kernel; an empty one when a non-blocking socket has none.
  absl::StatusOr<Datagram> Read();
  absl::Status Send(const NetlinkRequest& request, absl::string_view what);
  // Errors that are there, until `visit` says that it has seen enough.
  absl::Status ReadErrors(absl::FunctionRef<bool(const nlmsghdr&)> visit);
  // Of NLMSG_ERROR, which is an acknowledgement when its number is 0.
  absl::Status Verdict(const nlmsghdr& header, absl::string_view what, std::initializer_list<int> fine);

  std::unique_ptr<nl_sock, Free> socket_;
  int last_errno_ = 0;
};

}  // namespace weave
