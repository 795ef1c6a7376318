// The small texts that people and programs type: addresses, names, hex. Whatever parses must print and parse again
// alike.
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/check.h"
#include "base/ip.h"
#include "base/mac.h"
#include "base/peer_name.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto cidr = weave::Cidr::Parse(text); cidr.ok()) {
    const auto again = weave::Cidr::Parse(cidr->ToString());
    CHECK(again.ok() && *again == *cidr) << text;
    CHECK(cidr->Network().IsNetwork()) << text;
  }
  if (const auto address = weave::IpAddress::Parse(text); address.ok()) {
    const auto again = weave::IpAddress::Parse(address->ToString());
    CHECK(again.ok() && *again == *address) << text;
  }
  if (const auto name = weave::PeerName::Parse(text); name.ok()) {
    const auto again = weave::PeerName::Parse(name->ToString());
    CHECK(again.ok() && *again == *name) << text;
  }
  if (const auto mac = weave::MacAddress::Parse(text); mac.ok()) CHECK(mac->ToString().size() == 17) << text;
  if (const auto bytes = weave::FromHex(text); bytes.ok()) CHECK(bytes->size() == size / 2) << text;
  return 0;
}
