#!/usr/bin/env bash
# One of these plans, from its catalog and its events to its invoices.
#
#   examples/plans/bill.sh api
#
# Everything it makes lies in WORK (demo/plans/api); run again, it adds nothing. It serves on PORT of loopback while it runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
EXAMPLE=plans/$1
FILES=()
source examples/steps.sh

start
curl --noproxy '*' -sf -H "Authorization: Bearer $(key ingest --scope ingest)" -H 'Content-Type: application/x-ndjson' \
  --data-binary "@examples/$EXAMPLE/events.jsonl" "http://127.0.0.1:$PORT/v1/events"
echo
finish 2025-12-01T00:00:00Z
