#include "plugin/cni/cni_result.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "plugin/cni/cni_error.h"
#include "plugin/cni/cni_json.h"
#include "proto/json.h"

namespace weave {
namespace {

bool IsV6(absl::string_view address) { return absl::StrContains(address, ':'); }

// From what 0.1.0 and 0.2.0 call it.
void Modernize(v1::CniResult& result) {
  for (v1::CniIpConfig* old : {result.mutable_ip4(), result.mutable_ip6()}) {
    if (old->ip().empty()) continue;
    v1::CniIp& ip = *result.add_ips();
    ip.set_address(old->ip());
    ip.set_gateway(old->gateway());
    for (const v1::CniRoute& route : old->routes()) *result.add_routes() = route;
  }
  result.clear_ip4();
  result.clear_ip6();
  for (v1::CniIp& ip : *result.mutable_ips()) ip.clear_version();
}

void MakeOld(v1::CniResult& result) {
  for (const v1::CniIp& ip : result.ips()) {
    if (ip.address().empty()) continue;
    v1::CniIpConfig& old = IsV6(ip.address()) ? *result.mutable_ip6() : *result.mutable_ip4();
    if (!old.ip().empty()) continue;
    old.set_ip(ip.address());
    old.set_gateway(ip.gateway());
  }
  for (const v1::CniRoute& route : result.routes()) {
    const bool v6 = IsV6(route.dst());
    if (v6 ? result.has_ip6() : result.has_ip4())
      *(v6 ? result.mutable_ip6() : result.mutable_ip4())->add_routes() = route;
  }
  result.clear_interfaces();
  result.clear_ips();
  result.clear_routes();
}

void DropNews(v1::CniResult& result) {
  for (v1::CniInterface& interface : *result.mutable_interfaces()) {
    interface.clear_mtu();
    interface.clear_socket_path();
    interface.clear_pci_id();
  }
  for (v1::CniRoute& route : *result.mutable_routes()) {
    v1::CniRoute plain;
    plain.set_dst(route.dst());
    plain.set_gw(route.gw());
    route = std::move(plain);
  }
}

}  // namespace

absl::StatusOr<v1::CniResult> ParseCniResult(absl::string_view json) {
  v1::CniResult result;
  if (const absl::Status parsed = ParseJson(json, result); !parsed.ok())
    return CniFailure(CniCode::kUndecodable, absl::StrCat("cannot read a result: ", parsed.message()));
  Modernize(result);
  return result;
}

absl::StatusOr<v1::CniResult> ParseCniResult(const google::protobuf::Struct& object) {
  return ParseCniResult(PrintJsonLine(object));
}

std::string PrintCniResult(v1::CniResult result, CniVersion version) {
  result.set_cni_version(std::string(ToString(version)));
  result.mutable_dns();  // always there, if only as {}
  if (!HasGc(version)) DropNews(result);
  if (!ListsInterfaces(version)) MakeOld(result);
  if (NamesIpVersion(version))
    for (v1::CniIp& ip : *result.mutable_ips()) ip.set_version(IsV6(ip.address()) ? "6" : "4");
  return PrintJson(result);
}

std::string PrintCniError(const absl::Status& status, absl::string_view version) {
  const CniErrorParts parts = PartsOf(status);
  v1::CniError error;
  error.set_cni_version(std::string(version));
  error.set_code(static_cast<std::uint32_t>(parts.code));
  error.set_msg(parts.message);
  error.set_details(parts.details);
  return PrintJson(error);
}

std::string PrintCniVersions(absl::string_view version) {
  v1::CniVersions versions;
  versions.set_cni_version(std::string(version.empty() ? ToString(kNewestCniVersion) : version));
  for (const CniVersion supported : AllCniVersions()) versions.add_supported_versions(std::string(ToString(supported)));
  return absl::StrCat(PrintJsonLine(versions), "\n");
}

}  // namespace weave
