#!/usr/bin/env bash
# A month of shared bikes, from the file of trips to five invoices.
#
#   examples/bikes/run.sh
#
# Everything it makes lies in WORK (demo/bikes); run again, it adds nothing. It reads the file of usage in DATA
# (../shared/data beside the project) and serves on PORT of loopback while it runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
DATA=${DATA:-../shared/data}
WORK=${WORK:-demo/bikes}
PORT=${PORT:-8765}
QUOTEPART=${QUOTEPART:-.venv/bin/quotepart} # may be several words

for file in bikeshare_bayarea_2014-11.csv.gz; do
  if [ ! -e "$DATA/$file" ]; then
    echo "$DATA/$file is absent, and this example reads it. Where it comes from: examples/bikes/README.md" >&2
    exit 1
  fi
done
mkdir -p "$WORK"
WORK=$(cd "$WORK" && pwd)
export QUOTEPART_DATABASE_URL=sqlite:///$WORK/quotepart.db

key() { # an API key, made at the first run: key NAME ARGUMENTS
  [ -s "$WORK/$1.key" ] || (umask 077 && $QUOTEPART keys create "${@:2}" > "$WORK/$1.key")
  cat "$WORK/$1.key"
}

$QUOTEPART migrate
$QUOTEPART apply examples/bikes/catalog.yaml | tail -n 1

READ_KEY=$(key read --scope read)
$QUOTEPART serve --port "$PORT" > "$WORK/service.log" 2>&1 &
SERVICE=$!
trap 'kill $SERVICE 2> /dev/null; wait' EXIT
until curl --noproxy '*' -sf -o /dev/null "http://127.0.0.1:$PORT/readyz"; do
  kill -0 $SERVICE 2> /dev/null || { echo "the service did not start: $WORK/service.log" >&2 && exit 1; }
  sleep 0.2
done

export QUOTEPART_API_KEY
QUOTEPART_API_KEY=$(key ingest --scope ingest)
$QUOTEPART import "$DATA/bikeshare_bayarea_2014-11.csv.gz" --mapping examples/bikes/mapping.yaml --url "http://127.0.0.1:$PORT" \
  --report "$WORK/not-accepted.csv" --state "$WORK/import-state.json"
echo "rows that were not accepted, by status and reason ($WORK/not-accepted.csv):"
tail -n +2 "$WORK/not-accepted.csv" | cut -d , -f 3,4 | sort | uniq -c

$QUOTEPART close --through 2014-12-01T08:00:00Z
curl --noproxy '*' -sf -H "Authorization: Bearer $READ_KEY" "http://127.0.0.1:$PORT/v1/invoices?limit=1000" \
  > "$WORK/invoices.json"
python3 - "$WORK/invoices.json" << 'END'
import json, sys
from decimal import Decimal

invoices = json.load(open(sys.argv[1]))["data"]
for invoice in sorted(invoices, key=lambda each: each["buyer"]):
    lines = ", ".join(f"{line['charge']} {line['quantity']}" for line in invoice["lines"])
    print(f"{invoice['buyer']}: {lines}: {invoice['total']} {invoice['currency']}")
print(f"{len(invoices)} invoices: {sum(Decimal(each['total']) for each in invoices)} in all")
END
$QUOTEPART audit
