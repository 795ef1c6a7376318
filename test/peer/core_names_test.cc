// Names of a peer's own containers: when they are registered, when they go, and what the next start has.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "test/peer/core_transcript.h"
#include "test/support/catch.h"

namespace weave {
namespace {

// `web.weave.local.=10.0.0.1` of all that are alive here.
std::string Names(Transcript& t) {
  std::vector<std::string> names;
  for (const NameEntryPtr& entry : t.core().names()->OwnEntries())
    names.push_back(absl::StrCat(entry->hostname, "=", IpAddress::V4(entry->address).ToString()));
  return absl::StrJoin(names, " ");
}

std::string Attach(Transcript& t, RequestId id, const SandboxRef& box, absl::string_view addresses) {
  return t.Request(id, AttachRequest{box, Wishes(addresses), true, "web.weave.local"});
}

NameRecord OnNameRecord(std::string holder, absl::string_view address, std::string hostname = "web.weave.local.") {
  return {std::move(holder), IpAddress::Parse(address).value(), std::move(hostname), 0};
}

std::string Key(const NameRecord& record) { return NameKey(record.holder, record.address, record.hostname); }

TEST_CASE("A container's name comes with its addresses and goes with them", "[core][names]") {
  Transcript t;
  t.StartFresh();
  Attach(t, 100, Box(7), "10.0.0.1/24 10.0.0.2/24");
  CHECK(Names(t).empty());  // nobody is there yet
  const std::string done = t.Done(2, 7);
  CHECK(done == absl::StrCat("tidy ", Key(OnNameRecord("c7", "10.0.0.1")), "\ntidy ",
                             Key(OnNameRecord("c7", "10.0.0.2")), "\nreply 100 OK [10.0.0.1/24 10.0.0.2/24]\n"));
  CHECK(Names(t) == "web.weave.local.=10.0.0.1 web.weave.local.=10.0.0.2");
  t.Detach(101, Box(7), "10.0.0.1/24");
  t.Done(3);
  CHECK(Names(t) == "web.weave.local.=10.0.0.2");
}

TEST_CASE("A failed attach leaves no name", "[core][names]") {
  Transcript t;
  t.StartFresh();
  Attach(t, 100, Box(7), "10.0.0.1/24");
  t.Fail(2);
  CHECK(Names(t).empty());
}

TEST_CASE("The names of a container that ends go at once, those of nobody stay", "[core][names]") {
  Transcript t;
  t.StartFresh();
  Attach(t, 100, Box(7), "10.0.0.1/24");
  t.Done(2, 7);
  t.Request(101, AddNameRequest{"c7", IpAddress::V4(0x0a000009), "alias.weave.local"});
  t.Request(102, AddNameRequest{kExternName, IpAddress::V4(0x0a000001), "db.weave.local"});
  t.Request(103, AddNameRequest{"c8", IpAddress::V4(0x0a000008), "other.weave.local"});
  CHECK(Names(t) ==
        "alias.weave.local.=10.0.0.9 web.weave.local.=10.0.0.1 other.weave.local.=10.0.0.8 db.weave.local.=10.0.0.1");
  t.Gone(LinkName(7));
  CHECK(Names(t).find("web") != std::string::npos);  // it is looked at first
  t.Looked(3, false);
  CHECK(Names(t) == "other.weave.local.=10.0.0.8 db.weave.local.=10.0.0.1");
}

TEST_CASE("A name of the host comes with expose and goes with hide", "[core][names]") {
  Transcript t;
  t.StartFresh();
  t.Request(100, ExposeRequest{Wishes("10.0.0.1/24"), true, "host.weave.local"});
  t.Done(2);
  CHECK(Names(t) == "host.weave.local.=10.0.0.1");
  t.Hide(101, "10.0.0.1/24");
  t.Done(3);
  CHECK(Names(t).empty());
}

TEST_CASE("Names are added and removed by request, and what cannot be one is refused", "[core][names]") {
  Transcript t;
  t.StartFresh();
  const NameRecord record = OnNameRecord(kExternName, "10.0.0.1");
  CHECK(t.Request(100, AddNameRequest{kExternName, record.address, "web.weave.local"}) ==
        absl::StrCat("tidy ", Key(record), "\nreply 100 OK []\n"));
  CHECK(t.Request(101, AddNameRequest{kExternName, record.address, "web.example.com"}) == "reply 101 OK []\n");
  CHECK(t.Request(102, AddNameRequest{"", record.address, "web.weave.local"}) == "reply 102 INVALID_ARGUMENT []\n");
  CHECK(t.Request(103, AddNameRequest{"c", record.address, "a..b"}) == "reply 103 INVALID_ARGUMENT []\n");
  CHECK(t.Request(104, AddNameRequest{"c", IpAddress::V6(1), "a.weave.local"}) == "reply 104 INVALID_ARGUMENT []\n");
  CHECK(t.Request(105, RemoveNamesRequest{"c", {}, {}}) == "reply 105 OK []\n");
  CHECK(t.Request(106, RemoveNamesRequest{{}, {}, "web.weave.local"}) ==
        absl::StrCat("tidy ", Key(record), " = -\nreply 106 OK []\n"));
  CHECK(Names(t).empty());
}

TEST_CASE("A restarted peer has the names of what is still there", "[core][names]") {
  Transcript t;
  const std::string id(64, 'a');
  const NameRecord gone = OnNameRecord("0123456789ab", "10.0.0.2");
  const NameRecord hidden = OnNameRecord(kExposeName, "10.0.0.3");
  const std::string text =
      t.Start({Record(IdentityRecord{PeerName(1), "boot", ShortId{7}}), Record(OnRecord(7, "10.0.0.1/24")),
               Record(OnNameRecord("c7", "10.0.0.1")), Record(OnNameRecord(kExternName, "10.0.0.9")),
               Record(OnNameRecord(id, "10.0.0.4")), Record(gone), Record(hidden)},
              {{}, {Alive(7, "10.0.0.1/24")}});
  CHECK(text.find(absl::StrCat("tidy ", Key(gone), " = -\ntidy ", Key(hidden), " = -\n")) != std::string::npos);
  CHECK(Names(t) == "web.weave.local.=10.0.0.4 web.weave.local.=10.0.0.1 web.weave.local.=10.0.0.9");
  // Only of one of them it is not known whether it lives.
  CHECK(t.core().NameHoldersToCheck() == std::vector<std::string>{id});
}

TEST_CASE("A peer without names says so", "[core][names]") {
  PeerConfig config;
  config.name = PeerName(1);
  config.mesh.name = config.name;
  struct Entropy final : EntropySource {
    void Fill(absl::Span<std::uint8_t> bytes) override { std::fill(bytes.begin(), bytes.end(), 7); }
  } entropy;
  NullLogger logger;
  PeerCore core(config, entropy, logger);
  PeerOutput out;
  core.OnStart({}, {}, {}, out);
  out = {};
  core.OnRequest({}, 1, AddNameRequest{"c", IpAddress::V4(1), "web.weave.local"}, out);
  REQUIRE(out.replies.size() == 1);
  CHECK(absl::IsNotFound(out.replies.front().status));
  CHECK(core.names() == nullptr);
}

TEST_CASE("A reset erases the records of names", "[core][names]") {
  Transcript t;
  t.StartFresh();
  t.Request(100, AddNameRequest{kExternName, IpAddress::V4(0x0a000001), "web.weave.local"});
  t.Reset(101);
  CHECK(t.Done(2).find(absl::StrCat("record ", Key(OnNameRecord(kExternName, "10.0.0.1")), " = -")) !=
        std::string::npos);
}

}  // namespace
}  // namespace weave
