#include "host/identity.h"

#include <sodium.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/bytes.h"
#include "base/mac.h"
#include "base/status.h"
#include "io/fd.h"
#include "io/file.h"

namespace weave {
namespace {

constexpr absl::string_view kSalt = "9oBJ0Jmip-";  // spec/overlay.md section 9

// Raw content of the first of the two that exists; nullopt: neither does.
absl::StatusOr<std::optional<std::string>> ReadEither(const std::string& first, const std::string& second) {
  for (const std::string& path : {first, second}) {
    absl::StatusOr<std::string> content = ReadSmallFile(path);
    if (content.ok()) return std::optional<std::string>(*std::move(content));
    if (!absl::IsNotFound(content.status())) return content.status();
  }
  return std::optional<std::string>();
}

absl::StatusOr<std::optional<std::string>> ReadUuid(const IdentityOptions& options) {
  return ReadEither(absl::StrCat(options.sys_path, "/class/dmi/id/product_uuid"),
                    absl::StrCat(options.sys_path, "/hypervisor/uuid"));
}

PeerName HashToName(absl::string_view content) {
  const std::string text = absl::StrCat(kSalt, content);
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash;
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
  std::array<std::uint8_t, 6> mac;
  std::copy_n(hash.begin(), mac.size(), mac.begin());
  mac[0] = static_cast<std::uint8_t>((mac[0] & ~0x01) | 0x02);  // unicast, locally administered
  return PeerName::FromMac(MacAddress(mac));
}

}  // namespace

absl::StatusOr<PeerName> DerivePeerName(const IdentityOptions& options) {
  const std::string etc = absl::StrCat(options.host_root, "/etc/machine-id");
  const std::string dbus = absl::StrCat(options.host_root, "/var/lib/dbus/machine-id");
  ASSIGN_OR_RETURN(std::optional<std::string> machine_id, ReadEither(etc, dbus));
  ASSIGN_OR_RETURN(std::optional<std::string> uuid, ReadUuid(options));
  if (!machine_id && !uuid)
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot derive a peer name: neither a machine-id (", etc, ", ", dbus, ") nor a system UUID (", options.sys_path,
        "/class/dmi/id/product_uuid, ", options.sys_path, "/hypervisor/uuid); use --name"));
  return HashToName(absl::StrCat(machine_id.value_or(""), uuid.value_or("")));
}

absl::StatusOr<PeerName> DerivePeerNameFromUuid(const IdentityOptions& options) {
  ASSIGN_OR_RETURN(std::optional<std::string> uuid, ReadUuid(options));
  if (!uuid) return absl::NotFoundError(absl::StrCat("no system UUID in ", options.sys_path));
  return HashToName(*uuid);
}

absl::StatusOr<std::string> Hostname() {
  std::array<char, HOST_NAME_MAX + 1> name = {};
  if (::gethostname(name.data(), name.size()) != 0) return ErrnoError(errno, "gethostname");
  name.back() = '\0';
  return std::string(name.data());
}

absl::StatusOr<std::string> BootId(const IdentityOptions& options) {
  ASSIGN_OR_RETURN(std::string text, ReadSmallFile(absl::StrCat(options.proc_path, "/sys/kernel/random/boot_id")));
  return std::string(absl::StripSuffix(text, "\n"));
}

}  // namespace weave
