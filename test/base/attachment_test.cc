#include "base/attachment.h"

#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("An attachment's name reads back as the attachment", "[attachment]") {
  const NetworkAttachment web = {"0123abcd", "weave", "eth0"};
  CHECK(web.ToString() == "0123abcd@weave/eth0");
  CHECK(NetworkAttachment::Parse(web.ToString()) == web);
  // Marks may stand in an interface's name, and a network may have none.
  const NetworkAttachment odd = {"web_1.a-b", "", "net@1"};
  CHECK(NetworkAttachment::Parse(odd.ToString()) == odd);
}

TEST_CASE("Holders of others are no attachments", "[attachment]") {
  for (const char* holder : {"", "_", "weave:expose", "0123abcd", "@weave/eth0", "a@b", "a/b@c", "a@w/", "a b@w/eth0",
                             "a@we ave/eth0", "a@w:x/eth0", "-a@w/eth0"})
    CHECK_FALSE(NetworkAttachment::Parse(holder).has_value());
}

TEST_CASE("The container of a holder is its attachment's, or the holder itself", "[attachment]") {
  CHECK(ContainerOf("0123abcd@weave/eth0") == "0123abcd");
  CHECK(ContainerOf("0123abcd") == "0123abcd");
  CHECK(ContainerOf("weave:expose") == "weave:expose");
  CHECK(ContainerOf("a@b") == "a@b");
}

}  // namespace
}  // namespace weave
