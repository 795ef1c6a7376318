#!/bin/bash
# page.pl, which types the documentation, on pages that are right and wrong: what it must pass, and what it must not.
# Commands are a shell's here; no host is made.
set -euo pipefail
page_pl=$(dirname "$(readlink -f "$0")")/page.pl
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2016  # for that shell
printf '#!/bin/bash\nweave() { true; }\neval "$2" 2>&1\n' >"$work/type"
chmod +x "$work/type"

fail() { echo "FAILED: $*" >&2; exit 1; }
step() { echo "== $*"; }
page() { printf '%s\n' "$@" >"$work/page.md"; } # page LINE...
block() { page '```console' "$@" '```'; } # block LINE...: a page of one block of commands
run() { STATUS=0; OUT=$("$page_pl" "$@" 2>&1) || STATUS=$?; }
accepts() { run "$@"; [ $STATUS = 0 ] || fail "$* refuses a good page: $OUT"; }
refuses() { # refuses TEXT ARGUMENTS...
    run "${@:2}"
    [ $STATUS = 1 ] || fail "${*:2} exits with $STATUS, want 1: $OUT"
    [[ $OUT == *"$1"* ]] || fail "${*:2} says \"$OUT\", want \"$1\""
}
types() { accepts type "$work/page.md" "$work/type"; }
balks() { refuses "$1" type "$work/page.md" "$work/type"; } # balks TEXT

step "what is shown is what is printed"
block 'host1# printf "a  b\nc\n"' 'a b' 'c' 'host1# true'
types
[[ $OUT == *"2 commands do what it says"* ]] || fail "counted: $OUT"
block 'host1# echo right' 'wrong'
balks "page.md:2: host1# echo right"
[[ $OUT == *"    wrong"*"    right"* ]] || fail "told: $OUT"
block 'host1# echo one; echo two' 'one'
balks "two"
block 'host1# echo one' 'one' 'two'
balks "page.md:2"
block 'host1# echo now two' 'now'
balks "now two"

step "a command that shows nothing must succeed, one that fails must say what is shown"
block 'host1# echo anything'
types
block 'host1# echo no; exit 3'
balks "with exit status 3"
block 'host1# echo "no way" >&2; exit 1' 'no way'
types

step "what is left out is anything, within its line or its lines"
block 'host1# printf "a 1.52 ms\nb\nc\nd\n"' 'a … ms' '…' 'd'
types
block 'host1# printf "a 1.52 ms\nb\n"' 'a … s.' 'b'
balks "page.md:2"

step "what differs from run to run matches by form, and stays the same on a page"
# Quoted, so that the command does not name what it prints.
block 'host1# echo 10.40.0."9" is at 02:00:00:00:00:"99"' '10.32.0.1 is at 5a:2c:5d:0d:95:58' 'host1# echo 10.32.0.1 again' '10.32.0.1 again'
types
[[ $OUT == *"host1# echo 10.40.0.9 again"* ]] || fail "typed: $OUT"
block 'host1# echo 10.40.0."9"' '10.32.0.1' 'host1# echo 10.40.0."8"' '10.32.0.1'
balks "10.40.0.8"
block 'host1# echo 10.40.0."9" 10.40.0."9"' '10.32.0.1 10.32.0.2'
balks "10.40.0.9"
block 'host1# echo 10.40.0."9"' '10.32.0.1' 'host1# weave reset' 'host1# echo 10.40.0."8"' '10.32.0.1'
types
block 'host1# echo here' '02:00:00:00:00:99'
balks "here"
block 'host1# echo 4711' '2034' 'host1# echo forty' '2034'
balks "forty"
block 'host1# echo 10.2.1.1' '10.2.1.2' # given by the user, not by the peers
balks "10.2.1.1"
block 'host1# echo 10.32.0.0/16' '10.32.0.0/12'
balks "10.32.0.0/16"

step "a command that only looks is repeated; others are not"
block 'host1# weave status' 'done'
printf '#!/bin/bash\n[ -e "%s/looked" ] && echo done\ntouch "%s/looked"\n' "$work" "$work" >"$work/later"
chmod +x "$work/later"
accepts type "$work/page.md" "$work/later"
rm "$work/looked"
block 'host1# weave attach web' 'done'
refuses "page.md:2" type "$work/page.md" "$work/later"

step "a backslash goes on in the next line"
block "host1# echo a \\" '  b' 'a b'
types

step "kinds of blocks: a reason for what is not run; whatever is none of them is refused"
page '```console not run: needs the moon' 'host1# moon' '```' '```text' 'some text' '```'
accepts check "$work/page.md"
[[ $OUT == *"page.md:1: not run: needs the moon"* ]] || fail "told: $OUT"
page '```' 'weave status' '```'
refuses 'page.md:1: no kind of block: ""' check "$work/page.md"
page '```sh' 'weave status' '```'
refuses 'page.md:1: no kind of block: "sh"' check "$work/page.md"
page '```console not run:' 'host1# moon' '```'
refuses 'no kind of block' check "$work/page.md"
page '```text' 'host1# weave status' '```'
refuses 'a command in a block that nobody types' check "$work/page.md"
page '```console' 'weave status' '```'
refuses 'behind a prompt' check "$work/page.md"
page 'Type' '' '    weave status'
refuses 'page.md:3: an indented block' check "$work/page.md"
page '```console' 'host1# weave status'
refuses 'a block without an end' check "$work/page.md"

step "the hosts that a page needs"
block 'host2# podman ps; docker ps' '$ weave status' 'host3# ip addr show docker0'
accepts needs "$work/page.md"
[ "$OUT" = $'host1\nhost2 docker podman\nhost3' ] || fail "needs: $OUT"
echo "passed: $(basename "$0")"
