#!/bin/bash
# Who is let in: passwords, trusted subnets, two peers of one name, the connection limit, the protocol version (contract
# A7-16).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"

make_network
for host in host1 host2 host3 host4; do make_mesh_host "$host"; done
a1=$(address_of host1)

stop_all() {
    local host
    for host in "$@"; do expect 0 "" on "$host" weave stop; done
}
refused_with() { grep -E "^-> $2 +failed +($3), retry: " <<<"$(connections "$1")" >/dev/null; }
# refused_by HOST OTHER ARGUMENTS-OF-OTHER REGEX: OTHER, launched so, tells this reason when it dials HOST, and stays outside
refused_by() {
    local host=$1 other=$2 reason=$4
    # shellcheck disable=SC2086
    launch_peer "$other" $3 "$(address_of "$host")"
    eventually 30 refused_with "$other" "$(address_of "$host"):6783" "$reason" ||
        fail "$other does not say \"$reason\": $(connections "$other")"
    alone "$other" || fail "$other was let in: $(tell_of "$other" "$host")"
}

step "one password: encrypted, and the password is in no log and no report"
W_ENV="WEAVE_PASSWORD=s3cret-Word"
launch_peer host1
W_ENV="" launch_peer host2 --password s3cret-Word "$a1"
expect_mesh 30 host1 host2
has "Encryption: enabled" on host1 weave status || fail "status: $(on host1 weave status)"
says_of_connections host2 "established encrypted   sleeve" || fail "connections: $(connections host2)"
for host in host1 host2; do
    ! grep -F s3cret "$(log_of "$host")" >/dev/null || fail "the log of $host has the password"
    lacks s3cret on "$host" weave report || fail "the report of $host has the password"
done

step "another password, and none, are refused with a reason, and disturb nobody"
W_ENV=""
# Whoever finds out first resets the connection.
wrong_password='.* another password, .*|connection reset by peer'
refused_by host1 host3 "--password wrong" "$wrong_password"
no_password='no password is set here, but the other peer asks for an encrypted connection|connection reset by peer'
logged host1 "another password" || fail "no word of the wrong password in the log of host1"
refused_by host1 host4 "" "$no_password"
meshed host1 host2 || fail "a stranger disturbed the mesh: $(tell_of host1 host2)"
stop_all host3 host4
refused_by host1 host3 "" "$no_password"

step "a trusted subnet is in clear where both ends trust it, and needs the password all the same"
stop_all host1 host2 host3
launch_peer host1 --password s3cret --trusted-subnets 10.99.0.0/30
launch_peer host2 --password s3cret --trusted-subnets 10.99.0.0/24 "$a1"
launch_peer host4 --password s3cret "$a1"
expect_mesh 30 host1 host2 host4
has "TrustedSubnets: 10.99.0.0/30" on host1 weave status || fail "status: $(on host1 weave status)"
says_of_connections host2 "established unencrypted sleeve $(name_of host1)(host1)" || fail "$(connections host2)"
says_of_connections host4 "established encrypted   sleeve $(name_of host1)(host1)" || fail "$(connections host4)"
says_of_connections host4 "established encrypted   sleeve $(name_of host2)(host2)" || fail "$(connections host4)"
refused_by host1 host3 "--password other --trusted-subnets 10.99.0.0/24" "$wrong_password"
stop_all host1 host2 host3 host4

step "two peers of one name: both stay up, the later one says why it is not in the mesh"
launch_peer host1
launch_peer host2 "$a1"
expect_mesh 30 host1 host2
launch host3 --name ::1 --nickname impostor "$a1"
eventually 30 says_of_connections host3 "local \"$(name_of host1)(impostor)\" and remote \"$(name_of host1)(host1)\" peer names collision, retry: never" ||
    fail "no word of the collision: $(connections host3)"
logged host1 "peer names collision" || fail "no word of the collision in the log of host1"
meshed host1 host2 || fail "an impostor disturbed the mesh: $(tell_of host1 host2)"
answers host3 || fail "the impostor went"
for n in 1 2 3; do make_container "c$n"; done
expect 0 "10.32.0.1/12" on host1 weave attach "$(path_of c1)"
expect 0 "/12" on host2 weave attach "$(path_of c2)"
# Alone it is no quorum: what it gave out could be somebody's in the mesh.
expect 124 "" on host3 timeout 3 weave attach "$(path_of c3)"
has "awaiting consensus (quorum: 2, known: 1)" on host3 weave status || fail "the impostor: $(on host3 weave status)"
stop_all host1 host2 host3

step "a connection limit: no more, and the mesh is whole by way of others"
launch_peer host1 --conn-limit 1
launch_peer host2 "$a1"
expect_mesh 30 host1 host2
launch_peer host3 --conn-limit 0 "$a1" "$(address_of host2)"
one_is_full() {
    [ "$(known_by host3 | grep -c ' established$')" = 4 ] && [ "$(count_established host1)" = 1 ] &&
        [ "$(count_established host2)" = 2 ] && agree host1 host2 host3
}
eventually 30 one_is_full || fail "not a line of three: $(tell_of host1 host2 host3)"
logged host1 "Connection limit reached (1)" || fail "no word of the limit in the log of host1"
launch_peer host4 --conn-limit 0 "$(address_of host2)" "$(address_of host3)"
two_on_each() { [ "$(count_established host3)" = 2 ] && [ "$(count_established host4)" = 2 ]; }
eventually 30 two_on_each || fail "a limit of 0 is a limit: $(tell_of host3 host4)"
stop_all host1 host2 host3 host4

step "peers that want the newest protocol"
launch_peer host1 --min-protocol-version 2
launch_peer host2 --min-protocol-version 1 "$a1"
expect_mesh 30 host1 host2
has "Protocol: weave 2" on host1 weave status || fail "status: $(on host1 weave status)"
pass
