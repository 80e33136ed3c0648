#!/usr/bin/env bash
# Deletes what the old manifests have and the new ones lack. Data is never deleted: no volume claim, no namespace, no definition.
#   remove.sh <old manifests> <new manifests>
set -euo pipefail
namespace=${NAMESPACE:-sidecart}
names() { kubectl create --dry-run=client -n "$namespace" -o name -f "$1" | sort; }

# A kind that the cluster does not know was never applied, and does not keep the others from being listed.
old=$(names "$1") || true
new=$(names "$2")
comm -23 <(echo "$old") <(echo "$new") |
  { grep -vE '^(persistentvolumeclaim|persistentvolume|namespace|customresourcedefinition[^/]*)/' || true; } |
  while read -r name; do
    kubectl delete -n "$namespace" --ignore-not-found "$name" </dev/null
  done
