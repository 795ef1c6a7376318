#include "peer/address_wish.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace weave {

absl::StatusOr<AddressWish> ParseAddressWish(absl::string_view text) {
  absl::string_view rest = text;
  const bool any = absl::ConsumePrefix(&rest, "net:");
  if (any && rest == "default") return AddressWish(AnyAddress{});
  if (!any) absl::ConsumePrefix(&rest, "ip:");
  const absl::StatusOr<Cidr> cidr = Cidr::Parse(rest);
  if (!cidr.ok())
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not an address: want [ip:]<cidr>, net:<cidr> or net:default"));
  if (any) return AddressWish(AnyAddress{*cidr});
  return AddressWish(*cidr);
}

}  // namespace weave
