// The one place that names the test framework's header (Catch2 2.13 in Debian 12; version 3 moves it).
#pragma once

#include <catch2/catch.hpp>
