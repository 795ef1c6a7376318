#include "cli/addresses.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/ip.h"
#include "base/status.h"

namespace weave {
namespace {

absl::StatusOr<Cidr> ParseCidr(absl::string_view arg, absl::string_view text) {
  const absl::StatusOr<Cidr> cidr = Cidr::Parse(text);
  if (!cidr.ok() || !cidr->address().IsV4())
    return absl::InvalidArgumentError(
        absl::StrCat("\"", arg,
                     "\" is not an address: want [ip:]<cidr>, net:<cidr> or net:default with an IPv4 <cidr> "
                     "like 10.32.0.1/12"));
  return *cidr;
}

absl::StatusOr<std::string> ParseAddress(absl::string_view arg) {
  absl::string_view text = arg;
  if (absl::ConsumePrefix(&text, "net:")) {
    if (text == "default") return std::string(arg);
    ASSIGN_OR_RETURN(const Cidr subnet, ParseCidr(arg, text));
    return absl::StrCat("net:", subnet.ToString());
  }
  absl::ConsumePrefix(&text, "ip:");
  ASSIGN_OR_RETURN(const Cidr cidr, ParseCidr(arg, text));
  return cidr.ToString();
}

}  // namespace

bool LooksLikeAddress(absl::string_view arg) {
  if (absl::StartsWith(arg, "ip:") || absl::StartsWith(arg, "net:")) return true;
  const std::size_t slash = arg.find('/');
  if (slash == absl::string_view::npos || slash == 0) return false;
  const absl::string_view address = arg.substr(0, slash);
  return address.find_first_not_of("0123456789.") == absl::string_view::npos ? address[0] != '.'
                                                                             : absl::StrContains(address, ':');
}

absl::StatusOr<std::vector<std::string>> ParseAddresses(absl::Span<const std::string> args) {
  std::vector<std::string> addresses;
  for (const std::string& arg : args) {
    ASSIGN_OR_RETURN(std::string address, ParseAddress(arg));
    addresses.push_back(std::move(address));
  }
  return addresses;
}

}  // namespace weave
