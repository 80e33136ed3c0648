#!/usr/bin/env bash
# Remembers in the cluster what runs there and has been seen to work: that is what rollback.sh goes back to.
#   record.sh <commit> <manifests>
# Then it deletes what the manifests that were recorded before have and these lack.
set -euo pipefail
commit=$1 manifests=$2
here=$(dirname "$0")
namespace=${NAMESPACE:-sidecart}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if "$here/recorded.sh" >"$work/before.yaml"; then "$here/remove.sh" "$work/before.yaml" "$manifests"; fi
gzip -9n <"$manifests" >"$work/manifests.yaml.gz"
# A Secret, since manifests may hold what not everybody is to read; compressed, since one holds a mebibyte.
kubectl create secret generic sidecart-deployed -n "$namespace" --dry-run=client -o yaml \
  --from-file "$work/manifests.yaml.gz" --from-literal "commit=$commit" |
  kubectl apply --server-side --force-conflicts --field-manager sidecart-pipeline -n "$namespace" -f -
