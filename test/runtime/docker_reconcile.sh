#!/bin/bash
# What containers on a network of the Docker plugin have, when stores are lost and when containers end while somebody is
# away who should hear of it: in use it is given to nobody else, and else it is free again.
# shellcheck source-path=SCRIPTDIR source=../support/dockerd.sh
. "$(dirname "$0")/../support/dockerd.sh"
# shellcheck source-path=SCRIPTDIR source=../system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../system/mesh_lib.sh
. "$(dirname "$0")/../system/mesh_lib.sh"
# shellcheck source-path=SCRIPTDIR source=../support/docker_hosts.sh
. "$(dirname "$0")/../support/docker_hosts.sh"
command -v jq >/dev/null || skip "needs jq"
command -v curl >/dev/null || skip "needs curl"

run() { # run NAME DOCKER-FLAGS...: a container that sleeps
    docker_on host1 run -d --name "$1" --cap-add NET_RAW --stop-signal KILL --net=weave "${@:2}" "$IMAGE" /bin/sleep 3600 >/dev/null ||
        fail "docker run $1"
}
inspect() { docker_on host1 inspect -f "{{range .NetworkSettings.Networks}}{{.$2}}{{end}}" "$1"; }
address() { inspect "$1" IPAddress; }
held() { on host1 curl -sf http://127.0.0.1:6784/ip | jq -r '.owned[]? | .addrs[]' | cut -d/ -f1; }
holds() { held | grep -qxF "$1"; }
holds_no() { ! holds "$1"; }
name_is() { [ "$(on host1 weave dns-lookup "$1" | xargs)" = "$2" ]; }
has_network() { docker_on host1 network inspect weave >/dev/null 2>&1; }
launch_here() { launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24 --ipalloc-init consensus=1; }

make_docker_host host1
start_docker host1
launch_here
has_network || fail "no network: $(tail -5 "$(log_of host1)")"
import_image host1
run a1
run b1
a=$(address a1)

step "weave ps shows containers of Docker's networks, by the ids that Docker gave them"
id=$(docker_on host1 inspect -f '{{.Id}}' a1)
row="${id:0:12} $(inspect a1 MacAddress) $a/24"
has "$row" on host1 weave ps || fail "no \"$row\" in: $(on host1 weave ps)"
[ "$(on host1 weave ps a1)" = "$row" ] || fail "weave ps NAME: $(on host1 weave ps a1)"
[ "$(on host1 weave ps "${id:0:12}")" = "$row" ] || fail "weave ps ID: $(on host1 weave ps "${id:0:12}")"

step "a lost store: what Docker's containers have is given to nobody else, and freed by Docker"
on host1 weave stop
[ -e "$DOCKER_ROOT/host1/lib/weave/weavedata.db" ] || fail "no store: $(ls "$DOCKER_ROOT/host1/lib/weave")"
rm "$DOCKER_ROOT"/host1/lib/weave/weavedata.db*
launch_here
for name in c1 d1 e1 f1; do run $name; done
[ "$(for name in a1 b1 c1 d1 e1 f1; do address $name; done | sort -u | wc -l)" = 6 ] || fail "an address is given twice: $(held)"
b=$(address b1)
docker_on host1 rm -f b1 >/dev/null
holds_no "$b" || fail "Docker gave $b back, and it is still held"

step "a container that ends while the peer is down: its address and its name are free when it is back"
c=$(address c1)
eventually 10 name_is c1 "$c" || fail "c1 has no name: $(on host1 weave status dns)"
kill -STOP "$(supervisor_of host1)"
kill -KILL "$(weaver_of host1)"
docker_on host1 rm -f c1 >/dev/null
kill -CONT "$(supervisor_of host1)"
peer_is_back() { answers host1; }
eventually 20 peer_is_back || fail "the peer does not come back"
since=$SECONDS
holds "$c" || fail "the peer lost its records: $(held)"
eventually 10 name_is c1 "" || fail "c1 is gone and has a name: $(on host1 weave status dns)"

step "a container that ends while Docker is down: its name goes when Docker is back"
d=$(address d1)
pid=$(docker_on host1 inspect -f '{{.State.Pid}}' d1)
stop_docker host1 KILL
kill -KILL "$pid"
start_docker host1
eventually 20 name_is d1 "" || fail "d1 has ended and has a name: $(on host1 weave status dns)"
docker_on host1 start e1 f1 >/dev/null # without live-restore a daemon that comes back ends them
e=$(address e1)
gateway_network() {
    docker_on host1 network create --driver weavemesh --ipam-driver weavemesh --subnet 10.32.0.128/25 --gateway 10.32.0.200 \
        --aux-address printer=10.32.0.201 second >/dev/null
}
gateway_network || fail "docker network create --gateway"
plugin=$(fuser_lock "$(run_dir host1)/plugin.lock")
kill -KILL "$plugin" # the next one has asked for none of these

eventually 150 holds_no "$c" || fail "$c is still held: $(held)"
echo "   free again after $((SECONDS - since)) s"
logged host1 "Docker knows nothing any more of addresses that it asked for" || fail "no line that says why"
eventually 120 holds_no "$d" || [ "$d" = "$e" ] || fail "$d is still held: $(held)"

step "what containers and networks of Docker have is still theirs"
eventually 90 logged host1 "releasing an address" || fail "no line of a release"
for kept in "$e" "$(address f1)" 10.32.0.200 10.32.0.201; do holds "$kept" || fail "$kept was released: $(held)"; done
expect 125 "in use already" docker_on host1 run --rm --net=weave --ip "$e" "$IMAGE" /bin/sleep 1
pass
