#!/usr/bin/env bash
# Refuses a commit that is older than the one that runs: a late approval must not undo a newer deployment.
#   in-order.sh <commit>
set -euo pipefail
commit=$1

status=0
running=$("$(dirname "$0")/recorded.sh" commit) || status=$?
case $status in
  0) ;;
  3) exit 0 ;; # the first deployment
  *) exit "$status" ;;
esac
# A commit that this clone does not know (another history) is not newer.
if [ "$running" != "$commit" ] && git merge-base --is-ancestor "$commit" "$running" 2>/dev/null; then
  echo "Commit $running runs already, and contains $commit. Run the workflow by hand to go back on purpose." >&2
  exit 1
fi
