// Fuzz target: the store of a 2.8 peer. What is read lies inside the file.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "wire/bolt_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto entries = weave::ReadBoltBucket({data, size}, "top");
  if (!entries.ok()) return 0;
  for (const weave::BoltEntry& entry : *entries) {
    CHECK(weave::AsBytes(entry.key).begin() >= data);
    CHECK(entry.value.end() <= data + size);
  }
  return 0;
}
