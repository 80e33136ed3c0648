#!/usr/bin/env bash
# Applies manifests and waits until everything that runs is of them, or the deadline passes.
#   apply.sh <manifests> [<manifests that failed>]
# What the failed ones have besides is deleted before the wait: it may be what is in the way. What was changed by hand is changed back.
set -euo pipefail
manifests=$1 failed=${2:-}
namespace=${NAMESPACE:-sidecart}
deadline=$((SECONDS + ${ROLLOUT_SECONDS:-600}))

applied=$(kubectl apply --server-side --force-conflicts --field-manager sidecart-pipeline -n "$namespace" -o name -f "$manifests")
echo "$applied"
if [ -n "$failed" ]; then "$(dirname "$0")/remove.sh" "$failed" "$manifests"; fi
mapfile -t workloads < <(grep -E '^(deployment|statefulset)\.apps/' <<<"$applied")
for workload in "${workloads[@]}"; do
  # To kubectl, no time is endless time.
  left=$((deadline - SECONDS))
  kubectl rollout status "$workload" -n "$namespace" --timeout "$((left > 1 ? left : 1))s"
done
