#include "host/identity.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "io/subprocess.h"
#include "test/support/catch.h"

namespace weave {
namespace {

namespace fs = std::filesystem;

// Machines made of files.
class Machine {
 public:
  Machine() {
    root_ = (fs::temp_directory_path() / "weave-host-XXXXXX").string();
    CHECK(::mkdtemp(root_.data()) != nullptr);
  }
  ~Machine() { fs::remove_all(root_); }

  Machine& With(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path, std::ios::binary) << content;
    return *this;
  }

  IdentityOptions Options() const {
    IdentityOptions options;
    options.host_root = root_;
    options.sys_path = root_ + "/sys";
    return options;
  }

  std::string Name() const { return DerivePeerName(Options()).value().ToString(); }

  // The same by sha256sum: salt and content, first six bytes, first byte unicast and local.
  std::string Expected(const std::string& content) const {
    SubprocessOptions options;
    options.argv = {"sha256sum"};
    options.input = "9oBJ0Jmip-" + content;
    const std::string hash = RunSuccessfully(options).value().output;
    std::string name;
    for (std::size_t i = 0; i < 6; ++i) {
      int byte = std::stoi(hash.substr(2 * i, 2), nullptr, 16);
      if (i == 0) byte = (byte & 0xfe) | 0x02;
      char text[4];
      std::snprintf(text, sizeof text, i == 0 ? "%02x" : ":%02x", static_cast<unsigned>(byte));
      name += text;
    }
    return name;
  }

 private:
  std::string root_;
};

constexpr char kMachineId[] = "0123456789abcdef0123456789abcdef\n";
constexpr char kUuid[] = "11111111-2222-3333-4444-555555555555\n";

TEST_CASE("The peer name is the hash of the raw machine id and system UUID", "[host][identity]") {
  Machine machine;
  machine.With("/etc/machine-id", kMachineId).With("/sys/class/dmi/id/product_uuid", kUuid);
  CHECK(machine.Name() == machine.Expected(std::string(kMachineId) + kUuid));
  CHECK(machine.Name() != machine.Expected("0123456789abcdef0123456789abcdef" + std::string(kUuid)));
  CHECK(DerivePeerNameFromUuid(machine.Options())->ToString() == machine.Expected(kUuid));
}

TEST_CASE("The first file that exists counts, and one that is missing contributes nothing", "[host][identity]") {
  Machine only_id;
  only_id.With("/etc/machine-id", kMachineId);
  CHECK(only_id.Name() == only_id.Expected(kMachineId));
  CHECK(absl::IsNotFound(DerivePeerNameFromUuid(only_id.Options()).status()));

  Machine only_uuid;
  only_uuid.With("/sys/hypervisor/uuid", kUuid);
  CHECK(only_uuid.Name() == only_uuid.Expected(kUuid));

  Machine dbus;
  dbus.With("/var/lib/dbus/machine-id", "dbus\n").With("/sys/hypervisor/uuid", "xen\n");
  CHECK(dbus.Name() == dbus.Expected("dbus\nxen\n"));
  dbus.With("/etc/machine-id", kMachineId).With("/sys/class/dmi/id/product_uuid", kUuid);
  CHECK(dbus.Name() == dbus.Expected(std::string(kMachineId) + kUuid));
}

TEST_CASE("A machine without either file has no derived name, and is told where they are looked for",
          "[host][identity]") {
  Machine machine;
  const absl::Status status = DerivePeerName(machine.Options()).status();
  CHECK(absl::IsFailedPrecondition(status));
  for (const char* part : {"/etc/machine-id", "/var/lib/dbus/machine-id", "product_uuid", "--name"})
    CHECK(std::string(status.message()).find(part) != std::string::npos);
}

TEST_CASE("Hostname and boot id are the kernel's", "[host][identity]") {
  char name[256] = {};
  REQUIRE(::gethostname(name, sizeof name - 1) == 0);
  CHECK(Hostname().value() == name);
  const std::string boot = BootId({}).value();
  CHECK(boot.size() == 36);
  CHECK(boot == BootId({}).value());
  IdentityOptions nowhere;
  nowhere.proc_path = "/nowhere";
  CHECK(absl::IsNotFound(BootId(nowhere).status()));
}

}  // namespace
}  // namespace weave
