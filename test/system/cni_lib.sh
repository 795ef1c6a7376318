# shellcheck shell=bash
# Shared by tests of the CNI plugins: calling them as a runtime does. Sourced after lib.sh.

# cni_environment COMMAND ID CONTAINER INTERFACE. CONTAINER is one of make_container, a path, or - for none.
cni_environment() {
    local netns=$3
    case "$netns" in
        -) netns= ;;
        /*) ;;
        *) netns=$(path_of "$netns") ;;
    esac
    echo "CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_NETNS=$netns CNI_IFNAME=$4 CNI_PATH=${CNI_DIRS:-$BIN}"
}

# cni HOST COMMAND ID CONTAINER INTERFACE CONFIG [PLUGIN]: the plugin's output; its status.
cni() { W_ENV="${W_ENV:-} $(cni_environment "${@:2:4}")" on "$1" "${7:-weave-net}" <<<"$6"; }

# start_cni HOST COMMAND ID CONTAINER INTERFACE CONFIG-FILE OUTPUT-FILE: in the background; $! is the plugin itself.
start_cni() {
    # shellcheck disable=SC2016 # for that shell
    W_ENV="${W_ENV:-} $(cni_environment "${@:2:4}")" start "$1" sh -c 'exec weave-net <"$0" >"$1" 2>&1' "$6" "$7"
}

# config VERSION [MEMBERS]: a configuration of network "weave"; MEMBERS begin with a comma
config() { printf '{"cniVersion": "%s", "name": "weave", "type": "weave-net"%s}' "$1" "${2:-}"; }

# with_result CONFIG RESULT: what a runtime hands to CHECK and DEL
with_result() { jq -c --argjson result "$2" '. + {prevResult: $result}' <<<"$1"; }

# fails_with CODE TEXT COMMAND...: a CNI error with that code, and TEXT in its message or details
fails_with() {
    local code=$1 text=$2
    shift 2
    ! OUT=$("$@") || fail "$* succeeded: $OUT"
    [ "$(jq -r .code <<<"$OUT")" = "$code" ] || fail "$*: $OUT, want code $code"
    [[ "$(jq -r '.msg + " " + .details' <<<"$OUT")" == *"$text"* ]] || fail "$*: $OUT, want \"$text\""
}

# quietly COMMAND...: succeeds and prints nothing
quietly() {
    OUT=$("$@" 2>&1) || fail "$*: $OUT"
    [ -z "$OUT" ] || fail "$* printed $OUT"
}

address_of() { jq -r '.ips[0].address // .ip4.ip' <<<"$1"; } # address_of RESULT
holders() { on "$1" curl -sf http://127.0.0.1:6784/ip | jq -r '.owned[]? | "\(.containerid) \(.addrs | join(","))"'; }
