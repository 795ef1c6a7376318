#include "dns/os/dns_datagrams.h"

#include <cstring>
#include <utility>

namespace weave {
namespace {

// The address that was asked, as the one to answer from. The interface is the routes' to choose.
std::size_t TakeControl(msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != IPPROTO_IP || control->cmsg_type != IP_PKTINFO) continue;
    in_pktinfo info;
    std::memcpy(&info, CMSG_DATA(control), sizeof info);
    info.ipi_ifindex = 0;
    std::memcpy(CMSG_DATA(control), &info, sizeof info);
  }
  return message.msg_controllen;
}

void Fill(msghdr& message, const DnsReturnPath& path, iovec& part) {
  message = {};
  message.msg_name = const_cast<sockaddr_storage*>(&path.client);
  message.msg_namelen = path.client_size;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (path.control_size == 0) return;
  message.msg_control = const_cast<std::uint8_t*>(path.control.data());
  message.msg_controllen = path.control_size;
}

}  // namespace

DnsDatagrams::DnsDatagrams(int fd) : fd_(fd), buffers_(kBatchCount * kMaxQuerySize) {}

int DnsDatagrams::Serve(absl::FunctionRef<void(ByteView, const DnsReturnPath&, Bytes&)> handle) {
  for (std::size_t i = 0; i < kBatchCount; ++i) {
    parts_[i] = {buffers_.data() + i * kMaxQuerySize, kMaxQuerySize};
    msghdr& message = messages_[i].msg_hdr;
    message = {};
    message.msg_name = &paths_[i].client;
    message.msg_namelen = sizeof paths_[i].client;
    message.msg_iov = &parts_[i];
    message.msg_iovlen = 1;
    message.msg_control = paths_[i].control.data();
    message.msg_controllen = paths_[i].control.size();
  }
  const int count = ::recvmmsg(fd_, messages_.data(), kBatchCount, MSG_DONTWAIT, nullptr);
  if (count <= 0) return 0;

  out_.clear();
  std::size_t answered = 0;
  std::array<std::size_t, kBatchCount> whom;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    paths_[i].client_size = messages_[i].msg_hdr.msg_namelen;
    paths_[i].control_size = TakeControl(messages_[i].msg_hdr);
    const std::size_t start = out_.size();
    handle(ByteView(buffers_).subspan(i * kMaxQuerySize, messages_[i].msg_len), paths_[i], out_);
    if (out_.size() == start) continue;
    extents_[answered] = {start, out_.size() - start};
    whom[answered++] = i;
  }
  for (std::size_t i = 0; i < answered; ++i) {
    answer_parts_[i] = {out_.data() + extents_[i].first, extents_[i].second};
    Fill(answers_[i].msg_hdr, paths_[whom[i]], answer_parts_[i]);
  }
  // One that cannot be sent does not keep the others.
  for (std::size_t sent = 0; sent < answered;) {
    const int n = ::sendmmsg(fd_, answers_.data() + sent, static_cast<unsigned>(answered - sent), MSG_DONTWAIT);
    sent += n > 0 ? static_cast<std::size_t>(n) : 1;
  }
  return count;
}

void DnsDatagrams::Send(const DnsReturnPath& path, ByteView answer) const {
  iovec part = {const_cast<std::uint8_t*>(answer.data()), answer.size()};
  msghdr message;
  Fill(message, path, part);
  ::sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace weave
