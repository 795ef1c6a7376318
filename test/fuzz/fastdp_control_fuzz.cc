// Fuzz target: what the other end says about the keys of the fast data path, and, with the same bytes, what the kernel
// says of associations and policies.
#include <netlink/msg.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "fastdp/heartbeat.h"
#include "fastdp/ipsec.h"
#include "fastdp/os/esp_codec.h"

namespace weave {
namespace {

void ReadOffer(ByteView data) {
  if (const auto read = ReadFastdpHeartbeat(data); read) {
    const Bytes heartbeat = MakeFastdpHeartbeat(read->uid, data.size(), read->test);
    CHECK(ReadFastdpHeartbeat(heartbeat)->uid == read->uid);
  }
  const absl::StatusOr<IpsecOffer> offer = DecodeIpsecOffer(data);
  if (!offer.ok()) {
    CHECK(absl::IsInvalidArgument(offer.status())) << offer.status();
    return;
  }
  const Bytes written = EncodeIpsecOffer(*offer);
  constexpr std::size_t kReadSize = sizeof offer->nonce + sizeof offer->spi;
  CHECK(written.size() == kIpsecOfferSize && std::equal(data.begin(), data.begin() + kReadSize, written.begin()));
}

// A message that was cut is not passed on by the socket.
void ReadKernel(ByteView data) {
  if (data.size() < sizeof(nlmsghdr)) return;
  // As it comes from the socket: aligned, with nothing behind it.
  const std::unique_ptr<std::uint64_t[]> memory(new std::uint64_t[(data.size() + 7) / 8]);
  std::memcpy(memory.get(), data.data(), data.size());
  const auto* header = reinterpret_cast<const nlmsghdr*>(memory.get());
  if (nlmsg_ok(header, static_cast<int>(data.size())) == 0) return;
  if (const auto spi = DecodeAllocatedSpi(*header); spi) CHECK(*spi >= kMinSpi);
  (void)DecodeAssociation(*header);
  (void)DecodePolicy(*header);
}

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weave::ReadOffer({data, size});
  weave::ReadKernel({data, size});
  return 0;
}
