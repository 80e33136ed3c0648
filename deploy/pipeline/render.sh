#!/usr/bin/env bash
# Prints the manifests of a commit, with its images by digest.
#   render.sh <commit> <file of images.sh>
# Every pod carries the commit: a changed component or configuration starts the sidecars anew, which read it only at their start.
set -euo pipefail
commit=$1 images=$2
overlays=$(cd "$(dirname "$0")/.." && pwd)/kubernetes/overlays

# Kustomize knows other folders by relative paths only.
folder=$(mktemp -d "$overlays/.render-XXXXXX")
trap 'rm -rf "$folder"' EXIT
{
  cat <<YAML
resources: [../${OVERLAY:-production}]
patches:
  - target: { kind: Deployment }
    patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: { name: any }
      spec: { template: { metadata: { annotations: { sidecart/commit: '$commit' } } } }
images:
YAML
  while read -r service image; do
    echo "  - { name: sidecart/$service, newName: '${image%@*}', digest: '${image#*@}' }"
  done <"$images"
} >"$folder/kustomization.yaml"
kubectl kustomize "$folder"
