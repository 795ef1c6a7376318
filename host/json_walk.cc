#include "host/json_walk.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weave {
namespace {

// Docker's own documents nest five deep.
constexpr std::size_t kMaxJsonDepth = 64;

class JsonWalker final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonWalker(const std::function<void(const JsonPath&, const JsonScalar&)>& visit) : visit_(visit) {}

  const std::string& error() const { return error_; }

  // What the parser calls; a false ends it.
  bool null() override { return Visit(std::monostate()); }
  bool boolean(bool value) override { return Visit(value); }
  bool number_integer(std::int64_t) override { return true; }  // the parser's word for a negative one
  bool number_unsigned(std::uint64_t value) override { return Visit(value); }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string& value) override { return Visit(std::move(value)); }
  bool binary(nlohmann::json::binary_t&) override { return true; }  // not in text
  bool start_object(std::size_t) override { return Enter(); }
  bool key(std::string& name) override {
    path_.back() = std::move(name);
    return true;
  }
  bool end_object() override { return Leave(); }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    error_ = absl::StrCat("not JSON at byte ", position);
    return false;
  }

 private:
  bool Visit(const JsonScalar& value) {
    visit_(path_, value);
    return true;
  }
  bool Enter() {
    if (path_.size() == kMaxJsonDepth) {
      error_ = absl::StrCat("nested deeper than ", kMaxJsonDepth);
      return false;
    }
    path_.emplace_back();
    return true;
  }
  bool Leave() {
    path_.pop_back();
    return true;
  }

  const std::function<void(const JsonPath&, const JsonScalar&)>& visit_;
  JsonPath path_;
  std::string error_;
};

}  // namespace

bool PathIs(const JsonPath& path, std::initializer_list<absl::string_view> keys) {
  return path.size() == keys.size() &&
         std::equal(path.begin(), path.end(), keys.begin(),
                    [](const std::string& have, absl::string_view want) { return want == "*" || have == want; });
}

absl::Status WalkJson(absl::string_view json, const std::function<void(const JsonPath&, const JsonScalar&)>& visit) {
  JsonWalker walker(visit);
  if (nlohmann::json::sax_parse(json.begin(), json.end(), &walker)) return absl::OkStatus();
  return absl::InvalidArgumentError(walker.error());
}

}  // namespace weave
