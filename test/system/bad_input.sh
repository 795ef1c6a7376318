#!/bin/bash
# What people type wrongly: each is answered by one clear line (or the usage) and a status, and changes nothing.
. "$(dirname "$0")/lib.sh"

HELPERS=()
more_clean_up() {
    local pid
    for pid in "${HELPERS[@]}"; do kill -KILL "$pid" 2>/dev/null; done
}

make_host host1
make_container web
as_nobody() { on host1 setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
remember_state

step "commands and flags that nobody knows"
# Many alike are looked after once, at the end.
says_usage 0 "weave launch" on host1 weave help
says_usage 0 "weave launch" on host1 weave --help
says_usage 0 "weave attach" on host1 weave attach --help
says_usage 1 "weave launch" on host1 weave
says_usage 1 "Unknown weave command 'frobnicate'" on host1 weave frobnicate
says_usage 1 "Unknown weave command '--frobnicate'" on host1 weave --frobnicate status
says_usage 1 "Unknown weave command ''" on host1 weave ''
says_usage 1 "weave stop" on host1 weave stop now
says_usage 1 "weave reset" on host1 weave reset --frobnicate
says_usage 1 "weave version" on host1 weave version 2
says_usage 1 "Invalid 'weave status' sub-command: everything" on host1 weave status everything
says_usage 1 "weave status" on host1 weave status peers dns
for command in attach detach; do
    says_usage 1 "weave $command" on host1 weave "$command"
    says_usage 1 "weave $command" on host1 weave "$command" 10.2.1.1/24
    says_usage 1 "weave $command" on host1 weave "$command" web 10.2.1.1/24
    says_usage 1 "weave $command" on host1 weave "$command" --frobnicate 10.2.1.1/24 web
    says_usage 1 "weave $command" on host1 weave "$command" 10.2.1.1/24 ''
done
says_usage 1 "weave expose" on host1 weave expose --frobnicate 10.2.1.1/24
says_usage 1 "weave hide" on host1 weave hide --frobnicate
says 1 "--api-socket" on host1 weave status --api-socket
says 1 "--api-socket \"/\": want the path of a socket" on host1 weave status --api-socket /
says 1 "WEAVE_CONTAINER_NAME \"a/b\": want a name" on host1 env -u WEAVE_API_SOCKET WEAVE_CONTAINER_NAME=a/b weave status
says 1 "WEAVE_LAUNCH_TIMEOUT \"soon\": want seconds" on host1 env WEAVE_LAUNCH_TIMEOUT=soon weave launch
says 1 "WEAVE_WEAVER: \"/nowhere/weaver\" is not a program" on host1 env WEAVE_WEAVER=/nowhere/weaver weave launch
expect_state_as_before "a command or flag that nobody knows"

step "commands that were removed, and those of other builds"
for command in run start restart launch-plugin stop-plugin launch-proxy stop-proxy launch-router stop-router; do
    says 1 "The 'weave $command' command has been removed as of Weave Net version 2.0" on host1 weave "$command"
done
for command in env config; do
    says 1 "'$command' is not supported in this build" on host1 weave "$command"
done
expect_state_as_before "a command that is not there"

step "launch with flags of which one is wrong"
launch_refuses() { # launch_refuses TEXT FLAGS...
    local text=$1
    shift
    says 1 "$text" on host1 weave launch --name ::1 "$@"
    refuses 1 "$text" on host1 weaver --db-prefix "/var/lib/$(instance host1)/weave" "$@"
}
launch_refuses 'unknown flag "--frobnicate"' --frobnicate
launch_refuses 'unknown flag "--frobnicate"' --frobnicate=secret
[[ $OUT != *secret* ]] || fail "the value of an unknown flag is shown: $OUT"
launch_refuses '--port: "65536" ' --port 65536
launch_refuses '--port: "0" ' --port=0
launch_refuses '--port: "6783x" ' --port 6783x
launch_refuses '--port: wants a value' --port
launch_refuses '--name: "zz:00:00:00:00:01" ' --name zz:00:00:00:00:01
launch_refuses '--name: "00:00:00:00:00:00" ' --name 00:00:00:00:00:00
launch_refuses '--log-level: "loud" ' --log-level=loud
launch_refuses '--mtu: "67" ' --mtu 67
launch_refuses '--http-addr: "127.0.0.1" ' --http-addr 127.0.0.1
launch_refuses '--status-addr: "relative.sock" ' --status-addr relative.sock
launch_refuses '--weave-bridge: "a-name-of-sixteen" ' --weave-bridge a-name-of-sixteen
launch_refuses '--weave-bridge: "we/ave" ' --weave-bridge we/ave
launch_refuses '--docker-api: "ftp://host" ' --docker-api ftp://host
launch_refuses '--no-dns: "perhaps" ' --no-dns=perhaps
launch_refuses '"bad:port:xx:0" ' bad:port:xx:0
launch_refuses '--resume: cannot be combined with a list of peers' --resume host2
refuses 1 '--db-prefix "relative": want an absolute path' on host1 weave launch --db-prefix relative
refuses 1 '-H "unix://relative.sock"' on host1 weave launch -H unix://relative.sock
W_ENV="WEAVE_MTU=many" launch_refuses 'WEAVE_MTU: "many" '
W_ENV="DOCKER_HOST=nowhere" launch_refuses 'DOCKER_HOST: "nowhere" '

step "launch asks for what this build lacks"
launch_refuses '--proxy: not supported in this build (Docker API proxy)' --password secret --proxy
[[ $OUT != *secret* ]] || fail "the password is shown: $OUT"

step "launch names a peer that does not exist"
refuses 1 'resolve "no-such-host.invalid"' on host1 weave launch no-such-host.invalid
launch_refuses '--proxy: not supported in this build' --proxy
launch_refuses '--awsvpc: ' --awsvpc

step "ranges: malformed, unsupported, and in the way of a route"
launch_refuses '--ipalloc-range: "10.99.0.0" ' --ipalloc-range 10.99.0.0
launch_refuses '--ipalloc-range: "10.99.0.0/33" ' --ipalloc-range 10.99.0.0/33
launch_refuses '--ipalloc-range: "10.99.0.1/16" ' --ipalloc-range 10.99.0.1/16
launch_refuses '--ipalloc-range: "10.99.0.0/31" ' --ipalloc-range 10.99.0.0/31
launch_refuses '--ipalloc-range: "fd00::/64" ' --ipalloc-range fd00::/64
launch_refuses '--ipalloc-default-subnet: needs --ipalloc-range' --ipalloc-range= --ipalloc-default-subnet 10.99.0.0/24
launch_refuses '--ipalloc-default-subnet: 10.98.0.0/24 does not overlap' --ipalloc-range 10.99.0.0/16 --ipalloc-default-subnet 10.98.0.0/24
launch_refuses '--ipalloc-init: "oligarchy" is not consensus' --ipalloc-init oligarchy
launch_refuses '--ipalloc-init: needs --ipalloc-range' --ipalloc-range= --ipalloc-init observer
launch_refuses '--no-masq-local: not supported in this build' --no-masq-local
on host1 ip link add other type veth peer name other-peer
on host1 ip link set other up
on host1 ip link set other-peer up
on host1 ip route add 10.40.3.0/24 dev other
remember_state
launch_refuses '--ipalloc-range: network 10.32.0.0/12 overlaps with existing route 10.40.3.0/24 dev other' --ipalloc-range 10.32.0.0/12
refuses 1 'pick another range and set it on all hosts' on host1 weave launch --name ::1
# Whoever names a range means it.
expect 0 'WARNING: --ipalloc-range: network 10.40.0.0/16 overlaps with existing route 10.40.3.0/24 dev other' \
    on host1 weave launch --name ::1 --ipalloc-range 10.40.0.0/16
expect 0 "" on host1 weave reset
on host1 ip link del other
remember_state

step "without a peer"
for command in status "status peers" ps "attach 10.2.1.1/24 web" "detach web" "expose 10.2.1.1/24" hide stop; do
    # shellcheck disable=SC2086
    refuses 1 "weave container is not present. Have you launched it?" on host1 weave $command
done
refuses 0 "" on host1 weave reset # nothing to do

step "without being root"
for command in launch stop reset "reset --force" status ps "attach 10.2.1.1/24 web" "detach web" "expose 10.2.1.1/24"; do
    # shellcheck disable=SC2086
    says 1 "weave must be run as 'root'" as_nobody weave $command
done
says 1 "weaver must be run as 'root'" as_nobody weaver
says 1 "weaver must be run as 'root'" as_nobody weaver --cleanup
expect_state_as_before "who is not root"

step "a Docker that accepts and says nothing"
hung_docker "$WORK/hung-docker.sock"
HELPERS+=("$HUNG_DOCKER")
launch host1 --name ::1 --docker-api "unix://$WORK/hung-docker.sock"
remember_state
begin=$EPOCHREALTIME
refuses 1 "Docker daemon does not answer" on host1 weave attach 10.2.1.1/24 web
[[ $OUT == *"$WORK/hung-docker.sock"* ]] || fail "the line does not name Docker's socket: $OUT"
took=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))
echo "a hung Docker cost $took ms"
[ $took -lt 6000 ] || fail "a hung Docker was waited for for $took ms"
expect 0 "Service: router" on host1 weave status
expect 0 "10.2.1.1/24" on host1 weave attach 10.2.1.1/24 "$(path_of web)"
expect 0 "10.2.1.1/24" on host1 weave detach 10.2.1.1/24 "$(path_of web)"
expect 0 "" on host1 weave reset
remember_state

