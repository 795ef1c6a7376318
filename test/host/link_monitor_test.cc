#include "host/link_monitor.h"

#include <deque>
#include <set>
#include <thread>

#include "test/host/host_world.h"

namespace weave {
namespace {

// A monitor on a loop that the test turns by hand, and what it reported.
class Watched {
 public:
  explicit Watched(LinkMonitorOptions options = {}) {
    LinkMonitorCallbacks callbacks;
    callbacks.on_host_end_gone = [this](const std::string& name, int) { Heard("gone " + name); };
    callbacks.on_ports_changed = [this] { ++ports_change_count_; };
    callbacks.on_bridge_gone = [this] { Heard("bridge gone"); };
    callbacks.on_bridge_down = [this] { Heard("bridge down"); };
    callbacks.on_hairpin = [this](const std::string& port) { Heard("hairpin " + port); };
    callbacks.on_part_lost = [this](const std::string& part) { Heard("lost " + part); };
    monitor_ = LinkMonitor::Start(loop_, std::move(options), std::move(callbacks)).value();
    loop_.Post([this] { loop_.Stop(); });
    loop_.Run();  // the first turn
  }

  // The next report; empty when none comes in a time no working system needs.
  std::string Next() {
    auto timeout = loop_.MakeTimer([this] { loop_.Stop(); });
    timeout->Arm(MonotonicNow() + absl::Seconds(20));
    if (heard_.empty()) loop_.Run();
    if (heard_.empty()) return "";
    std::string report = heard_.front();
    heard_.pop_front();
    return report;
  }

  // Turns the loop until the monitor has seen everything so far, without a change of ports.
  void Turn() {
    IpCommand("link set weave down");
    while (Next() != "bridge down") {
    }
    IpCommand("link set weave up");
  }

  // Turns the loop until the monitor has seen everything so far: a link made and removed now is the mark.
  std::string NextAfterMark() {
    IpCommand("link add vethweplmark type veth peer name markpeer");
    IpCommand("link del vethweplmark");
    return Next();
  }

  // How often ports have changed so far.
  int ports_change_count() const { return ports_change_count_; }

 private:
  void Heard(std::string report) {
    heard_.push_back(std::move(report));
    loop_.Stop();
  }

