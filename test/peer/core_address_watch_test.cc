// What is in use on the host against what is on record, between starts.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "peer/core/address_watch.h"
#include "test/peer/core_transcript.h"
#include "test/support/catch.h"

namespace weave {
namespace {

constexpr char kWeb[] = "web@weave/eth0";

// A host as a look finds it: "HOLDER ADDRESS" for each container interface in the bridge.
AddressSurvey Sight(const std::vector<std::string>& interfaces, bool complete = true) {
  AddressSurvey survey;
  survey.complete = complete;
  for (const std::string& interface : interfaces) {
    const std::vector<std::string> parts = absl::StrSplit(interface, ' ');
    absl::StrAppend(&survey.ports, parts[0], "\n");
    if (parts[0] != "_") survey.attachments.insert(parts[0]);
    if (parts.size() < 2) continue;
    survey.in_use.push_back({parts[0], Net(parts[1])});
    survey.present.insert(Net(parts[1]).address());
  }
  return survey;
}

class Watched : public Transcript {
 public:
  Watched() : Transcript("10.32.0.0/24") { StartFresh(); }
  explicit Watched(const std::vector<Record>& records) : Transcript("10.32.0.0/24") {
    Start(records);
    Done(1);
  }

  // The next look. False: none within two minutes.
  bool Look(const AddressSurvey& sight) {
    const std::optional<HostCommand> command = PassUntilCommand(absl::Minutes(2));
    if (!command.has_value()) return false;
    const auto& survey = std::get<SurveyAddresses>(command->action);
    thorough_ = survey.thorough;
    if (survey.thorough || survey.ports != sight.ports)
      Surveyed(command->id, sight);
    else
      Done(command->id);  // the ports are the same
    AllWritten();
    return true;
  }
  // Was the last one to see everything, whether the ports were the same or not?
  bool thorough() const { return thorough_; }

  void Give(const std::string& holder, Upkeep upkeep = Upkeep::kInterface) {
    Ask(++requests_, AllocateOperation{holder, Net("10.32.0.0/24"), false, upkeep});
    AllWritten();
  }

  // What is on record: "HOLDER ADDRESS, HOLDER ADDRESS".
  std::string Held() {
    std::vector<std::string> held;
    for (const auto& [ident, allocation] : core().allocator()->allocations())
      for (const Cidr& address : allocation.addresses) held.push_back(absl::StrCat(ident, " ", address.ToString()));
    return absl::StrJoin(held, ", ");
  }

  std::vector<Record> AllRecords() {
    std::vector<Record> records;
    for (const auto& [key, record] : core().Records()) records.push_back(record);
    return records;
  }