step "no Docker at all"
launch host1 --name ::1 --ipalloc-range= --docker-api "unix://$WORK/absent-docker.sock"
remember_state
refuses 1 "$WORK/absent-docker.sock" on host1 weave attach 10.2.1.1/24 web

step "addresses that are none"
for bad in 10.2.1.1/33 10.2.1.300/24 10.2.1/24 10.2.1.1/ 10.2.1.1/-1 10.2.1.1/24/24 010.2.1.1/24 ip: ip:10.2.1.1 ip:web net: net:10.2.1.0 \
    net:everything fd00::1/64 ip:fd00::1/64 ::ffff:10.2.1.1/120; do
    says 1 "\"$bad\"" on host1 weave attach "$bad" "$(path_of web)"
    says 1 "\"$bad\"" on host1 weave detach "$bad" "$(path_of web)"
    says 1 "\"$bad\"" on host1 weave expose "$bad"
    says 1 "\"$bad\"" on host1 weave hide "$bad"
done
for bad in 224.0.0.1/24 239.1.2.3/8 127.0.0.5/8 0.0.0.0/8 0.1.2.3/8 255.255.255.255/32 240.0.0.1/4; do
    says 1 "$bad" on host1 weave attach "$bad" "$(path_of web)"
    says 1 "$bad" on host1 weave expose "$bad"
