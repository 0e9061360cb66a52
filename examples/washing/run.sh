#!/usr/bin/env bash
# A year of booked washing machines, from the file of slots to a bill for each resident.
#
#   examples/washing/run.sh
#
# Everything it makes lies in WORK (demo/washing); run again, it adds nothing. It reads the file of usage in DATA
# (../shared/data beside the project) and serves on PORT of loopback while it runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
EXAMPLE=washing
FILES=(dorm_washing_machines.csv)
source examples/steps.sh

start
send "${FILES[0]}" ingest
finish 2023-12-04T23:00:00Z
