#!/bin/bash
# What 2.8's plugins answered to a runtime, asked again of ours, call by call on one peer: the same exit status, and a result
# that says at least the same. Where ours differs on purpose (docs/differences.md) stands in the table below.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=cni_lib.sh
. "$(dirname "$0")/cni_lib.sh"
command -v jq >/dev/null || skip "needs jq"
EXAMPLES=$(dirname "$0")/../golden/vectors/cni_examples.json

make_host host1
make_container ct1
launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24
on host1 weave expose 10.32.0.200/24 >/dev/null

# differs COMMAND RECORDED-ERROR: the exit status that is ours alone
differs() {
    case "$1 $2" in
        "ADD "*"incompatible CNI versions"*) echo 0 ;;  # versions that 2.8 had not
        "DEL "*"Delete: no addresses for"*) echo 0 ;;   # DEL can be repeated
        *) return 1 ;;
    esac
}

count=0
while IFS= read -r example; do
    plugin='' command='' netns='' id='' interface='' input='' version='' want='' recorded=''
    eval "$(jq -r '@sh "plugin=\(.plugin) command=\(.CNI_COMMAND) netns=\(.CNI_NETNS) id=\(.CNI_CONTAINERID)",
        @sh "interface=\(.CNI_IFNAME) want=\(.exit) recorded=\(.stdout) version=\(.stdin.cniVersion? // "0.1.0")",
        @sh "input=\(.stdin | if type == "string" then . else tojson end)"' <<<"$example")"
    succeeded=$((want == 0))
    case "$netns" in
        /run/netns/ct1) netns=ct1 ;;
        /run/netns/p1) netns=/run/netns/$TAG-host1 ;;
        "") netns=- ;;
    esac
    got=0
    ! other=$(differs "$command" "$recorded") || want=$other
    output=$(cni host1 "$command" "$id" "$netns" "$interface" "$input" "$plugin" 2>"$WORK/err") || got=$?
    what="example $count: $plugin $command $input"
    [ "$got" = "$want" ] || fail "$what: exit status $got, want $want: $output $(cat "$WORK/err")"
    if [ "$got" != 0 ]; then
        jq -e '.code > 0 and (.msg | length > 0)' <<<"$output" >/dev/null || fail "$what: no error but $output"
    elif [ "$command" = VERSION ]; then
        jq -e --argjson old "$recorded" '$old.supportedVersions - .supportedVersions == []' <<<"$output" >/dev/null ||
            fail "$what: $output"
    elif [ "$command" = ADD ] && [ $succeeded = 1 ]; then
        jq -e --argjson old "$recorded" --arg version "$version" \
            '. as $new | .cniVersion == $version and has("dns") and ([$old | paths(scalars)] | all(. as $path | ($new | getpath($path)) == ($old | getpath($path))))' \
            <<<"$output" >/dev/null || fail "$what: $output, 2.8: $recorded"
    elif [ "$command" != ADD ]; then
        [ -z "$output" ] || fail "$what printed $output"
    fi
    count=$((count + 1))
done < <(jq -c '.examples[]' "$EXAMPLES")
[ $count -ge 30 ] || fail "only $count examples"

step "the form of a result, to the letter"
for version in 0.1.0 0.2.0 0.3.0 0.3.1 0.4.0 1.0.0 1.1.0; do
    result=$(cni host1 ADD formform ct1 eth0 "$(config $version)") || fail "$version: $result"
    quietly cni host1 DEL formform ct1 eth0 "$(config $version)"
    interface=eth0
    case $version in
        0.[12].0) interface=none want='{"ip":"10.32.0.1/24","gateway":"10.32.0.200","routes":[{"dst":"0.0.0.0/0","gw":"10.32.0.200"}]}' got=.ip4 ;;
        0.[34].*) want='{"version":"4","interface":1,"address":"10.32.0.1/24","gateway":"10.32.0.200"}' got='.ips[0]' ;;
        *) want='{"interface":1,"address":"10.32.0.1/24","gateway":"10.32.0.200"}' got='.ips[0]' ;;
    esac
    [ "$(jq -c "$got" <<<"$result")" = "$want" ] || fail "$version: $result"
    [ "$(jq -r .cniVersion <<<"$result")" = $version ] || fail "$version: $result"
    [ "$(jq -r '.interfaces[1].name // "none"' <<<"$result")" = "$interface" ] || fail "$version: $result"
    [ "$(jq -r '.interfaces[1].mtu // "none"' <<<"$result")" = "$([ $version = 1.1.0 ] && echo 65535 || echo none)" ] || fail "$version: $result"
    [[ "$result" == "{"$'\n'"    \"cniVersion\": \"$version\","$'\n'* && "$result" == *$'\n'"    \"dns\": {}"$'\n}' ]] || fail "$version: $result"
done
pass
