#include "plugin/cni/cni_call.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/attachment.h"
#include "host/netlink.h"
#include "plugin/cni/cni_error.h"

namespace weave {
namespace {

// Longer than any runtime's, and such that the holder's name stays within what the peer takes (256 bytes).
constexpr std::size_t kMaxContainerIdSize = 128;

constexpr std::pair<absl::string_view, CniCommand> kCommands[] = {
    {"ADD", CniCommand::kAdd}, {"DEL", CniCommand::kDel},       {"CHECK", CniCommand::kCheck},
    {"GC", CniCommand::kGc},   {"STATUS", CniCommand::kStatus}, {"VERSION", CniCommand::kVersion}};

std::string Get(const CniEnvironment& environment, const char* name) {
  const char* value = environment(name);
  return value == nullptr ? "" : value;
}

bool IsAboutAttachment(CniCommand command) {
  return command == CniCommand::kAdd || command == CniCommand::kDel || command == CniCommand::kCheck;
}

// What is wrong with the variables of an attachment, a text for each.
std::vector<std::string> Complaints(const CniCall& call) {
  std::vector<std::string> complaints;
  const auto check = [&](absl::string_view name, const std::string& value, bool good, absl::string_view accepted) {
    if (value.empty())
      complaints.push_back(absl::StrCat(name, " is missing"));
    else if (!good)
      complaints.push_back(absl::StrCat(name, " \"", absl::Utf8SafeCHexEscape(value.substr(0, 2 * kMaxContainerIdSize)),
                                        "\": want ", accepted));
  };
  check("CNI_CONTAINERID", call.container_id,
        IsCniName(call.container_id) && call.container_id.size() <= kMaxContainerIdSize,
        "at most 128 letters, digits, '_', '.' and '-', a letter or digit first");
  check("CNI_IFNAME", call.interface, IsLinkName(call.interface),
        "1 to 15 characters without blanks, slashes and colons");
  if (call.command != CniCommand::kDel) check("CNI_NETNS", call.netns, true, "");
  return complaints;
}

}  // namespace

absl::string_view ToString(CniCommand command) {
  for (const auto& [text, value] : kCommands)
    if (value == command) return text;
  return "";
}

absl::StatusOr<CniCall> ReadCniCall(const CniEnvironment& environment) {
  CniCall call = {.command = CniCommand::kVersion,
                  .container_id = Get(environment, "CNI_CONTAINERID"),
                  .netns = Get(environment, "CNI_NETNS"),
                  .interface = Get(environment, "CNI_IFNAME"),
                  .path = Get(environment, "CNI_PATH")};
  const std::string asked = Get(environment, "CNI_COMMAND");
  std::optional<CniCommand> command;
  for (const auto& [text, value] : kCommands)
    if (text == asked) command = value;
  if (!command)
    return CniFailure(CniCode::kInvalidEnvironment,
                      asked.empty() ? "CNI_COMMAND is missing"
                                    : absl::StrCat("unknown CNI_COMMAND: ", absl::Utf8SafeCHexEscape(asked)),
                      "want ADD, DEL, CHECK, GC, STATUS or VERSION");
  call.command = *command;
  if (!IsAboutAttachment(call.command)) return call;
  if (const std::vector<std::string> complaints = Complaints(call); !complaints.empty())
    return CniFailure(CniCode::kInvalidEnvironment, absl::StrJoin(complaints, "; "));
  return call;
}

std::string ApiSocketOf(const CniEnvironment& environment) {
  if (std::string socket = Get(environment, "WEAVE_API_SOCKET"); !socket.empty()) return socket;
  const std::string name = Get(environment, "WEAVE_CONTAINER_NAME");
  return absl::StrCat("/run/", name.empty() ? "weave" : name, "/peer.sock");
}

}  // namespace weave
