#!/usr/bin/env bash
# Tokens of two language-model services, from two files of calls to two invoices.
#
#   examples/llm/run.sh
#
# Everything it makes lies in WORK (demo/llm); run again, it adds nothing. It reads the files of usage in DATA
# (../shared/data beside the project) and serves on PORT of loopback while it runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
DATA=${DATA:-../shared/data}
WORK=${WORK:-demo/llm}
PORT=${PORT:-8765}
QUOTEPART=${QUOTEPART:-.venv/bin/quotepart} # may be several words

for file in azure_llm_2023_code.csv.gz azure_llm_2023_conv.csv.gz; do
  if [ ! -e "$DATA/$file" ]; then
    echo "$DATA/$file is absent, and this example reads it. Where it comes from: examples/llm/README.md" >&2
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
$QUOTEPART apply examples/llm/catalog.yaml | tail -n 1

READ_KEY=$(key read --scope read)
$QUOTEPART serve --port "$PORT" > "$WORK/service.log" 2>&1 &
SERVICE=$!
trap 'kill $SERVICE 2> /dev/null; wait' EXIT
until curl --noproxy '*' -sf -o /dev/null "http://127.0.0.1:$PORT/readyz"; do
  kill -0 $SERVICE 2> /dev/null || { echo "the service did not start: $WORK/service.log" >&2 && exit 1; }
  sleep 0.2
done

send() { # send TENANT FILE: with a key that is bound to the tenant, which is how the service knows whose calls they are
  QUOTEPART_API_KEY=$(key "$1" --scope ingest --tenant "$1") $QUOTEPART import "$DATA/$2" \
    --mapping examples/llm/mapping.yaml --url "http://127.0.0.1:$PORT" \
    --report "$WORK/$1.not-accepted.csv" --state "$WORK/$1.import-state.json"
  echo "rows that were not accepted: $(tail -n +2 "$WORK/$1.not-accepted.csv" | wc -l) ($WORK/$1.not-accepted.csv)"
}
send kite-editor azure_llm_2023_code.csv.gz
send parley-chat azure_llm_2023_conv.csv.gz

$QUOTEPART close --through 2023-12-01
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
