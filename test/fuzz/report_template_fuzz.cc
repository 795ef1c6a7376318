// Templates of GET /report?format=: whatever the text, it is refused in one line or prints within its bounds.
#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "peer/report.h"
#include "peer/report_template.h"
#include "peer/template_functions.h"

namespace weave {
namespace {

// Small, with every kind of value.
ReportValue SmallReport() {
  ReportView view;
  view.version = "3.0.0";
  view.mesh.emplace();
  view.mesh->name = PeerName(1);
  view.mesh->nickname = "peer<1>\xff";
  view.mesh->targets = {"host2", "host3:7000"};
  view.mesh->peers = {{PeerName(1), "peer1", 0xffff'ffff'ffff'ffff, 2323, 7, {}}};
  MeshStatus::Connection& connection = view.mesh->connections.emplace_back();
  connection.state = MeshStatus::ConnectionState::kEstablished;
  connection.overlay = {"sleeve", {{"mtu", "1438"}}};
  return MakeReport(view);
}

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const weave::ReportValue kReport = weave::SmallReport();
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<std::string> printed = weave::RenderTemplate(text, kReport);
  if (printed.ok()) {
    CHECK(printed->size() <= weave::TemplateBudget::kMaxSize);
    return 0;
  }
  CHECK(!printed.status().message().empty());
  CHECK(printed.status().message().find('\n') == absl::string_view::npos) << printed.status().message();
  CHECK(printed.status().message().size() < 1000) << printed.status().message();
  return 0;
}
