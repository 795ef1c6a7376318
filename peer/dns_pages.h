// What status pages, report and the HTTP interface say of names (spec/control.md sections 3 and 4, spec/dns.md section
// 5): plain data in, text or values out.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "dns/name_entry.h"
#include "peer/report_value.h"

namespace weave {

struct DnsView {
  std::string domain;                  // fully qualified
  std::vector<std::string> upstreams;  // addresses of other name servers
  std::string address;                 // where we listen, host:port
  int ttl_seconds = 0;
  std::vector<NameEntryPtr> entries;  // of all peers, deleted ones too
};

std::size_t CountAlive(const std::vector<NameEntryPtr>& entries);

// `10.0.0.1, 10.0.0.2`, or `none`.
std::string UpstreamText(const DnsView& view);

// `weave status dns`: a line for each entry that is alive.
std::string DnsPage(const DnsView& view);

// The report's part DNS.
ReportValue DnsReport(const DnsView& view);

// GET /name.
std::string NamesJson(const std::vector<NameEntryPtr>& entries);

}  // namespace weave
