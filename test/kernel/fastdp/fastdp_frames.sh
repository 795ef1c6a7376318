#!/bin/bash
# Frames between hosts by the kernel alone (contract A7-05, A7-07, A7-08, A17-05): flows, tunnels, what falls back to
# sleeve and comes back, and what goes on while the peer is away.
# shellcheck source-path=SCRIPTDIR source=../../system/lib.sh
. "$(dirname "$0")/../../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../../system/mesh_lib.sh
. "$(dirname "$0")/../../system/mesh_lib.sh"

make_network
for host in host1 host2; do make_mesh_host "$host"; done

# container HOST NAME ADDRESS
container() {
    [ -e "$(path_of "$2")" ] || make_container "$2"
    on "$1" weave attach "$3" "$(path_of "$2")" >/dev/null || fail "weave attach on $1 failed"
}
connections() { on "$1" weave status connections; }
by() { [ "$(connections "$1" | grep -c " $2 ")" = 1 ]; } # by HOST OVERLAY
metric() { on "$1" curl -s http://127.0.0.1:6782/metrics | sed -n "s/^$2 //p"; }

for password in "" wonderland; do
    step "two hosts${password:+ with a password} find the fast data path"
    for host in host1 host2; do
        launch_peer $host --no-dns ${password:+--password "$password"} $([ $host = host1 ] || echo 10.99.0.1)
    done
    lacks "no Open vSwitch" on host1 weave status || skip "this kernel has no Open vSwitch"
    expect_mesh 30 host1 host2
    eventually 15 by host1 fastdp || fail "host1: $(connections host1)"
    eventually 15 by host2 fastdp || fail "host2: $(connections host2)"
    has "mtu=1376" connections host1 || fail "no MTU: $(connections host1)"
    has "${password:+encrypted}" connections host1 || fail "not encrypted: $(connections host1)"
    container host1 c1 10.32.1.1/16
    container host2 c2 10.32.2.1/16
    expect_ping c1 10.32.2.1
    expect_ping c2 10.32.1.1
    [ "$(metric host1 weave_flows)" -gt 0 ] || fail "no flows: $(metric host1 weave_flows)"
done
pass