done
expect_state_as_before "an address that is none"
refuses 1 "\"$(path_of web)\" is not an address" on host1 weave attach "$(path_of web)" 10.2.1.1
says_usage 1 "weave attach" on host1 weave attach "$(path_of web)" 10.2.1.1/24
refuses 1 "10.2.1.1" on host1 weave attach 10.2.1.1 "$(path_of web)"
refuses 1 "10.2.1.1" on host1 weave expose 10.2.1.1
refuses 1 "10.2.1.1/24" on host1 weave attach 10.2.1.1/24 10.2.1.1/24 "$(path_of web)"
refuses 1 "10.2.1.1" on host1 weave attach 10.2.1.1/24 10.2.1.1/16 "$(path_of web)"
refuses 1 "10.2.1.1" on host1 weave expose 10.2.1.1/24 10.2.1.1/24
refuses 1 "IP address allocation must be enabled to use 'net:'" on host1 weave attach net:10.2.1.0/24 "$(path_of web)"
refuses 1 "IP address allocation must be enabled to use 'net:'" on host1 weave attach net:default "$(path_of web)"
refuses 1 "IP address allocation must be enabled to use 'net:'" on host1 weave attach "$(path_of web)"
refuses 1 "IP address allocation must be enabled to use 'net:'" on host1 weave expose

step "containers that are none"
true &
dead=$!
wait $dead
refuses 1 "no process $dead" on host1 weave attach 10.2.1.1/24 $dead
refuses 1 "99999999999999" on host1 weave attach 10.2.1.1/24 99999999999999
refuses 1 "$WORK/absent" on host1 weave attach 10.2.1.1/24 "$WORK/absent"
refuses 1 "/etc/passwd" on host1 weave attach 10.2.1.1/24 /etc/passwd
refuses 1 "/etc" on host1 weave attach 10.2.1.1/24 /etc
refuses 1 "/dev/null" on host1 weave attach 10.2.1.1/24 /dev/null
refuses 1 "/proc/self/ns/mnt" on host1 weave attach 10.2.1.1/24 /proc/self/ns/mnt
refuses 1 '"wéb"' on host1 weave attach 10.2.1.1/24 'wéb'
refuses 1 "control characters" on host1 weave attach 10.2.1.1/24 $'we\nb'
refuses 1 "want a container name or id" on host1 weave ps ''
start host1 sleep 600 >/dev/null
of_host=$!
disown
HELPERS+=("$of_host")
eventually 5 grep -q sleep "/proc/$of_host/comm" || fail "no process on the host"
remember_state
refuses 1 "the host's own network namespace" on host1 weave attach 10.2.1.1/24 $of_host
refuses 1 "the host's own network namespace" on host1 weave attach 10.2.1.1/24 "$(path_of host1)"

step "without being root, with a peer"
for command in stop status ps "attach 10.2.1.1/24 web"; do
    # shellcheck disable=SC2086
    refuses 1 "weave must be run as 'root'" as_nobody weave $command
done

step "after all that the peer works"
expect 0 "10.2.1.1/24" on host1 weave attach 10.2.1.1/24 "$(path_of web)"
expect 0 "10.2.1.1/24" on host1 weave ps
pass
