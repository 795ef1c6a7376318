// What the kernel can do, without making it load a module: what is loaded shows in /sys and /proc, what could be is in
// the lists under /lib/modules.
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "doctor/os/gather.h"
#include "io/file.h"

namespace weave {
namespace {

constexpr std::size_t kMaxListSize = 16 << 20;

class ModuleLists {
 public:
  explicit ModuleLists(const std::string& release) {
    const std::string directory = absl::StrCat("/lib/modules/", release);
    for (const char* name : {"modules.builtin", "modules.dep"}) {
      const absl::StatusOr<std::string> list = ReadSmallFile(absl::StrCat(directory, "/", name), kMaxListSize);
      if (!list.ok()) continue;
      known_ = true;
      (name == std::string("modules.dep") ? loadable_ : builtin_) = *list;
    }
  }

  // `signs`: paths that are there when the feature is.
  FeatureState StateOf(absl::string_view module, std::initializer_list<std::string> signs) const {
    if (::access(absl::StrCat("/sys/module/", module).c_str(), F_OK) == 0) return FeatureState::kThere;
    for (const std::string& sign : signs)
      if (::access(sign.c_str(), F_OK) == 0) return FeatureState::kThere;
    const std::string file = absl::StrCat("/", module, ".ko");
    if (absl::StrContains(builtin_, file)) return FeatureState::kThere;
    if (absl::StrContains(loadable_, file)) return FeatureState::kLoadable;
    return known_ ? FeatureState::kMissing : FeatureState::kUnknown;
  }

 private:
  bool known_ = false;
  std::string builtin_;
  std::string loadable_;
};

std::uint64_t NumberIn(const std::string& path) {
  std::uint64_t number = 0;
  const absl::StatusOr<std::string> text = ReadSmallFile(path);
  return text.ok() && absl::SimpleAtoi(*text, &number) ? number : 0;
}

// The first number of the second line of /proc/net/stat/arp_cache: the same for each processor.
std::uint64_t CountNeighbours(const std::string& proc_path) {
  const absl::StatusOr<std::string> text = ReadSmallFile(absl::StrCat(proc_path, "/net/stat/arp_cache"));
  if (!text.ok()) return 0;
  const std::vector<absl::string_view> words = absl::StrSplit(*text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  const auto first = std::find_if(words.begin(), words.end(), [](absl::string_view word) {
    return word.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
  });
  std::uint64_t count = 0;
  return first != words.end() && absl::SimpleHexAtoi(*first, &count) ? count : 0;
}

}  // namespace

KernelFacts GatherKernel(const std::string& proc_path) {
  KernelFacts kernel;
  utsname name = {};
  if (::uname(&name) == 0) kernel.release = name.release;
  const ModuleLists modules(kernel.release);
  const std::string sys = absl::StrCat(proc_path, "/sys/net/");
  kernel.openvswitch = modules.StateOf("openvswitch", {});
  kernel.vxlan = modules.StateOf("vxlan", {});
  kernel.esp = modules.StateOf("esp4", {});
  kernel.ipset = modules.StateOf("ip_set", {});
  kernel.conntrack = modules.StateOf("nf_conntrack", {sys + "netfilter/nf_conntrack_max"});
  kernel.conntrack_count = NumberIn(sys + "netfilter/nf_conntrack_count");
  kernel.conntrack_max = NumberIn(sys + "netfilter/nf_conntrack_max");
  kernel.neighbour_count = CountNeighbours(proc_path);
  kernel.neighbour_max = NumberIn(sys + "ipv4/neigh/default/gc_thresh3");
  return kernel;
}

}  // namespace weave
