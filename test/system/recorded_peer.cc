#include "test/system/recorded_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "io/file.h"
#include "io/http_client.h"
#include "test/support/catch.h"

namespace weave {
namespace {

constexpr char kHttpAddress[] = "127.0.0.1:6784";
constexpr char kLog[] = "/run/log";

void EnterNamespaces() {
  if (::geteuid() != 0) {
    std::cerr << "skipped: needs root for namespaces of its own\n";
    std::exit(77);
  }
  REQUIRE(::unshare(CLONE_NEWNS | CLONE_NEWNET) == 0);
  REQUIRE(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  REQUIRE(::mount("weave-test", "/run", "tmpfs", 0, nullptr) == 0);
  REQUIRE(std::system("ip link set lo up") == 0);
}

HttpClient Control() { return HttpClient::Create(absl::StrCat("tcp://", kHttpAddress)).value(); }

void SetPatience(int fd) {
  const timeval patience = {20, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

}  // namespace

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return false;
}

WeaverHost::WeaverHost(absl::string_view name, std::vector<std::string> args) {
  EnterNamespaces();
  args.insert(args.begin(), {WEAVER_PROGRAM, absl::StrCat("--name=", name), "--nickname=weaver",
                             "--db-prefix=/run/weave-", "--api-socket=/run/weave/peer.sock",
                             absl::StrCat("--http-addr=", kHttpAddress), "--docker-api=", "--no-dns"});
  std::vector<char*> pointers;
  for (std::string& arg : args) pointers.push_back(arg.data());
  pointers.push_back(nullptr);
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    const int log = ::open(kLog, O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::execv(WEAVER_PROGRAM, pointers.data());
    ::_exit(127);
  }
  const bool answers = Eventually([this] { return Log().find(" ready") != std::string::npos || !IsRunning(); });
  INFO(Log());
  REQUIRE(answers);
  REQUIRE(IsRunning());
}

WeaverHost::~WeaverHost() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool WeaverHost::IsRunning() const {
  siginfo_t info = {};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

std::string WeaverHost::Page(absl::string_view path) const {
  const auto response = Control().Get(path, absl::Seconds(10));
  return response.ok() ? response->body : std::string(response.status().message());
}

void WeaverHost::Connect(absl::string_view peer) const {
  const auto response =
      Control().Post("/connect", "application/x-www-form-urlencoded", absl::StrCat("peer=", peer), absl::Seconds(10));
  REQUIRE(response.ok());
  REQUIRE(response->status / 100 == 2);
}

std::string WeaverHost::Log() const { return ReadSmallFile(kLog, 16 << 20).value_or(""); }

std::size_t WeaverHost::MemorySize() const {
  const std::string text = ReadSmallFile(absl::StrCat("/proc/", pid_, "/statm")).value_or("");
  const std::vector<std::string> pages = absl::StrSplit(text, ' ');
  std::size_t count = 0;
  REQUIRE(pages.size() > 1);
  REQUIRE(absl::SimpleAtoi(pages[1], &count));
  return count * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TestConnection TestConnection::Dial() {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(6783);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  SetPatience(fd.get());
  return TestConnection(std::move(fd));
}

TestListener::TestListener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(fd_.get(), 8) == 0);
  SetPatience(fd_.get());
}

std::string TestListener::address() const {
  sockaddr_in address = {};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
}

TestConnection TestListener::Accept() const {
  Fd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(fd.valid());
  SetPatience(fd.get());
  return TestConnection(std::move(fd));
}

void TestConnection::Send(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size < 0) return;  // the next Receive tells
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

bool TestConnection::Receive(Bytes& bytes) {
  std::uint8_t buffer[65536];
  const ssize_t size = ::recv(fd_.get(), buffer, sizeof buffer, 0);
  const bool timed_out = size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  REQUIRE_FALSE(timed_out);
  if (size <= 0) return false;
  bytes.insert(bytes.end(), buffer, buffer + size);
  return true;
}

bool TestConnection::IsOpen() const {
  std::uint8_t byte = 0;
  const ssize_t size = ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return size > 0 || (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

void WeaverWords::Fill(std::size_t size) {
  while (received_.size() < size) {
    const bool open = connection_.Receive(received_);
    INFO("after " << received_.size() << " bytes");
    REQUIRE(open);
  }
}

void WeaverWords::ReadStart() {
  Fill(kVersionHeaderSize);
  CHECK(DecodeVersionHeader(ByteView(received_).first(kVersionHeaderSize)).value() == VersionRange{1, 2});
  std::size_t start = kVersionHeaderSize;
  if (version_ == 2) {
    Fill(++start);
    const bool encrypted = received_[start - 1] == 1;
    REQUIRE(encrypted == (find_key_ != nullptr));
    if (encrypted) {
      PublicKey key;
      Fill(start + key.size());
      std::copy_n(received_.begin() + static_cast<std::ptrdiff_t>(start), key.size(), key.begin());
      start += key.size();
      StartOpening(key);
    }
  }
  reader_.Append(ByteView(received_).subspan(start));
}

void WeaverWords::StartOpening(const PublicKey& weaver) {
  session_key_ = find_key_(weaver);
  opener_.emplace(*session_key_, weaver_dialled_);
}

std::optional<Bytes> WeaverWords::Next() {
  while (true) {
    const absl::StatusOr<std::optional<ByteView>> frame = reader_.Next();
    INFO(frame.status());
    REQUIRE(frame.ok());
    if (frame->has_value()) {
      if (!opener_.has_value()) return Bytes((*frame)->begin(), (*frame)->end());
      absl::StatusOr<Bytes> message = opener_->Open(**frame);
      INFO(message.status());
      REQUIRE(message.ok());
      return *std::move(message);
    }
    Bytes more;
    if (!connection_.Receive(more)) return std::nullopt;
    reader_.Append(more);
  }
}

Features WeaverWords::ReadFeatures() {
  const std::optional<Bytes> message = Next();
  REQUIRE(message.has_value());
  const absl::StatusOr<Features> features = DecodeFeatures(*message, version_);
  INFO(features.status());
  REQUIRE(features.ok());
  if (version_ == 1 && find_key_ != nullptr) {
    REQUIRE(features->public_key.has_value());
    StartOpening(*features->public_key);
  }
  return *features;
}

void WeaverWords::ReadUntil(const std::function<bool(const Bytes&)>& wanted) {
  while (true) {
    const std::optional<Bytes> message = Next();
    REQUIRE(message.has_value());
    if (wanted(*message)) return;
  }
}

}  // namespace weave
