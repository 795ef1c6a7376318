// The Logger of programs: standard error through spdlog.
#pragma once

#include <memory>

#include "base/log.h"

namespace weave {

// Lines `INFO: 2024-05-06 07:08:09.123456 message key=value`, local time. Under systemd, where JOURNAL_STREAM names our
// standard error, `<6>message key=value`: the journal keeps level and time itself. Any thread; a line is one write.
// Failing to write is silent.
std::unique_ptr<Logger> MakeStderrLogger(LogLevel threshold);

}  // namespace weave
