#include "host/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "io/fd.h"
#include "io/file.h"

namespace weave {
namespace {

std::string SysctlPath(absl::string_view proc_path, absl::string_view name) {
  return absl::StrCat(proc_path, "/sys/", name);
}

}  // namespace

absl::Status WriteSysctl(absl::string_view proc_path, absl::string_view name, absl::string_view value) {
  const std::string path = SysctlPath(proc_path, name);
  Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, absl::StrCat("open ", path));
  if (::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size()))
    return ErrnoError(errno, absl::StrCat("write \"", value, "\" to ", path));
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSysctl(absl::string_view proc_path, absl::string_view name) {
  ASSIGN_OR_RETURN(std::string text, ReadSmallFile(SysctlPath(proc_path, name)));
  return std::string(absl::StripSuffix(text, "\n"));
}

absl::Status TuneArpCache(absl::string_view proc_path, absl::string_view interface) {
  const std::string base = absl::StrCat("net/ipv4/neigh/", interface, "/");
  RETURN_IF_ERROR(WriteSysctl(proc_path, base + "base_reachable_time", "5"));     // seconds
  RETURN_IF_ERROR(WriteSysctl(proc_path, base + "delay_first_probe_time", "2"));  // seconds
  return WriteSysctl(proc_path, base + "ucast_solicit", "1");                     // probes
}

absl::Status AnnounceMacChanges(absl::string_view proc_path, absl::string_view interface) {
  return WriteSysctl(proc_path, absl::StrCat("net/ipv4/conf/", interface, "/arp_notify"), "1");
}

absl::Status IgnoreRouterAdvertisements(absl::string_view proc_path, absl::string_view interface) {
  absl::Status status = WriteSysctl(proc_path, absl::StrCat("net/ipv6/conf/", interface, "/accept_ra"), "0");
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace weave
