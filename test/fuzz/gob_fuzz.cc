// Fuzz target: gob streams of any peer, read as types with every kind of field. First byte: as which. What is read can
// be written, and is then read as the same.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "base/check.h"
#include "wire/gob.h"

namespace weave {

struct FuzzInner {
  PeerName name;
  std::optional<Bytes> bytes;
  std::uint16_t small = 0;
};
struct FuzzOuter {
  std::int64_t now = 0;
  std::int32_t small = 0;
  bool flag = false;
  std::string text;
  FuzzInner inner;
  std::vector<FuzzInner> list;
  std::optional<std::vector<std::pair<PeerName, FuzzInner>>> pairs;
  absl::btree_map<std::string, std::vector<std::uint32_t>> map;
};

template <>
struct GobDescription<FuzzInner>
    : GobStruct<"Inner", GobField<"Name", &FuzzInner::name>, GobField<"Bytes", &FuzzInner::bytes>,
                GobField<"Small", &FuzzInner::small>> {};
template <>
struct GobDescription<FuzzOuter>
    : GobStruct<"Outer", GobField<"Now", &FuzzOuter::now>, GobField<"Small", &FuzzOuter::small>,
                GobField<"Flag", &FuzzOuter::flag>, GobField<"Text", &FuzzOuter::text>,
                GobField<"Inner", &FuzzOuter::inner>, GobField<"List", &FuzzOuter::list, "Inners">,
                GobField<"Pairs", &FuzzOuter::pairs>, GobField<"Map", &FuzzOuter::map>> {};

namespace {

template <typename T>
void Fuzz(ByteView stream) {
  GobReader reader(stream);
  GobWriter writer;
  std::size_t count = 0;
  for (T value; reader.Read(value).ok(); ++count) writer.Write(value);
  const bool ended = reader.rest().empty();
  const Bytes written = writer.Take();

  GobReader again(written);
  GobWriter second;
  for (std::size_t i = 0; i < count; ++i) {
    T value;
    const absl::Status status = again.Read(value);
    CHECK(status.ok()) << status;
    second.Write(value);
  }
  CHECK(second.Take() == written) << "a value changed on its way out and back, end " << ended;
}

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const weave::ByteView stream(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      weave::Fuzz<weave::FuzzOuter>(stream);
      break;
    case 1:
      weave::Fuzz<weave::FuzzInner>(stream);
      break;
    case 2:
      weave::Fuzz<std::vector<std::string>>(stream);
      break;
    default:
      weave::Fuzz<absl::btree_map<weave::PeerName, std::string>>(stream);
  }
  return 0;
}
