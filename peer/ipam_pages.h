// What status pages, report and metrics say of the allocator (spec/control.md sections 3 to 5): plain data in, text or
// values out.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ipam/allocator.h"
#include "peer/report_value.h"

namespace weave {

// `ready`, `idle`, `awaiting consensus (quorum: 2, known: 1)` (contract A5-14).
std::string IpamStatusText(const IpamStatus& status);

// `weave status ipam`: a line for each owner, ourselves first.
std::string IpamPage(const IpamStatus& status);

// The report's part IPAM.
ReportValue IpamValue(const IpamStatus& status);

// A part of the range, and the entry of the ring that says whose it is. What crosses the origin is two, as 2.8 tells
// it.
struct IpamRange {
  const RingEntry* entry;  // of the status
  AddressRange range;
};
// Ascending. Valid as long as `status`.
std::vector<IpamRange> RangesOf(const IpamStatus& status);

// Owners that are not part of the network, and their share of the range in per cent.
struct IpamUnreachable {
  std::size_t count = 0;
  double percentage = 0;
};
IpamUnreachable CountUnreachable(const IpamStatus& status);

}  // namespace weave
