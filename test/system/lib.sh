# Shared by the system tests: hosts and containers as network namespaces, the real programs, and clean-up that also runs
# after a failure. A test sources this file, defines its steps, and ends with `pass`.
#
# Needs WEAVE_BIN (where weave and weaver are). Everything made here carries the tag of this process.
set -euo pipefail

TAG=${WEAVE_TEST_TAG:-wt$$}
BIN=${WEAVE_BIN:?set WEAVE_BIN to the directory of weave and weaver}
WORK=$(mktemp -d "/tmp/$TAG.XXXXXX")
export PATH="$BIN:$PATH"
HOSTS=()
CONTAINERS=()

skip() { echo "SKIPPED: $*"; exit 77; }
fail() {
    echo "FAILED: $*" >&2
    local host
    for host in "${HOSTS[@]}"; do
        [ ! -f "$(log_of "$host")" ] || { echo "--- log of $host"; tail -25 "$(log_of "$host")"; } >&2
    done
    exit 1
}
pass() { echo "passed: $(basename "$0")"; }
step() { echo "== $*"; }

[ "$(id -u)" = 0 ] || skip "needs root"
command -v ip >/dev/null || skip "needs iproute2"

instance() { echo "$TAG-$1"; }
run_dir() { echo "/run/$(instance "$1")"; }
store_of() { echo "/var/lib/$(instance "$1")/weavedata.db"; }
log_of() { echo "/var/log/weave/$(instance "$1").log"; }

# on HOST COMMAND...: runs a command on a host. W_ENV may hold further VAR=value words. The Docker plugin's sockets are the
# machine's: only a test with an empty W_NO_PLUGIN and a /run of its own starts that.
on() {
    local host=$1
    shift
    # shellcheck disable=SC2086
    ip netns exec "$TAG-$host" env "WEAVE_API_SOCKET=$(run_dir "$host")/peer.sock" "WEAVE_NO_PLUGIN=${W_NO_PLUGIN-1}" ${W_ENV:-} "$@"
}

# start HOST COMMAND...: in the background; $! is the command's own process, which `on ... &` would hide behind a shell.
start() {
    local host=$1
    shift
    # shellcheck disable=SC2086
    ip netns exec "$TAG-$host" env "WEAVE_API_SOCKET=$(run_dir "$host")/peer.sock" "WEAVE_NO_PLUGIN=${W_NO_PLUGIN-1}" ${W_ENV:-} "$@" &
}

# hung_docker SOCKET: a Docker that accepts and says nothing; for each who asks, a line in SOCKET.asked. Its pid: $HUNG_DOCKER.
hung_docker() {
    perl -MSocket -e '$| = 1; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un($ARGV[0])) or die $!; listen(S, 16);
        alarm 600; while (accept(my $c, S)) { push @all, $c; print "asked\n" }' "$1" >"$1.asked" &
    HUNG_DOCKER=$!
    disown
    eventually 10 test -S "$1" || fail "no socket at $1"
}

# slow_packet_filter: who is launched with PATH=$SLOW_PATH changes no rule between hold_packet_filter and go_on_filtering, and
# what needs one waits: a test can look at what is half done, and end it there.
slow_packet_filter() {
    local program real
    SLOW_PATH=$WORK/slow:$PATH
    mkdir "$WORK/slow"
    for program in iptables-restore iptables-nft-restore iptables-legacy-restore; do
        real=$(command -v $program) || continue
        printf '#!/bin/sh\nwhile [ "$1" != --version ] && [ -e %s ]; do sleep 0.1; done\nexec %s "$@"\n' \
            "$WORK/hold" "$real" >"$WORK/slow/$program"
        chmod +x "$WORK/slow/$program"
    done
}
hold_packet_filter() { touch "$WORK/hold"; }
go_on_filtering() { rm "$WORK/hold"; }

make_host() { # make_host NAME
    ip netns add "$TAG-$1"
    HOSTS+=("$1")
    ip -n "$TAG-$1" link set lo up
}

make_container() { # make_container NAME; prints its namespace's path
    ip netns add "$TAG-$1"
    CONTAINERS+=("$1")
    ip -n "$TAG-$1" link set lo up
}
path_of() { echo "/run/netns/$TAG-$1"; }
inside() {
    local name=$1
    shift
    ip netns exec "$TAG-$name" "$@"
}

# in_background CONTAINER COMMAND...: $! is the command itself, so that a signal reaches it, and not a shell that waits.
in_background() {
    local name=$1
    shift
    exec ip netns exec "$TAG-$name" "$@"
}

can_ping() { inside "$1" ping -c 1 -W 2 "$2" >/dev/null 2>&1; }
# The first packet may wait for ARP on a busy machine: a state, not a moment.
expect_ping() { eventually 10 can_ping "$1" "$2" || fail "$1 does not reach $2"; }
expect_no_ping() { ! can_ping "$1" "$2" || fail "$1 reaches $2 and must not"; }

eventually() { # eventually SECONDS COMMAND...: until it succeeds; who waits for long asks less often
    local begin=$SECONDS seconds=$1 waited
    shift
    until "$@"; do
        waited=$((SECONDS - begin))
        [ $waited -lt "$seconds" ] || return 1
        if [ $waited -lt 5 ]; then sleep 0.1; else sleep 0.5; fi
    done
}

# expect STATUS TEXT COMMAND...: exit status and a text in the output (stdout and stderr); the output stays in $OUT
expect() {
    local status=$1 text=$2 got=0
    shift 2
    OUT=$("$@" 2>&1) || got=$?
    [ "$got" = "$status" ] || fail "$* exited with $got, want $status: $OUT"
    [[ $OUT == *"$text"* ]] || fail "$* printed \"$OUT\", want \"$text\""
}