 private:
  RequestId requests_ = 100;
  bool thorough_ = false;
};

TEST_CASE("An address that is in use and on no record is claimed for whoever made the interface", "[core][watch]") {
  Watched t;
  REQUIRE(t.Look(Sight({"web@weave/eth0 10.32.0.5/24", "_ 10.32.0.6/24", "_ 192.168.1.1/24"})));
  CHECK(t.Held() == "10.32.0.6 10.32.0.6/24, web@weave/eth0 10.32.0.5/24");
  CHECK(t.core().address_watch().claimed_count() == 2);
  t.Give("other");
  t.Give("another");
  CHECK(t.Held().find("another 10.32.0.2/24") != std::string::npos);
}

TEST_CASE("What was claimed goes when no interface has it any more", "[core][watch]") {
  Watched t;
  t.Look(Sight({"_ 10.32.0.6/24"}));
  t.Look(Sight({}));
  CHECK(t.Held() == "10.32.0.6 10.32.0.6/24");
  t.Look(Sight({}));
  CHECK(t.Held().empty());
  CHECK(t.core().address_watch().released_count() == 1);
}

TEST_CASE("An attachment that is gone loses its address half a minute later, and not before", "[core][watch]") {
  Watched t;
  t.Give(kWeb);
  t.Look(Sight({"web@weave/eth0 10.32.0.1/24"}));
  const absl::Time gone = t.clock();
  t.PortsChanged();
  t.Look(Sight({}));
  CHECK(t.clock() - gone <= AddressWatch::kLeastPause);
  CHECK(t.Held() == "web@weave/eth0 10.32.0.1/24");
  t.Look(Sight({}));
  CHECK(t.Held().empty());
  CHECK(t.clock() - gone >= AddressWatch::kGrace);
}

TEST_CASE("An interface that is there keeps its address, also without one", "[core][watch]") {
  Watched t;
  t.Give(kWeb);
  for (int i = 0; i < 10; ++i) t.Look(Sight({"web@weave/eth0"}));
  CHECK(t.Held() == "web@weave/eth0 10.32.0.1/24");
}

TEST_CASE("An address that is on another interface of the host stays", "[core][watch]") {
  Watched t;
  t.Give(kWeb);
  AddressSurvey elsewhere = Sight({});
  elsewhere.present.insert(Net("10.32.0.1/24").address());
  for (int i = 0; i < 10; ++i) t.Look(elsewhere);
  CHECK(t.Held() == "web@weave/eth0 10.32.0.1/24");
}

TEST_CASE("Where not everything could be seen nothing is released", "[core][watch]") {
  Watched t;
  t.Give(kWeb);
  for (int i = 0; i < 10; ++i) t.Look(Sight({}, /*complete=*/false));
  CHECK(t.Held() == "web@weave/eth0 10.32.0.1/24");
  t.Look(Sight({}));
  t.Look(Sight({}));
  CHECK(t.Held().empty());
}

TEST_CASE("An attachment whose interface is in the making keeps its address", "[core][watch]") {
  Watched t;
  t.Look(Sight({}));
  t.Give(kWeb);
  const absl::Time given = t.clock();
  while (!t.Held().empty()) REQUIRE(t.Look(Sight({})));
  CHECK(t.clock() - given >= AddressWatch::kMakingTime);
  CHECK(t.clock() - given <= absl::Minutes(3));

  t.Give(kWeb);
  t.Pass(absl::Seconds(50));
  t.Give(kWeb);  // the runtime tries again
  const absl::Time again = t.clock();
  while (!t.Held().empty()) REQUIRE(t.Look(Sight({})));
  CHECK(t.clock() - again >= AddressWatch::kMakingTime);
}

TEST_CASE("An address that is given while the host looks is not missed", "[core][watch]") {
  Watched t;
  t.Give(kWeb);
  t.Pass(absl::Seconds(1));
  for (int i = 0; i < 20; ++i) {
    const std::optional<HostCommand> command = t.PassUntilCommand(absl::Minutes(2));
    REQUIRE(command.has_value());
    t.Give(kWeb);
    t.Surveyed(command->id, Sight({}));
    t.AllWritten();
  }
  CHECK(t.Held() == "web@weave/eth0 10.32.0.1/24");
}

TEST_CASE("Addresses that their holders give back stay until then", "[core][watch]") {
  Watched t;
  t.Give("someone", Upkeep::kHolder);
  t.Give(kWeb, Upkeep::kHolder);  // another plugin makes the interface, perhaps one that nobody can see
  t.Give("_", Upkeep::kDocker);
  const std::string held = t.Held();
  for (int i = 0; i < 10; ++i) t.Look(Sight({}));
  CHECK(t.Held() == held);
}

TEST_CASE("What Docker disowns goes if no interface has it, unless Docker asks for it again", "[core][watch]") {
  Watched t;
  for (int i = 0; i < 3; ++i) t.Give("_", Upkeep::kDocker);
  t.Give("someone", Upkeep::kHolder);
  DisownOperation disown;
  for (const char* address : {"10.32.0.1/24", "10.32.0.2/24", "10.32.0.3/24", "10.32.0.4/24", "10.32.0.99/24"})
    disown.addresses.push_back(Net(address).address());
  CHECK(t.Ask(90, disown).find("reply 90") == std::string::npos);  // not before it is on disk
  CHECK(t.AllWritten() == "reply 90 OK []\n");
  t.Ask(91, ClaimOperation{"_", Net("10.32.0.2/24"), false, false, Upkeep::kDocker});
  t.AllWritten();
  for (int i = 0; i < 5; ++i) t.Look(Sight({"_ 10.32.0.3/24"}));
  CHECK(t.Held() == "10.32.0.2 10.32.0.2/24, 10.32.0.3 10.32.0.3/24, someone 10.32.0.4/24");
}

TEST_CASE("What containers of an earlier boot had goes, whoever made their interfaces", "[core][watch]") {
  Watched before;
  before.Give("web@weave/eth0");
  before.Give("db@other/eth0", Upkeep::kHolder);
  before.Give("someone", Upkeep::kHolder);
  before.Give("_", Upkeep::kDocker);
  std::vector<Record> records = before.AllRecords();
  for (Record& record : records)
    if (auto* identity = std::get_if<IdentityRecord>(&record)) identity->boot_id = "former";
  Watched after(records);
  const absl::Time started = after.clock();
  while (after.Held().find('@') != std::string::npos) REQUIRE(after.Look(Sight({})));
  CHECK(after.clock() - started <= absl::Seconds(40));
  CHECK(after.Held() == "10.32.0.4 10.32.0.4/24, someone 10.32.0.3/24");
}

TEST_CASE("A peer that starts again takes nothing from an attachment in the making", "[core][watch]") {
  Watched before;
  before.Give(kWeb);
  Watched after(before.AllRecords());
  after.Look(Sight({}));
  after.Look(Sight({}));
  CHECK(after.Held() == "web@weave/eth0 10.32.0.1/24");
}

TEST_CASE("Containers are looked into only when something may have changed", "[core][watch]") {
  Watched t;
  t.Give(kWeb);
  const AddressSurvey sight = Sight({"web@weave/eth0 10.32.0.1/24"});
  t.Look(sight);
  CHECK(t.thorough());
  t.Look(sight);
  CHECK(t.thorough());  // an address may have come after its interface
  for (int i = 0; i < 3; ++i) {
    t.Look(sight);
    CHECK_FALSE(t.thorough());
  }
  t.Give("db@weave/eth0");
  t.Look(sight);
  CHECK(t.thorough());
}

TEST_CASE("However often interfaces come and go, looks are few", "[core][watch]") {
  Watched t;
  int looks = 0;
  for (int i = 0; i < 600; ++i) {
    t.PortsChanged();
    const std::optional<HostCommand> command = t.PassUntilCommand(absl::Milliseconds(100));
    if (!command.has_value()) continue;
    ++looks;
    t.PortsChanged();
    t.Surveyed(command->id, Sight({absl::StrCat("c", i, "@weave/eth0")}));
  }
  CHECK(looks >= 4);
  CHECK(looks <= 7);
}

TEST_CASE("An address of one attachment on the interface of another is told once, and stays", "[core][watch]") {
  Watched t;
  t.Give(kWeb);
  for (int i = 0; i < 5; ++i) t.Look(Sight({"web@weave/eth0", "db@weave/eth0 10.32.0.1/24"}));
  CHECK(t.Held() == "web@weave/eth0 10.32.0.1/24");
  const auto told = std::count_if(t.logged().begin(), t.logged().end(), [](const std::string& line) {
    return line.find("belongs to somebody else") != std::string::npos;
  });
  CHECK(told == 1);
}

TEST_CASE("A host that cannot be looked at is asked again, and a reset ends it", "[core][watch]") {
  Watched t;
  t.Give(kWeb);
  for (int i = 0; i < 3; ++i) {
    const std::optional<HostCommand> command = t.PassUntilCommand(absl::Minutes(2));
    REQUIRE(command.has_value());
    t.Fail(command->id);
  }
  const std::optional<HostCommand> last = t.PassUntilCommand(absl::Minutes(2));
  REQUIRE(last.has_value());
  t.Reset(99);
  t.Surveyed(last->id, Sight({"_ 10.32.0.7/24"}));
  CHECK(t.Held() == "web@weave/eth0 10.32.0.1/24");
}

}  // namespace
}  // namespace weave
