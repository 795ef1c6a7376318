#include "dns/os/forwarder.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "base/check.h"
#include "dns/message.h"
#include "io/fd.h"
#include "io/sockaddr.h"

namespace weave {
namespace {

constexpr std::uint8_t kResponseBit = 0x80;

}  // namespace

// One query on its way.
class Forwarder::Exchange {
 public:
  Exchange(Forwarder& forwarder, std::uint64_t number, const std::vector<SocketAddress>& servers,
           const IpAddress& client, bool over_tcp, ByteView query, Done done)
      : forwarder_(forwarder),
        number_(number),
        servers_(servers),
        client_(client),
        wants_tcp_(over_tcp),
        tcp_(over_tcp),
        query_(query.begin(), query.end()),
        done_(std::move(done)),
        timer_(forwarder.loop_.MakeTimer([this] { NextServer(); })) {}

  const IpAddress& client() const { return client_; }
  Done TakeDone() { return std::move(done_); }

  // Not from within Forward: an answer comes in a later turn. So the first step is a timer's, too.
  void Begin() { timer_->Arm(forwarder_.loop_.now().monotonic); }

 private:
  void NextServer() {
    if (begun_) ++server_;
    begun_ = true;
    tcp_ = wants_tcp_;
    Try();
  }

  // The servers that refuse at once are passed over in this turn.
  void Try() {
    for (; server_ < servers_.size(); ++server_, tcp_ = wants_tcp_) {
      watch_.reset();
      timer_->Arm(forwarder_.loop_.now().monotonic + forwarder_.timeout_);
      if (Open()) return;
    }
    forwarder_.Finish(number_, {});
  }

