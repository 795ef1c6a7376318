#!/bin/bash
# The managed Docker plugin (v2) in a swarm of two real daemons: made, set, enabled, used across hosts, through a restart of
# a daemon, upgraded by being made again, and removed.
# shellcheck source-path=SCRIPTDIR source=../support/dockerd.sh
. "$(dirname "$0")/../support/dockerd.sh"
# shellcheck source-path=SCRIPTDIR source=../system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../support/docker_hosts.sh
. "$(dirname "$0")/../support/docker_hosts.sh"

PLUGIN=weave-test/net-plugin:latest
CREATE=$(readlink -f "$(dirname "$0")/../../deploy/docker-plugin")/create
make_plugin() { # make_plugin HOST
    W_ENV="WEAVE_BIN=$(readlink -f "$BIN")" on "$1" "$CREATE" "$PLUGIN" >/dev/null || fail "the plugin is not made"
    docker_on "$1" plugin set "$PLUGIN" LOG_LEVEL=debug WEAVE_PASSWORD=secret WEAVE_MULTICAST=1 WEAVE_MTU=1300 \
        EXTRA_ARGS="--no-fastdp --trusted-subnets 203.0.113.0/24" docker.sock.source=/run/docker.sock
}
status_of() { on "$1" curl -s -m 3 http://127.0.0.1:6782/status; }
joined() { has "Connections: 1 (1 established)" status_of "$1"; }
replica_of() { docker_on "$1" ps -q --filter label=com.docker.swarm.service.name=web | head -1; }
both_run() { [ -n "$(replica_of host1)" ] && [ -n "$(replica_of host2)" ]; }
words_of_plugin() { grep -c "INFO: .*plugin=" "$DOCKER_ROOT/host1/dockerd.log" || true; }
no_replicas() { [ -z "$(replica_of host1)$(replica_of host2)" ]; }
nodes_ready() { [ "$(docker_on host1 node ls --format '{{.Status}}' | grep -c Ready)" = 2 ]; }
swarm_fails() { # swarm_fails WHAT: with what the swarm and both daemons say
    echo "--- nodes and tasks" >&2
    docker_on host1 node ls >&2 || true
    docker_on host1 service ps --no-trunc web >&2 || true
    local host
    for host in host1 host2; do
        echo "--- dockerd of $host" >&2
        grep -iE "weave|plugin" "$DOCKER_ROOT/$host/dockerd.log" | tail -12 >&2 || true
    done
    fail "$@"
}
serve() { # a service with a replica on each host; their addresses are $one and $two
    docker_on host1 service create -d --name web --network swarmnet --endpoint-mode dnsrr --mode global \
        --no-resolve-image --stop-grace-period 1s --cap-add NET_RAW "$IMAGE" /bin/sleep 3600 >/dev/null ||
        swarm_fails "no service"
    eventually 40 both_run || swarm_fails "no replicas"
    one=$(address_in host1 "$(replica_of host1)") two=$(address_in host2 "$(replica_of host2)")
    [[ $one = 10.50.0.* && $two = 10.50.0.* && $one != "$two" ]] || swarm_fails "addresses \"$one\" and \"$two\""
    eventually 15 reaches host1 "$two" || swarm_fails "the replica on host1 does not reach the other"
    eventually 15 reaches host2 "$one" || swarm_fails "the replica on host2 does not reach the other"
}
end_service() {
    docker_on host1 service rm web >/dev/null
    eventually 20 no_replicas || swarm_fails "the replicas stay"
}
address_in() { docker_on "$1" exec "$2" ip -o -4 addr show | sed -nE 's/.* ethwe[0-9]+ +inet ([0-9.]+).*/\1/p'; }
reaches() { docker_on "$1" exec "$(replica_of "$1")" ping -c 1 -W 2 "$2" >/dev/null 2>&1; }

# in_replica HOST COMMAND...: in the network of the replica on HOST, with programs of the machine.
in_replica() { nsenter --net="/proc/$(docker_on "$1" inspect -f '{{.State.Pid}}' "$(replica_of "$1")")/ns/net" "${@:2}"; }
send_to_group() {
    in_replica host1 perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0) and send(S, "word", 0, sockaddr_in(7777, inet_aton("239.1.2.3"))) or die "$!\n"'
}
group_heard() { send_to_group && [ "$(cat "$WORK/heard")" = "word from $one" ]; } # one frame may come before the member has joined

step "two hosts, one swarm"
for host in host1 host2; do
    make_docker_host $host
    start_docker $host
    import_image $host
done
docker_on host1 swarm init --advertise-addr 192.0.2.1 >/dev/null || skip "no swarm here: $(tail -1 "$DOCKER_ROOT/host1/dockerd.log")"
docker_on host2 swarm join --token "$(docker_on host1 swarm join-token -q worker)" 192.0.2.1:2377 >/dev/null || fail "host2 does not join"

step "the plugin is made, set and enabled; the peers find each other by the swarm's managers"
for host in host1 host2; do
    make_plugin $host
    docker_on $host plugin enable "$PLUGIN" >"$WORK/enabled" 2>&1 || fail "the plugin is not enabled: $(cat "$WORK/enabled")"
