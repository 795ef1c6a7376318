// Giving back the memory that only a start needs.
#pragma once

namespace weave {

// Unmaps the read-only pages of the program and its libraries that have been touched so far, and returns free heap
// pages. Starting a daemon runs through megabytes of code (static constructors, relocation, option parsing) that an
// idle one never sees again; the kernel would only take these pages back under pressure. What is still needed comes
// back from the page cache by a minor fault at its next use. Any thread; safe while others run.
void ReleaseStartupPages();

}  // namespace weave
