#!/bin/bash
# Containers of a real Docker daemon: attached by name and id, forgotten when they end, attached again after a restart;
# and what a user is told when the daemon hangs or is gone.
# shellcheck source-path=SCRIPTDIR source=../support/dockerd.sh
. "$(dirname "$0")/../support/dockerd.sh"
# shellcheck source-path=SCRIPTDIR source=../system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
more_clean_up() { stop_dockerd; }

IMAGE=weave-test-$TAG
run() { # run NAME DOCKER-FLAGS...: a container that sleeps; prints its id
    local name=$1
    shift
    docker run -d --name "$TAG-$name" --cap-add NET_RAW --stop-signal KILL "$@" "$IMAGE" /bin/sleep 3600 || fail "docker run $name"
}
in_container() {
    local name=$1
    shift
    docker exec "$TAG-$name" "$@"
}
container_pings() { in_container "$1" ping -c 1 -W 2 "$2" >/dev/null 2>&1; }
expect_container_ping() { eventually 10 container_pings "$1" "$2" || fail "$1 does not reach $2"; }
forgotten() { lacks "${1:0:12} " on host1 weave ps; }
# took_at_most MS COMMAND...: the command's status, and no longer than that
took_at_most() {
    local limit=$1 start=${EPOCHREALTIME/./} took
    shift
    "$@"
    took=$(((${EPOCHREALTIME/./} - start) / 1000))
    [ $took -le "$limit" ] || fail "\"$*\" took $took ms, want at most $limit"
}

make_host host1
step "a Docker daemon of our own"
start_dockerd "$TAG-host1" --host=tcp://127.0.0.1:2375 # its own loopback
make_busybox_image "$IMAGE"
W_ENV="DOCKER_HOST=$DOCKER_HOST" launch host1 --name ::1 --nickname host1
web=$(run web --net=none)
db=$(run db --net=none)
app=$(run app --net=none)

step "attach by name, by full id, by short id"
expect 0 "10.2.1.1/24" on host1 weave attach 10.2.1.1/24 "$TAG-web"
expect 0 "10.2.1.2/24" on host1 weave attach 10.2.1.2/24 "$db"
expect 0 "10.2.1.3/24" on host1 weave attach 10.2.1.3/24 "${app:0:12}"
expect_container_ping web 10.2.1.2
expect_container_ping app 10.2.1.1
has "10.2.1.1/24" in_container web ip -o addr show dev ethwe || fail "no ethwe with the address in web"

step "one container is one, however it is called"
expect 0 "10.2.1.1/24" on host1 weave attach 10.2.1.1/24 "${web:0:12}"
[ "$(on host1 weave ps | wc -l)" = 3 ] || fail "weave ps: $(on host1 weave ps)"
[ "$(on host1 weave ps | grep -cE '^[0-9a-f]{12} ([0-9a-f]{2}:){5}[0-9a-f]{2}( [0-9.]+/[0-9]+)+$')" = 3 ] ||
    fail "weave ps: $(on host1 weave ps)"
for name in "$TAG-web" "$web" "${web:0:12}"; do
    expect 0 "" on host1 weave ps "$name"
    [[ $OUT =~ ^${web:0:12}\ [0-9a-f:]{17}\ 10\.2\.1\.1/24$ ]] || fail "weave ps $name: $OUT"
done

step "a name with capitals and punctuation; a name that is no name"
run odd --net=none --name "${TAG}_Odd.Name-1" >/dev/null
expect 0 "10.2.1.4/24" on host1 weave attach 10.2.1.4/24 "${TAG}_Odd.Name-1"
expect 1 "no such container" on host1 weave attach 10.2.1.5/24 "$TAG-nobody"
expect 1 "no such container" on host1 weave ps "$TAG-nobody"
expect 1 "no such container" on host1 weave detach "$TAG-nobody"
expect 1 "no such container" on host1 weave attach 10.2.1.5/24 0123456789ab
expect 1 "is not a container name or id" on host1 weave attach 10.2.1.5/24 "web?all=1"

step "a container of the host's network is refused"
links_before=$(links host1)
run hostnet --net=host >/dev/null
expect 1 "host's own network namespace" on host1 weave attach 10.2.1.5/24 "$TAG-hostnet"
[ "$(links host1)" = "$links_before" ] || fail "the refused attach left links: $(links host1)"

