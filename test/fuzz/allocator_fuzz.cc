// Fuzz target: one message of any peer, to allocators in the states there are: an elector, an observer, an owner of
// ranges with addresses in use. The first byte says which way and on which channel it comes. What is refused changes
// nothing; whatever is taken leaves everything in order, and nobody loses an address in use.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "ipam/allocator.h"

namespace weave {
namespace {

constexpr std::uint64_t kSelf = 1;
const PeerName kSource(2);

class EverybodyIsThere final : public PeerDirectory {
 public:
  bool IsReachable(PeerName) const override { return true; }
  bool IsKnown(PeerName) const override { return true; }
  std::size_t DirectPeerCount() const override { return 2; }
  bool AwaitsFirstAnswer() const override { return false; }
  std::vector<PeerName> Neighbours() const override { return {}; }
};

class Subject {
 public:
  Subject(IpamBootstrap bootstrap, bool busy) : allocator_(Config(std::move(bootstrap)), peers_, Random(1), logger_) {
    allocator_.OnStart(now_, {});
    Settle();
    if (!busy) return;
    allocator_.OnOperation(now_, 1, AllocateOperation{"used", *Cidr::Parse("10.32.0.0/16")});
    allocator_.OnOperation(now_, 2, ClaimOperation{"waits", *Cidr::Parse("10.32.200.1/16")});
    allocator_.OnOperation(now_, 3, AllocateOperation{"waits", *Cidr::Parse("10.32.200.0/24")});
    Settle();
  }

  void Hear(std::uint8_t way, ByteView payload) {
    const std::vector<Cidr> used = allocator_.Lookup("used", std::nullopt);
    const Ring before = allocator_.ring();
    absl::Status status;
    Gossiper& channel = way / 3 % 2 == 0 ? allocator_ : allocator_.council_channel();
    if (way % 3 == 0) {
      status = channel.OnUnicast(now_, kSource, payload);
    } else if (way % 3 == 1) {
      const auto onwards = channel.OnBroadcast(now_, kSource, payload);
      status = onwards.status();
      if (onwards.ok() && *onwards != nullptr) (*onwards)->Encode();
    } else {
      status = channel.OnGossip(now_, kSource, payload).status();
    }
    if (!status.ok()) {
      CHECK(allocator_.TakeOutput().empty()) << "a refused message has effects";
      CHECK(allocator_.ring() == before) << "a refused message changed the ring";
    }
    Settle();
    CHECK(used.empty() || allocator_.Lookup("used", std::nullopt) == used) << "an address in use is lost";
  }

 private:
  static AllocatorConfig Config(IpamBootstrap bootstrap) {
    const Cidr range = *Cidr::Parse("10.32.0.0/16");
    return {PeerName(kSelf), "self", range, range, std::move(bootstrap), 7};
  }

  // Everything that is to be written is written.
  void Write() {
    for (int turn = 0; turn < 10; ++turn) {
      const AllocatorOutput output = allocator_.TakeOutput();
      if (output.empty()) break;
      if (!output.telling.empty()) allocator_.OnDurable(output.telling);
    }
  }

  void Settle() {
    Write();
    CHECK(allocator_.CheckInvariants().ok()) << allocator_.CheckInvariants();
    allocator_.OnTimer(now_);
    now_.monotonic = now_.monotonic + Allocator::kTick;
    allocator_.OnTimer(now_);
    Write();
    CHECK(allocator_.CheckInvariants().ok()) << allocator_.CheckInvariants();
    if (const auto state = allocator_.FullState(now_)) state->Encode();
    allocator_.Status();
  }

  EverybodyIsThere peers_;
  NullLogger logger_;
  Now now_ = {MonotonicTime(1), absl::FromUnixSeconds(1)};
  Allocator allocator_;
};

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const weave::ByteView payload(data + 1, size - 1);
  weave::Subject(weave::ConsensusBootstrap{3}, /*busy=*/true).Hear(data[0], payload);
  weave::Subject(weave::ObserverBootstrap{}, /*busy=*/false).Hear(data[0], payload);
  const weave::SeedBootstrap seeds{{weave::PeerName(1), weave::PeerName(2)}};
  weave::Subject(seeds, /*busy=*/true).Hear(data[0], payload);
  return 0;
}