  EventLoop loop_;
  std::deque<std::string> heard_;
  int ports_change_count_ = 0;
  std::unique_ptr<LinkMonitor> monitor_;
};

TEST_CASE("A container that ends, a bridge that goes down and one that goes are reported once each",
          "[host][monitor]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("1"), b("2");
  host.Attach(a.Spec({"10.2.1.1/24"}));
  Watched watched;
  CHECK(watched.NextAfterMark() == "gone vethweplmark");  // a healthy start has nothing to say
  host.Attach(b.Spec({"10.2.1.2/24"}));
  a.End();
  CHECK(watched.Next() == "gone vethwepl1");
  IpCommand("link set weave down");
  CHECK(watched.Next() == "bridge down");
  IpCommand("link set weave up");
  CHECK(watched.NextAfterMark() == "gone vethweplmark");
  IpCommand("link set vethwepl2 nomaster");  // it left the bridge; its container lives
  CHECK(watched.NextAfterMark() == "gone vethweplmark");
  IpCommand("link del weave");
  CHECK(watched.Next() == "bridge gone");
  host.MakeBridge();  // down for a moment while it is made
  CHECK(watched.NextAfterMark() == "gone vethweplmark");
  IpCommand("link set weave down");
  CHECK(watched.Next() == "bridge down");
}

TEST_CASE("A container's interface that comes, leaves the bridge or goes is a change of ports, and nothing else is",
          "[host][monitor]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  Watched watched;
  TestSandbox a("1");
  host.Attach(a.Spec({"10.2.1.1/24"}));
  watched.Turn();
  const int attached = watched.ports_change_count();
  IpCommand("addr add 10.2.1.9/24 dev weave");
  IpCommand("link add other type veth peer name another");
  IpCommand("link set vethwepl1 mtu 1400");
  watched.Turn();
  CHECK(watched.ports_change_count() == attached);
  IpCommand("link set vethwepl1 nomaster");
  watched.Turn();
  CHECK(watched.ports_change_count() > attached);
  const int left = watched.ports_change_count();
  IpCommand("link del vethwepl1");
  watched.Turn();
  CHECK(watched.ports_change_count() > left);
}

TEST_CASE("Hairpin mode is reported on the router's port only, whichever way it is set", "[host][monitor]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  IpCommand("link add vethwe-bridge type veth peer name vethwe-pcap");
  IpCommand("link set vethwe-bridge master weave up");
  Watched watched;
  CHECK(watched.NextAfterMark() == "gone vethweplmark");
  TestSandbox a("1");
  host.Attach(a.Spec({"10.2.1.1/24"}));  // with hairpin, as it should be
  IpCommand("link set dev vethwe-bridge type bridge_slave hairpin on");
  CHECK(watched.Next() == "hairpin vethwe-bridge");
  IpCommand("link set dev vethwe-bridge type bridge_slave hairpin off");
  REQUIRE(TryIn(-1, {"bridge", "link", "set", "dev", "vethwe-bridge", "hairpin", "on"}).succeeded());
  CHECK(watched.Next() == "hairpin vethwe-bridge");
  CHECK(watched.NextAfterMark() == "gone vethweplmark");
}

TEST_CASE("What stands beside the bridge is reported when it goes, and when it leaves what it was a port of",
          "[host][monitor]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  IpCommand("link add vethwe-bridge type veth peer name vethwe-datapath");
  IpCommand("link set vethwe-bridge master weave");
  Watched watched({.parts = {"vethwe-bridge", "vethwe-datapath", "datapath"}});
  CHECK(watched.Next() == "lost datapath");  // it never was there
  IpCommand("link set vethwe-bridge nomaster");
  CHECK(watched.Next() == "lost vethwe-bridge");
  IpCommand("link set vethwe-bridge master weave");
  CHECK(watched.NextAfterMark() == "gone vethweplmark");
  IpCommand("link del vethwe-bridge");
  const std::set<std::string> both = {watched.Next(), watched.Next()};
  CHECK(both == std::set<std::string>{"lost vethwe-bridge", "lost vethwe-datapath"});
}

TEST_CASE("What is wrong at the start is reported in the first turn", "[host][monitor]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  {
    Watched watched;
    CHECK(watched.Next() == "bridge gone");
  }
  host.MakeBridge();
  IpCommand("link add vethwe-bridge type veth peer name vethwe-pcap");
  IpCommand("link set vethwe-bridge master weave");
  IpCommand("link set dev vethwe-bridge type bridge_slave hairpin on");
  IpCommand("link set weave down");
  Watched watched;
  CHECK(watched.Next() == "hairpin vethwe-bridge");
  CHECK(watched.Next() == "bridge down");
}

TEST_CASE("Events the kernel dropped are made up for", "[host][monitor]") {
  if (!HostWorld::Possible()) return;
  HostWorld host;
  host.MakeBridge();
  TestSandbox a("1");
  host.Attach(a.Spec({"10.2.1.1/24"}));
  Watched watched;
  CHECK(watched.NextAfterMark() == "gone vethweplmark");
  const int index = host.Link("vethwepl1")->index;
  for (std::uint32_t i = 0; i < 2000; ++i)  // far more than a socket holds, while nobody reads
    REQUIRE(host.netlink().SetMtu(index, 1400 + i % 2).ok());
  IpCommand("link del vethwepl1");
  IpCommand("link set weave down");
  std::vector<std::string> reports = {watched.Next(), watched.Next()};
  std::sort(reports.begin(), reports.end());
  CHECK(reports == std::vector<std::string>{"bridge down", "gone vethwepl1"});
  CHECK(watched.NextAfterMark() == "gone vethweplmark");  // and it goes on as before
}

}  // namespace
}  // namespace weave
