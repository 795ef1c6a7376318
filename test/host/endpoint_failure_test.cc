// Attaching what cannot be attached: each failure says why and leaves host and sandbox as they were.
#include "host/endpoint.h"
#include "test/host/host_world.h"

namespace weave {
namespace {

// The world of each row: a bridge and one sandbox, watched for leftovers.
class FailingAttach {
 public:
  FailingAttach() : sandbox("42") { host.MakeBridge(); }

  std::string Fails(const EndpointSpec& spec, absl::StatusCode code) {
    const std::string outside = host.Picture();
    const std::string inside = sandbox.Picture();
    const absl::Status status = AttachSandbox(host.netlink(), spec).status();
    INFO(status);
    CHECK(status.code() == code);
    CHECK(host.Picture() == outside);
    CHECK(sandbox.Picture() == inside);
    return std::string(status.message());
  }

  HostWorld host;
  TestSandbox sandbox;
};

TEST_CASE("An address on another interface of the sandbox undoes the ones before it", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  FailingAttach world;
  IpCommand("link add eth0 type veth peer name peer0", world.sandbox.fd());
  IpCommand("addr add 10.2.2.1/16 dev eth0", world.sandbox.fd());
  CHECK(world.Fails(world.sandbox.Spec({"10.2.1.1/24", "10.2.2.1/24"}), absl::StatusCode::kAlreadyExists) ==
        "cannot give 10.2.2.1/24 to sandbox 42: 10.2.2.1/16 is already on its interface \"eth0\"");
}

TEST_CASE("A failure on an interface that was there takes back only what was added", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  FailingAttach world;
  EndpointSpec first = world.sandbox.Spec({"10.2.1.1/24"});
  first.multicast_route = false;
  first.hairpin = false;
  world.host.Attach(first);
  IpCommand("link add eth0 type veth peer name peer0", world.sandbox.fd());
  IpCommand("addr add 10.2.3.1/24 dev eth0", world.sandbox.fd());
  world.Fails(world.sandbox.Spec({"10.2.1.1/24", "10.2.2.1/24", "10.2.3.1/24"}), absl::StatusCode::kAlreadyExists);
  CHECK_FALSE(world.host.Link("vethwepl42")->hairpin);
}

TEST_CASE("A setting that cannot be written undoes the interface", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  FailingAttach world;
  EndpointSpec spec = world.sandbox.Spec({"10.2.1.1/24"});
  spec.proc_path = "/nowhere";
  CHECK(world.Fails(spec, absl::StatusCode::kNotFound).find("/nowhere/sys/net/ipv4/neigh/ethwe") != std::string::npos);
}

TEST_CASE("An interface of the same name that is not ours is refused", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  FailingAttach world;
  const EndpointSpec spec = world.sandbox.Spec({"10.2.1.1/24"});
  SECTION("a veth pair within the sandbox") {
    IpCommand("link add ethwe type veth peer name other", world.sandbox.fd());
    CHECK(world.Fails(spec, absl::StatusCode::kAlreadyExists) ==
          "sandbox 42 has an interface \"ethwe\" already, and it does not lead to this host");
  }
  SECTION("another kind of device") {
    IpCommand("link add ethwe type bridge", world.sandbox.fd());
    world.Fails(spec, absl::StatusCode::kAlreadyExists);
  }
  SECTION("a veth pair to a third namespace, with indices that match by chance") {
    TestSandbox third("43");
    REQUIRE(third.Open().CreateVeth({.name = "far", .peer_name = "ethwe", .peer_ns_fd = world.sandbox.fd()}).ok());
    world.Fails(spec, absl::StatusCode::kAlreadyExists);
  }
  SECTION("a veth pair to this host, on another bridge") {
    IpCommand("link add theirs type bridge");
    REQUIRE(world.host.netlink()
                .CreateVeth({.name = "vethwepl42",
                             .peer_name = "ethwe",
                             .peer_ns_fd = world.sandbox.fd(),
                             .master_index = world.host.Link("theirs")->index})
                .ok());
    CHECK(world.Fails(spec, absl::StatusCode::kAlreadyExists) ==
          "sandbox 42 has an interface \"ethwe\" already, and it is not on bridge \"weave\"");
  }
}

TEST_CASE("Malformed requests are refused before anything is made", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  FailingAttach world;
  CHECK(world.Fails(world.sandbox.Spec({}), absl::StatusCode::kInvalidArgument) ==
        "no address to give to the container");
  CHECK(world.Fails(world.sandbox.Spec({"fd00::1/64"}), absl::StatusCode::kInvalidArgument) ==
        "address fd00::1/64: want an IPv4 address");
  CHECK(world.Fails(world.sandbox.Spec({"10.2.1.1/24", "10.2.1.1/16"}), absl::StatusCode::kInvalidArgument) ==
        "address 10.2.1.1/16 is given twice");
  EndpointSpec spec = world.sandbox.Spec({"10.2.1.1/24"});
  spec.interface = "a-name-too-long-";
  world.Fails(spec, absl::StatusCode::kInvalidArgument);
  spec.interface = "lo";
  world.Fails(spec, absl::StatusCode::kAlreadyExists);
}

TEST_CASE("Without bridge or sandbox there is nothing to attach to", "[host][endpoint]") {
  if (!HostWorld::Possible()) return;
  FailingAttach world;
  EndpointSpec spec = world.sandbox.Spec({"10.2.1.1/24"});
  spec.bridge = "absent";
  CHECK(world.Fails(spec, absl::StatusCode::kNotFound) == "there is no bridge \"absent\" to attach to");
  spec = world.sandbox.Spec({"10.2.1.1/24"});
  spec.sandbox.netns_inode = 1;  // the path leads to another namespace now, and nothing to one of this number
  CHECK(world.Fails(spec, absl::StatusCode::kNotFound) == "sandbox 42 is gone");
}

}  // namespace
}  // namespace weave
