// DNS messages (RFC 1035, 6891) as far as a name server for A and PTR needs them: reading a query, writing its answer.
// Hand-written, so that the way of a local query allocates nothing and parses nothing it does not use
// (docs/architecture.md, "Decisions").
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/bytes.h"

namespace weave {

inline constexpr std::size_t kDnsHeaderSize = 12;
inline constexpr std::size_t kDnsLengthSize = 2;  // before each message over TCP, RFC 1035 section 4.2.2
inline constexpr std::size_t kMaxDnsMessageSize = 65535;
inline constexpr std::size_t kMinDnsUdpSize = 512;

enum class DnsType : std::uint16_t { kA = 1, kPtr = 12, kOpt = 41 };
enum class DnsCode : std::uint8_t {
  kNoError = 0,
  kFormatError = 1,
  kServerFailure = 2,
  kNameError = 3,
  kNotImplemented = 4,
  kRefused = 5
};

// A query as it came. Views point into its bytes.
struct DnsQuery {
  ByteView bytes;
  std::uint16_t flags = 0;
  int question_count = 0;
  bool malformed = false;  // the question, or what follows, cannot be read: there is a header at least

  // Of the one question, when there is exactly one that can be read.
  ByteView question;  // name, type and class as they stand in the message
  std::string name;   // folded, with the final dot; a dot or backslash within a label stands behind a backslash
  DnsType type = DnsType::kA;

  std::optional<std::uint16_t> edns_size;  // that the client takes over UDP, as it says

  int opcode() const { return flags >> 11 & 0xf; }
  bool has_question() const { return !question.empty(); }
};

// Nothing: not a query (too short, or an answer), to be dropped without a word.
// `query` is filled anew and keeps its memory from one to the next.
bool ReadDnsQuery(ByteView bytes, DnsQuery& query);

// Writes the answer to one query into `out`, which it takes over, behind what stands there.
class DnsAnswerWriter {
 public:
  // Header and question as in `query`: id, opcode, and the bits "recursion desired" and "checking disabled" are the
  // client's; "recursion available" is set.
  DnsAnswerWriter(const DnsQuery& query, DnsCode code, bool authoritative, Bytes& out);

  // Records of class IN for the name of the question.
  void AddAddress(std::uint32_t address, std::uint32_t ttl_seconds);
  // `target` in text form, fully qualified. False, and nothing is added, when it is no name on the wire.
  bool AddPointer(absl::string_view target, std::uint32_t ttl_seconds);

  void SetTruncated();

  std::size_t size() const { return out_.size() - start_; }
  // Of each address record: fixed, as no name is compressed.
  std::size_t address_record_size() const { return name_size_ + 14; }

 private:
  void AppendU16(std::uint16_t value);
  void AppendU32(std::uint32_t value);
  void AppendHead(DnsType type, std::uint32_t ttl_seconds, std::size_t data_size);

  Bytes& out_;
  const std::size_t start_;
  const ByteView name_;  // of the question, in the query
  const std::size_t name_size_;
};

// ---- what a forwarder changes in messages it passes on ----

std::uint16_t DnsIdOf(ByteView message);
void SetDnsId(absl::Span<std::uint8_t> message, std::uint16_t id);

// The name and the rest of the first question, uncompressed, right behind the header; empty: there is none such.
ByteView FirstQuestion(ByteView message);

// Flips the case of the letters of a question's name by the bits of `pattern`, which it uses again and again: "0x20"
// (draft-vixie-dnsext-dns0x20).
void MixCase(absl::Span<std::uint8_t> question, std::uint64_t pattern);

}  // namespace weave
