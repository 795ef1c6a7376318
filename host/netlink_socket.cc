#include "host/netlink_socket.h"

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "io/fd.h"

namespace weave {
namespace {

// Bytes; a dump's datagrams are at most 32 KiB (netlink_dump in the kernel).
constexpr std::size_t kReceiveSize = 64 * 1024;

// The kernel's own words about a refused request, if it gave any (NLMSGERR_ATTR_MSG).
std::string ExtendedAck(const nlmsghdr& header) {
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return "";
  const auto* error = static_cast<const nlmsgerr*>(nlmsg_data(&header));
  std::size_t offset = sizeof *error;
  if ((header.nlmsg_flags & NLM_F_CAPPED) == 0) offset += error->msg.nlmsg_len - sizeof error->msg;
  const std::size_t size = nlmsg_datalen(&header);
  offset = NLMSG_ALIGN(offset);
  if (offset >= size) return "";
  const auto* first = reinterpret_cast<const nlattr*>(static_cast<const char*>(nlmsg_data(&header)) + offset);
  const nlattr* text = nla_find(first, static_cast<int>(size - offset), NLMSGERR_ATTR_MSG);
  if (text == nullptr) return "";
  const absl::string_view value(static_cast<const char*>(nla_data(text)), nla_len(text));
  return std::string(value.substr(0, value.find('\0')));
}

absl::Status KernelError(const nlmsghdr& header, int error, absl::string_view what) {
  absl::Status status = ErrnoError(error, what);
  const std::string text = ExtendedAck(header);
  if (text.empty()) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), " (", text, ")"));
}

absl::Status LibraryError(int error, absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": netlink: ", nl_geterror(error)));
}

std::uint32_t SequenceOf(const NetlinkRequest& request) { return nlmsg_hdr(request.get())->nlmsg_seq; }

}  // namespace

NetlinkRequest::NetlinkRequest(int type, int flags) : message_(nlmsg_alloc_simple(type, flags | NLM_F_REQUEST)) {
  CHECK(message_ != nullptr) << "netlink message " << type;
}

NetlinkRequest::NetlinkRequest(int type, int flags, std::size_t room_bytes)
    : message_(nlmsg_alloc_size(room_bytes + NLMSG_HDRLEN)) {
  CHECK(message_ != nullptr && nlmsg_put(message_.get(), NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, flags | NLM_F_REQUEST))
      << "netlink message " << type << " of " << room_bytes << " bytes";
}

ByteView NetlinkRequest::payload() const { return PayloadOf(*nlmsg_hdr(message_.get())); }

NetlinkRequest& NetlinkRequest::AppendBytes(const void* data, std::size_t size) {
  CHECK(nlmsg_append(message_.get(), const_cast<void*>(data), size, NLMSG_ALIGNTO) == 0) << size;
  return *this;
}

NetlinkRequest& NetlinkRequest::Put(int attribute, ByteView value) {
  CHECK(nla_put(message_.get(), attribute, static_cast<int>(value.size()), value.data()) == 0) << attribute;
  return *this;
}

NetlinkRequest& NetlinkRequest::Put(int attribute, absl::string_view text) {
  CHECK(nla_put_string(message_.get(), attribute, std::string(text).c_str()) == 0) << attribute;
  return *this;
}

NetlinkRequest& NetlinkRequest::PutU8(int attribute, std::uint8_t value) {
  CHECK(nla_put_u8(message_.get(), attribute, value) == 0) << attribute;
  return *this;
}

NetlinkRequest& NetlinkRequest::PutU32(int attribute, std::uint32_t value) {
  CHECK(nla_put_u32(message_.get(), attribute, value) == 0) << attribute;
  return *this;
}

NetlinkRequest& NetlinkRequest::Begin(int attribute) {
  nlattr* nest = nla_nest_start(message_.get(), attribute);
  CHECK(nest != nullptr) << attribute;
  nests_.push_back(nest);
  return *this;
}

NetlinkRequest& NetlinkRequest::End() {
  CHECK(!nests_.empty());
  CHECK(nla_nest_end(message_.get(), nests_.back()) == 0);
  nests_.pop_back();
  return *this;
}

