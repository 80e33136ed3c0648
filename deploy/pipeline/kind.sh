#!/usr/bin/env bash
# Makes a kind cluster ready for `npm run test:kubernetes`: Dapr, and the images that the local overlay names.
#   kind.sh <name of the cluster>
# The chart comes with the Go module of Dapr, so that go.sum pins its content and Dapr has the version that npm start builds.
set -euo pipefail
cluster=$1
cd "$(dirname "$0")/../.."
modules=deploy/local/toolchain/runtime

go -C $modules mod download github.com/dapr/dapr
read -r version chart < <(go -C $modules list -m -f '{{.Version}} {{.Dir}}/charts/dapr' github.com/dapr/dapr)
helm upgrade --install dapr "$chart" --namespace dapr-system --create-namespace --set "global.tag=${version#v}" --wait --timeout 5m

kubectl kustomize deploy/kubernetes/overlays/local | sed -nE 's/^ *(- )?image: (sidecart\/[^ ]+)$/\2/p' | sort -u |
  while read -r image; do
    name=${image#sidecart/}
    service=${name%%:*}
    target=service
    if [ "$service" = mail-catcher ]; then target=mail-catcher; fi
    docker build --file deploy/docker/Dockerfile --target "$target" --build-arg "SERVICE=$service" --tag "$image" . </dev/null
    kind load docker-image --name "$cluster" "$image" </dev/null
  done
