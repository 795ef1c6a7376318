#!/bin/bash
# The fast data path's side of Open vSwitch, and the kernel's. See ovs_test.cc.
exec "${WEAVE_TESTS:?set WEAVE_TESTS to the test folder of a build}/kernel/ovs_kernel_test" -d yes "$@"
