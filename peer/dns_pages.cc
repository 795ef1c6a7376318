#include "peer/dns_pages.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/ip.h"

namespace weave {
namespace {

constexpr int kNameWidth = 12;
constexpr int kNameAddressWidth = 15;
constexpr int kHolderWidth = 12;

// Other peers choose their names: nothing in them may pass for a line of ours, or command a terminal.
std::string WithoutControls(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); }, ' ');
  return text;
}

std::string AddressOf(const NameEntry& entry) { return IpAddress::V4(entry.address).ToString(); }

// Without the domain, if it is spelled as ours is.
std::string ShortName(const NameEntry& entry, const std::string& domain) {
  absl::string_view name = entry.hostname;
  if (absl::EndsWith(name, absl::StrCat(".", domain))) name.remove_suffix(domain.size() + 1);
  return WithoutControls(std::string(name));
}

}  // namespace

std::size_t CountAlive(const std::vector<NameEntryPtr>& entries) {
  return static_cast<std::size_t>(
      std::count_if(entries.begin(), entries.end(), [](const NameEntryPtr& entry) { return entry->alive(); }));
}

std::string UpstreamText(const DnsView& view) {
  return view.upstreams.empty() ? "none" : absl::StrJoin(view.upstreams, ", ");
}

std::string DnsPage(const DnsView& view) {
  std::string text;
  for (const NameEntryPtr& entry : view.entries)
    if (entry->alive())
      absl::StrAppendFormat(&text, "%-*s %-*s %*s %s\n", kNameWidth, ShortName(*entry, view.domain), kNameAddressWidth,
                            AddressOf(*entry), kHolderWidth, WithoutControls(entry->container.substr(0, kHolderWidth)),
                            entry->origin.ToString());
  return text;
}

ReportValue DnsReport(const DnsView& view) {
  ReportValue::List upstreams;
  for (const std::string& upstream : view.upstreams) upstreams.push_back(ReportValue::String(upstream));
  ReportValue::List entries;
  for (const NameEntryPtr& entry : view.entries)
    entries.push_back(ReportValue::MakeStruct({{"Hostname", ReportValue::String(entry->hostname)},
                                               {"Origin", ReportValue::String(entry->origin.ToString())},
                                               {"ContainerID", ReportValue::String(entry->container)},
                                               {"Address", ReportValue::String(AddressOf(*entry))},
                                               {"Version", ReportValue::Int(entry->version)},
                                               {"Tombstone", ReportValue::Int(entry->tombstone)}}));
  return ReportValue::MakeStruct({{"Domain", ReportValue::String(view.domain)},
                                  {"Upstream", ReportValue::ListOrNull(std::move(upstreams))},
                                  {"Address", ReportValue::String(view.address)},
                                  {"TTL", ReportValue::Int(view.ttl_seconds)},
                                  {"Entries", ReportValue::ListOrNull(std::move(entries))}});
}

std::string NamesJson(const std::vector<NameEntryPtr>& entries) {
  ReportValue::List list;
  for (const NameEntryPtr& entry : entries)
    list.push_back(ReportValue::MakeStruct({{"ContainerID", ReportValue::String(entry->container)},
                                            {"Origin", ReportValue::Uint(entry->origin.value())},
                                            {"Addr", ReportValue::String(AddressOf(*entry))},
                                            {"Hostname", ReportValue::String(entry->hostname)},
                                            {"Version", ReportValue::Int(entry->version)},
                                            {"Tombstone", ReportValue::Int(entry->tombstone)}}));
  return absl::StrCat(ReportValue::MakeList(std::move(list)).ToJson(), "\n");
}

}  // namespace weave
