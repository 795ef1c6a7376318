// Expose, hide, the state of the bridge, and reset as transcripts.
#include "test/peer/core_transcript.h"
#include "test/support/catch.h"

namespace weave {
namespace {

class Exposed : public Transcript {
 public:
  Exposed() {
    StartFresh();
    Expose(100, "10.0.0.1/24");
    Done(2);
  }
};

TEST_CASE("A start sets the host up and is ready when that is done", "[core]") {
  Transcript t;
  CHECK(t.Start() == "record identity = 00:00:00:00:00:01\n#1 sync [] without [] ports \n");
  CHECK_FALSE(t.core().Snapshot().ready);
  CHECK(t.Done(1).empty());
  CHECK(t.core().Snapshot().ready);
}

TEST_CASE("A host that cannot be set up is tried again, ever more seldom", "[core]") {
  Transcript t;
  t.Start();
  std::int64_t last = 0;
  std::vector<std::int64_t> waits;
  for (CommandId id = 1; id < 9; ++id) {
    CHECK(t.Fail(id, absl::UnavailableError("no iptables")).empty());
    CHECK(t.core().Snapshot().host_error.message() == "no iptables");
    t.Later();
    const std::int64_t now = absl::ToUnixSeconds(t.clock());
    waits.push_back(now - last);
    last = now;
  }
  CHECK(waits == std::vector<std::int64_t>{1, 2, 4, 8, 16, 30, 30, 30});
  t.Done(9);
  CHECK(t.core().Snapshot().ready);
  CHECK(t.core().Snapshot().host_error.ok());
  CHECK_FALSE(t.core().NextHostDeadline().has_value());
}

TEST_CASE("An exposure is recorded, then performed, then answered", "[core]") {
  Transcript t;
  t.StartFresh();
  CHECK(t.Expose(100, "10.0.0.1/24") ==
        "record exposure/10.0.0.1 = 10.0.0.1/24\n#2 sync [10.0.0.1/24] without [] ports \n");
  CHECK(t.Done(2) == "reply 100 OK [10.0.0.1/24]\n");
  CHECK(t.Hide(101) == "record exposure/10.0.0.1 = -\n#3 sync [] without [10.0.0.1/24] ports \n");
  CHECK(t.Attach(102, Box(7), "10.0.0.1/24") == "reply 102 ALREADY_EXISTS []\n");  // until the host has let go
  CHECK(t.Done(3) == "reply 101 OK [10.0.0.1/24]\n");
  CHECK(t.Attach(103, Box(7), "10.0.0.1/24") == "record endpoint/7 = [10.0.0.1/24]\n#4 attach 7 [10.0.0.1/24]\n");
}

TEST_CASE("Exposing again or with another prefix length", "[core]") {
  Exposed t;
  CHECK(t.Expose(101, "10.0.0.1/16") == "reply 101 ALREADY_EXISTS []\n");
  t.Expose(102, "10.0.0.1/24");
  CHECK(t.Done(3) == "reply 102 OK [10.0.0.1/24]\n");
  CHECK(t.Hide(103, "10.0.0.1/16") == "reply 103 OK []\n");
}

TEST_CASE("What is asked while a sync is under way goes into one more", "[core]") {
  Transcript t;
  t.Start();
  CHECK(t.Expose(100, "10.0.0.1/24") == "record exposure/10.0.0.1 = 10.0.0.1/24\n");
  CHECK(t.Expose(101, "10.0.0.2/24") == "record exposure/10.0.0.2 = 10.0.0.2/24\n");
  CHECK(t.Hide(102, "10.0.0.1/24") == "record exposure/10.0.0.1 = -\n");
  CHECK(t.Done(1) == "#2 sync [10.0.0.2/24] without [10.0.0.1/24] ports \n");
  CHECK(t.Done(2) == "reply 100 OK [10.0.0.1/24]\nreply 101 OK [10.0.0.2/24]\nreply 102 OK [10.0.0.1/24]\n");
}

TEST_CASE("A refused exposure is taken off again before its address is free", "[core]") {
  Transcript t;
  t.StartFresh();
  t.Expose(100, "10.0.0.1/24");
  CHECK(t.Fail(2) == "record exposure/10.0.0.1 = -\nreply 100 INTERNAL []\n");
  CHECK(t.Attach(101, Box(7), "10.0.0.1/24") == "reply 101 ALREADY_EXISTS []\n");
  CHECK(t.Later() == "#3 sync [] without [10.0.0.1/24] ports \n");
  t.Done(3);
  t.Attach(102, Box(7), "10.0.0.1/24");
  CHECK(t.Done(4, 7) == "reply 102 OK [10.0.0.1/24]\n");
}

TEST_CASE("A failed request does not undo a later one for the same address", "[core]") {
  Transcript t;
  t.StartFresh();
  t.Expose(100, "10.0.0.1/24");
  t.Expose(101, "10.0.0.1/24");
  CHECK(t.Fail(2) == "record exposure/10.0.0.1 = 10.0.0.1/24\nreply 100 INTERNAL []\n");
  CHECK(t.Later() == "#3 sync [10.0.0.1/24] without [] ports \n");
  CHECK(t.Done(3) == "reply 101 OK [10.0.0.1/24]\n");
}

TEST_CASE("An exposure whose record cannot be written is taken back", "[core]") {
  Transcript t;
  t.StartFresh();
  t.Expose(100, "10.0.0.1/24");
  CHECK(t.LastNotWritten() ==
        "record exposure/10.0.0.1 = -\n#3 sync [] without [10.0.0.1/24] ports \n"
        "reply 100 RESOURCE_EXHAUSTED []\n");
  CHECK(t.core().Snapshot().exposures.empty());
}

TEST_CASE("A sync that carried a failed request does not speak for others of the address", "[core]") {
  Exposed t;
  t.BridgeLost();                // #3 under way
  t.Expose(101, "10.0.0.1/24");  // wants it on
  t.Hide(102);                   // takes it off again, on record only
  PeerOutput hidden;
  t.Done(3);  // #4 carries both: off
  hidden.persist.push_back({"exposure/10.0.0.1", std::nullopt});
  hidden.recorded.push_back(102);
  PeerOutput out;
  t.core().OnPersistFailed({}, absl::ResourceExhaustedError("disk full"), hidden, out);
  CHECK(Describe(out) == "record exposure/10.0.0.1 = 10.0.0.1/24\nreply 102 RESOURCE_EXHAUSTED []\n");
  CHECK(t.Done(4) == "#5 sync [10.0.0.1/24] without [] ports \n");  // 101 is not answered by #4
  CHECK(t.Done(5) == "reply 101 OK [10.0.0.1/24]\n");
}

TEST_CASE("An address hidden under two prefix lengths is free when both are off", "[core]") {
  Exposed t;
  t.Hide(101);  // #3 takes /24 off
  t.Expose(102, "10.0.0.1/16");
  t.Hide(103);
  CHECK(t.Done(3) == "#4 sync [] without [10.0.0.1/16 10.0.0.1/24] ports \nreply 101 OK [10.0.0.1/24]\n");
  t.Done(4);
  t.Attach(104, Box(7), "10.0.0.1/24");
  CHECK(t.Done(5, 7) == "reply 104 OK [10.0.0.1/24]\n");
}

TEST_CASE("Hiding what somebody is hiding already is answered when it is off", "[core]") {
  Exposed t;
  t.Hide(101);
  CHECK(t.Hide(102, "10.0.0.1/24").empty());
  CHECK(t.Done(3) == "#4 sync [] without [] ports \nreply 101 OK [10.0.0.1/24]\n");
  CHECK(t.Done(4) == "reply 102 OK []\n");
}

TEST_CASE("A lost bridge is made again with the ports there are", "[core]") {
  Exposed t;
  t.Attach(101, Box(7), "10.0.0.2/24");
  t.Done(3, 7);
  CHECK(t.BridgeLost() == "#4 sync [10.0.0.1/24] without [] ports vethwepl7\n");
  CHECK(t.Done(4).empty());
}

TEST_CASE("A port made while the bridge was lost is put into the new one", "[core]") {
  Exposed t;
  t.Attach(101, Box(7), "10.0.0.2/24");
  CHECK(t.BridgeLost() == "#4 sync [10.0.0.1/24] without [] ports \n");
  t.Done(4);
  CHECK(t.Done(3, 7) == "#5 sync [10.0.0.1/24] without [] ports vethwepl7\nreply 101 OK [10.0.0.2/24]\n");
}

// ---- reset ----

TEST_CASE("A reset takes everything down and forgets it", "[core]") {
  Exposed t;
  t.Attach(101, Box(7), "10.0.0.2/24");
  t.Done(3, 7);
  CHECK(t.Reset(102) == "#4 tear down 7\n");
  CHECK(t.Reset(103).empty());
  CHECK(t.Attach(104, Box(8), "10.0.0.3/24") == "reply 104 FAILED_PRECONDITION []\n");
  CHECK(t.Done(4) ==
        "record endpoint/7 = -\nrecord exposure/10.0.0.1 = -\nrecord identity = -\nreply 102 OK []\nreply 103 OK []\n");
  // The first answer may still wait for the disk: the second waits for its own.
  CHECK(t.Reset(105) == "record endpoint/7 = -\nrecord exposure/10.0.0.1 = -\nrecord identity = -\nreply 105 OK []\n");
  CHECK(t.core().Records().empty());
}

TEST_CASE("A reset lets what has begun end and refuses what waits", "[core]") {
  Exposed t;
  t.Attach(101, Box(7), "10.0.0.2/24");
  t.Detach(102, Box(7));
  t.Expose(103, "10.0.0.3/24");
  CHECK(t.Reset(104) == "reply 102 FAILED_PRECONDITION []\nreply 103 FAILED_PRECONDITION []\n");
  CHECK(t.Gone(LinkName(7)).empty());
  CHECK(t.BridgeLost().empty());
  CHECK(t.Done(4).empty());
  CHECK(t.Done(3, 7) == "#5 tear down 7\nreply 101 OK [10.0.0.2/24]\n");
}

TEST_CASE("A reset that fails can be asked for again", "[core]") {
  Exposed t;
  t.Reset(101);
  CHECK(t.Fail(3) == "reply 101 INTERNAL []\n");
  CHECK(t.Reset(102) == "#4 tear down \n");
}

TEST_CASE("A reset whose records stay on disk is not answered as done", "[core]") {
  Exposed t;
  t.Reset(101);
  t.Done(3);
  CHECK(t.LastNotWritten() == "reply 101 RESOURCE_EXHAUSTED []\n");
  CHECK(t.Reset(102) == "#4 tear down \n");
  CHECK(t.Done(4) == "record exposure/10.0.0.1 = -\nrecord identity = -\nreply 102 OK []\n");
}

}  // namespace
}  // namespace weave
