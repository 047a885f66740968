#!/usr/bin/env bash
# Checks the dashboard against the types that Grafana publishes. Needs npm and its registry; 77 means skipped.
#
# usage: deploy/test/check_dashboard_types.sh [DIRECTORY FOR THE PACKAGES]
#
# Grafana itself is not needed. The types do not cover the options of single panel types, nor what the Prometheus data
# source adds to variables and annotations: those parts are left out here, and seen only by opening the dashboard.
set -euo pipefail

readonly SCHEMA=@grafana/schema@13.2.3
readonly TYPESCRIPT=typescript@7.0.2

root=$(cd "$(dirname "$0")/../.." && pwd)
packages=${1:-$root/target/grafana-types}

skip() {
    echo "skipped: $1"
    exit 77
}
command -v npm >/dev/null || skip "npm is not installed"
mkdir -p "$packages"
# Seconds with a registry; without one npm tries again for many minutes.
timeout 60 npm install --prefix "$packages" --no-audit --no-fund --silent "$SCHEMA" "$TYPESCRIPT" \
    >"$packages/npm.log" 2>&1 </dev/null ||
    skip "npm cannot install $SCHEMA and $TYPESCRIPT (see $packages/npm.log)"

check() { # FILE WITH THE DASHBOARD
    {
        cat <<'TYPES'
import type { Dashboard } from '@grafana/schema';
// Enums of the types are written as plain strings in JSON.
type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Checked = Plain<Omit<Dashboard, 'templating' | 'annotations'>> & { templating: object; annotations: object };
export const dashboard: Checked =
TYPES
        cat "$1"
    } >"$packages/dashboard.ts"
    (cd "$packages" && npm exec --silent -- tsc --noEmit --strict --skipLibCheck --module esnext \
        --moduleResolution bundler --target es2022 dashboard.ts)
}

check "$root/deploy/grafana/dashboard.json"
echo "ok: the dashboard has the types of $SCHEMA"

# The check must be able to fail: a misspelt key has to be noticed.
sed 's/"gridPos"/"gridPosition"/' "$root/deploy/grafana/dashboard.json" >"$packages/planted.json"
if check "$packages/planted.json" >/dev/null 2>&1; then
    echo "error: the types do not notice a misspelt key" >&2
    exit 1
fi
echo "ok: a misspelt key would be noticed"
