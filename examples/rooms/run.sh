#!/usr/bin/env bash
# Three meeting rooms, from the files of their devices to an invoice for each company.
#
#   examples/rooms/run.sh
#
# Everything it makes lies in WORK (demo/rooms); run again, it adds nothing. It reads the files of readings in DATA
# (../shared/data beside the project) and serves on PORT of loopback while it runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
EXAMPLE=rooms
FILES=(office_room_{917810,999169,925038}_raw_properties.csv.gz)
source examples/steps.sh

gaps() { # gaps ROOM: each local day that lacks more than five of its minutes; the sensor's clock costs two or three a day
  local start=2022-10-09T22:00:00Z end=2022-11-02T23:00:00Z
  curl --noproxy '*' -sf -H "Authorization: Bearer $(key read --scope read)" \
    "http://127.0.0.1:$PORT/v1/usage?meter=measured&resource=room-$1&window=day&time_zone=Europe/Amsterdam&start=$start&end=$end" \
    > "$WORK/measured-$1.json"
  python3 - "$WORK/measured-$1.json" "$1" "$start" "$end" << 'END'
import json, sys
from datetime import datetime, timedelta

file, room, before, last = sys.argv[1:]
for day in [*json.load(open(file))["data"], {"start": last}]:
    if day["start"] != before:  # a day on which nothing was used is not listed
        print(f"room {room}, {before} to {day['start']}: nothing was read")
    if day["start"] == last:
        break
    before = day["end"]
    start, end = (datetime.strptime(day[name], "%Y-%m-%dT%H:%M:%SZ") for name in ("start", "end"))
    due = (end - start) // timedelta(minutes=1)
    if due - int(day["quantity"]) > 5:
        print(f"room {room}, {day['start']} to {day['end']}: {day['quantity']} of {due} minutes were read")
END
}

start
send "${FILES[0]}" room-917810
send "${FILES[1]}" room-999169
MAPPING=mapping-phones.yaml send "${FILES[2]}" room-925038
gaps 917810
gaps 999169
finish 2022-11-02T23:00:00Z
