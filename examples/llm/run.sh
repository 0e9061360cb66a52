#!/usr/bin/env bash
# Tokens of two language-model services, from two files of calls to two invoices.
#
#   examples/llm/run.sh
#
# Everything it makes lies in WORK (demo/llm); run again, it adds nothing. It reads the files of usage in DATA
# (../shared/data beside the project) and serves on PORT of loopback while it runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
EXAMPLE=llm
FILES=(azure_llm_2023_code.csv.gz azure_llm_2023_conv.csv.gz)
source examples/steps.sh

start
# A key that is bound to a tenant is how the service knows whose calls they are.
send "${FILES[0]}" kite-editor --tenant kite-editor
send "${FILES[1]}" parley-chat --tenant parley-chat
finish 2023-12-01
