#!/usr/bin/env bash
# Installs Dapr into a cluster, as `npm run test:kubernetes` needs it. kubectl's current context names the cluster.
# The chart comes with the Go module of Dapr, so that go.sum pins its content and Dapr has the version that npm start builds.
set -euo pipefail
cd "$(dirname "$0")/../.."
modules=deploy/local/toolchain/runtime

go -C $modules mod download github.com/dapr/dapr
read -r version chart < <(go -C $modules list -m -f '{{.Version}} {{.Dir}}/charts/dapr' github.com/dapr/dapr)
helm upgrade --install dapr "$chart" --namespace dapr-system --create-namespace --set "global.tag=${version#v}" \
  --set dapr_sidecar_injector.sidecarDropALLCapabilities=true --set dapr_operator.watchInterval=30s --wait --timeout 5m
