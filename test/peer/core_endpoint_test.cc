// Attach and detach as transcripts.
#include "absl/strings/str_cat.h"
#include "test/peer/core_transcript.h"
#include "test/support/catch.h"

namespace weave {
namespace {

class Attached : public Transcript {
 public:
  Attached() {
    StartFresh();
    Attach(100, Box(7), "10.0.0.1/24");
    Done(2, 7);
  }
};

TEST_CASE("An attach is recorded, then performed, then answered", "[core]") {
  Transcript t;
  t.StartFresh();
  CHECK(t.Attach(100, Box(7), "10.0.0.1/24") == "record endpoint/7 = [10.0.0.1/24]\n#2 attach 7 [10.0.0.1/24]\n");
  CHECK(t.Done(2, 7) == "reply 100 OK [10.0.0.1/24]\n");
}

TEST_CASE("An attach that is there already is made sure of without a new record", "[core]") {
  Attached t;
  CHECK(t.Attach(101, Box(7), "10.0.0.1/24") == "#3 attach 7 [10.0.0.1/24]\n");
  CHECK(t.Done(3, 7) == "reply 101 OK [10.0.0.1/24]\n");
}

TEST_CASE("A second attach adds to the first", "[core]") {
  Attached t;
  CHECK(t.Attach(101, Box(7), "10.0.0.2/24 10.0.0.1/24") ==
        "record endpoint/7 = [10.0.0.1/24 10.0.0.2/24]\n#3 attach 7 [10.0.0.1/24 10.0.0.2/24]\n");
  CHECK(t.Done(3, 7) == "reply 101 OK [10.0.0.2/24 10.0.0.1/24]\n");
}

TEST_CASE("An address has one holder, from the moment it is asked for", "[core]") {
  Attached t;
  CHECK(t.Attach(101, Box(8), "10.0.0.9/24 10.0.0.1/16") == "reply 101 ALREADY_EXISTS []\n");
  CHECK(t.Expose(102, "10.0.0.1/24") == "reply 102 ALREADY_EXISTS []\n");
  t.Attach(103, Box(8), "10.0.0.9/24");  // not held by the refused request
  CHECK(t.Attach(104, Box(9), "10.0.0.9/24") == "reply 104 ALREADY_EXISTS []\n");
  CHECK(t.Attach(105, Box(7), "10.0.0.1/16") == "reply 105 ALREADY_EXISTS []\n");
}

TEST_CASE("An attach that the host refuses leaves no trace", "[core]") {
  Transcript t;
  t.StartFresh();
  t.Attach(100, Box(7), "10.0.0.1/24");
  CHECK(t.Fail(2) == "record endpoint/7 = -\nreply 100 INTERNAL []\n");
  CHECK(t.core().Snapshot().endpoints.empty());
  CHECK(t.Attach(101, Box(8), "10.0.0.1/24") == "record endpoint/8 = [10.0.0.1/24]\n#3 attach 8 [10.0.0.1/24]\n");
}

TEST_CASE("A refused addition leaves what was there", "[core]") {
  Attached t;
  t.Attach(101, Box(7), "10.0.0.2/24");
  CHECK(t.Fail(3) == "record endpoint/7 = [10.0.0.1/24]\nreply 101 INTERNAL []\n");
  CHECK(t.core().Snapshot().endpoints[0].record.addresses == Nets("10.0.0.1/24"));
}

TEST_CASE("An attach whose record cannot be written never happens", "[core]") {
  Transcript t;
  t.StartFresh();
  t.Attach(100, Box(7), "10.0.0.1/24");
  CHECK(t.LastNotWritten() == "record endpoint/7 = -\nreply 100 RESOURCE_EXHAUSTED []\n");
  CHECK(t.LastNotWritten() == "reply 100 RESOURCE_EXHAUSTED []\n");  // nor can that it was undone
  CHECK(t.Attach(101, Box(8), "10.0.0.1/24") == "record endpoint/8 = [10.0.0.1/24]\n#3 attach 8 [10.0.0.1/24]\n");
  t.Done(3, 8);
  CHECK(t.Later() == "tidy endpoint/7 = -\n");  // and again, until the disk has room
}

TEST_CASE("Records that could not be written are written later as they are by then", "[core]") {
  Attached t;
  t.Detach(101, Box(7));
  t.Done(3);
  CHECK(t.LastNotWritten() == "reply 101 OK [10.0.0.1/24]\n");
  t.Attach(102, Box(7), "10.0.0.2/24");
  t.Done(4, 7);
  CHECK(t.Later() == "tidy endpoint/7 = [10.0.0.2/24]\n");
}

TEST_CASE("A detach takes the interface with the last address", "[core]") {
  Attached t;
  t.Attach(101, Box(7), "10.0.0.2/24");
  t.Done(3, 7);
  CHECK(t.Detach(102, Box(7), "10.0.0.1/24") == "record endpoint/7 = [10.0.0.2/24]\n#4 detach 7 [10.0.0.1/24]\n");
  CHECK(t.Done(4) == "reply 102 OK [10.0.0.1/24]\n");
  CHECK(t.Detach(103, Box(7)) == "record endpoint/7 = []\n#5 detach 7 [10.0.0.2/24] and interface\n");
  CHECK(t.Attach(104, Box(8), "10.0.0.2/24") == "reply 104 ALREADY_EXISTS []\n");  // until the host has let go
  CHECK(t.Done(5) == "tidy endpoint/7 = -\nreply 103 OK [10.0.0.2/24]\n");
  CHECK(t.core().Snapshot().endpoints.empty());
}

TEST_CASE("Detaching what is not attached succeeds and removes nothing", "[core]") {
  Attached t;
  CHECK(t.Detach(101, Box(7), "10.0.0.9/24") == "reply 101 OK []\n");
  CHECK(t.Detach(102, Box(8)) == "reply 102 OK []\n");
}

TEST_CASE("A detach that stops half-way is looked at and made what the record says", "[core]") {
  Attached t;
  t.Detach(101, Box(7));
  CHECK(t.Fail(3) == "record endpoint/7 = [10.0.0.1/24]\nreply 101 INTERNAL []\n");
  CHECK(t.Later() == "#4 look at 7 c7\n");
  CHECK(t.Looked(4, true) == "#5 attach 7 [10.0.0.1/24]\n");
  CHECK(t.Fail(5).empty());
  CHECK(t.Later() == "#6 look at 7 c7\n");
  CHECK(t.Looked(6, false) == "tidy endpoint/7 = -\n");
  CHECK_FALSE(t.core().NextHostDeadline().has_value());
}

TEST_CASE("Operations on one sandbox wait their turn, others do not", "[core]") {
  Transcript t;
  t.StartFresh();
  t.Attach(100, Box(7), "10.0.0.1/24");
  CHECK(t.Detach(101, Box(7)).empty());
  CHECK(t.Attach(102, Box(7), "10.0.0.2/24").empty());
  CHECK(t.Attach(103, Box(8), "10.0.0.3/24") == "record endpoint/8 = [10.0.0.3/24]\n#3 attach 8 [10.0.0.3/24]\n");
  CHECK(t.Done(2, 7) ==
        "record endpoint/7 = []\n#4 detach 7 [10.0.0.1/24] and interface\nreply 100 OK [10.0.0.1/24]\n");
  CHECK(t.Done(4) ==
        "tidy endpoint/7 = -\nrecord endpoint/7 = [10.0.0.2/24]\n#5 attach 7 [10.0.0.2/24]\n"
        "reply 101 OK [10.0.0.1/24]\n");
}

TEST_CASE("Only so many operations wait for one sandbox", "[core]") {
  Transcript t;
  t.StartFresh();
  t.Attach(100, Box(7), "10.0.0.1/24");
  for (RequestId id = 200; id < 200 + kMaxWaitingOperations; ++id) CHECK(t.Detach(id, Box(7)).empty());
  CHECK(t.Detach(999, Box(7)) == "reply 999 RESOURCE_EXHAUSTED []\n");
  t.Cancel(200);
  CHECK(t.Detach(999, Box(7)).empty());
}

TEST_CASE("A caller that goes takes back what has not begun", "[core]") {
  Transcript t;
  t.StartFresh();
  t.Attach(100, Box(7), "10.0.0.1/24");
  t.Detach(101, Box(7));
  CHECK(t.Cancel(100).empty());  // begun: carried through
  CHECK(t.Cancel(101) == "reply 101 CANCELLED []\n");
  CHECK(t.Cancel(101).empty());
  CHECK(t.Cancel(555).empty());
  CHECK(t.Done(2, 7) == "reply 100 OK [10.0.0.1/24]\n");
}

TEST_CASE("Addresses that no container can have are refused", "[core]") {
  Transcript t;
  t.StartFresh();
  for (const char* bad : {"fd00::1/64", "224.0.0.1/24", "255.255.255.255/32", "127.0.0.1/8", "0.1.2.3/24", "10.0.0.1/0",
                          "10.0.0.1/24 10.0.0.1/16"}) {
    CAPTURE(bad);
    CHECK(t.Attach(100, Box(7), bad) == "reply 100 INVALID_ARGUMENT []\n");
    CHECK(t.Expose(101, bad) == "reply 101 INVALID_ARGUMENT []\n");
    CHECK(t.Detach(102, Box(7), bad) == "reply 102 INVALID_ARGUMENT []\n");
    CHECK(t.Hide(103, bad) == "reply 103 INVALID_ARGUMENT []\n");
  }
}

// ---- containers that go by themselves ----

TEST_CASE("A vanished interface is looked at before its addresses are free", "[core]") {
  Attached t;
  CHECK(t.Gone("someone-else").empty());
  CHECK(t.Gone(LinkName(7)) == "#3 look at 7 c7\n");
  CHECK(t.Attach(101, Box(8), "10.0.0.1/24") == "reply 101 ALREADY_EXISTS []\n");
  CHECK(t.Looked(3, false) == "tidy endpoint/7 = -\n");
  CHECK(t.Attach(102, Box(8), "10.0.0.1/24") == "record endpoint/8 = [10.0.0.1/24]\n#4 attach 8 [10.0.0.1/24]\n");
}

TEST_CASE("A late notice about an interface that was made anew changes nothing", "[core]") {
  Attached t;
  t.Gone(LinkName(7));
  CHECK(t.Looked(3, true).empty());
  CHECK(t.core().Snapshot().endpoints.size() == 1);
}

TEST_CASE("A notice that overtakes the report of the attach is not lost", "[core]") {
  Transcript t;
  t.StartFresh();
  t.Attach(100, Box(7), "10.0.0.1/24");
  CHECK(t.Gone(LinkName(7)).empty());
  CHECK(t.Done(2, 7) == "#3 look at 7 c7\nreply 100 OK [10.0.0.1/24]\n");
  CHECK(t.Looked(3, false) == "tidy endpoint/7 = -\n");
}

TEST_CASE("A notice during a look asks for another", "[core]") {
  Attached t;
  t.Gone(LinkName(7));
  CHECK(t.Gone(LinkName(7)).empty());
  CHECK(t.Looked(3, true) == "#4 look at 7 c7\n");
}

TEST_CASE("A notice during a detach that fails is not lost", "[core]") {
  Attached t;
  t.Detach(101, Box(7));
  t.Gone(LinkName(7));
  t.Fail(3);
  CHECK(t.Later() == "#4 look at 7 c7\n");
}

TEST_CASE("A look that fails is repeated with back-off", "[core]") {
  Attached t;
  t.Gone(LinkName(7));
  t.Fail(3);
  const absl::Time first = t.clock();
  CHECK(t.Later() == "#4 look at 7 c7\n");
  CHECK(t.clock() - first == absl::Seconds(1));
  t.Fail(4);
  t.Later();
  CHECK(t.clock() - first == absl::Seconds(3));
}

TEST_CASE("A container restarted in a new namespace gets its address back once the old is seen to be gone", "[core]") {
  Attached t;
  CHECK(t.Attach(101, Box(8, "c7"), "10.0.0.1/24") == "#3 look at 7 c7\n");
  CHECK(t.Looked(3, false) == "tidy endpoint/7 = -\nrecord endpoint/8 = [10.0.0.1/24]\n#4 attach 8 [10.0.0.1/24]\n");
}

TEST_CASE("A namespace of the same container that still lives keeps its addresses", "[core]") {
  Attached t;
  t.Attach(101, Box(8, "c7"), "10.0.0.1/24");
  CHECK(t.Looked(3, true) == "reply 101 ALREADY_EXISTS []\n");
}

TEST_CASE("An attach behind a look at its former namespace can be taken back", "[core]") {
  Attached t;
  t.Attach(101, Box(8, "c7"), "10.0.0.1/24");
  CHECK(t.Detach(102, Box(8, "c7")).empty());
  CHECK(t.Cancel(101) == "reply 101 CANCELLED []\nreply 102 OK []\n");
  CHECK(t.Looked(3, false) == "tidy endpoint/7 = -\n");
}

TEST_CASE("A new container in a namespace number that was used before inherits nothing", "[core]") {
  Attached t;
  CHECK(t.Attach(101, Box(7, "other"), "10.0.0.2/24") == "#3 look at 7 c7\n");
  CHECK(t.Looked(3, false) == "tidy endpoint/7 = -\nrecord endpoint/7 = [10.0.0.2/24]\n#4 attach 7 [10.0.0.2/24]\n");
  CHECK(t.core().Records().size() == 2);
}

TEST_CASE("A namespace known by another name is one sandbox", "[core]") {
  Attached t;
  t.Attach(101, Box(7, "0000000000f7"), "10.0.0.2/24");
  CHECK(t.Looked(3, true) == "record endpoint/7 = [10.0.0.1/24 10.0.0.2/24]\n#4 attach 7 [10.0.0.1/24 10.0.0.2/24]\n");
}

}  // namespace
}  // namespace weave
