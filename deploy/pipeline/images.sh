#!/usr/bin/env bash
# Prints one line for each service, "<service> <registry>/<service>@sha256:...": the images of a commit, and only if every one is
# signed. The tag of the commit finds an image; its signature decides.
#   REGISTRY=... REPOSITORY=<owner>/<name> images.sh <commit>
# The signature has to come from images.yml on main, in a run for this very commit, and to name this very service.
set -euo pipefail
commit=$1
: "${REGISTRY:?}" "${REPOSITORY:?}"
server=${GITHUB_SERVER_URL:-https://github.com}
issuer=${OIDC_ISSUER:-https://token.actions.githubusercontent.com}

for service in gateway users inventory orders payments fulfilment notifications history returns; do
  digest=$(docker buildx imagetools inspect --format '{{json .Manifest.Digest}}' "$REGISTRY/$service:$commit" | tr -d '"')
  cosign verify "$REGISTRY/$service@$digest" \
    --annotations "service=$service" \
    --certificate-identity "$server/$REPOSITORY/.github/workflows/images.yml@refs/heads/main" \
    --certificate-oidc-issuer "$issuer" \
    --certificate-github-workflow-sha "$commit" >/dev/null
  echo "$service $REGISTRY/$service@$digest"
done
