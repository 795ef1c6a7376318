#!/bin/bash
# `docker run --net=weave` on two hosts, each with a real Docker daemon, peer and plugin: across hosts, with subnets and
# addresses of the user's choice, through restarts of everything, and what Docker is told when the peer is gone.
# shellcheck source-path=SCRIPTDIR source=../support/dockerd.sh
. "$(dirname "$0")/../support/dockerd.sh"
# shellcheck source-path=SCRIPTDIR source=../system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../system/mesh_lib.sh
. "$(dirname "$0")/../system/mesh_lib.sh"
# shellcheck source-path=SCRIPTDIR source=../support/docker_hosts.sh
. "$(dirname "$0")/../support/docker_hosts.sh"

run() { # run HOST NAME DOCKER-FLAGS...: a container that sleeps
    local host=$1 name=$2
    shift 2
    docker_on "$host" run -d --name "$name" --cap-add NET_RAW --stop-signal KILL "$@" "$IMAGE" /bin/sleep 3600 >/dev/null ||
        fail "docker run $name on $host"
}
inspect_address() { docker_on "$1" inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.IPPrefixLen}}{{end}}' "$2"; }
can_reach() { docker_on "$1" exec "$2" ping -c 1 -W 2 "$3" >/dev/null 2>&1; }
expect_reach() { eventually 15 can_reach "$@" || fail "$2 on $1 does not reach $3"; }
took_at_most() { # took_at_most MS COMMAND...
    local limit=$1 start=${EPOCHREALTIME/./} took
    shift
    "$@"
    took=$(((${EPOCHREALTIME/./} - start) / 1000))
    [ $took -le "$limit" ] || fail "\"$*\" took $took ms, want at most $limit"
}
plugin_of() { fuser_lock "$(run_dir "$1")/plugin.lock"; }
has_network() { docker_on "$1" network inspect weave >/dev/null 2>&1; }
no_network() { ! has_network "$1"; }
endpoints() { links "$1" | grep -c ^vethwl || true; }
endpoints_are() { [ "$(endpoints "$1")" = "$2" ]; }

step "two hosts; on one the peer comes first, on the other the Docker daemon"
make_docker_host host1
make_docker_host host2
start_docker host2
launch host1 --name ::1 --nickname host1
[ -S "$(run_dir host1)/../docker/plugins/weavemesh.sock" ] || fail "no socket after launch"
launch host2 --name ::2 --nickname host2 192.0.2.1
has_network host2 || fail "launch returned without a network: $(tail -5 "$(log_of host2)")"
start_docker host1
eventually 40 has_network host1 || fail "no network weave: $(tail -5 "$(log_of host1)")"
import_image host1
import_image host2
for host in host1 host2; do
    has "Service: plugin (legacy)" on $host weave status || fail "status of $host has no plugin"
    [ "$(docker_on $host network inspect -f '{{.Driver}} {{.Scope}} {{.IPAM.Driver}} {{index .Options "works.weave.multicast"}} {{(index .IPAM.Config 0).Subnet}}' weave)" = \
        "weavemesh local weavemesh true 10.32.0.0/12" ] || fail "$(docker_on $host network inspect weave)"
done
[ "$(on host1 weave report -f '{{.Plugin.DriverName}} {{.Plugin.MeshDriverName}}')" = "weave weavemesh" ] || fail "no plugin in the report"

step "docker run --net=weave: containers reach each other on one host and across"
run host1 a1 --net=weave
run host1 b1 --net=weave
run host2 a2 --net=weave
a1=$(inspect_address host1 a1) a2=$(inspect_address host2 a2)
[[ $a1 = 10.*/12 && $a2 = 10.*/12 && $a1 != "$a2" ]] || fail "addresses $a1 and $a2"
docker_on host1 exec a1 ip -o addr show dev ethwe0 | grep -q "inet $a1 " || fail "a1 lacks $a1: $(docker_on host1 exec a1 ip addr)"
has "224.0.0.0/4 dev ethwe0" docker_on host1 exec a1 ip route || fail "no multicast route: $(docker_on host1 exec a1 ip route)"
expect_reach host1 b1 "${a1%/*}"
expect_reach host1 a1 "${a2%/*}"
expect_reach host2 a2 "${a1%/*}"

step "containers are found by host name, container name and alias on every host, and no longer when they have gone"
names_of() { on "$1" weave dns-lookup "$2" | sort | xargs; } # names_of HOST NAME: the addresses
name_is() { [ "$(names_of "$1" "$2")" = "$3" ]; } # name_is HOST NAME ADDRESSES
run host2 named --net=weave --hostname shop.weave.local --network-alias till.weave.local
named=$(inspect_address host2 named)
for name in shop named till; do
    eventually 10 name_is host1 $name "${named%/*}" || fail "$name: $(names_of host1 $name), want $named: $(on host2 weave status dns)"
done
docker_on host2 rm -f named >/dev/null
for name in shop named till; do
    eventually 10 name_is host1 $name "" || fail "$name has $(names_of host1 $name) and is gone"
done

step "--ip is honoured, and nobody else's"
run host2 fixed --net=weave --ip 10.40.0.7
[ "$(inspect_address host2 fixed)" = 10.40.0.7/12 ] || fail "fixed has $(inspect_address host2 fixed)"
expect_reach host1 a1 10.40.0.7
expect 125 "in use already" docker_on host2 run --rm --net=weave --ip 10.40.0.7 "$IMAGE" /bin/sleep 1
docker_on host2 rm -f fixed >/dev/null
run host2 heir --net=weave --ip 10.40.0.7
docker_on host2 rm -f heir >/dev/null

