#!/bin/bash
# The requests that Docker made of a 2.8 plugin, in their order, to the real plugin with a real peer behind it: the answers
# are 2.8's, byte for byte but for a MAC address of the kernel's choice. And what Docker is told when something is wrong.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
for program in jq curl; do command -v $program >/dev/null || skip "needs $program"; done
EXAMPLES=$(dirname "$0")/../golden/vectors/plugin_examples.json
SOCKET=$WORK/weavemesh.sock
GLOBAL=$WORK/weave.sock
more_clean_up() { [ -z "${PLUGIN:-}" ] || kill -KILL "$PLUGIN" 2>/dev/null; }

start_plugin() {
    start host1 weave-plugin --docker-api= --state-file="$WORK/networks" --plugin-socket="$GLOBAL" \
        --plugin-mesh-socket="$SOCKET" 2>>"$WORK/plugin.log"
    PLUGIN=$!
    eventually 10 test -S "$SOCKET" || fail "no socket: $(cat "$WORK/plugin.log")"
}
# ask PATH BODY: the answer in $BODY, its status in $STATUS
ask() {
    STATUS=$(on host1 curl -s -m 10 -o "$WORK/answer" -w '%{http_code}' --unix-socket "${ASK:-$SOCKET}" \
        -X POST --data-binary "$2" "http://plugin$1") || true
    BODY=$(cat "$WORK/answer")
}
answers_with() { # answers_with STATUS BODY PATH REQUEST
    ask "$3" "$4"
    [ "$STATUS $BODY" = "$1 $2" ] || fail "$3 $4: answered $STATUS $BODY, want $1 $2"
}
took_at_most() { # took_at_most MS COMMAND...
    local limit=$1 start=${EPOCHREALTIME/./} took
    shift
    "$@"
    took=$(((${EPOCHREALTIME/./} - start) / 1000))
    [ $took -le "$limit" ] || fail "\"$*\" took $took ms, want at most $limit"
}

make_host host1
launch host1 --name ::1 --ipalloc-range=10.32.0.0/24
start_plugin

step "every request of the recording is answered as 2.8 answered it"
count=$(jq '.examples | length' "$EXAMPLES")
for ((i = 0; i < count; i++)); do
    path=$(jq -r ".examples[$i].path" "$EXAMPLES")
    request=$(jq -r ".examples[$i].request | if type == \"string\" then . else tojson end" "$EXAMPLES")
    jq -j ".examples[$i].response" "$EXAMPLES" >"$WORK/want"
    ask "$path" "$request"
    [ "$STATUS" = "$(jq ".examples[$i].status" "$EXAMPLES")" ] || fail "$path $request: status $STATUS, $BODY"
    for file in answer want; do sed -Ei 's/"([0-9a-f]{2}:){5}[0-9a-f]{2}"/"MAC"/' "$WORK/$file"; done
    cmp -s "$WORK/answer" "$WORK/want" || fail "$path $request: $(diff "$WORK/answer" "$WORK/want")"
done
[ "$count" -ge 31 ] || fail "only $count requests"
[ "$(links host1 | grep -c "^vethw[lg]")" = 0 ] || fail "endpoints stay: $(links host1)"

step "the other socket is a driver of global scope without addresses"
ASK=$GLOBAL answers_with 200 '{"Implements":["NetworkDriver"]}' /Plugin.Activate ""
ASK=$GLOBAL answers_with 200 '{"Err":"","Scope":"global","ConnectivityScope":""}' /NetworkDriver.GetCapabilities "{}"
ASK=$GLOBAL answers_with 404 "404 page not found" /IpamDriver.RequestPool "{}"

step "malformed requests are refused by name and change nothing"
remember_state
POOL=weave-10.32.0.0/24-10.32.0.0/24
err() { answers_with 500 "{\"Err\":\"$1\"}" "$2" "$3"; }
err 'Unrecognized pool ID: ' /IpamDriver.RequestAddress '{}'
err 'Unrecognized pool ID: weave-10.32.0.0/24' /IpamDriver.ReleasePool '{"PoolID":"weave-10.32.0.0/24"}'
err 'invalid CIDR address: 10.32.0.0' /IpamDriver.RequestAddress '{"PoolID":"weave-10.32.0.0-10.32.0.0/24"}'
err 'range 10.33.0.0/26 is not within subnet 10.32.0.0/24' /IpamDriver.RequestPool '{"Pool":"10.32.0.0/24","SubPool":"10.33.0.0/26"}'
err 'V6: weave networks have IPv4 addresses only' /IpamDriver.RequestPool '{"V6":true}'
err 'invalid IPv4 address: x' /IpamDriver.RequestAddress "{\"PoolID\":\"$POOL\",\"Address\":\"x\"}"
err 'address 10.99.0.1 is not in subnet 10.32.0.0/24' /IpamDriver.RequestAddress "{\"PoolID\":\"$POOL\",\"Address\":\"10.99.0.1\"}"
ask /NetworkDriver.CreateEndpoint '{"NetworkID":"n1","EndpointID":"../../etc","Interface":{}}'
[[ $STATUS = 500 && $BODY = *EndpointID* ]] || fail "a bad endpoint id: $STATUS $BODY"
ask /NetworkDriver.CreateNetwork '{"NetworkID":"n 1"}'
[[ $STATUS = 500 && $BODY = *NetworkID* ]] || fail "a bad network id: $STATUS $BODY"
for body in '' null '[]' '{"EndpointID":5}' '{' '{"EndpointID":"a"}x'; do
    answers_with 400 "Could not decode JSON encoded payload" /NetworkDriver.Join "$body"