step "a container that shares another's network is attached to what they share"
shared=$(run shared1 --net="container:$TAG-web")
expect 0 "10.2.3.1/24" on host1 weave attach 10.2.3.1/24 "$shared"
has "10.2.3.1/24" in_container web ip -o addr show dev ethwe || fail "the shared namespace lacks the address"
docker rm -f "$shared" >/dev/null
expect 0 "10.2.3.1/24" on host1 weave detach 10.2.3.1/24 "$TAG-web"
lacks "10.2.3.1/24" in_container web ip -o addr show dev ethwe || fail "the address stays in web"
shared=$(run shared --net="container:$TAG-web")
expect 0 "10.2.3.1/24" on host1 weave attach 10.2.3.1/24 "$shared"
docker rm -f "$shared" >/dev/null

step "a paused container keeps its network"
docker pause "$TAG-app" >/dev/null
expect 0 "10.2.4.3/24" on host1 weave attach 10.2.4.3/24 "$TAG-app"
docker unpause "$TAG-app" >/dev/null
expect_container_ping app 10.2.1.1
expect 0 "10.2.1.3/24 10.2.4.3/24" on host1 weave ps "$TAG-app"

step "a container's host name is registered for its addresses, unless it is not to be, and goes with the container"
looks_up() { [ "$(on host1 weave dns-lookup "$1" | tr '\n' ' ')" = "$2" ]; }
expect_name() { eventually 2 looks_up "$@" || fail "$1 is $(on host1 weave dns-lookup "$1"), want $2"; }
run named --net=none --hostname named.weave.local >/dev/null
quiet=$(run quiet --net=none --hostname quiet.weave.local)
expect 0 "10.2.6.1/24 10.2.6.2/24" on host1 weave attach 10.2.6.1/24 10.2.6.2/24 "$TAG-named"
expect 0 "10.2.6.3/24" on host1 weave attach --without-dns 10.2.6.3/24 "$TAG-quiet"
on host1 weave dns-lookup named.weave.local | sort | tr '\n' ' ' | grep -qx "10.2.6.1 10.2.6.2 " || fail "$(on host1 weave status dns)"
expect_name quiet ""
expect 0 "" on host1 weave dns-add "$TAG-quiet"
expect 0 "" on host1 weave dns-add 10.2.6.3 "${quiet:0:12}" -h alias.weave.local
expect_name quiet "10.2.6.3 "
expect_name alias "10.2.6.3 "
has "quiet        10.2.6.3        ${quiet:0:12} 00:00:00:00:00:01" on host1 weave status dns || fail "$(on host1 weave status dns)"
docker rm -f "$TAG-named" >/dev/null
expect_name named ""

step "detach by name"
expect 0 "10.2.4.3/24" on host1 weave detach 10.2.4.3/24 "$TAG-app"
expect 0 "10.2.1.3/24" on host1 weave detach 10.2.1.3/24 "${app:0:12}"
lacks ethwe in_container app ip -o link show || fail "ethwe stays in app"

step "a container that stops is forgotten and cannot be attached"
docker stop -t 0 "$TAG-db" >/dev/null
eventually 10 forgotten "$db" || fail "db is stopped, and weave ps says: $(on host1 weave ps)"
expect 1 "is not running" on host1 weave attach 10.2.1.2/24 "$TAG-db"
created=$(docker create --name "$TAG-created" --net=none "$IMAGE" /bin/sleep 3600)
expect 1 "is not running" on host1 weave attach 10.2.1.5/24 "${created:0:12}"

step "HTTP requests with check-alive count for containers that run alone"
http() { on host1 curl -s -m 10 -w ' %{http_code}' "${@:3}" -X "$1" "http://127.0.0.1:6784$2"; } # http METHOD PATH CURL...
expect_http() { # expect_http ANSWER METHOD PATH CURL...
    [ "$(http "${@:2}")" = "$1" ] || fail "$2 $3: $(http "${@:2}"), want $1"
}
expect_http "10.32.0.1/12 200" POST "/ip/$web?check-alive=true"
expect_http " 204" PUT "/ip/$web/10.32.0.8/12?check-alive=true"
expect_http "cancelled 200" POST "/ip/$db?check-alive=true"
expect_http "cancelled 200" PUT "/ip/$db/10.32.0.9/12?check-alive=true"
expect_http "10.32.0.1/12 10.32.0.8/12 200" GET "/ip/$web"
expect_http " 200" GET "/ip/$db"
for address in 10.32.0.1 10.32.0.8; do expect_http " 204" DELETE "/ip/$web/$address"; done
for id in "$web" "$db"; do expect_http " 204" PUT "/name/$id/10.32.0.8" -d fqdn=alive.weave.local -d check-alive=true; done
has "alive        10.32.0.8       ${web:0:12} 00:00:00:00:00:01" on host1 weave status dns || fail "$(on host1 weave status dns)"
lacks "${db:0:12}" on host1 weave status dns || fail "a dead container has a name: $(on host1 weave status dns)"
expect_http " 204" DELETE "/name/$web"

