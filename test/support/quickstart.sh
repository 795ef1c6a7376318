# shellcheck shell=bash
# What must hold of scripts/quickstart with either kind of containers; for scripts that have sourced test/system/lib.sh.

QUICKSTART=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/scripts/quickstart

# What a run may leave behind: names, files and processes with the tag of quickstart's pid, Docker's things.
traces() { # traces PID
    { ls -d /run/wq"$1"-* /run/netns/wq"$1"-* /var/lib/wq"$1"-* /var/log/weave/wq"$1"-* 2>/dev/null
      grep -lsa "wq$1-" /proc/[0-9]*/cmdline /proc/[0-9]*/environ
      [ -z "${DOCKERD_PID:-}" ] || docker ps -aq --filter "name=wq$1-"
      [ -z "${DOCKERD_PID:-}" ] || docker images -q "weave-quickstart-$1"; } | grep -v "^/proc/$$/" || true
}
no_traces() { [ -z "$(traces "$1")" ]; }

# start_quickstart VAR=VALUE...: in a session of its own, as a terminal does; sets QUICKSTART_PID, output in $WORK/quickstart
start_quickstart() {
    : >"$WORK/quickstart" # here: what the last run said must not be found
    env --default-signal=INT WEAVE_BIN="$BIN" "$@" setsid "$QUICKSTART" --no-build >>"$WORK/quickstart" 2>&1 </dev/null &
    QUICKSTART_PID=$!
}
finish_quickstart() { # finish_quickstart STATUS
    local status=0
    wait "$QUICKSTART_PID" || status=$?
    [ "$status" = "$1" ] || fail "quickstart exited with $status, want $1: $(cat "$WORK/quickstart")"
    eventually 10 no_traces "$QUICKSTART_PID" || fail "quickstart left: $(traces "$QUICKSTART_PID")"
}
said() { grep -F -- "$1" "$WORK/quickstart" >/dev/null; }

check_quickstart() { # check_quickstart KIND-OF-CONTAINERS VAR=VALUE...
    local kind=$1 text
    shift
    step "quickstart shows two hosts at work and leaves nothing"
    start_quickstart "$@"
    finish_quickstart 0
    for text in "$kind" "host2# weave launch --name ::2 --nickname host2 192.0.2.1" \
        "-> 192.0.2.1:6783        established sleeve 00:00:00:00:00:01(host1)" "host2# weave attach 10.32.2.2/16" "web1# ping 10.32.2.1" \
        "0% packet loss" "Service: router" "Connections: 1 (1 established)" "It works."; do
        said "$text" || fail "quickstart does not say \"$text\": $(cat "$WORK/quickstart")"
    done
    ! said "100% packet loss" || fail "a ping got lost: $(cat "$WORK/quickstart")"

    step "Ctrl-C in the middle: quickstart cleans up"
    start_quickstart "$@"
    eventually 60 said "host2# weave attach" || fail "quickstart does not get on: $(cat "$WORK/quickstart")"
    kill -INT -- "-$QUICKSTART_PID" # all of the foreground, as a terminal does
    finish_quickstart 130

    step "a step that fails: quickstart says so and cleans up"
    mkdir -p "$WORK/broken"
    ln -sf "$BIN/weaver" "$WORK/broken/weaver"
    # shellcheck disable=SC2016  # for the program
    printf '#!/bin/sh\n[ "$1" != expose ] || { echo "weave: no expose today" >&2; exit 1; }\nexec "%s/weave" "$@"\n' "$BIN" \
        >"$WORK/broken/weave"
    chmod +x "$WORK/broken/weave"
    start_quickstart "$@" WEAVE_BIN="$WORK/broken"
    finish_quickstart 1
    said "no expose today" || fail "quickstart does not say why it failed: $(cat "$WORK/quickstart")"
    said "quickstart: failed" || fail "quickstart does not say that it failed: $(cat "$WORK/quickstart")"
}