step "a second network with --subnet: lowest address next; options are checked"
docker_on host1 network create --driver weavemesh --ipam-driver weavemesh --subnet 10.36.5.0/24 --ip-range 10.36.5.64/26 second >/dev/null
run host1 s1 --net=second
run host1 s2 --net=second
# The pool may lie with the other peer: then the first of what it gives.
[[ $(inspect_address host1 s1) = 10.36.5.*/24 && $(inspect_address host1 s2) = 10.36.5.*/24 ]] || fail "$(inspect_address host1 s1)"
expect_reach host1 s1 "$(inspect_address host1 s2 | cut -d/ -f1)"
lacks 224.0.0.0/4 docker_on host1 exec s1 ip route || fail "a multicast route that nobody asked for"
expect 1 'unrecognized value "maybe"' docker_on host1 network create --driver weavemesh --ipam-driver weavemesh -o works.weave.multicast=maybe bad
lacks bad docker_on host1 network ls --format '{{.Name}}' || fail "the refused network stays"
docker_on host1 rm -f s1 s2 >/dev/null
docker_on host1 network rm second >/dev/null

step "the peer, then the plugin, are killed: both come back, addresses and connections stay"
crash host1
plugin=$(plugin_of host1)
kill -KILL "$plugin"
another_plugin() { local now; now=$(plugin_of host1) && [ -n "$now" ] && [ "$now" != "$plugin" ]; }
docker_on host1 rm -f b1 >/dev/null # while nobody watches
eventually 20 another_plugin || fail "the plugin was not started again"
eventually 10 name_is host2 b1 "" || fail "b1 is gone and has $(names_of host2 b1)"
expect_reach host1 a1 "${a2%/*}"
run host1 c1 --net=weave
expect_reach host1 c1 "${a1%/*}"
has "224.0.0.0/4 dev ethwe0" docker_on host1 exec c1 ip route || fail "the network lost its multicast route"
docker_on host1 rm -f c1 >/dev/null

step "the Docker daemon starts again: the containers that come back with it have their addresses"
docker_on host2 rm -f a2 >/dev/null
run host2 always --net=weave --restart=always --ip 10.40.0.8
stop_docker host2
start_docker host2
reaches_always() { can_reach host1 a1 10.40.0.8; }
eventually 20 reaches_always || fail "always is not reached: $(docker_on host2 ps -a)"
has "224.0.0.0/4 dev ethwe0" docker_on host2 exec always ip route || fail "its multicast route is gone"

step "the peer is dead: an error within 2 s, nothing stays; the daemon goes on"
endpoints=$(endpoints host1)
kill -STOP "$(supervisor_of host1)"
kill -KILL "$(weaver_of host1)"
refused() { ! docker_on host1 run --rm --net=weave "$IMAGE" /bin/sleep 1 >"$WORK/refused" 2>&1; }
took_at_most 4000 refused
grep -q "peer does not run" "$WORK/refused" || fail "told: $(cat "$WORK/refused")"
echo "   told: $(grep -v ^docker: "$WORK/refused" | head -1) $(grep ^docker: "$WORK/refused" | cut -c 1-200)"
took_at_most 4000 docker_on host1 ps >/dev/null
eventually 5 endpoints_are host1 "$endpoints" || fail "endpoints stay: $(links host1)"
kill -CONT "$(supervisor_of host1)"
peer_is_back() { answers host1; }
eventually 20 peer_is_back || fail "the peer does not come back"

step "stop: the network stays while containers are on it and goes with the last; sockets go; Docker does not hang"
on host2 weave stop
has_network host2 || fail "the network went although a container is on it"
[ -z "$(ls "$(run_dir host2)/../docker/plugins/")" ] || fail "sockets stay: $(ls "$(run_dir host2)/../docker/plugins/")"
took_at_most 4000 docker_on host2 ps >/dev/null
took_at_most 4000 docker_on host2 network ls >/dev/null
docker_on host1 rm -f a1 >/dev/null
eventually 5 endpoints_are host1 0 || fail "endpoints stay: $(links host1)"
[ "$(on host1 weave status ipam | grep -c '(0 active)')" = 1 ] || fail "addresses stay: $(on host1 weave status ipam)"
took_at_most 8000 on host1 weave stop
no_network host1 || fail "the network stays after weave stop"

step "--plugin=false leaves no socket; blank sockets leave the other"
launch host1 --name ::1 --nickname host1 --plugin=false
[ -z "$(ls "$(run_dir host1)/../docker/plugins/")" ] || fail "--plugin=false has sockets"
lacks "Service: plugin" on host1 weave status || fail "status tells of a plugin"
on host1 weave stop
launch host1 --name ::1 --nickname host1 --plugin-socket=
[ "$(ls "$(run_dir host1)/../docker/plugins/")" = weavemesh.sock ] || fail "$(ls "$(run_dir host1)/../docker/plugins/")"
on host1 weave stop
launch host1 --name ::1 --nickname host1 --plugin-mesh-socket=
[ "$(ls "$(run_dir host1)/../docker/plugins/")" = weave.sock ] || fail "$(ls "$(run_dir host1)/../docker/plugins/")"

step "reset leaves nothing"
on host1 weave reset
launch host2 --name ::2 --nickname host2
docker_on host2 rm -f always >/dev/null
on host2 weave reset
no_network host2 || fail "the network stays after a reset"
[ "$(links host1)" = $'docker_gwbridge\neth0\nlo' ] || fail "links stay: $(links host1)"
[ -z "$(ls "$DOCKER_ROOT/host1/lib/weave" 2>/dev/null)" ] || fail "files stay: $(ls "$DOCKER_ROOT/host1/lib/weave")"
pass
