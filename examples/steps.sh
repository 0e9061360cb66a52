# What the run.sh of every example does in the same way; it is sourced in the project's root, with EXAMPLE (the directory's
# name) and FILES (what it reads from DATA) set. Everything is made in WORK; run again, it adds nothing.
DATA=${DATA:-../shared/data}
WORK=${WORK:-demo/$EXAMPLE}
PORT=${PORT:-8765}
QUOTEPART=${QUOTEPART:-.venv/bin/quotepart} # may be several words

for file in "${FILES[@]}"; do
  if [ ! -e "$DATA/$file" ]; then
    echo "$DATA/$file is absent, and this example reads it. Where it comes from: examples/$EXAMPLE/README.md" >&2
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

start() { # the catalog applied, and the service ready on it until the script ends
  $QUOTEPART migrate
  $QUOTEPART apply "examples/$EXAMPLE/catalog.yaml" | tail -n 1
  $QUOTEPART serve --port "$PORT" > "$WORK/service.log" 2>&1 &
  SERVICE=$!
  trap 'kill $SERVICE 2> /dev/null; wait' EXIT
  until curl --noproxy '*' -sf -o /dev/null "http://127.0.0.1:$PORT/readyz"; do
    kill -0 $SERVICE 2> /dev/null || { echo "the service did not start: $WORK/service.log" >&2 && exit 1; }
    sleep 0.2
  done
}

send() { # send FILE NAME ARGUMENTS: the file, by MAPPING, with the ingest key NAME, which is made with ARGUMENTS
  local rows="$WORK/$2.not-accepted.csv"
  QUOTEPART_API_KEY=$(key "$2" --scope ingest "${@:3}") $QUOTEPART import "$DATA/$1" \
    --mapping "examples/$EXAMPLE/${MAPPING:-mapping.yaml}" --url "http://127.0.0.1:$PORT" \
    --report "$rows" --state "$WORK/$2.import-state.json"
  echo "rows that were not accepted, by status and reason ($rows):"
  tail -n +2 "$rows" | cut -d , -f 3,4 | sort | uniq -c
}

finish() { # finish INSTANT: everything billed through the instant, the invoices listed, the books audited
  $QUOTEPART close --through "$1"
  curl --noproxy '*' -sf -H "Authorization: Bearer $(key read --scope read)" \
    "http://127.0.0.1:$PORT/v1/invoices?limit=1000" > "$WORK/invoices.json"
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
}
