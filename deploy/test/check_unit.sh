#!/usr/bin/env bash
# Checks systemd/mailkeeper.service without a running systemd.
#
# usage: deploy/test/check_unit.sh
#
# `systemd-analyze verify` ends with 0 on unknown keys and only prints them, so any line on stderr is a failure. It also
# wants the executable to exist: a copy of the unit whose ExecStart points to a stub is checked in its place.
set -euo pipefail

# Highest exposure accepted, times ten, as systemd wants it (0 is best, 96 is a unit without options). What is left is
# inherent: the network, internet and Unix sockets, no list of addresses, the users of the host (see PrivateUsers in the
# unit), the host's root directory, and the clock device that ProtectClock itself allows.
readonly EXPOSURE_LIMIT=12

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf '#!/bin/sh\n' >"$work/mailkeeper"
chmod 755 "$work/mailkeeper"
unit=$work/mailkeeper.service
sed "s#^ExecStart=/usr/bin/mailkeeper #ExecStart=$work/mailkeeper #" "$root/systemd/mailkeeper.service" >"$unit"
if ! grep -q "^ExecStart=$work/mailkeeper run " "$unit"; then
    echo "error: ExecStart is not /usr/bin/mailkeeper run .." >&2
    exit 1
fi

verify() {
    systemd-analyze verify --man=no "$1" 2>"$work/said" || true
    cat "$work/said"
}

said=$(verify "$unit")
if [ -n "$said" ]; then
    printf 'error: systemd-analyze verify is not silent:\n%s\n' "$said" >&2
    exit 1
fi
echo "ok: systemd-analyze verify is silent"

# The check must be able to fail: a misspelt key has to be noticed.
sed 's/^WatchdogSec=/WatchdogSecs=/' "$unit" >"$work/planted.service"
if [ -z "$(verify "$work/planted.service")" ]; then
    echo "error: systemd-analyze verify does not notice an unknown key" >&2
    exit 1
fi
echo "ok: an unknown key would be noticed"

systemd-analyze security --no-pager --offline=true --threshold=$EXPOSURE_LIMIT "$unit" >"$work/exposure" || {
    grep -v '✓' "$work/exposure" >&2
    echo "error: exposure is above the limit of $EXPOSURE_LIMIT tenths" >&2
    exit 1
}
echo "ok: $(tail -n 1 "$work/exposure" | sed 's/^[^O]*//')"

# It forgives what it does not understand, and ends with 0: what it says has to be read.
said=$(systemd-sysusers --dry-run "$root/systemd/mailkeeper.sysusers" 2>&1)
if grep -qiE 'fail|unknown|ignor|invalid|line' <<<"$said"; then
    printf 'error: systemd-sysusers complains:\n%s\n' "$said" >&2
    exit 1
fi
echo "ok: the user of the unit can be created"
