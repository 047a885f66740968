#!/usr/bin/env bash
# The pre-commit hook in a repository of its own: a good policy passes, a bad one is refused, and what counts is what is
# staged. Needs git and the program.
#
# usage: check_gitops.sh [MAILKEEPER]     default: target/debug/mailkeeper
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
program=$(realpath "${1:-$root/target/debug/mailkeeper}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export MAILKEEPER=$program GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
git() { command git -C "$work" -c user.name=ci -c user.email=ci@example.org "$@"; }

fail() {
    echo "check_gitops: $1" >&2
    exit 1
}

policy() { printf 'version: 1\nkeep:\n  - name: staff\n    match: { mail: "*@contoso.com" }\n    licenses: [%s]\n' "$1"; }

git init --quiet
cp "$root/deploy/gitops/pre-commit" "$work/.git/hooks/pre-commit"
mkdir -p "$work/config"

policy SPE_E3 >"$work/config/policy.yaml"
git add .
git commit --quiet -m good >/dev/null 2>&1 || fail "a good policy was refused"

policy SPE_E33 >"$work/config/policy.yaml"
git add .
if git commit --quiet -m bad >"$work/out" 2>&1; then fail "a bad policy was accepted"; fi
grep -q "config/policy.yaml:5" "$work/out" || fail "the place of the fault is not shown: $(cat "$work/out")"

# Repaired in the work tree only: what would be committed is still bad.
policy SPE_E3 >"$work/config/policy.yaml"
if git commit --quiet -m staged >/dev/null 2>&1; then fail "what is staged was not what was checked"; fi
git add .
git commit --quiet --allow-empty -m repaired >/dev/null 2>&1 || fail "the repaired policy was refused"

# Bad in the work tree only, beside a change of something else.
policy SPE_E33 >"$work/config/policy.yaml"
echo notes >"$work/notes.txt"
git add notes.txt
git commit --quiet -m notes >/dev/null 2>&1 || fail "a commit without the policy was refused"

# Two files that are one policy: each is good alone, together a rule's name is there twice.
git checkout --quiet -- config
mkdir -p "$work/config/policy.d"
policy SPE_E3 >"$work/config/policy.d/10-staff.yaml"
policy SPE_E5 >"$work/config/policy.d/20-more.yaml"
git add .
if git commit --quiet -m directory >/dev/null 2>&1; then fail "a bad directory was accepted"; fi
git rm --quiet --cached config/policy.d/20-more.yaml
git commit --quiet -m directory >/dev/null 2>&1 || fail "a good directory was refused"

MAILKEEPER=/nonexistent/mailkeeper
policy SPE_E5 >"$work/config/policy.yaml"
git add config/policy.yaml
if git commit --quiet -m unchecked >/dev/null 2>&1; then fail "a commit passed without the program"; fi
echo "the pre-commit hook holds"
