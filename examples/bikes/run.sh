#!/usr/bin/env bash
# A month of shared bikes, from the file of trips to five invoices.
#
#   examples/bikes/run.sh
#
# Everything it makes lies in WORK (demo/bikes); run again, it adds nothing. It reads the file of usage in DATA
# (../shared/data beside the project) and serves on PORT of loopback while it runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
EXAMPLE=bikes
FILES=(bikeshare_bayarea_2014-11.csv.gz)
source examples/steps.sh

start
send "${FILES[0]}" ingest
finish 2014-12-01T08:00:00Z
