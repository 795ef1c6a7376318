#!/bin/bash
# Docker networks with `-o works.weave.isolated`: their containers reach each other across hosts, and nobody else, whatever
# routes and addresses anybody adds; through restarts of peer, plugin and daemon.
# shellcheck source-path=SCRIPTDIR source=../support/dockerd.sh
. "$(dirname "$0")/../support/dockerd.sh"
# shellcheck source-path=SCRIPTDIR source=../system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../system/mesh_lib.sh
. "$(dirname "$0")/../system/mesh_lib.sh"
# shellcheck source-path=SCRIPTDIR source=../support/docker_hosts.sh
. "$(dirname "$0")/../support/docker_hosts.sh"

IMAGE_EXTRAS=more_applets
more_applets() { for applet in arping cat; do ln -sf busybox "$1/bin/$applet"; done; }
are_connected() { [ "$(count_established host1)" = 1 ]; }
make_docker_network() { # make_docker_network HOST NAME SUBNET OPTIONS...
    local host=$1 name=$2 subnet=$3
    shift 3
    docker_on "$host" network create --driver weavemesh --ipam-driver weavemesh --subnet "$subnet" "$@" "$name" >/dev/null ||
        fail "no network $name on $host"
}
run() { # run HOST NAME NETWORK ADDRESS DOCKER-FLAGS...: a container that sleeps
    local host=$1 name=$2 network=$3 address=$4
    shift 4
    docker_on "$host" run -d --name "$name" --cap-add NET_ADMIN --cap-add NET_RAW --stop-signal KILL --net="$network" \
        --ip "$address" "$@" "$IMAGE" /bin/sleep 3600 >/dev/null || fail "docker run $name on $host"
}
in_container() { local host=$1 name=$2; shift 2; docker_on "$host" exec "$name" "$@"; }
can_reach() { in_container "$1" "$2" ping -c 1 -W 2 "$3" >/dev/null 2>&1; }
expect_reach() { eventually 15 can_reach "$@" || fail "$2 on $1 does not reach $3"; }
expect_no_reach() { ! can_reach "$@" || fail "$2 on $1 reaches $3"; }
# What somebody with NET_ADMIN does who wants to reach SUBNET: an address of it, or a route to it.
reach_over() { in_container "$1" "$2" ip addr add "$3" dev ethwe0; } # reach_over HOST NAME ADDRESS/LENGTH
route_over() { in_container "$1" "$2" ip route add "$3" dev ethwe0; } # route_over HOST NAME SUBNET
mac_of() { in_container "$1" "$2" cat /sys/class/net/ethwe0/address; }
# know HOST NAME ADDRESS MAC: the neighbour, so that ARP is not needed. Busybox cannot.
know() { nsenter --net="/proc/$(docker_on "$1" inspect -f '{{.State.Pid}}' "$2")/ns/net" ip neigh replace "$3" lladdr "$4" dev ethwe0; }
plugin_of() { fuser_lock "$(run_dir "$1")/plugin.lock"; }

step "two hosts with a network that is isolated, and two that are not"
for host in host1 host2; do
    make_docker_host $host
    start_docker $host
    import_image $host
done
launch host1 --name ::1 --nickname host1 --ipalloc-range 10.40.0.0/16
launch host2 --name ::2 --nickname host2 --ipalloc-range 10.40.0.0/16 192.0.2.1
eventually 20 are_connected || fail "the peers do not connect"
for host in host1 host2; do
    make_docker_network $host walled 10.40.1.0/24 -o works.weave.isolated -o works.weave.multicast
    make_docker_network $host open 10.40.2.0/24
    make_docker_network $host wide 10.40.3.0/24 -o works.weave.isolated=false
done
expect 1 'unrecognized value "maybe" for option works.weave.isolated' docker_on host1 network create --driver weavemesh \
    --ipam-driver weavemesh --subnet 10.40.9.0/24 -o works.weave.isolated=maybe bad
for host in host1 host2; do
    run $host "walled-$host" walled "10.40.1.${host#host}0"
    run $host "open-$host" open "10.40.2.${host#host}0"
    run $host "wide-$host" wide "10.40.3.${host#host}0"