done
head -c 2000000 /dev/zero | tr '\0' ' ' >"$WORK/large"
ask /NetworkDriver.Join "@$WORK/large"
[ "$STATUS" = 413 ] || fail "a body of 2 MB: $STATUS $BODY"
[ "$(on host1 curl -s -o /dev/null -w '%{http_code}' --unix-socket "$SOCKET" http://plugin/Plugin.Activate)" = 405 ] || fail "GET is answered"
expect_state_as_before "malformed requests"

step "an endpoint asked for again is the same; one whose MAC Docker chose has it"
E='{"NetworkID":"n1","EndpointID":"abcdef0123456789","Interface":{"Address":"10.32.0.9/24"}}'
ask /NetworkDriver.CreateEndpoint "$E"
first=$BODY
answers_with 200 "$first" /NetworkDriver.CreateEndpoint "$E"
[ "$(on host1 ip -o link show vethwlabcdef012 | grep -c 'master weave')" = 1 ] || fail "the pair is not on the bridge"
answers_with 200 '{}' /NetworkDriver.DeleteEndpoint '{"EndpointID":"abcdef0123456789"}'
answers_with 200 '{"Err":"","Interface":{"Address":"","AddressIPv6":"","MacAddress":""}}' /NetworkDriver.CreateEndpoint \
    '{"EndpointID":"abcdef0123456789","Interface":{"MacAddress":"02:42:ac:11:00:02"}}'
has 02:42:ac:11:00:02 on host1 ip link show vethwgabcdef012 || fail "the MAC is another"
answers_with 200 '{}' /NetworkDriver.DeleteEndpoint '{"EndpointID":"abcdef0123456789"}'

step "an address that is given is nobody else's"
A="{\"PoolID\":\"$POOL\",\"Address\":\"10.32.0.77\"}"
answers_with 200 '{"Error":"","Address":"10.32.0.77/24","Data":null}' /IpamDriver.RequestAddress "$A"
err 'address 10.32.0.77 is in use already' /IpamDriver.RequestAddress "$A"

step "the plugin is killed and starts again: its stale sockets are replaced, networks keep their options"
answers_with 200 '{}' /NetworkDriver.CreateNetwork '{"NetworkID":"n7","Options":{"com.docker.network.generic":{"works.weave.multicast":""}}}'
kill -KILL "$PLUGIN"
wait "$PLUGIN" 2>/dev/null || true
start_plugin
plugin_answers() { ask /Plugin.Activate ""; [ "$STATUS" = 200 ]; }
eventually 10 plugin_answers || fail "the plugin does not answer: $(cat "$WORK/plugin.log")"
ask /NetworkDriver.Join '{"NetworkID":"n7","EndpointID":"abcdef0123456789"}'
[[ $BODY = *224.0.0.0/4* ]] || fail "the network lost its multicast route: $BODY"
ask /NetworkDriver.Join '{"NetworkID":"n8","EndpointID":"abcdef0123456789"}'
[[ $BODY = *'"StaticRoutes":null'* ]] || fail "an unknown network has routes: $BODY"
err 'address 10.32.0.77 is in use already' /IpamDriver.RequestAddress "$A"

step "a peer that hangs, and one that is gone: an error within two seconds"
weaver=$(weaver_of host1)
kill -STOP "$weaver"
took_at_most 3500 ask /IpamDriver.RequestAddress "{\"PoolID\":\"$POOL\"}"
[[ $STATUS = 500 && $BODY = *'does not answer'* ]] || fail "a peer that hangs: $STATUS $BODY"
took_at_most 3500 ask /IpamDriver.ReleaseAddress "$A"
[[ $STATUS = 500 && $BODY = *'does not answer'* ]] || fail "a peer that hangs: $STATUS $BODY"
kill -CONT "$weaver"
kill -KILL "$(supervisor_of host1)" "$weaver"
eventually 5 dead "$weaver"
took_at_most 3500 ask /IpamDriver.RequestAddress "{\"PoolID\":\"$POOL\"}"
[[ $STATUS = 500 && $BODY = *'peer does not run'* ]] || fail "no peer: $STATUS $BODY"
echo "   told: $BODY"

step "the plugin ends with weave stop, also without a peer, and takes its sockets along"
took_at_most 6000 on host1 weave stop
eventually 5 dead "$PLUGIN" || fail "the plugin does not end"
[ ! -e "$SOCKET" ] && [ ! -e "$GLOBAL" ] || fail "sockets stay"
PLUGIN=
pass
