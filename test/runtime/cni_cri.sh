#!/bin/bash
# Pods of containerd's CRI, as a kubelet makes them, on the network of the installed list.
# shellcheck source-path=SCRIPTDIR source=../support/private_runtime.sh
. "$(dirname "$0")/../support/private_runtime.sh"
needs_programs containerd ctr runc curl nsenter protoc
[ -d /etc/cni ] && [ -d /opt ] || { echo "SKIPPED: no /etc/cni or /opt to mount over"; exit 77; }
# shellcheck source-path=SCRIPTDIR source=../system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../system/cni_lib.sh
. "$(dirname "$0")/../system/cni_lib.sh"
# shellcheck source-path=SCRIPTDIR source=../support/containerd.sh
. "$(dirname "$0")/../support/containerd.sh"
export CONTAINERD_NAMESPACE=k8s.io

message() { protoc -I "$(dirname "$0")" "$1=runtime.v1.$2" "$(dirname "$0")/cri.proto"; } # message --encode|--decode TYPE

# cri METHOD TYPE TEXT: gRPC by hand. The answer's message, or what gRPC says of the failure and status 1.
cri() {
    message --encode "$2" <<<"$3" >"$WORK/request" || fail "no $2: $3"
    { perl -e 'print pack "CN", 0, -s shift' "$WORK/request"; cat "$WORK/request"; } >"$WORK/frame"
    curl -s --max-time 60 --http2-prior-knowledge --unix-socket "$WORK/sock" -H 'content-type: application/grpc' -H 'te: trailers' \
        --data-binary @"$WORK/frame" -D "$WORK/headers" -o "$WORK/answer" "http://localhost/runtime.v1.RuntimeService/$1" ||
        fail "$1: containerd does not answer"
    if ! grep -qi '^grpc-status: 0' "$WORK/headers"; then
        grep -i '^grpc-message:' "$WORK/headers"
        return 1
    fi
    tail -c +6 "$WORK/answer"
}
pod() { # pod NAME [FIELDS]: run; prints its id
    cri RunPodSandbox RunPodSandboxRequest "config { metadata { name: '$1' uid: '$TAG-$1' namespace: 'default' } hostname: '$1'
        log_directory: '$WORK' linux {} ${2:-} }" >"$WORK/pod" || { cat "$WORK/pod"; return 1; }
    message --decode RunPodSandboxResponse <"$WORK/pod" | sed -n 's/^pod_sandbox_id: "\(.*\)"/\1/p'
}
stop_pod() { cri StopPodSandbox PodSandboxRequest "pod_sandbox_id: '$1'"; }
remove_pod() { cri RemovePodSandbox PodSandboxRequest "pod_sandbox_id: '$1'"; }
status_of() { cri PodSandboxStatus PodSandboxRequest "pod_sandbox_id: '$1' verbose: true" | message --decode PodSandboxStatusResponse; }
ip_of() { status_of "$1" | sed -n 's/^ *ip: "\(.*\)"/\1/p'; }
in_pod() { # in_pod ID COMMAND...
    local netns
    netns=$(status_of "$1" | grep -o '/netns/cni-[0-9a-f-]*' | head -1)
    shift
    nsenter --net="/run$netns" "$@"
}
reaches() { in_pod "$1" ping -c 1 -W 2 "$2" >/dev/null 2>&1; }
held() { holders host1 | grep -v weave:expose | sed 's/.* //; s,/.*,,' | sort; } # addresses of containers
interfaces() { on host1 ip -o link show type veth master weave | grep -v vethwe-bridge; }
holds() { [ "$(held | wc -l)" = "$1" ]; }

launch_peer() { launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24; }
make_host host1
launch_peer
answer_for host1
mount -t tmpfs etc-cni /etc/cni
mount -t tmpfs opt /opt
mkdir /etc/cni/net.d
expect 0 "" weave setup-cni
cp /usr/lib/cni/{portmap,loopback} /opt/cni/bin

step "a containerd of our own, its pods held by an image of ours"
cri_toml="
[plugins.'io.containerd.grpc.v1.cri']
  sandbox_image = 'docker.io/library/$TAG:1'
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_cgroup = true
  [plugins.'io.containerd.grpc.v1.cri'.containerd]
    snapshotter = 'native'
"
start_containerd "$cri_toml"
import_image "docker.io/library/$TAG:1" '{"Entrypoint":["/bin/sleep","100000"]}'

step "two pods have the addresses that the peer knows, and reach each other"
web=$(pod web) || fail "$web"
db=$(pod db) || fail "$db"
[ "$(held)" = "$(printf '%s\n' "$(ip_of "$web")" "$(ip_of "$db")" | sort)" ] || fail "pods: $(ip_of "$web") $(ip_of "$db"); held: $(held)"
eventually 10 reaches "$web" "$(ip_of "$db")" || fail "web does not reach db"
eventually 10 reaches "$db" "$(ip_of "$web")" || fail "db does not reach web"

step "a port of the host is the pod's"
front=$(pod front "port_mappings { container_port: 80 host_port: 8080 }") || fail "$front"
in_pod "$front" busybox nc -ll -p 80 -e busybox echo hello >/dev/null 2>&1 &
make_container outside
ip -n "$TAG-host1" link add lan type veth peer name lan netns "$TAG-outside"
ip -n "$TAG-host1" addr add 192.168.77.1/24 dev lan
ip -n "$TAG-outside" addr add 192.168.77.2/24 dev lan
ip -n "$TAG-host1" link set lan up
ip -n "$TAG-outside" link set lan up
on host1 sysctl -qw net.ipv4.ip_forward=1
greeted() { [ "$(inside outside busybox nc -w 3 192.168.77.1 8080 </dev/null 2>/dev/null)" = hello ]; }
eventually 10 greeted || fail "port 8080 of the host is not the pod's"
stop_pod "$front" >/dev/null && remove_pod "$front" >/dev/null || fail "front does not end"
eventually 10 holds 2 || fail "front ended; held: $(held)"

step "containerd and the peer start again: the pods are as they were"
before=$(held)
stop_containerd
kill -KILL "$(weaver_of host1)"
start_containerd "$cri_toml"
eventually 20 answers host1 || fail "the peer is not started again"
reaches "$web" "$(ip_of "$db")" || fail "web does not reach db any more"
[ "$(held)" = "$before" ] || fail "held: $(held); before: $before"
late=$(pod late) || fail "$late"
! grep -qx "$(ip_of "$late")" <<<"$before" || fail "late has $(ip_of "$late"), which is in use: $before"

step "a pod without a peer: the runtime hears why, and nothing stays"
on host1 weave stop
! OUT=$(pod lost) || fail "a pod without a peer: $OUT"
[[ "$OUT" == *"weave"* ]] || fail "the runtime hears: $OUT"
[ "$(interfaces | wc -l)" = 3 ] || fail "left: $(interfaces)"

step "a pod that is stopped without a peer is stopped later, once or twice"
! OUT=$(stop_pod "$late") || fail "stopped without a peer"
launch_peer
stop_pod "$late" >/dev/null || fail "late does not stop"
stop_pod "$late" >/dev/null || fail "late does not stop again"
remove_pod "$late" >/dev/null || fail "late is not removed"
eventually 10 holds 2 || fail "held: $(held)"

step "the last pods go, and all they had with them"
for id in "$web" "$db"; do
    stop_pod "$id" >/dev/null && remove_pod "$id" >/dev/null || fail "$id does not end"
done
holds 0 || fail "held: $(held)"
[ -z "$(interfaces)" ] || fail "left: $(interfaces)"
pass
