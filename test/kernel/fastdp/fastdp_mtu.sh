#!/bin/bash
# What fits through the kernel's tunnels is found by trying, path by path; containers get it
# where all paths carry it, and hear of it where one does not.
# shellcheck source-path=SCRIPTDIR source=../../system/lib.sh
. "$(dirname "$0")/../../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../../system/mesh_lib.sh
. "$(dirname "$0")/../../system/mesh_lib.sh"
# shellcheck source-path=SCRIPTDIR source=tcp_lib.sh
. "$(dirname "$0")/tcp_lib.sh"

make_network
for host in host1 host2 host3; do make_mesh_host "$host"; done

# underlay BYTES HOSTS...: of the interfaces of these hosts and of the switch's ports to them
underlay() {
    local bytes=$1 host
    shift
    for host in "$@"; do
        ip -n "$TAG-net" link set "$host" mtu "$bytes"
        ip -n "$TAG-$host" link set eth0 mtu "$bytes"
    done
    ip -n "$TAG-net" link set br0 mtu 9000
}
container() { # container HOST NAME ADDRESS
    [ -e "$(path_of "$2")" ] || make_container "$2"
    on "$1" weave attach "$3" "$(path_of "$2")" >/dev/null || fail "weave attach on $1 failed"
}
says() { [ "$(connections "$1" | grep -cE " established .*fastdp .*\($2\).*mtu=$3\$")" = 1 ]; } # says HOST OTHER MTU
expect_mtu() { # expect_mtu SECONDS HOST OTHER MTU
    eventually "$1" says "$2" "$3" "$4" || fail "$2 does not carry $4 bytes to $3: $(connections "$2"), $(on "$2" weave status)"
}
bridge_has() { has "mtu $2 " on "$1" ip -o link show weave; }
interface_has() { has "mtu $2 " inside "$1" ip -o link show ethwe || fail "$1: $(inside "$1" ip link)"; }
# A packet of BYTES with DF: it arrives, or its sender hears what would.
passes() {
    inside "$1" ip route flush cache # forgets what it heard before
    inside "$1" ping -c 1 -W 3 -M 'do' -s $(($3 - 28)) "$2" >/dev/null 2>&1
}
expect_passes() { eventually 10 passes "$@" || fail "$3 bytes do not pass from $1 to $2: $(inside "$1" ping -c 1 -W 2 -M 'do' -s $(($3 - 28)) "$2" 2>&1)"; }
expect_refused() { # expect_refused CONTAINER ADDRESS BYTES MTU
    inside "$1" ip route flush cache
    OUT=$(inside "$1" ping -c 3 -W 2 -M 'do' -s $(($3 - 28)) "$2" 2>&1) || true
    [[ $OUT == *"rag needed and DF set (mtu = $4)"* || $OUT == *"message too long, mtu=$4"* ]] ||
        fail "$1 does not hear that $2 takes $4 bytes: $OUT"
}

step "on a path of 9000 bytes containers get what passes, and the status says it"
underlay 9000 host1 host2 host3
launch_peer host1 --no-dns
lacks "no Open vSwitch" on host1 weave status || skip "this kernel has no Open vSwitch"
bridge_has host1 1376 || fail "$(on host1 ip link show weave)"
launch_peer host2 --no-dns 10.99.0.1
expect_mesh 30 host1 host2
for host in host1 host2; do eventually 20 bridge_has $host 8950 || fail "$host: $(connections $host) $(on $host ip link show weave)"; done
container host1 c1 10.32.1.1/16
container host2 c2 10.32.2.1/16
for name in c1 c2; do interface_has $name 8950; done
expect_mtu 20 host1 host2 8950
expect_mtu 20 host2 host1 8950
expect_ping c1 10.32.2.1
expect_passes c1 10.32.2.1 8950
tcp_passes c1 c2 10.32.2.1

