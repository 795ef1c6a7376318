#include "dns/message.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace weave {
namespace {

constexpr std::uint8_t kPointerBits = 0xc0;  // RFC 1035 section 4.1.4
constexpr std::size_t kMaxLabelSize = 63;
constexpr std::size_t kMaxNameSize = 255;  // on the wire
constexpr std::uint16_t kResponseFlag = 0x8000;
constexpr std::uint16_t kOpcodeMask = 0x7800;
constexpr std::uint16_t kAuthoritativeFlag = 0x0400;
constexpr std::uint16_t kTruncatedFlag = 0x0200;
constexpr std::uint16_t kRecursionDesiredFlag = 0x0100;
constexpr std::uint16_t kRecursionAvailableFlag = 0x0080;
constexpr std::uint16_t kCheckingDisabledFlag = 0x0010;
constexpr std::uint16_t kClassIn = 1;

std::uint16_t U16At(ByteView bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

// The size of an uncompressed name at `at`, its end included; 0: there is none.
std::size_t NameSize(ByteView bytes, std::size_t at) {
  std::size_t size = 0;
  while (at + size < bytes.size()) {
    const std::uint8_t label = bytes[at + size];
    if (label > kMaxLabelSize) return 0;
    size += 1 + label;
    if (size > kMaxNameSize || at + size > bytes.size()) return 0;
    if (label == 0) return size;
  }
  return 0;
}

// Steps over a name that may be compressed. False: it is cut short.
bool SkipName(ByteView bytes, std::size_t& at) {
  while (at < bytes.size()) {
    const std::uint8_t label = bytes[at];
    if ((label & kPointerBits) == kPointerBits) {
      at += 2;
      return at <= bytes.size();
    }
    if (label > kMaxLabelSize) return false;
    at += 1 + label;
    if (label == 0) return at <= bytes.size();
  }
  return false;
}

void AppendText(ByteView name, std::string& text) {
  std::size_t at = 0;
  while (name[at] != 0) {
    for (std::size_t i = at + 1; i <= at + name[at]; ++i) {
      if (name[i] == '.' || name[i] == '\\') text.push_back('\\');
      text.push_back(absl::ascii_tolower(name[i]));
    }
    text.push_back('.');
    at += 1 + name[at];
  }
  if (text.empty()) text.push_back('.');
}

// Looks for the client's size in the records behind the question. False: they cannot be read.
bool ReadRecords(ByteView bytes, std::size_t at, DnsQuery& query) {
  const int count = U16At(bytes, 6) + U16At(bytes, 8) + U16At(bytes, 10);
  for (int i = 0; i < count; ++i) {
    if (!SkipName(bytes, at) || at + 10 > bytes.size()) return false;
    if (U16At(bytes, at) == static_cast<std::uint16_t>(DnsType::kOpt)) query.edns_size = U16At(bytes, at + 2);
    at += 10 + U16At(bytes, at + 8);
    if (at > bytes.size()) return false;
  }
  return true;
}

}  // namespace

bool ReadDnsQuery(ByteView bytes, DnsQuery& query) {
  query.bytes = bytes;
  query.question = {};
  query.name.clear();
  query.edns_size.reset();
  query.malformed = false;
  if (bytes.size() < kDnsHeaderSize) return false;
  query.flags = U16At(bytes, 2);
  if ((query.flags & kResponseFlag) != 0) return false;
  query.question_count = U16At(bytes, 4);
  if (query.question_count != 1) return true;
  const std::size_t name_size = NameSize(bytes, kDnsHeaderSize);
  if (name_size == 0 || kDnsHeaderSize + name_size + 4 > bytes.size()) {
    query.malformed = true;
    return true;
  }
  query.question = bytes.subspan(kDnsHeaderSize, name_size + 4);
  AppendText(query.question, query.name);
  query.type = static_cast<DnsType>(U16At(query.question, name_size));
  query.malformed = !ReadRecords(bytes, kDnsHeaderSize + name_size + 4, query);
  return true;
}

DnsAnswerWriter::DnsAnswerWriter(const DnsQuery& query, DnsCode code, bool authoritative, Bytes& out)
    : out_(out),
      start_(out.size()),
      name_(query.question.empty() ? ByteView() : query.question.subspan(0, query.question.size() - 4)),
      name_size_(name_.size()) {
  const std::uint16_t kept = query.flags & (kOpcodeMask | kRecursionDesiredFlag | kCheckingDisabledFlag);
  AppendU16(DnsIdOf(query.bytes));
  AppendU16(static_cast<std::uint16_t>(kResponseFlag | kept | kRecursionAvailableFlag |
                                       (authoritative ? kAuthoritativeFlag : 0) | static_cast<std::uint16_t>(code)));
  AppendU16(query.has_question() ? 1 : 0);
  out_.insert(out_.end(), 6, 0);
  out_.insert(out_.end(), query.question.begin(), query.question.end());
}

void DnsAnswerWriter::AppendU16(std::uint16_t value) {
  out_.push_back(static_cast<std::uint8_t>(value >> 8));
  out_.push_back(static_cast<std::uint8_t>(value));
}

void DnsAnswerWriter::AppendU32(std::uint32_t value) {
  AppendU16(static_cast<std::uint16_t>(value >> 16));
  AppendU16(static_cast<std::uint16_t>(value));
}

void DnsAnswerWriter::AppendHead(DnsType type, std::uint32_t ttl_seconds, std::size_t data_size) {
  out_.insert(out_.end(), name_.begin(), name_.end());
  AppendU16(static_cast<std::uint16_t>(type));
  AppendU16(kClassIn);
  AppendU32(ttl_seconds);
  AppendU16(static_cast<std::uint16_t>(data_size));
  std::uint8_t* const count = &out_[start_ + 6];
  const unsigned more = (static_cast<unsigned>(count[0]) << 8 | count[1]) + 1;
  count[0] = static_cast<std::uint8_t>(more >> 8);
  count[1] = static_cast<std::uint8_t>(more);
}

void DnsAnswerWriter::AddAddress(std::uint32_t address, std::uint32_t ttl_seconds) {
  AppendHead(DnsType::kA, ttl_seconds, 4);
  AppendU32(address);
}

bool DnsAnswerWriter::AddPointer(absl::string_view target, std::uint32_t ttl_seconds) {
  Bytes name;
  for (std::size_t at = 0; at < target.size();) {
    const std::size_t dot = target.find('.', at);
    if (dot == absl::string_view::npos || dot == at || dot - at > kMaxLabelSize) return false;
    name.push_back(static_cast<std::uint8_t>(dot - at));
    name.insert(name.end(), target.begin() + static_cast<std::ptrdiff_t>(at),
                target.begin() + static_cast<std::ptrdiff_t>(dot));
    at = dot + 1;
  }
  name.push_back(0);
  if (name.size() > kMaxNameSize) return false;
  AppendHead(DnsType::kPtr, ttl_seconds, name.size());
  out_.insert(out_.end(), name.begin(), name.end());
  return true;
}

void DnsAnswerWriter::SetTruncated() { out_[start_ + 2] |= kTruncatedFlag >> 8; }

std::uint16_t DnsIdOf(ByteView message) { return U16At(message, 0); }

void SetDnsId(absl::Span<std::uint8_t> message, std::uint16_t id) {
  message[0] = static_cast<std::uint8_t>(id >> 8);
  message[1] = static_cast<std::uint8_t>(id);
}

ByteView FirstQuestion(ByteView message) {
  if (message.size() < kDnsHeaderSize || U16At(message, 4) == 0) return {};
  const std::size_t name_size = NameSize(message, kDnsHeaderSize);
  if (name_size == 0 || kDnsHeaderSize + name_size + 4 > message.size()) return {};
  return message.subspan(kDnsHeaderSize, name_size + 4);
}

void MixCase(absl::Span<std::uint8_t> question, std::uint64_t pattern) {
  for (std::size_t at = 0; at < question.size() && question[at] != 0;) {
    const std::size_t end = std::min(question.size(), at + 1 + question[at]);
    for (++at; at < end; ++at) {
      if (!absl::ascii_isalpha(question[at])) continue;
      if ((pattern & 1) != 0) question[at] ^= 0x20;
      pattern = pattern >> 1 | pattern << 63;
    }
  }
}

}  // namespace weave