done
eventually 20 joined host1 || fail "the peers do not connect: $(status_of host1)"
has "Service: plugin (v2)" status_of host1 || fail "status: $(status_of host1)"
has "Encryption: enabled" status_of host1 || fail "the password is not used"
has "TrustedSubnets: 203.0.113.0/24" status_of host1 || fail "EXTRA_ARGS are not used: $(status_of host1)"
[ -z "$(on host1 ss -Hltun 'sport = :53')" ] || fail "the plugin listens on port 53: $(on host1 ss -ltun)"
expect 1 "cannot set on an active plugin" docker_on host1 plugin set "$PLUGIN" LOG_LEVEL=info

step "a service with a replica on each host: they reach each other; the multicast route is there"
docker_on host1 network create --driver "$PLUGIN" --subnet 10.50.0.0/24 swarmnet >/dev/null || fail "no network"
serve
has 224.0.0.0/4 docker_on host2 exec "$(replica_of host2)" ip route || fail "no multicast route"
has "mtu 1300" docker_on host2 exec "$(replica_of host2)" ip link || fail "the MTU is another: $(docker_on host2 exec "$(replica_of host2)" ip link)"

step "what one replica sends to a multicast group its members on the other node hear"
# The member joins where its own multicast route leads: membership on ethwe's address.
in_replica host2 perl -MSocket -e 'alarm 60; socket(S, PF_INET, SOCK_DGRAM, 0) and bind(S, sockaddr_in(7777, INADDR_ANY))
    and setsockopt(S, 0, 35, inet_aton("239.1.2.3") . inet_aton($ARGV[0])) or die "$!\n"; # IP_ADD_MEMBERSHIP
    $from = recv(S, $word, 100, 0) or die "$!\n"; print "$word from ", inet_ntoa((sockaddr_in($from))[1])' "$two" >"$WORK/heard" &
eventually 20 group_heard || fail "a frame to 239.1.2.3 does not reach the other node: $(cat "$WORK/heard")"

step "an address that Docker gave a container within the peer's range is nobody else's"
docker_on host1 network create --driver "$PLUGIN" --attachable --subnet 10.40.0.0/29 inrange >/dev/null || fail "no network within the range"
within=$(docker_on host1 run -d --network inrange "$IMAGE" /bin/sleep 3600) || fail "no container"
taken=$(address_in host1 "$within")
[[ $taken = 10.40.0.* ]] || fail "its address is \"$taken\""
eventually 20 has "$taken/29" on host1 curl -s -m 3 http://127.0.0.1:6784/ip || fail "the peer does not see $taken: $(on host1 curl -s -m 3 http://127.0.0.1:6784/ip)"
for ((i = 1; i <= 6; i++)); do # as many as the subnet has; those that get none wait
    on host1 curl -s -m 2 -X POST "http://127.0.0.1:6784/ip/other$i/10.40.0.0/29" >>"$WORK/given" || true
    echo >>"$WORK/given"
done
[ "$(grep -c "^10\.40\.0\." "$WORK/given")" = 5 ] || fail "of the five others were given: $(xargs <"$WORK/given")"
lacks "$taken/" cat "$WORK/given" || fail "$taken is given twice: $(xargs <"$WORK/given")"
docker_on host1 rm -f "$within" >/dev/null
eventually 10 docker_on host1 network rm inrange >/dev/null 2>&1 || fail "the network within the range stays"

step "a node that starts again rejoins by the peers it knew"
stop_docker host2
start_docker host2
eventually 30 joined host2 || fail "host2 does not rejoin: $(status_of host2)"
# A new service: whether swarm starts the old one's replica again depends on when it noticed that the node was away.
eventually 30 nodes_ready || swarm_fails "host2 is not ready"
end_service
serve

step "disabled, removed, made anew: nothing of it stays"
end_service
eventually 10 docker_on host1 network rm swarmnet >/dev/null 2>&1 || fail "the network stays"
for host in host1 host2; do
    docker_on $host plugin disable -f "$PLUGIN" >/dev/null || fail "the plugin is not disabled on $host"
    docker_on $host plugin rm "$PLUGIN" >/dev/null || fail "the plugin is not removed from $host"
    [ "$(links $host | grep -c '^vethw[lg]')" = 0 ] || fail "endpoints stay on $host: $(links $host)"
done
make_plugin host1
docker_on host1 plugin set "$PLUGIN" LOG_LEVEL=warning
words=$(words_of_plugin)
docker_on host1 plugin enable "$PLUGIN" >/dev/null || fail "the new plugin is not enabled"
has "Service: plugin (v2)" status_of host1 || fail "the new plugin does not run"
[[ $words -gt 0 && $(words_of_plugin) = "$words" ]] || fail "lines of the log: $words, with LOG_LEVEL=warning $(words_of_plugin)"
docker_on host1 plugin disable -f "$PLUGIN" >/dev/null

step "a range that overlaps a route of the host is refused, and the log says why"
docker_on host1 plugin set "$PLUGIN" IPALLOC_RANGE=192.0.2.0/28
! docker_on host1 plugin enable --timeout 2 "$PLUGIN" >/dev/null 2>&1 || fail "enabled with a range that overlaps a route"
grep -q "192.0.2.0/28 overlaps" "$DOCKER_ROOT/host1/dockerd.log" || fail "nobody says why: $(grep plugin= "$DOCKER_ROOT/host1/dockerd.log" | tail -3)"
docker_on host1 plugin rm -f "$PLUGIN" >/dev/null
pass
