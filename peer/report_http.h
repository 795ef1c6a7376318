// GET /report (spec/control.md section 4): which form is asked for, and the answer with the status codes of 2.8.
#pragma once

#include "io/http_message.h"
#include "peer/report.h"

namespace weave {

// JSON if the header Accept is exactly `application/json`, else what the one query parameter `format` makes of the
// report; 400 when there is not exactly one or it is no template, 500 when it does not suit the report. Any thread; may
// take a second for the largest, so not the loop.
HttpResponse AnswerReport(const HttpRequest& request, const ReportView& view);

}  // namespace weave
