// Answering DNS queries (spec/dns.md section 4): bytes of a query in, bytes of the answer out, or the word that
// somebody else knows. Costs what the answer has; allocates nothing once its buffers have grown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/random.h"
#include "dns/message.h"
#include "dns/name_registry.h"

namespace weave {

class NameResolver {
 public:
  enum class Outcome {
    kAnswered,     // the answer has been appended
    kAskUpstream,  // another name server is to be asked; see `query`
    kDrop,         // no query: nothing to be said
  };
  enum class Transport { kUdp, kTcp };

  // `names` outlives the resolver.
  NameResolver(const NameRegistry& names, std::uint32_t ttl_seconds, Random random)
      : names_(names), domain_(FoldName(names.domain())), ttl_seconds_(ttl_seconds), random_(random) {}

  // Appends to `out` at most what the transport takes.
  Outcome Resolve(ByteView query, Transport transport, Bytes& out);

  // The query that Resolve has looked at last. Valid as long as its bytes.
  const DnsQuery& query() const { return query_; }

  // An answer that says only `code`, to the query that Resolve has looked at last.
  void AnswerWith(DnsCode code, Bytes& out) const;

 private:
  Outcome AnswerLocal(absl::string_view name, std::size_t limit, Bytes& out);
  Outcome AnswerReverse(Bytes& out);
  void Shuffle();

  const NameRegistry& names_;
  const std::string domain_;
  const std::uint32_t ttl_seconds_;
  Random random_;
  DnsQuery query_;
  std::string full_name_;
  std::vector<std::uint32_t> addresses_;
};

// The most that an answer to `query` may have over UDP.
std::size_t UdpLimitOf(const DnsQuery& query);

}  // namespace weave
