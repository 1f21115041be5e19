#!/usr/bin/env bash
# Evaluates $MODEL, writes what came out into the job's summary, and fails if robust accuracy fell below the interval
# of $BASELINE. Everything comes in by environment variables, so that no input is ever taken for a command.
set -euo pipefail
zoo() { node "$(dirname "$0")/../../../zoo/bin.mjs" "$@"; }

arguments=(--data "$DATA" --norm "$NORM" --eps "$EPS" --battery "$BATTERY" --out "$LEDGER")
if [ -n "${LIMIT:-}" ]; then arguments+=(--limit "$LIMIT"); fi
if [ -n "${ARGUMENTS:-}" ]; then
  while IFS= read -r word; do
    if [ -n "$word" ]; then arguments+=("$word"); fi
  done <<<"$ARGUMENTS"
fi

text="$(zoo eval "$MODEL" "${arguments[@]}")"
zoo leaderboard badge "$LEDGER" -o "$LEDGER/badge.svg" >/dev/null
summary="${GITHUB_STEP_SUMMARY:-/dev/stdout}"
printf '```\n%s\n```\n' "$text" >>"$summary"
robust="$(node -p 'JSON.parse(require("node:fs").readFileSync(process.argv[1])).robust.accuracy' "$LEDGER/result.json")"
echo "robust=$robust" >>"${GITHUB_OUTPUT:-/dev/null}"

if [ -n "${BASELINE:-}" ]; then
  status=0
  zoo leaderboard compare "$BASELINE" "$LEDGER" --fail-on-drop >>"$summary" || status=$?
  exit "$status"
fi
