#!/bin/bash
# Three peers on one Ethernet find each other, agree on who is there, and do so again after crashes, stops and a partition.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"

make_network
for host in host1 host2 host3; do make_mesh_host "$host"; done

step "three peers that are told of one find all"
launch_peer host1
launch_peer host2 "$(address_of host1)"
launch_peer host3 "$(address_of host1)"
expect_mesh 30 host1 host2 host3

step "status, report and metrics say so"
for line in '    Connections: 2 (2 established)' '          Peers: 3 (with 6 established connections)' '        Targets: 1'; do
    has "$line" on host3 weave status || fail "status lacks \"$line\": $(on host3 weave status)"
done
says_of_connections host3 "-> 10.99.0.1:6783        established sleeve $(name_of host1)(host1) mtu=1438" ||
    fail "connections of host3: $(connections host3)"
states=$(on host3 weave report -f '{{range .Router.Connections}}{{.State}} {{end}}')
[ "$states" = "established established " ] || fail "states in the report: \"$states\""
names=$(on host3 weave report -f '{{range .Router.Peers}}{{println .NickName}}{{end}}' | sort | tr '\n' ' ')
[ "$names" = "host1 host2 host3 " ] || fail "peers in the report: \"$names\""
has 'weave_connections{encryption="",state="established",type="sleeve"} 2' on host3 curl -sf http://127.0.0.1:6782/metrics ||
    fail "metrics: $(on host3 curl -sf http://127.0.0.1:6782/metrics)"

step "a peer killed with -9 comes back, and all agree again"
for host in host2 host1; do # host1: the one that nobody needs to name any more
    crash "$host"
    expect_mesh 30 host1 host2 host3
done

step "a peer that is stopped is gone for the others, and comes back"
expect 0 "" on host3 weave stop
expect_mesh 30 host1 host2
launch_peer host3 "$(address_of host2)"
expect_mesh 30 host1 host2 host3

step "a partition: each side knows its own, and both find each other when it heals"
unplug host3
expect_mesh 120 host1 host2
eventually 60 alone host3 || fail "host3 is cut off and knows $(known_by host3)"
says_of_connections host3 "$(address_of host2):6783" || fail "host3 gave up its target: $(connections host3)"
plug host3
expect_mesh 90 host1 host2 host3

step "reset of one: the others go on"
expect 0 "" on host2 weave reset
expect_mesh 30 host1 host3
pass
