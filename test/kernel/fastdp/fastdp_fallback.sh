#!/bin/bash
# A path that does not carry the tunnels (contract A7-07): frames go by sleeve until it does again, and people hear of it.
# On another port (contract A3-03), between a host with a bridge and one whose containers hang on the datapath (A3-24b).
# shellcheck source-path=SCRIPTDIR source=../../system/lib.sh
. "$(dirname "$0")/../../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../../system/mesh_lib.sh
. "$(dirname "$0")/../../system/mesh_lib.sh"

make_network
for host in host1 host2; do make_mesh_host "$host"; done
by() { [ "$(connections "$1" | grep -c " $2 ")" = 1 ]; } # by HOST OVERLAY
expect_by() { eventually "$3" by "$1" "$2" || fail "$1 is not connected by $2: $(connections "$1")"; }
block() { on "$1" iptables -I INPUT -p udp --dport 7001 -j DROP; }
unblock() { on "$1" iptables -D INPUT -p udp --dport 7001 -j DROP; }

step "the tunnels' port is blocked from the start: sleeve, and frames pass"
launch_peer host1 --no-dns --port 7000
launch_peer host2 --no-dns --port 7000 --no-bridged-fastdp
lacks "no Open vSwitch" on host1 weave status || skip "this kernel has no Open vSwitch"
block host2
expect 0 "" on host2 weave connect 10.99.0.1
expect_mesh 30 host1 host2
for n in 1 2; do
    make_container c$n
    on host$n weave attach "10.32.$n.1/16" "$(path_of c$n)" >/dev/null
done
expect_ping c1 10.32.2.1
expect_by host1 sleeve 5

step "it opens: the fast data path takes over"
unblock host2
expect_by host1 fastdp 25
expect_by host2 fastdp 25
expect_ping c1 10.32.2.1
has "dstport 7001" on host1 ip -d link show vxlan-7001 || fail "tunnels of host1: $(on host1 ip -d link)"
lacks "dstport 6784" on host1 ip -d link || fail "tunnels of host1: $(on host1 ip -d link)"

step "it is blocked for 70 s: back to sleeve, with a warning"
block host2
eventually 75 by host2 sleeve || fail "host2 keeps to the tunnels: $(connections host2)"
expect_by host1 sleeve 5 # which hears host2 all the time, and is told
has "from=fastdp to=sleeve" grep WARNING "$(log_of host2)" || fail "no warning of the change: $(tail "$(log_of host2)")"
expect_ping c2 10.32.1.1

step "it opens: the tunnels again, with a warning"
unblock host2
expect_by host2 fastdp 25
has "from=sleeve to=fastdp" grep WARNING "$(log_of host2)" || fail "no warning of the return"
expect_ping c1 10.32.2.1
pass
