// Runs a fuzz target without a fuzzer: replay CORPUS_DIR. Every file of the corpus, each cut short at every length, and
// a fixed number of seeded mutations of them, the same in every run. A crash leaves its input in ./crash-input.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/random.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr int kMutationCount = 20'000;
constexpr std::size_t kMaxCutSize = 4096;  // bytes; longer inputs are cut at their first so many lengths

// What a handler of a fatal signal can reach: there is nothing else left to ask.
std::string current_input;

void SaveInput(int signal) {
  const int fd = ::open("crash-input", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd >= 0 && ::write(fd, current_input.data(), current_input.size()) >= 0) {
    constexpr char kNote[] = "the input is in ./crash-input\n";
    (void)!::write(STDERR_FILENO, kNote, sizeof kNote - 1);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void Run(std::string input) {
  current_input = std::move(input);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(current_input.data()), current_input.size());
}

std::string Mutated(const std::vector<std::string>& corpus, weave::Random& random) {
  std::string input = corpus[random.Below(corpus.size())];
  for (std::uint64_t step = random.Below(8) + 1; step > 0; --step) {
    const std::size_t at = random.Below(input.size() + 1);
    const char byte = static_cast<char>(random.Below(256));
    switch (random.Below(5)) {
      case 0:
        input.insert(at, 1, byte);
        break;
      case 1:
        input.erase(at, random.Below(4) + 1);
        break;
      case 2:
        input.insert(at, input.substr(at, random.Below(16)));
        break;
      case 3: {  // the head of one, the tail of another
        const std::string& other = corpus[random.Below(corpus.size())];
        input = input.substr(0, at) + other.substr(random.Below(other.size() + 1));
        break;
      }
      default:
        if (at < input.size()) input[at] = byte;
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: replay CORPUS_DIR\n", stderr);
    return 2;
  }
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1], error)) paths.push_back(entry.path());
  if (error || paths.empty()) {
    std::fprintf(stderr, "%s: no corpus there\n", argv[1]);
    return 1;
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }

  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, SaveInput);
  Run("");
  for (const std::string& input : corpus) {
    Run(input);
    for (std::size_t size = 0; size < std::min(input.size(), kMaxCutSize); ++size) Run(input.substr(0, size));
  }
  weave::Random random(1);
  for (int i = 0; i < kMutationCount; ++i) Run(Mutated(corpus, random));
  std::printf("%zu inputs of the corpus and %d mutations: no crash\n", corpus.size(), kMutationCount);
  return 0;
}
