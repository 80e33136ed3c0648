#!/usr/bin/env bash
# Watches which share of the gateway's answers are errors (5xx), from a moment on, and tells whether the objective holds.
#   PROMETHEUS_URL=... error-rate.sh <that moment, in seconds since 1970>
#   PROMETHEUS_URL=... error-rate.sh reachable     asks only whether Prometheus answers
# 0: it holds. 1: it is broken. 2: nobody knows, because Prometheus does not answer or has seen no request.
set -euo pipefail
: "${PROMETHEUS_URL:?}"
since=$1
selector=${METRICS_SELECTOR:-service=\"gateway\"}
most=${MAX_ERROR_RATIO:-0.01}
many=${MANY_ERRORS:-20} # so many end the watch early
watch_s=${WATCH_SECONDS:-300}
grace_s=${GRACE_SECONDS:-60} # for a Prometheus that is away just when the watch ends
every_s=${EVERY_SECONDS:-15}
answer_s=${ANSWER_SECONDS:-10}

# The number that an expression has; nothing, and a failure, where there is none.
ask() {
  curl --silent --show-error --fail --max-time "$answer_s" --get "$PROMETHEUS_URL/api/v1/query" \
    ${PROMETHEUS_TOKEN:+--oauth2-bearer "$PROMETHEUS_TOKEN"} --data-urlencode "query=$1" |
    sed -nE '/"status":"success"/s/.*"value":\[[0-9.e+]+,"([0-9.e+-]+)"\].*/\1/p' | grep .
}

if [ "$since" = reachable ]; then
  ask 'vector(1)' >/dev/null || { echo "Prometheus does not answer." >&2; exit 2; }
  exit 0
fi

end=$(($(date +%s) + watch_s))
while :; do
  now=$(date +%s)
  count="requests_total{$selector}"
  window="[$((now - since + 1))s]"
  if all=$(ask "sum(increase($count$window)) > 0") &&
    errors=$(ask "sum(increase(${count%\}},status=~\"5..\"}$window)) or vector(0)"); then
    told="$errors errors of $all requests"
    exceeds() { awk -v errors="$errors" -v all="$all" -v most="$most" -v many="$1" 'BEGIN { exit !(errors > most * all && errors >= many) }'; }
    if exceeds "$many" || { [ "$now" -ge "$end" ] && exceeds 0; }; then
      echo "The objective is broken: $told, more than $most of them." >&2
      exit 1
    fi
    if [ "$now" -ge "$end" ]; then echo "The objective holds: $told."; exit 0; fi
  elif [ "$now" -ge $((end + grace_s)) ]; then
    echo "Nobody knows: Prometheus has no number." >&2
    exit 2
  fi
  sleep "$every_s"
done