done

step "within the network containers reach each other, across hosts, too"
run host1 walled-other walled 10.40.1.11
expect_reach host1 walled-other 10.40.1.10
expect_reach host1 walled-host1 10.40.1.20
expect_reach host2 walled-host2 10.40.1.11

step "open networks are one Ethernet: whoever adds an address or a route is there"
reach_over host1 open-host1 10.40.3.200/24
expect_reach host1 open-host1 10.40.3.20
route_over host2 open-host2 10.40.3.0/24
route_over host1 wide-host1 10.40.2.0/24
expect_reach host2 open-host2 10.40.3.10

step "out of the isolated network nobody reaches over, with addresses or routes of the others"
reach_over host1 walled-host1 10.40.2.210/24
reach_over host2 walled-host2 10.40.3.210/24
for there in 10.40.2.10 10.40.2.20; do expect_no_reach host1 walled-host1 $there; done
for there in 10.40.3.10 10.40.3.20; do expect_no_reach host2 walled-host2 $there; done
in_container host1 walled-other ip route add 10.40.2.0/24 dev ethwe0
in_container host1 open-host1 ip route add 10.40.1.0/24 dev ethwe0
expect_no_reach host1 walled-other 10.40.2.10
know host1 walled-other 10.40.2.10 "$(mac_of host1 open-host1)"
know host1 open-host1 10.40.1.11 "$(mac_of host1 walled-other)"
expect_no_reach host1 walled-other 10.40.2.10
! in_container host1 walled-other arping -c 2 -w 3 -I ethwe0 10.40.2.10 >/dev/null 2>&1 || fail "ARP passes"

step "nor does anybody reach in"
expect_no_reach host1 open-host1 10.40.1.11
in_container host2 open-host2 ip route add 10.40.1.0/24 dev ethwe0
expect_no_reach host2 open-host2 10.40.1.11
expect_no_reach host2 open-host2 10.40.1.20
! in_container host2 open-host2 arping -c 2 -w 3 -I ethwe0 10.40.1.11 >/dev/null 2>&1 || fail "ARP passes"

step "a restart of the peer, of the plugin and of the daemon does not open it"
still_walled() { # still_walled HOST NAME
    expect_reach "$1" "$2" 10.40.1.11
    expect_no_reach "$1" "$2" 10.40.2.10
}
crash host2
kill -KILL "$(plugin_of host2)"
plugin_is_back() { local now; now=$(plugin_of host2) && [ -n "$now" ]; }
eventually 20 plugin_is_back || fail "the plugin does not come back"
eventually 20 are_connected || fail "the peers do not connect again"
still_walled host2 walled-host2
run host2 walled-new walled 10.40.1.21
reach_over host2 walled-new 10.40.2.221/24
still_walled host2 walled-new
run host2 walled-always walled 10.40.1.22 --restart=always
stop_docker host2
start_docker host2
walled_reaches() { can_reach host2 walled-always 10.40.1.11; }
eventually 30 walled_reaches || fail "walled-always does not come back: $(docker_on host2 ps -a)"
reach_over host2 walled-always 10.40.2.222/24
still_walled host2 walled-always

step "a plugin that has lost its file asks Docker which networks are isolated"
kill -STOP "$(supervisor_of host2)"
kill -KILL "$(plugin_of host2)"
rm "$DOCKER_ROOT/host2/lib/weave/weaveplugin.networks"
kill -CONT "$(supervisor_of host2)"
eventually 20 plugin_is_back || fail "the plugin does not come back"
run host2 walled-asked walled 10.40.1.23
reach_over host2 walled-asked 10.40.2.223/24
still_walled host2 walled-asked

step "containers and networks go, and nothing of them stays"
for name in walled-host1 walled-other open-host1 wide-host1; do docker_on host1 rm -f $name >/dev/null; done
[ "$(links host1 | grep -c '^vethw[lg]')" = 0 ] || fail "endpoints stay: $(links host1)"
for name in walled open wide; do docker_on host1 network rm $name >/dev/null || fail "network $name stays"; done
pass
