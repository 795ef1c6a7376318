#!/bin/bash
# Which peers are dialled: connect, forget, --replace, --resume, a crash, --no-discovery (contract A2-05, A2-10, A2-11).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"

make_network
for host in host1 host2 host3; do make_mesh_host "$host"; done
a1=$(address_of host1)
a2=$(address_of host2)
a3=$(address_of host3)

step "connect, with and without a port, again, and a peer that is not there"
for host in host1 host2 host3; do launch_peer "$host" --no-discovery; done
expect_targets host1 ""
expect 0 "" on host1 weave connect "$a2"
expect_mesh 30 host1 host2
expect 0 "" on host1 weave connect "$a2" "$a3:6783" "10.99.0.99"
expect_targets host1 "$a2 $a3:6783 10.99.0.99 "
eventually 30 says_of_connections host1 "-> 10.99.0.99:6783       failed      no route to host, retry: " ||
    fail "no word of a peer that is not there: $(connections host1)"

step "a line without discovery: the ends know of each other and do not connect"
line() { # 2 - 1 - 3
    [ "$(known_by host1 | grep -c ' established$')" = 4 ] && [ "$(count_established host1)" = 2 ] &&
        [ "$(count_established host2)" = 1 ] && [ "$(count_established host3)" = 1 ] && agree host1 host2 host3
}
eventually 30 line || fail "no line: $(tell_of host1 host2 host3)"
knows host2 host3 || fail "host2 does not know of host3"
lacks "$a3" connections host2 || fail "host2 dials host3: $(connections host2)"

step "what connect refuses, it says in a line each, and takes the rest"
expect 0 "" on host1 weave connect --replace "$a2" "$a3"
for bad in "$a3:0x1a" "$a3:65536" "$a3:-1" "$a3:" ":6783" "[::1" "a:b:c"; do
    says 1 "invalid peer name \"$bad\", should be host[:port]" on host1 weave connect "$bad"
done
says 1 "invalid peer name \"\", should be host[:port]" on host1 weave connect ""
says 1 "nobody.invalid" on host1 weave connect nobody.invalid
expect_targets host1 "$a2 $a3 "
expect 1 "10.99.0.98:x" on host1 weave connect nobody.invalid 10.99.0.97 10.99.0.98:x
[ "$(wc -l <<<"$OUT")" = 2 ] || fail "two mistakes, and the lines are: $OUT"
[[ $OUT == *nobody.invalid* ]] || fail "no word of nobody.invalid: $OUT"
expect_targets host1 "$a2 $a3 10.99.0.97 "
expect 1 "Usage:" on host1 weave connect
expect 1 "Usage:" on host1 weave connect --frobnicate "$a2"
expect 1 "Usage:" on host1 weave forget
expect 22 'invalid peer name "x:y:z"' on host1 curl -sS --fail-with-body -d peer=x:y:z http://127.0.0.1:6784/connect
[[ $OUT == *400* ]] || fail "POST /connect answers $OUT, want 400"
expect_targets host1 "$a2 $a3 10.99.0.97 "

step "a crash: what connect and forget said counts, not the command line"
expect 0 "" on host1 weave forget "$a3"
expect_targets host1 "$a2 10.99.0.97 "
crash host1
expect_targets host1 "$a2 10.99.0.97 "
eventually 30 meshed host1 host2 || fail "not connected again: $(tell_of host1 host2)"
forgot host1 host3 || fail "a forgotten peer was dialled: $(tell_of host1)"

step "forget does not end a connection, and forgets what was never named"
expect 0 "" on host1 weave forget "$a2" 10.99.0.97 10.99.0.50
expect_targets host1 ""
meshed host1 host2 || fail "forget ended a connection: $(tell_of host1 host2)"
expect 0 "" on host2 weave stop
only_itself() { alone host1 && [ -z "$(connections host1)" ]; }
eventually 30 only_itself || fail "host1 dials a peer that was forgotten: $(tell_of host1)"
launch_peer host2 --no-discovery
crash host1 # with an empty list
expect_targets host1 ""
only_itself || fail "host1 dials somebody: $(tell_of host1)"

step "--resume dials the peers of the last run, a plain launch does not"
expect 0 "" on host1 weave connect "$a2"
expect_mesh 30 host1 host2
expect 0 "" on host1 weave stop
launch_peer host1 --no-discovery --resume
expect_targets host1 "$a2 "
expect_mesh 30 host1 host2
expect 0 "" on host1 weave stop
expect 1 "--resume: cannot be combined with a list of peers" on host1 weave launch --resume "$a2"
launch_peer host1 --no-discovery
expect_targets host1 ""
expect 0 "" on host1 weave stop
launch_peer host1 --no-discovery --resume # what the plain launch left: nobody
expect_targets host1 ""
expect 0 "" on host1 weave stop

step "a crash after a launch with peers"
launch_peer host1 --no-discovery "$a2"
expect 0 "" on host1 weave connect "$a3"
expect 0 "" on host1 weave forget "$a2"
crash host1
expect_targets host1 "$a3 "
expect_mesh 30 host1 host3
expect 0 "" on host1 weave stop

step "a name: of the launch, a wrong one, one's own address in the list"
expect 1 "nobody.invalid" on host1 weave launch nobody.invalid
launch_peer host1 "$a1" "$a2" "$a3"
expect_targets host1 "$a1 $a2 $a3 "
eventually 30 line || fail "no line with one's own address in the list: $(tell_of host1 host2 host3)"
says_of_connections host1 "-> $a1:6783        failed      cannot connect to ourself, retry: never" ||
    fail "no word of one's own address: $(connections host1)"
for host in host2 host3; do expect 0 "" on "$host" weave stop; done
eventually 30 alone host1 || fail "host1 is not alone: $(tell_of host1)"
start host1 timeout 60 weave prime >/dev/null 2>&1
counts_three() { has "awaiting consensus (quorum: 2, known: 1)" on host1 weave status; }
eventually 10 counts_three || fail "of three in the list, one itself, two are no quorum: $(on host1 weave status)"
pass