ByteView PayloadOf(const nlmsghdr& header) {
  return {static_cast<const std::uint8_t*>(nlmsg_data(&header)), static_cast<std::size_t>(nlmsg_datalen(&header))};
}

struct NetlinkSocket::Datagram {
  struct Free {
    void operator()(unsigned char* memory) const { std::free(memory); }
  };
  std::unique_ptr<unsigned char, Free> bytes;
  int size = 0;  // 0: there was none
};

absl::StatusOr<NetlinkSocket> NetlinkSocket::Open(int protocol, int queue_size) {
  NetlinkSocket result;
  result.socket_.reset(nl_socket_alloc());
  if (result.socket_ == nullptr) return absl::ResourceExhaustedError("netlink: no memory for a socket");
  nl_socket_disable_auto_ack(result.socket_.get());  // each request says itself what it wants
  if (int error = nl_connect(result.socket_.get(), protocol); error < 0)
    return LibraryError(error, "cannot open a socket to the kernel");
  if (int error = nl_socket_set_msg_buf_size(result.socket_.get(), kReceiveSize); error < 0)
    return LibraryError(error, "receive buffer");
  if (queue_size > 0) {
    // The kernel doubles it, for its own structures. Without the right to more the system's limit holds.
    const int half = queue_size / 2;
    if (::setsockopt(result.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof half) != 0)
      (void)::setsockopt(result.fd(), SOL_SOCKET, SO_RCVBUF, &half, sizeof half);
  }
  const int on = 1;  // kernels before 4.12 know no extended acknowledgement: their errors have no text
  (void)setsockopt(result.fd(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  return result;
}

absl::StatusOr<NetlinkSocket::Datagram> NetlinkSocket::Read() {
  while (true) {
    sockaddr_nl from = {};
    unsigned char* bytes = nullptr;
    const int size = nl_recv(socket_.get(), &from, &bytes, nullptr);
    Datagram result{std::unique_ptr<unsigned char, Datagram::Free>(bytes), std::max(size, 0)};
    if (size == -NLE_AGAIN) return result;
    if (size == -NLE_NOMEM) return absl::ResourceExhaustedError("netlink: the kernel dropped messages");
    if (size < 0) return LibraryError(size, "reading");
    if (size == 0) return absl::UnavailableError("netlink: the socket has ended");
    if (from.nl_pid == 0) return result;  // what a process sent us is not the kernel's word
  }
}

absl::Status NetlinkSocket::Exchange(const NetlinkRequest& request, absl::string_view what,
                                     std::initializer_list<int> fine) {
  return Exchange(
      request, what, [](const nlmsghdr&) {}, fine);
}

absl::Status NetlinkSocket::Exchange(const NetlinkRequest& request, absl::string_view what, Visitor visit,
                                     std::initializer_list<int> fine) {
  nlmsghdr* sent = nlmsg_hdr(request.get());
  sent->nlmsg_flags |= NLM_F_ACK;
  RETURN_IF_ERROR(Send(request, what));

  bool interrupted = false;
  while (true) {
    ASSIGN_OR_RETURN(Datagram datagram, Read());
    auto* header = reinterpret_cast<nlmsghdr*>(datagram.bytes.get());
    for (int left = datagram.size; nlmsg_ok(header, left); header = nlmsg_next(header, &left)) {
      if (header->nlmsg_seq != sent->nlmsg_seq) continue;  // the rest of an exchange that failed half-way
      if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
      if (header->nlmsg_type == NLMSG_DONE) {
        // A dump that failed says so here: the first four bytes are the (negative) error.
        if (nlmsg_datalen(header) >= static_cast<int>(sizeof(int))) {
          const int error = -*static_cast<int*>(nlmsg_data(header));
          last_errno_ = std::max(error, 0);
          if (error > 0) return ErrnoError(error, what);
        }
        if (interrupted) return absl::AbortedError(absl::StrCat(what, ": it changed while it was listed"));
        return absl::OkStatus();
      }
      if (header->nlmsg_type == NLMSG_ERROR) return Verdict(*header, what, fine);
      visit(*header);
    }
  }
}

absl::Status NetlinkSocket::Perform(const NetlinkRequest& request, absl::string_view what,
                                    std::initializer_list<int> fine) {
  RETURN_IF_ERROR(Send(request, what));
  absl::Status result;
  const absl::Status read = ReadErrors([&](const nlmsghdr& error) {
    if (error.nlmsg_seq != SequenceOf(request)) return false;
    result = Verdict(error, what, fine);
    return true;
  });
  return read.ok() ? result : Annotate(read, what);
}

NetlinkSocket::BothPerformed NetlinkSocket::PerformBoth(const NetlinkRequest& first, absl::string_view what_first,
                                                        const NetlinkRequest& second, absl::string_view what_second) {
  last_errno_ = 0;
  std::array<iovec, 2> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    nl_msg* message = (i == 0 ? first : second).get();
    nl_complete_msg(socket_.get(), message);
    parts[i] = {nlmsg_hdr(message), NLMSG_ALIGN(nlmsg_hdr(message)->nlmsg_len)};
  }
  BothPerformed result;
  absl::Status done;
  if (int error = nl_send_iovec(socket_.get(), first.get(), parts.data(), parts.size()); error < 0)
    done = LibraryError(error, "sending");
  else
    done = ReadErrors([&](const nlmsghdr& header) {
      if (header.nlmsg_seq == SequenceOf(first)) result.first = Verdict(header, what_first, {});
      if (header.nlmsg_seq != SequenceOf(second)) return false;
      result.second = Verdict(header, what_second, {});
      return true;
    });
  if (!done.ok()) result = {Annotate(done, what_first), Annotate(done, what_second)};
  return result;
}

absl::Status NetlinkSocket::ReadErrors(absl::FunctionRef<bool(const nlmsghdr&)> visit) {
  while (true) {
    // An error repeats the request, which may be long; what is cut off says nothing of it.
    alignas(nlmsghdr) char bytes[4096];
    sockaddr_nl from = {};
    socklen_t from_size = sizeof from;
    const ssize_t size =
        ::recvfrom(fd(), bytes, sizeof bytes, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &from_size);
    if (size < 0 && errno == EAGAIN) return absl::OkStatus();
    if (size < 0) return ErrnoError(errno, "reading");
    auto* header = reinterpret_cast<nlmsghdr*>(bytes);
    if (from.nl_pid != 0 || size < static_cast<ssize_t>(sizeof *header)) continue;
    header->nlmsg_len = std::min(header->nlmsg_len, static_cast<std::uint32_t>(size));
    if (header->nlmsg_type == NLMSG_ERROR && visit(*header)) return absl::OkStatus();
  }
}

absl::Status NetlinkSocket::Send(const NetlinkRequest& request, absl::string_view what) {
  last_errno_ = 0;
  nl_complete_msg(socket_.get(), request.get());
  if (int error = nl_send(socket_.get(), request.get()); error < 0) return LibraryError(error, what);
  return absl::OkStatus();
}

absl::Status NetlinkSocket::Verdict(const nlmsghdr& header, absl::string_view what, std::initializer_list<int> fine) {
  if (nlmsg_datalen(&header) < static_cast<int>(sizeof(nlmsgerr)))
    return absl::InternalError(absl::StrCat(what, ": netlink: an error of ", nlmsg_datalen(&header), " bytes"));
  last_errno_ = -static_cast<const nlmsgerr*>(nlmsg_data(&header))->error;
  if (last_errno_ == 0 || std::find(fine.begin(), fine.end(), last_errno_) != fine.end()) return absl::OkStatus();
  return KernelError(header, last_errno_, what);
}

absl::Status NetlinkSocket::Subscribe(int group) {
  if (int error = nl_socket_add_membership(socket_.get(), group); error < 0)
    return LibraryError(error, "cannot subscribe to the kernel's events");
  if (int error = nl_socket_set_nonblocking(socket_.get()); error < 0) return LibraryError(error, "non-blocking");
  return absl::OkStatus();
}

absl::StatusOr<bool> NetlinkSocket::ReadEvents(Visitor visit) {
  ASSIGN_OR_RETURN(Datagram datagram, Read());
  auto* header = reinterpret_cast<nlmsghdr*>(datagram.bytes.get());
  for (int left = datagram.size; nlmsg_ok(header, left); header = nlmsg_next(header, &left)) visit(*header);
  return datagram.size > 0;
}

}  // namespace weave
