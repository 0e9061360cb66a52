#!/usr/bin/env bash
# A bill of three clouds, from the FOCUS file to an invoice for each sub-account.
#
#   examples/cloud/run.sh
#
# Everything it makes lies in WORK (demo/cloud); run again, it adds nothing. It reads the file of charges in DATA
# (../shared/data beside the project) and serves on PORT of loopback while it runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
EXAMPLE=cloud
FILES=(focus_1_0_sample.csv)
source examples/steps.sh

start
send "${FILES[0]}" ingest
finish 2024-10-01
