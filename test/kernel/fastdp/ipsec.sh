#!/bin/bash
# ESP between peers with the kernel's associations, policies and packet filter. See ipsec_test.cc.
exec "${WEAVE_TESTS:?set WEAVE_TESTS to the test folder of a build}/kernel/ipsec_kernel_test" -d yes "$@"
