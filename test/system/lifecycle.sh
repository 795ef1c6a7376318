#!/bin/bash
# One host from launch to reset: what a user types on the first day, and that nothing stays.
. "$(dirname "$0")/lib.sh"

make_host host1
make_container web
make_container db
links_before=$(links host1)
rules_before=$(rules host1)

step "status before launch"
expect 1 "weave container is not present. Have you launched it?" on host1 weave status

step "launch prints the pid alone and the peer answers"
launch host1 --name ::1 --nickname host1
[ -d "/proc/$(cat "$WORK/pid.host1")" ] || fail "no process $(cat "$WORK/pid.host1")"
expect 3 "already running" on host1 weave launch
[ "$(stat -c %a "$(run_dir host1)/peer.sock")" = 600 ] || fail "the API socket is not of mode 0600"
[ -f "$(store_of host1)" ] || fail "no store at $(store_of host1)"

step "status has 2.8's labels"
expect 0 "Service: router" on host1 weave status
for line in '       Protocol: weave 1..2' '           Name: 00:00:00:00:00:01(host1)' '     Encryption: disabled' \
    '  PeerDiscovery: enabled' '        Targets: 0' '    Connections: 0' '          Peers: 1' ' TrustedSubnets: none'; do
    [[ $OUT == *"$line"* ]] || fail "status lacks \"$line\": $OUT"
done
[ "$(on host1 weave bridge-type)" != bridge ] || has "BridgeType: bridge (this kernel " on host1 weave status ||
    fail "status does not say why there is no fast data path: $(on host1 weave status)"
expect 0 "00:00:00:00:00:01(host1)" on host1 weave status peers
expect 0 "" on host1 weave status dns
expect 0 "" on host1 curl -sf http://127.0.0.1:6784/status
expect 0 "" on host1 curl -sf http://127.0.0.1:6782/status
expect 0 "404 page not found" on host1 curl -s http://127.0.0.1:6784/nothing
expect 0 "weave_endpoints 0" on host1 curl -sf http://127.0.0.1:6782/metrics

step "SIGQUIT writes what the peer knows to the log, and the peer carries on"
kill -QUIT "$(cat "$WORK/pid.host1")"
eventually 10 grep -q 'state ready=yes' "$(log_of host1)" || fail "no state in the log"
expect 0 "Service: router" on host1 weave status

step "two containers talk"
expect 0 "10.2.1.1/24" on host1 weave attach 10.2.1.1/24 "$(path_of web)"
expect 0 "10.2.1.2/24" on host1 weave attach ip:10.2.1.2/24 "$(path_of db)"
expect_ping web 10.2.1.2
expect 0 "10.2.1.1/24" on host1 weave attach 10.2.1.1/24 "$(path_of web)"
has 'inet 10.2.1.1/24' inside web ip -o addr show dev ethwe || fail "no ethwe with the address"
has ethwe inside web ip route show 224.0.0.0/4 || fail "no multicast route"
[ "$(on host1 weave ps | grep -cE '^[0-9a-f]{12} ([0-9a-f]{2}:){5}[0-9a-f]{2}( [0-9./]+)+$')" = 2 ] ||
    fail "weave ps: $(on host1 weave ps)"

step "several addresses, in the order given"
expect 0 "" on host1 weave attach 10.2.2.1/24 ip:10.2.3.1/24 "$(path_of web)"
expect 0 "10.2.1.1/24 10.2.2.1/24 10.2.3.1/24" on host1 weave ps "$(path_of web)"
expect 0 "10.2.2.1/24" on host1 weave detach 10.2.2.1/24 "$(path_of web)"
expect 0 "10.2.1.1/24 10.2.3.1/24" on host1 weave ps "$(path_of web)"

step "an address has one holder"
expect 1 "already in use" on host1 weave attach 10.2.1.1/24 "$(path_of db)"
expect 1 "already in use" on host1 weave expose 10.2.1.1/24

step "expose and hide"
! on host1 ping -c 1 -W 1 10.2.1.1 >/dev/null 2>&1 || fail "the host reaches a container before expose"
expect 0 "10.2.1.254/24" on host1 weave expose 10.2.1.254/24
expect 0 "10.2.1.254/24" on host1 weave expose 10.2.1.254/24
eventually 10 on host1 ping -c 1 -W 1 10.2.1.1 >/dev/null || fail "the host does not reach the container after expose"
expect 0 "weave:expose" on host1 weave ps
[[ $(rules host1) == *"-A WEAVE-EXPOSE -d 10.2.1.0/24"* ]] || fail "no accept rule: $(rules host1)"

step "stop leaves containers talking, launch picks everything up"
expect 0 "" on host1 weave stop
expect_ping web 10.2.1.2
expect 2 "weave container is not running." on host1 weave status
launch host1 --name ::1 --nickname host1
expect 0 "10.2.1.1/24 10.2.3.1/24" on host1 weave ps "$(path_of web)"
expect 0 "10.2.1.254/24" on host1 weave ps
expect_ping db 10.2.1.1
expect 0 "" on host1 weave hide # the default subnet, of which the host has nothing
expect 0 "10.2.1.254/24" on host1 weave hide 10.2.1.254/24
! on host1 ping -c 1 -W 1 10.2.1.1 >/dev/null 2>&1 || fail "the host reaches a container after hide"
[[ $(rules host1) != *"10.2.1.0/24"* ]] || fail "rules stay after hide"

step "a namespace's name is any bytes, also after a restart"
odd=$'odd-\xff'
make_container "$odd"
expect 0 "10.2.1.3/24" on host1 weave attach 10.2.1.3/24 "$(path_of "$odd")"
expect 0 "" on host1 weave stop
launch host1 --name ::1 --nickname host1
expect 0 "10.2.1.3/24" on host1 weave ps "$(path_of "$odd")"
expect 0 "10.2.1.3/24" on host1 weave detach 10.2.1.3/24 "$(path_of "$odd")"

step "a container that ends is forgotten"
ip netns del "$TAG-db"
eventually 20 lacks "10.2.1.2" on host1 weave ps ||
    fail "the peer still lists a container that is gone"

step "detach takes the interface with the last address"
expect 0 "10.2.1.1/24 10.2.3.1/24" on host1 weave detach 10.2.1.1/24 10.2.3.1/24 "$(path_of web)"
! inside web ip link show ethwe >/dev/null 2>&1 || fail "ethwe stays"
expect 0 "" on host1 weave detach "$(path_of web)"

step "reset leaves nothing"
on host1 weave attach 10.2.1.9/24 "$(path_of web)" >/dev/null
on host1 weave expose 10.2.1.254/24 >/dev/null
pid=$(fuser_lock "$(run_dir host1)/weaver.lock")
expect 0 "" on host1 weave reset
[ "$(links host1)" = "$links_before" ] || fail "links stay: $(links host1)"
[ "$(rules host1)" = "$rules_before" ] || fail "rules stay: $(rules host1)"
[ ! -e "/proc/$pid" ] || fail "process $pid stays"
[ -z "$(ls -A "$(run_dir host1)" 2>/dev/null)" ] || fail "files stay: $(ls -A "$(run_dir host1)")"
[ -z "$(ls -A "/var/lib/$(instance host1)" 2>/dev/null)" ] || fail "store stays: $(ls -A "/var/lib/$(instance host1)")"
! inside web ip link show ethwe >/dev/null 2>&1 || fail "a container keeps ethwe after reset"
expect 1 "weave container is not present. Have you launched it?" on host1 weave status
pass
