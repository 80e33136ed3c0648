#!/usr/bin/env bash
# Brings back what ran before: all manifests of the deployment that was recorded last, not only its images.
#   rollback.sh <manifests that failed>
# 3: there is nothing to go back to, and nothing is changed.
set -euo pipefail
failed=$1
here=$(dirname "$0")
good=$(mktemp)
trap 'rm -f "$good"' EXIT

status=0
"$here/recorded.sh" >"$good" || status=$?
if [ "$status" = 3 ]; then echo "No deployment was recorded here: what failed stays as it is." >&2; fi
[ "$status" = 0 ] || exit "$status"
echo "Going back to commit $("$here/recorded.sh" commit)."
"$here/apply.sh" "$good" "$failed"
