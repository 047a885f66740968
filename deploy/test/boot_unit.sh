#!/usr/bin/env bash
# Starts systemd/mailkeeper.service under a real systemd, in a container, and shows that the sandbox lets the daemon live.
# A good exposure score is worth nothing for a service that does not start.
#
# usage: deploy/test/boot_unit.sh [bookworm|trixie] [DIRECTORY FOR THE ROOT FILE SYSTEM]
#
# Needs root, and the Debian packages systemd-container and mmdebstrap. The first run for a release makes its root file
# system (about 20 seconds, 220 MB); later runs take about 15 seconds. The daemon is played by unit_stub.py.
set -euo pipefail

release=${1:-bookworm}
root=$(cd "$(dirname "$0")/../.." && pwd)
machine=${2:-$root/target/ci/$release}

if [ ! -x "$machine/usr/lib/systemd/systemd" ]; then
    mkdir -p "$(dirname "$machine")"
    mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,python3-minimal "$release" "$machine"
fi

# The documented installation, with a stub for the binary and shorter times.
install -m 0755 "$root/deploy/test/unit_stub.py" "$machine/usr/bin/mailkeeper"
install -D -m 0644 "$root/systemd/mailkeeper.service" "$machine/usr/lib/systemd/system/mailkeeper.service"
install -D -m 0644 "$root/systemd/mailkeeper.sysusers" "$machine/usr/lib/sysusers.d/mailkeeper.conf"
mkdir -p "$machine/etc/systemd/system/mailkeeper.service.d"
printf '[Service]\nWatchdogSec=2\nRestartSec=1\n' >"$machine/etc/systemd/system/mailkeeper.service.d/short.conf"
printf '127.0.0.1 localhost\n192.0.2.7 graph.example\n' >"$machine/etc/hosts"
rm -rf "$machine/etc/mailkeeper" "$machine/var/lib/mailkeeper"

console=$(mktemp)
systemd-nspawn --quiet --directory="$machine" --boot --register=no --keep-unit --private-network \
    --hostname=mailkeeper >"$console" 2>&1 </dev/null &
container=$!

finish() {
    if kill -0 "$container" 2>/dev/null; then
        inside systemctl poweroff >/dev/null 2>&1 || kill "$container"
        wait "$container" || true
    fi
    for hierarchy in unified systemd; do # what --keep-unit leaves behind
        rmdir /sys/fs/cgroup/$hierarchy/{payload/init.scope,payload,supervisor} 2>/dev/null || true
    done
    rm -f "$console"
}
trap finish EXIT

inside() {
    nsenter --target "$init" --mount --uts --ipc --net --pid --cgroup -- "$@"
}

# Waits up to 20 seconds until a command prints what is wanted.
await() { # WANTED COMMAND..
    local wanted=$1 said=
    shift
    for _ in {1..200}; do
        said=$("$@" 2>/dev/null) || true
        if [[ $said =~ $wanted ]]; then
            return
        fi
        sleep 0.1
    done
    fail "$* says \"$said\", not $wanted"
}

fail() {
    echo "error: $1" >&2
    inside journalctl --boot --unit=mailkeeper --no-pager --output=cat >&2 || cat "$console" >&2
    exit 1
}

expect() { # WHAT WANTED COMMAND..
    local what=$1 wanted=$2 said
    shift 2
    said=$("$@" 2>&1) || true
    [[ $said =~ $wanted ]] || fail "$what: \"$said\" is not $wanted"
    echo "ok: $what"
}

journal() {
    inside journalctl --boot --unit=mailkeeper --no-pager --output=cat
}

property() {
    inside systemctl show mailkeeper --property="$1" --value
}

ask_as() { # USER
    inside runuser --user "$1" -- python3 -c \
        'import socket; s = socket.socket(socket.AF_UNIX); s.connect("/run/mailkeeper/control.sock"); print(s.recv(99))'
}

await '^[0-9]+' pgrep --parent "$container"
init=$(pgrep --parent "$container" | head -n 1)
await 'running|degraded' inside systemctl is-system-running
echo "ok: $(inside systemctl --version | head -n 1) runs"

inside systemd-sysusers mailkeeper.conf
inside install -d -m 0750 -o root -g mailkeeper /etc/mailkeeper
inside install -d -m 0700 /etc/mailkeeper/credentials
inside sh -ec 'umask 077; echo secret >/etc/mailkeeper/credentials/contoso-secret
    install -m 0640 -g mailkeeper /dev/null /etc/mailkeeper/mailkeeper.yaml
    id alice >/dev/null 2>&1 || useradd --uid 4001 --groups mailkeeper alice
    id mallory >/dev/null 2>&1 || useradd --uid 4002 mallory'
inside systemctl daemon-reload

inside systemctl start mailkeeper || fail "the unit does not start"
echo "ok: it starts and says that it is ready"
for allowed in "read the secret" "read the settings" "write the state" "look up a name" "listen on the metrics port"; do
    expect "it can $allowed" "probe $allowed: allowed" journal
done
for refused in "write the settings" "read the original secret" "run a program from /var/lib/mailkeeper" \
    "run a program from /run/mailkeeper" "run a program from /tmp" "open a raw socket" "open a netlink socket"; do
    expect "it cannot $refused" "probe $refused: refused" journal
done
expect "an operator reaches the control socket, and is known" 'you are 4001' ask_as alice
expect "a stranger does not" 'PermissionError' ask_as mallory

inside systemctl reload mailkeeper || fail "reload fails"
expect "it reloads" 'reloaded' journal

inside systemctl kill --signal=USR1 mailkeeper
await '^1$' property NRestarts
await '^active$' property ActiveState
echo "ok: the watchdog restarts a daemon that hangs"

inside systemctl stop mailkeeper
expect "it drains on stop" 'drained' journal

inside touch /etc/mailkeeper/invalid
inside systemctl reset-failed mailkeeper 2>/dev/null || true
if inside systemctl start mailkeeper 2>/dev/null; then
    fail "it starts with bad settings"
fi
# A restart that is due would show as "activating" here.
expect "bad settings are not tried again" '^failed 64 0$' \
    echo "$(property ActiveState) $(property ExecMainStatus) $(property NRestarts)"
