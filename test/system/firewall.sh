#!/bin/bash
# The packet filter of a host (contract A7-13, A3-35): which rules, that they come back, and that others' are left alone;
# on either backend.
. "$(dirname "$0")/lib.sh"

BACKENDS=()
for backend in nft legacy; do
    if command -v "iptables-$backend-save" >/dev/null; then BACKENDS+=("$backend"); fi
done
[ "${#BACKENDS[@]}" -gt 0 ] || skip "needs iptables"

ipt() { on "$host" "iptables-$backend" -w "$@"; }
saved() { on "$host" "iptables-$backend-save" 2>/dev/null; }
# Rules by table and chain, in their order, without counters: of weave, and of all others.
listed() { saved | awk '/^\*/ { table = $1 } /^-A|^:[A-Z]+[-A-Z]* - /{ sub(/ \[[0-9:]*\]$/, ""); print table, $0 }' | sort -s -k1,3; }
ours() { listed | { grep -E -i 'weave|dkr0| -d 224\.0\.0\.0/4| 10\.3[0-9]\.' || true; }; }
theirs() { listed | { grep -E -v -i 'weave|dkr0| -d 224\.0\.0\.0/4| 10\.3[0-9]\.' || true; }; }
reapplied() { on "$host" curl -sf http://127.0.0.1:6782/metrics | awk '/^weave_firewall_reapplied_total/ { print $2 }'; }
counted_beyond() { [ "$(reapplied)" -gt "$1" ]; }
same_as_launched() { [ "$(ours)" = "$launched" ]; }

# As spec/overlay.md section 7 lists them, in the words of iptables-save.
expected_rules() {
    sort -s -k1,3 <<'RULES'
*filter :WEAVE-CANARY -
*filter :WEAVE-EXPOSE -
*mangle :WEAVE-CANARY -
*nat :WEAVE -
*nat :WEAVE-CANARY -
*filter -A INPUT -d 172.30.0.1/32 -i dkr0 -p tcp -m tcp --dport 6783 -j DROP
*filter -A INPUT -d 172.30.0.1/32 -i dkr0 -p udp -m udp --dport 6783 -j DROP
*filter -A INPUT -d 172.30.0.1/32 -i dkr0 -p udp -m udp --dport 6784 -j DROP
*filter -A INPUT -i dkr0 -p udp -m udp --dport 53 -j ACCEPT
*filter -A INPUT -i dkr0 -p tcp -m tcp --dport 53 -j ACCEPT
*filter -A INPUT -d 127.0.0.1/32 -p tcp -m tcp --dport 6784 -m addrtype ! --src-type LOCAL -m conntrack ! --ctstate RELATED,ESTABLISHED -m comment --comment "Block non-local access to Weave Net control port" -j DROP
*filter -A FORWARD -i dkr0 -o weave -j DROP
*filter -A FORWARD -i weave -o weave -j ACCEPT
*filter -A FORWARD -o weave -j WEAVE-EXPOSE
*filter -A FORWARD -i weave ! -o weave -j ACCEPT
*filter -A FORWARD -o weave -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
*filter -A WEAVE-EXPOSE -d 10.32.0.0/16 -j ACCEPT
*filter -A WEAVE-EXPOSE -d 10.33.0.0/16 -j ACCEPT
*nat -A POSTROUTING -j WEAVE
*nat -A WEAVE -s 10.32.0.0/16 -d 224.0.0.0/4 -j RETURN
*nat -A WEAVE ! -s 10.32.0.0/16 -d 10.32.0.0/16 -j MASQUERADE
*nat -A WEAVE -s 10.32.0.0/16 ! -d 10.32.0.0/16 -j MASQUERADE
RULES
}

break_and_await() { # break_and_await WHAT COMMAND...
    local what=$1 before start took
    shift
    before=$(reapplied)
    start=${EPOCHREALTIME/./}
    "$@" || fail "$backend: cannot do $what"
    eventually 10 same_as_launched || fail "$backend: after $what: $(diff <(echo "$launched") <(ours))"
    took=$(((${EPOCHREALTIME/./} - start) / 1000))
    echo "   $what: back after $took ms"
    eventually 5 counted_beyond "$before" || fail "$backend: $what is not counted: $before, $(reapplied)"
}
delete_canary() { ipt -t "$1" -X WEAVE-CANARY; }

for backend in "${BACKENDS[@]}"; do
    host=fw$backend
    make_host "$host"
    ip -n "$TAG-$host" link add dkr0 type bridge
    ip -n "$TAG-$host" addr add 172.30.0.1/24 dev dkr0
    ip -n "$TAG-$host" link set dkr0 up
    # Listing says yes where a chain cannot be made.
    if ! { ipt -t nat -N PROBE && ipt -t nat -X PROBE; } >/dev/null 2>&1; then
        echo "   this kernel has no iptables-$backend"
        continue
    fi
    tested=1
    W_ENV="IPTABLES_BACKEND=$backend"

    step "$backend: launch adds its rules and leaves the others"
    ipt -N MINE
    ipt -A MINE -s 192.0.2.7/32 -j REJECT
    ipt -A INPUT -p tcp -m tcp --dport 4321 -j ACCEPT
    ipt -A FORWARD -s 192.0.2.0/24 -j DROP
    ipt -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE
    ipt -t mangle -A PREROUTING -s 192.0.2.0/24 -j MARK --set-mark 7
    foreign=$(theirs)
    [ -z "$(ours)" ] || fail "$backend: rules before launch: $(ours)"
    launch "$host" --name ::1 --docker-bridge dkr0
    expect 0 "" on "$host" weave expose 10.32.0.1/16
    expect 0 "" on "$host" weave expose --without-masquerade 10.33.0.1/16
    lacks "may block" cat "$(log_of "$host")" || fail "$backend: warned of a rule that is not there"
    launched=$(ours)
    [ "$launched" = "$(expected_rules)" ] || fail "$backend: rules: $(diff <(expected_rules) <(ours))"
    [ "$(theirs)" = "$foreign" ] || fail "$backend: foreign rules: $(diff <(echo "$foreign") <(theirs))"
    [ "$(on "$host" "iptables-$backend" -S FORWARD 1)" = "-A FORWARD -i dkr0 -o weave -j DROP" ] ||
        fail "$backend: our rules are not the first of FORWARD: $(ipt -S FORWARD)"

    step "$backend: what is taken away comes back"
    break_and_await "iptables -F" ipt -F
    break_and_await "iptables -t nat -F" ipt -t nat -F
    for table in filter nat mangle; do
        break_and_await "deleting WEAVE-CANARY of $table" delete_canary "$table"
    done
    break_and_await "deleting one rule" ipt -D FORWARD -i weave -o weave -j ACCEPT
    break_and_await "emptying WEAVE-EXPOSE" ipt -F WEAVE-EXPOSE
    if [ "$backend" = nft ] && command -v nft >/dev/null; then
        break_and_await "nft flush ruleset" on "$host" nft flush ruleset
    fi
    logged "$host" "packet filter rules restored after a change by another program" || fail "nothing in the log"

    step "$backend: our rules go back to the top"
    ipt -A INPUT -p tcp -m tcp --dport 4321 -j ACCEPT
    ipt -t nat -I POSTROUTING -s 192.0.2.0/24 -j MASQUERADE
    foreign=$(theirs)
    ipt -I FORWARD -s 198.51.100.0/24 -j DROP
    first_is_ours() { [ "$(ipt -S FORWARD 1)" = "-A FORWARD -i dkr0 -o weave -j DROP" ]; }
    eventually 60 first_is_ours || fail "$backend: our rules stay below: $(ipt -S FORWARD)"
    same_as_launched || fail "$backend: after a foreign rule on top: $(diff <(echo "$launched") <(ours))"
    ipt -D FORWARD -s 198.51.100.0/24 -j DROP
    [ "$(theirs)" = "$foreign" ] || fail "$backend: foreign rules: $(diff <(echo "$foreign") <(theirs))"

    step "$backend: stop leaves the rules, launch brings back what went meanwhile"
    expect 0 "" on "$host" weave stop
    same_as_launched || fail "$backend: stop changed rules: $(diff <(echo "$launched") <(ours))"
    ipt -F FORWARD
    ipt -A FORWARD -j REJECT --reject-with icmp-host-prohibited
    foreign=$(theirs)
    expect 0 "WARNING: the iptables rule '-A FORWARD -j REJECT --reject-with icmp-host-prohibited'" \
        on "$host" weave launch --name ::1 --docker-bridge dkr0
    logged "$host" "'-A FORWARD -j REJECT --reject-with icmp-host-prohibited'" || fail "$backend: not in the log"
    same_as_launched || fail "$backend: launch again: $(diff <(echo "$launched") <(ours))"
    [ "$(theirs)" = "$foreign" ] || fail "$backend: foreign rules: $(diff <(echo "$foreign") <(theirs))"

    step "$backend: another control port takes the place of the first, and reset takes all away"
    expect 0 "" on "$host" weave stop
    launch "$host" --name ::1 --docker-bridge dkr0 --http-addr 127.0.0.1:7777
    [ "$(ours)" = "${launched/--dport 6784 -m addrtype/--dport 7777 -m addrtype}" ] ||
        fail "$backend: with --http-addr: $(diff <(echo "$launched") <(ours))"
    expect 0 "" on "$host" weave reset
    [ -z "$(ours)" ] || fail "$backend: rules after reset: $(ours)"
    [ "$(theirs)" = "$foreign" ] || fail "$backend: foreign rules: $(diff <(echo "$foreign") <(theirs))"

    step "$backend: reset of a peer that no longer runs"
    launch "$host" --name ::1 --docker-bridge dkr0 --http-addr 127.0.0.1:7778 --port 7000
    has "--dport 7001" ours || fail "$backend: no rule for --port: $(ours)"
    expect 0 "" on "$host" weave expose 10.32.0.1/16
    expect 0 "" on "$host" weave stop
    expect 1 "weave is not running" on "$host" weave reset
    expect 0 "" on "$host" weave reset --force
    [ -z "$(ours)" ] || fail "$backend: rules after reset --force: $(ours)"
    [ "$(theirs)" = "$foreign" ] || fail "$backend: foreign rules: $(diff <(echo "$foreign") <(theirs))"

    step "$backend: a Docker bridge that is not there is refused"
    expect 1 "there is no device \"dkr9\"" on "$host" weave launch --name ::1 --docker-bridge dkr9
    [ -z "$(ours)" ] || fail "$backend: rules after a refused launch: $(ours)"
done
[ -n "${tested:-}" ] || skip "this kernel has no packet filter"
pass