# has TEXT COMMAND...: the text is in the output. Not `COMMAND | grep -q`: grep leaves at the first hit, and pipefail takes
# the broken pipe of COMMAND for a failure.
has() {
    local text=$1 output
    shift
    output=$("$@" 2>&1) || true
    [[ $output == *"$text"* ]]
}
lacks() { ! has "$@"; }
logged() { grep -F -- "$2" "$(log_of "$1")" >/dev/null; } # logged HOST TEXT
alive() { # alive PID: a zombie is not, unless a thread of it still runs, which holds the process's sockets
    local state
    for state in /proc/"$1"/task/*/stat; do
        state=$(sed 's/.*) //' "$state" 2>/dev/null) || continue
        [ -z "$state" ] || [ "${state:0:1}" = Z ] || [ "${state:0:1}" = X ] || return 0
    done
    return 1
}
dead() { ! alive "$1"; }

# The pid of the peer of HOST, that of its supervisor, and whether the peer answers.
weaver_of() { fuser_lock "$(run_dir "$1")/weaver.lock"; }
supervisor_of() { fuser_lock "$(run_dir "$1")/supervisor.lock"; }
answers() { on "$1" weave status >/dev/null 2>&1; }

launch() { # launch HOST FLAGS...: remembers the peer's pid
    local host=$1 pid
    shift
    pid=$(on "$host" weave launch "$@") || fail "weave launch on $host: $pid"
    [[ $pid =~ ^[0-9]+$ ]] || fail "weave launch printed \"$pid\", want the pid alone"
    echo "$pid" >"$WORK/pid.$host"
}
peer_pid() { # the pid that holds the peer's lock now
    on "$1" weave status >/dev/null 2>&1 || return 1
    fuser_lock "$(run_dir "$1")/weaver.lock"
}
fuser_lock() { # the holder of a POSIX lock on FILE
    local inode
    inode=$(stat -c %i "$1" 2>/dev/null) || return 1
    awk -v i="$inode" '$2 == "POSIX" { split($6, d, ":"); if (d[3] == i) { print $5; exit } }' /proc/locks
}

rules() { on "$1" iptables-save 2>/dev/null | { grep -E "^-A|^:WEAVE" || true; } | sort; }
links() { on "$1" ip -o link show | awk -F': ' '{print $2}' | sed 's/@.*//' | sort; }

# What a refused command must leave as it was: links with addresses and routes of all hosts and containers made so far,
# rules, processes and files of the hosts. Not the log, which tells why.
state() {
    local name
    for name in "${HOSTS[@]}" "${CONTAINERS[@]}"; do
        echo "[$name]"
        # Neither carrier nor IPv6, which the kernel settles in its own time.
        ip -n "$TAG-$name" -o link show | sed -E 's/^[0-9]+: //; s/(NO-CARRIER,|,LOWER_UP)//; s/ qdisc.*//' | sort
        ip -n "$TAG-$name" -o -4 addr show | sort
        ip -n "$TAG-$name" -4 route show table all | sed 's/ linkdown//' | sort
    done
    for name in "${HOSTS[@]}"; do
        echo "[$name: rules, processes, files]"
        rules "$name"
        ip netns pids "$TAG-$name" | while read -r pid; do
            cat "/proc/$pid/cmdline" 2>/dev/null | tr '\0' ' ' | sed 's/$/\n/'  # nothing of one that has just ended
        done | sort
        find "$(run_dir "$name")" "/var/lib/$(instance "$name")" 2>/dev/null | sort || true
    done
}
# Once it stays the same: a process that has been told to end may take a moment.
state_is_settled() { state >"$WORK/state.before" && sleep 0.2 && state_is_as_before; }
remember_state() { eventually 5 state_is_settled || fail "the system does not settle: $(diff "$WORK/state.before" "$WORK/state.now")"; }
state_is_as_before() { state >"$WORK/state.now" && cmp -s "$WORK/state.before" "$WORK/state.now"; }
expect_state_as_before() { # expect_state_as_before WHAT
    eventually 5 state_is_as_before || fail "$* changed the system: $(diff "$WORK/state.before" "$WORK/state.now")"
}

# says STATUS TEXT COMMAND...: as expect, and the text is one line
says() {
    expect "$@"
    [[ $OUT != *$'\n'* ]] || fail "${*:3} printed more than a line: $OUT"
}
# refuses STATUS TEXT COMMAND...: as says, and all is as when remember_state was called
refuses() {
    says "$@"
    expect_state_as_before "${*:3}"
}
# says_usage STATUS TEXT COMMAND...: as expect, and how the command is used follows the text or takes its place
says_usage() {
    expect "$@"
    [[ $OUT == *"Usage:"* ]] || fail "${*:3} printed no usage: $OUT"
}

nobody_on() { # nobody_on HOST: or else they are killed
    local pids
    pids=$(ip netns pids "$TAG-$1" 2>/dev/null)
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null
    return 1
}
clean_up() {
    local status=$? name
    set +e
    # All at once and without a word: what peers made goes with the namespaces, and a reset for each would take a second.
    for name in "${HOSTS[@]}"; do nobody_on "$name"; done
    for name in "${HOSTS[@]}"; do eventually 10 nobody_on "$name"; done
    for name in "${CONTAINERS[@]}" "${HOSTS[@]}"; do ip netns del "$TAG-$name" 2>/dev/null; done
    for name in "${HOSTS[@]}"; do
        rm -rf "$(run_dir "$name")" "/var/lib/$(instance "$name")"
        rm -f "$(log_of "$name")"
    done
    ! declare -F more_clean_up >/dev/null || more_clean_up
    rm -rf "$WORK"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 143' TERM INT
