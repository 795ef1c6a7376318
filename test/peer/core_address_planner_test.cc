// Wishes and the allocator: what a container or the host gets, and what it gives back.
#include "absl/strings/str_cat.h"
#include "test/peer/core_transcript.h"
#include "test/support/catch.h"

namespace weave {
namespace {

// A peer alone in its network, which agrees with itself at once.
class Alone : public Transcript {
 public:
  Alone() : Transcript("10.32.0.0/24") { StartFresh(); }

  // Whose the address is, by the allocator's word.
  std::string HolderOf(absl::string_view address) {
    for (const auto& [ident, allocation] : core().allocator()->allocations())
      for (const Cidr& cidr : allocation.addresses)
        if (cidr.address().ToString() == address) return ident;
    return "";
  }

  // Asked, recorded, on the interface, answered; with `command` of the host.
  void AttachDone(RequestId id, std::uint64_t inode, absl::string_view wishes, CommandId command) {
    Attach(id, Box(inode), wishes);
    AllWritten();
    Done(command, inode);
    AllWritten();
  }
};

TEST_CASE("An address is recorded before the container's interface is thought of", "[core][ipam]") {
  Alone t;
  const std::string asked = t.Attach(100, Box(7), "");
  CHECK(asked.find("endpoint/7") == std::string::npos);
  CHECK(t.AllWritten() == "record endpoint/7 = [10.32.0.1/24]\n#2 attach 7 [10.32.0.1/24]\n");
  CHECK(t.Done(2, 7) == "reply 100 OK [10.32.0.1/24]\n");
  CHECK(t.HolderOf("10.32.0.1") == "c7");
}

TEST_CASE("Addresses come in the order of the wishes", "[core][ipam]") {
  Alone t;
  t.Attach(100, Box(7), "10.2.1.1/24 net:10.32.0.128/25 10.32.0.9/24 net:default");
  t.AllWritten();
  CHECK(t.Done(2, 7) == "reply 100 OK [10.2.1.1/24 10.32.0.129/25 10.32.0.9/24]\n");
  CHECK(t.HolderOf("10.2.1.1") == "c7");
}

TEST_CASE("Asking again gives the same address", "[core][ipam]") {
  Alone t;
  t.AttachDone(100, 7, "net:default", 2);
  t.Attach(101, Box(7), "");
  t.AllWritten();
  CHECK(t.Done(3, 7) == "reply 101 OK [10.32.0.1/24]\n");
}

TEST_CASE("What the host refuses goes back to the allocator", "[core][ipam]") {
  Alone t;
  t.Attach(100, Box(7), "net:default 10.2.1.1/24");
  t.AllWritten();
  t.Fail(2);
  CHECK(t.HolderOf("10.32.0.1").empty());
  CHECK(t.HolderOf("10.2.1.1").empty());
}

TEST_CASE("What a refused attach had before stays its own", "[core][ipam]") {
  Alone t;
  t.AttachDone(100, 7, "net:default", 2);
  t.Attach(101, Box(7), "net:default 10.32.0.77/24");
  t.AllWritten();
  t.Fail(3);
  CHECK(t.HolderOf("10.32.0.1") == "c7");
  CHECK(t.HolderOf("10.32.0.77").empty());
}

TEST_CASE("A wish that cannot be fulfilled takes back those that were", "[core][ipam]") {
  Alone t;
  t.AttachDone(100, 7, "10.32.0.9/24", 2);
  t.Attach(101, Box(8), "net:default 10.32.0.9/24");
  CHECK(t.AllWritten() == "record ipam/allocation/c8 = -\nreply 101 ALREADY_EXISTS []\n");
  CHECK(t.HolderOf("10.32.0.1").empty());
  CHECK(t.HolderOf("10.32.0.9") == "c7");
}

TEST_CASE("A detached address is free for the next", "[core][ipam]") {
  Alone t;
  t.AttachDone(100, 7, "", 2);
  CHECK(t.Detach(101, Box(7)) == "record endpoint/7 = []\n#3 detach 7 [10.32.0.1/24] and interface\n");
  CHECK(t.HolderOf("10.32.0.1") == "c7");  // until the host has let go of it
  t.Done(3);
  CHECK(t.HolderOf("10.32.0.1").empty());
  t.AllWritten();
  t.Attach(102, Box(8), "");
  t.AllWritten();
  CHECK(t.Done(4, 8) == "reply 102 OK [10.32.0.1/24]\n");
}

TEST_CASE("Without wishes only the default subnet is detached", "[core][ipam]") {
  Alone t;
  t.AttachDone(100, 7, "net:default 10.2.1.1/24", 2);
  t.Detach(101, Box(7));
  CHECK(t.Done(3) == "record ipam/allocation/c7 = [10.2.1.1/24]\nreply 101 OK [10.32.0.1/24]\n");
  CHECK(t.HolderOf("10.2.1.1") == "c7");
  CHECK(t.Detach(102, Box(7)) == "reply 102 OK []\n");
}

TEST_CASE("The host gets addresses as containers do", "[core][ipam]") {
  Alone t;
  t.Expose(100, "");
  t.AllWritten();
  CHECK(t.Done(2) == "reply 100 OK [10.32.0.1/24]\n");
  CHECK(t.HolderOf("10.32.0.1") == kExposeName);
  t.AllWritten();
  t.Hide(101);
  t.Done(3);
  CHECK(t.HolderOf("10.32.0.1").empty());
}

TEST_CASE("A container that ended gives its addresses back", "[core][ipam]") {
  Alone t;
  t.AttachDone(100, 7, "net:default", 2);  // a namespace: it never comes back
  t.Gone(LinkName(7));
  t.Looked(3, false);
  CHECK(t.HolderOf("10.32.0.1").empty());
}

TEST_CASE("A Docker container that ended keeps its addresses for a while", "[core][ipam]") {
  Alone t;
  const std::string id(64, 'a');
  t.Attach(100, Box(7, id), "");
  t.AllWritten();
  t.Done(2, 7);
  t.Gone(LinkName(7));
  t.Looked(3, false);
  t.AllWritten();
  CHECK(t.HolderOf("10.32.0.1") == id);
  t.Attach(101, Box(8, id), "");  // started again
  t.AllWritten();
  CHECK(t.Done(4, 8) == "reply 101 OK [10.32.0.1/24]\n");
  t.AllWritten();
  t.Pass(absl::Minutes(2));
  CHECK(t.HolderOf("10.32.0.1") == id);
  t.Gone(LinkName(8));
  t.Looked(6, false);  // #5 was a survey
  t.Pass(absl::Minutes(2));
  CHECK(t.HolderOf("10.32.0.1").empty());
}

TEST_CASE("A container that is known by two names keeps what it got by either", "[core][ipam]") {
  Alone t;
  t.Attach(100, Box(7, "00000000c007"), "10.2.1.1/24");  // by its namespace
  t.AllWritten();
  t.Done(2, 7);
  t.AllWritten();
  const std::string id(64, 'a');
  t.Attach(101, Box(7, id), "");
  t.AllWritten();
  t.Looked(3, true);
  t.AllWritten();
  t.Done(4, 7);
  t.AllWritten();
  CHECK(t.HolderOf("10.32.0.1") == id);
  t.Attach(102, Box(7, id), "10.2.1.1/24");  // refused: the other name has it
  t.AllWritten();
  t.Pass(absl::Minutes(2));
  CHECK(t.HolderOf("10.32.0.1") == id);
  t.Detach(103, Box(7, "00000000c007"), "net:default");
  t.Done(6);  // #5 was a survey
  CHECK(t.HolderOf("10.32.0.1").empty());
}

TEST_CASE("Nobody is told of an address that could not be recorded", "[core][ipam]") {
  Alone t;
  t.Attach(100, Box(7), "");
  CHECK(t.LastNotWritten() == "reply 100 RESOURCE_EXHAUSTED []\n");
  CHECK(t.HolderOf("10.32.0.1").empty());
}

TEST_CASE("Who goes before the address is recorded leaves none behind", "[core][ipam]") {
  Alone t;
  t.Attach(100, Box(7), "");
  const auto asked = t.TakeLast();
  t.Cancel(100);
  CHECK(t.Written(asked).find("reply 100 CANCELLED") != std::string::npos);
  CHECK(t.HolderOf("10.32.0.1").empty());
}

TEST_CASE("An address that is on an interface cannot be freed under it", "[core][ipam]") {
  Alone t;
  t.AttachDone(100, 7, "", 2);
  CHECK(t.Ask(101, ReleaseOperation{"c7", std::nullopt}) == "reply 101 FAILED_PRECONDITION []\n");
  CHECK(t.HolderOf("10.32.0.1") == "c7");
}

TEST_CASE("What is in use at a start is claimed, and what nobody holds any more is dropped", "[core][ipam]") {
  Transcript first("10.32.0.0/24");
  first.StartFresh();
  for (const std::uint64_t inode : {7, 8}) {
    first.Attach(100 + inode, Box(inode), "");
    first.AllWritten();
    first.Done(inode - 5, inode);
    first.AllWritten();
  }
  std::vector<Record> records;
  for (const auto& [key, record] : first.core().Records()) records.push_back(record);
  HostInventory inventory;
  inventory.endpoints.push_back(Alive(8, "10.32.0.2/24 10.32.0.50/24"));
  inventory.bridge_addresses = Nets("10.32.0.60/24");
  Transcript again("10.32.0.0/24");
  again.Start(records, inventory);
  std::string held;
  for (const auto& [ident, allocation] : again.core().allocator()->allocations())
    for (const Cidr& address : allocation.addresses) absl::StrAppend(&held, ident, " ", address.ToString(), "\n");
  CHECK(held == "c8 10.32.0.2/24\nc8 10.32.0.50/24\nweave:expose 10.32.0.60/24\n");
}

TEST_CASE("What is in use at a start is not claimed by a peer that has others to agree with first", "[core][ipam]") {
  Transcript t("10.32.0.0/24", {DirectPeer{"host2", {}}});
  HostInventory inventory;
  inventory.bridge_addresses = Nets("10.32.0.60/24");
  t.Start({}, inventory);
  t.AllWritten();
  CHECK(t.core().allocator()->ring().empty());
}

TEST_CASE("Without an allocator a free address cannot be asked for", "[core][ipam]") {
  Transcript t;
  t.StartFresh();
  CHECK(t.Attach(100, Box(7), "") == "reply 100 FAILED_PRECONDITION []\n");
  CHECK(t.Attach(101, Box(7), "10.0.0.1/24 net:default") == "reply 101 FAILED_PRECONDITION []\n");
  CHECK(t.Expose(102, "") == "reply 102 FAILED_PRECONDITION []\n");
  CHECK(t.Hide(103, "net:10.0.0.0/24") == "reply 103 FAILED_PRECONDITION []\n");
  CHECK(t.Ask(104, AwaitRingOperation{}) == "reply 104 NOT_FOUND []\n");
}

TEST_CASE("A subnet must be one", "[core][ipam]") {
  Alone t;
  for (const char* bad : {"net:10.32.0.1/24", "net:10.32.0.0/31"})
    CHECK(t.Attach(100, Box(7), bad) == "reply 100 INVALID_ARGUMENT []\n");
  t.Attach(100, Box(7), "net:10.9.0.0/24");
  CHECK(t.AllWritten() == "reply 100 INVALID_ARGUMENT []\n");
}

TEST_CASE("A reset gives the addresses away when they are off the interfaces", "[core][ipam]") {
  Alone t;
  t.AttachDone(100, 7, "", 2);
  CHECK(t.Reset(101) == "#3 tear down 7\n");
  t.Done(3);
  const std::string erased = t.AllWritten();
  CHECK(erased.find("record ipam/ring = -") != std::string::npos);
  CHECK(erased.find("reply 101 OK []") != std::string::npos);
  CHECK(t.core().Records().empty());
}

}  // namespace
}  // namespace weave