step "the path becomes narrower: containers hear of it, and TCP goes on"
underlay 1500 host2
expect_mtu 60 host1 host2 1450
expect_mtu 60 host2 host1 1450
interface_has c1 8950
expect_refused c1 10.32.2.1 3000 1450
expect_passes c1 10.32.2.1 1450
expect_refused c2 10.32.1.1 1451 1450
# Without DF it goes in pieces.
eventually 10 inside c1 ping -c 1 -W 3 -M dont -s 5000 10.32.2.1 >/dev/null || fail "5000 bytes do not pass in pieces"
tcp_passes c1 c2 10.32.2.1
tcp_passes c2 c1 10.32.1.1
has "weave_fragmentation_needed_total" on host1 curl -s http://127.0.0.1:6782/metrics || fail "no metric"

step "a hop on the way drops without a word: found by tests that are lost"
underlay 9000 host2
on host2 iptables -I INPUT -p udp --dport 6784 -m length --length 3000:65535 -j DROP
expect_mtu 90 host1 host2 2949
expect_refused c1 10.32.2.1 4000 2949
expect_passes c1 10.32.2.1 2949
on host2 iptables -D INPUT -p udp --dport 6784 -m length --length 3000:65535 -j DROP

step "too narrow for the floor: sleeve, until it is wide enough"
by() { [ "$(connections "$1" | grep -c " $2 ")" = 1 ]; } # by HOST OVERLAY
underlay 1400 host1 host2
for host in host1 host2; do eventually 30 by $host sleeve || fail "$host: $(connections $host)"; done
expect_ping c1 10.32.2.1
underlay 9000 host1 host2
expect_mtu 90 host1 host2 8950
expect_mtu 90 host2 host1 8950
expect_passes c1 10.32.2.1 8950

step "a neighbour with interfaces of its own size, and a host that comes where others have containers"
launch_peer host3 --no-dns --mtu 1400 10.99.0.1
expect_mesh 30 host1 host2 host3
container host3 c3 10.32.3.1/16
interface_has c3 1400
expect_mtu 20 host1 host3 1400
expect_ping c1 10.32.3.1
expect_refused c1 10.32.3.1 3000 1400
expect_passes c1 10.32.3.1 1400
expect_mtu 20 host1 host2 8950
bridge_has host1 8950 || fail "the bridge of a host with containers changed: $(on host1 ip link show weave)"
on host3 weave reset

step "one that has sleeve alone: those without containers go back to what everybody takes"
on host2 weave detach "$(path_of c2)" >/dev/null
launch_peer host3 --no-dns --no-fastdp 10.99.0.1
expect_mesh 30 host1 host2 host3
eventually 60 bridge_has host2 1376 || fail "$(on host2 ip link show weave)"
bridge_has host1 8950 || fail "the bridge of a host with containers changed: $(on host1 ip link show weave)"
container host2 c2 10.32.2.1/16
interface_has c2 1376
expect_ping c1 10.32.2.1
expect_mtu 20 host1 host2 1376
expect_refused c1 10.32.2.1 3000 1376
expect_passes c1 10.32.2.1 1376
tcp_passes c1 c2 10.32.2.1
on host3 weave reset

step "encrypted: the keys' part is counted"
for host in host1 host2; do on $host weave reset; done
underlay 1500 host1 host2
launch_peer host1 --no-dns --password wonderland
launch_peer host2 --no-dns --password wonderland 10.99.0.1
for host in host1 host2; do eventually 30 bridge_has $host 1416 || fail "$host: $(connections $host)"; done
container host1 c1 10.32.1.1/16
container host2 c2 10.32.2.1/16
expect_mtu 20 host1 host2 1416
expect_ping c1 10.32.2.1
expect_passes c1 10.32.2.1 1416
tcp_passes c1 c2 10.32.2.1

step "a host that starts alone has what its paths carried last; on narrower ones its containers hear what passes"
on host1 weave detach "$(path_of c1)" >/dev/null
for host in host1 host2; do on $host weave stop; done
on host1 ip link del weave
launch_peer host1 --no-dns --password wonderland
bridge_has host1 1416 || fail "$(on host1 ip link show weave)"
container host1 c1 10.32.1.1/16
interface_has c1 1416
underlay 1480 host1 host2
launch_peer host2 --no-dns --password wonderland 10.99.0.1
expect_mtu 60 host1 host2 1396
expect_refused c1 10.32.2.1 1416 1396
expect_passes c1 10.32.2.1 1396
tcp_passes c1 c2 10.32.2.1
pass