step "a container that was started again gets its address at once"
docker start "$TAG-db" >/dev/null
expect 0 "10.2.1.2/24" on host1 weave attach 10.2.1.2/24 "$TAG-db"
expect_container_ping web 10.2.1.2
for _ in 1 2 3; do
    docker restart -t 0 "$TAG-db" >/dev/null
    expect 0 "10.2.1.2/24" on host1 weave attach 10.2.1.2/24 "$TAG-db"
done
expect_container_ping web 10.2.1.2
[ "$(on host1 weave ps | grep -c "^${db:0:12} ")" = 1 ] || fail "weave ps: $(on host1 weave ps)"

step "another container takes the address of one that was removed, at once"
docker rm -f "$TAG-db" >/dev/null
heir=$(run heir --net=none)
expect 0 "10.2.1.2/24" on host1 weave attach 10.2.1.2/24 "$TAG-heir"
expect_container_ping web 10.2.1.2
eventually 10 forgotten "$db" || fail "db is removed, and weave ps says: $(on host1 weave ps)"
expect 0 "10.2.1.2/24" on host1 weave ps "$TAG-heir"

step "the peer starts again: Docker's containers are still known, also by the one that shared and is gone"
expect 0 "" on host1 weave stop
expect_container_ping web 10.2.1.2
W_ENV="DOCKER_HOST=$DOCKER_HOST" launch host1 --name ::1 --nickname host1
expect 0 "${heir:0:12}" on host1 weave ps "$TAG-heir"
expect 0 "10.2.1.1/24 10.2.3.1/24" on host1 weave ps "$TAG-web"

expect_name quiet "10.2.6.3 "
expect_name alias "10.2.6.3 "

step "a daemon that hangs: an error within about 3 s, and everything else works"
heir_pid=$(docker inspect -f '{{.State.Pid}}' "$TAG-heir")
kill -STOP "$DOCKERD_PID"
took_at_most 4500 expect 1 "Docker daemon" on host1 weave attach 10.2.1.5/24 "$TAG-app"
echo "   told: $OUT"
on host1 weave attach 10.2.1.5/24 "$TAG-app" >/dev/null 2>&1 &
waiting=$!
took_at_most 1000 expect 0 "Service: router" on host1 weave status
took_at_most 1000 expect 0 "${heir:0:12}" on host1 weave ps
took_at_most 1000 expect 0 "10.2.5.2/24" on host1 weave attach 10.2.5.2/24 "$heir_pid"
took_at_most 1000 expect 0 "10.2.5.2/24" on host1 weave detach 10.2.5.2/24 "$heir_pid"
! wait $waiting || fail "attached a container that nobody could look up"
kill -CONT "$DOCKERD_PID"
expect 0 "10.2.1.5/24" on host1 weave attach 10.2.1.5/24 "$TAG-app"

step "no daemon: names are refused, pids and paths work"
expect 0 "" on host1 weave stop
launch host1 --name ::1 --nickname host1 --docker-api=
expect 1 "--docker-api" on host1 weave attach 10.2.1.6/24 "$TAG-app"
echo "   told: $OUT"
expect 0 "10.2.5.2/24" on host1 weave attach 10.2.5.2/24 "$heir_pid"
expect 0 "" on host1 weave stop
W_ENV="DOCKER_HOST=unix://$WORK/nobody.sock" launch host1 --name ::1 --nickname host1
expect 1 "$WORK/nobody.sock" on host1 weave attach 10.2.1.6/24 "$TAG-app"
echo "   told: $OUT"
expect 0 "10.2.5.2/24" on host1 weave detach 10.2.5.2/24 "$heir_pid"

step "a daemon over TCP"
expect 0 "" on host1 weave stop
W_ENV="DOCKER_HOST=tcp://127.0.0.1:2375" launch host1 --name ::1 --nickname host1
expect 0 "10.2.1.7/24" on host1 weave attach 10.2.1.7/24 "$TAG-app"

step "the daemon that ends takes its containers along"
kill -TERM "$DOCKERD_PID"
eventually 30 dead "$DOCKERD_PID" || fail "dockerd does not end"
expect 1 "Docker daemon" on host1 weave attach 10.2.1.6/24 "$TAG-app"
echo "   told: $OUT"
eventually 10 forgotten "$heir" || fail "heir is gone, and weave ps says: $(on host1 weave ps)"

step "reset leaves nothing"
expect 0 "" on host1 weave reset
[ "$(links host1)" = lo ] || fail "links stay: $(links host1)"
pass