  bool Open() {
    const SocketAddress& server = servers_[server_];
    fd_.reset(::socket(FamilyOf(server.ip), (tcp_ ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_.valid()) return false;
    const KernelAddress kernel(server);
    if (::connect(fd_.get(), kernel.get(), kernel.size()) != 0 && errno != EINPROGRESS) return false;
    sent_ = query_;
    id_ = static_cast<std::uint16_t>(forwarder_.entropy_.Next());
    SetDnsId(absl::MakeSpan(sent_), id_);
    if (tcp_) {
      const std::size_t size = sent_.size();
      sent_.insert(sent_.begin(), {static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
      written_ = 0;
      received_.clear();
      watch_ = forwarder_.loop_.WatchWritable(fd_.get(), [this] { Write(); });
      return true;
    }
    MixCase(QuestionOf(sent_), forwarder_.entropy_.Next());
    if (::send(fd_.get(), sent_.data(), sent_.size(), MSG_NOSIGNAL) < 0) return false;
    watch_ = forwarder_.loop_.WatchReadable(fd_.get(), [this] { ReceiveDatagrams(); });
    return true;
  }

  static absl::Span<std::uint8_t> QuestionOf(Bytes& message) {
    return absl::MakeSpan(message).subspan(kDnsHeaderSize, FirstQuestion(message).size());
  }

  // ---- UDP ----

  void ReceiveDatagrams() {
    Bytes buffer(kMaxDnsMessageSize);
    for (;;) {
      const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (size < 0) return NextServer();  // nobody listens there
      const ByteView answer(buffer.data(), static_cast<std::size_t>(size));
      if (!IsAnswer(answer)) continue;
      const ByteView question = FirstQuestion(answer);
      const ByteView asked = FirstQuestion(sent_);
      if (question.empty() || question == asked) return Accept(answer);
      if (!absl::EqualsIgnoreCase(AsText(question), AsText(asked))) continue;
      tcp_ = true;  // it does not keep the case, or somebody guesses
      return Try();
    }
  }

  // What has no question is the refusal of one that could not read it.
  bool IsAnswer(ByteView answer) const {
    if (answer.size() < kDnsHeaderSize || DnsIdOf(answer) != id_ || (answer[2] & kResponseBit) == 0) return false;
    const bool has_question = answer[4] != 0 || answer[5] != 0;
    return has_question ? !FirstQuestion(answer).empty() : (answer[3] & 0xf) != 0;
  }

  // ---- TCP ----

  void Write() {
    while (written_ < sent_.size()) {
      const ssize_t size = ::send(fd_.get(), sent_.data() + written_, sent_.size() - written_, MSG_NOSIGNAL);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (size < 0) return NextServer();
      written_ += static_cast<std::size_t>(size);
    }
    watch_ = forwarder_.loop_.WatchReadable(fd_.get(), [this] { ReadStream(); });
  }

  void ReadStream() {
    std::uint8_t buffer[4096];
    for (;;) {
      const ssize_t size = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (size <= 0) return NextServer();
      received_.insert(received_.end(), buffer, buffer + size);
      if (received_.size() < kDnsLengthSize) continue;
      const std::size_t wanted = kDnsLengthSize + (static_cast<std::size_t>(received_[0]) << 8 | received_[1]);
      if (received_.size() < wanted) continue;
      const Bytes message(received_.begin() + kDnsLengthSize, received_.begin() + static_cast<std::ptrdiff_t>(wanted));
      if (!IsAnswer(message) ||
          (!FirstQuestion(message).empty() && !absl::EqualsIgnoreCase(AsText(FirstQuestion(message)), Asked())))
        return NextServer();
      return Accept(message);
    }
  }

  absl::string_view Asked() const { return AsText(FirstQuestion(query_)); }

  // As the client asked: its id, its spelling. An answer that the client's transport cannot take says so.
  void Accept(ByteView answer) {
    Bytes own(answer.begin(), answer.end());
    SetDnsId(absl::MakeSpan(own), DnsIdOf(query_));
    const ByteView question = FirstQuestion(query_);
    if (!FirstQuestion(own).empty()) std::copy(question.begin(), question.end(), own.begin() + kDnsHeaderSize);
    DnsQuery query;
    if (tcp_ && !wants_tcp_ && ReadDnsQuery(query_, query)) {
      const std::size_t limit = query.edns_size.value_or(kMinDnsUdpSize);
      if (own.size() > std::max(limit, kMinDnsUdpSize)) {
        own.clear();
        DnsAnswerWriter(query, DnsCode::kNoError, /*authoritative=*/false, own).SetTruncated();
      }
    }
    forwarder_.Finish(number_, std::move(own));
  }

  Forwarder& forwarder_;
  const std::uint64_t number_;
  const std::vector<SocketAddress> servers_;
  const IpAddress client_;
  const bool wants_tcp_;
  bool tcp_;  // now
  const Bytes query_;
  Done done_;
  std::size_t server_ = 0;
  bool begun_ = false;

  Fd fd_;
  Bytes sent_;  // with the length before it over TCP
  std::uint16_t id_ = 0;
  std::size_t written_ = 0;
  Bytes received_;
  std::unique_ptr<FdWatch> watch_;
  std::unique_ptr<Timer> timer_;
};

Forwarder::Forwarder(EventLoop& loop, EntropySource& entropy, Duration timeout)
    : loop_(loop), entropy_(entropy), timeout_(timeout) {}

Forwarder::~Forwarder() = default;

bool Forwarder::Forward(const std::vector<SocketAddress>& servers, const IpAddress& client, bool over_tcp,
                        ByteView query, Done done) {
  CHECK(!FirstQuestion(query).empty());
  std::size_t& of_client = of_client_[client];
  if (pending_.size() >= kMaxForwarded || of_client >= kMaxForwardedOfClient) {
    if (of_client == 0) of_client_.erase(client);
    return false;
  }
  ++of_client;
  const std::uint64_t number = ++last_id_;
  auto exchange = std::make_unique<Exchange>(*this, number, servers, client, over_tcp, query, std::move(done));
  exchange->Begin();
  pending_.emplace(number, std::move(exchange));
  return true;
}

// Called by the exchange itself, which touches nothing of its own afterwards.
void Forwarder::Finish(std::uint64_t id, Bytes answer) {
  const auto found = pending_.find(id);
  const std::unique_ptr<Exchange> exchange = std::move(found->second);
  pending_.erase(found);
  const auto of_client = of_client_.find(exchange->client());
  if (--of_client->second == 0) of_client_.erase(of_client);
  Done done = exchange->TakeDone();
  done(std::move(answer));
}

}  // namespace weave
