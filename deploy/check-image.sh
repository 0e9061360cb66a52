#!/usr/bin/env bash
# Builds the Dockerfile as it stands and runs what comes out, where there is no container engine and no registry:
#
#   apt-get install --no-install-recommends buildah debootstrap iproute2 curl jq
#   deploy/check-image.sh          as root on Debian; downloads a base system and the locked requirements
#
# The base image is a stand-in: Debian's own Python under the name that the Dockerfile asks for. So this checks the
# Dockerfile, the requirements and the service, and not another publisher's image. Everything is made in one temporary
# directory and removed at the end. SUITE names another Debian, MIRROR another place to get it from than debootstrap's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

SUITE=${SUITE:-bookworm}

pass() { printf 'ok  %s\n' "$*"; }
fail() { printf 'FAILED  %s\n' "$*" >&2; exit 1; }
same() { # same WHAT FOUND EXPECTED
  [ "$2" = "$3" ] || fail "$1: found '$2', must be '$3'"
  pass "$1: $2"
}

[ "$(id -u)" = 0 ] || fail "only root can make a base system and namespaces"
for tool in buildah debootstrap unshare nsenter ip curl jq; do
  command -v "$tool" > /dev/null || fail "$tool is missing; the first lines of this file say what to install"
done

WORK=$(mktemp -d "${TMPDIR:-/tmp}/quotepart-image.XXXXXX")
HOST=$(readlink /proc/self/ns/net)
SPACE=$HOST # the network that the service runs in, once there is one

# A storage of its own: nothing of this stays among the images of the machine. vfs copies plain files, and so works
# inside a container too, where overlay often does not.
image_tool() { buildah --root "$WORK/storage" --runroot "$WORK/run" --storage-driver vfs "$@"; }

clean_up() {
  local status=$?
  trap - EXIT
  if [[ $SPACE == net:* && $SPACE != "$HOST" ]]; then
    # Whatever runs in the network made here was started here, also what the service started.
    for process in /proc/[0-9]*; do
      if [ "$(readlink "$process/ns/net")" = "$SPACE" ]; then kill -KILL "${process#/proc/}" || true; fi
    done 2> /dev/null
    wait 2> /dev/null || true
  fi
  image_tool rm --all > /dev/null 2>&1 || true
  # What was left mounted (by vfs, or by debootstrap when it is interrupted) would be emptied by rm.
  awk -v work="$WORK/" 'index($2, work) == 1 { print $2 }' /proc/self/mounts | sort -r | xargs -r umount --lazy || true
  rm -rf --one-file-system "$WORK"
  [ $status = 0 ] || echo "The image is not as it must be." >&2
  exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# --- building ---------------------------------------------------------------------------------------------------------

# What is built here carries no signature. buildah wants a policy that says so; this one is for this run alone.
POLICY=$WORK/policy.json
printf '{"default": [{"type": "insecureAcceptAnything"}]}\n' > "$POLICY"

make_base() { # make_base NAME: Debian's Python as an image of that name
  local container
  # python-is-python3: the Dockerfile says `python`, as every Python image does.
  debootstrap --variant=minbase --include=python3,python3-venv,python-is-python3 "$SUITE" "$WORK/base" \
    ${MIRROR:+"$MIRROR"} > "$WORK/log" 2>&1 || { tail -n 20 "$WORK/log" >&2; fail "debootstrap"; }
  rm -f "$WORK"/base/var/cache/apt/archives/*.deb
  tar --directory "$WORK/base" --create --file "$WORK/base.tar" .
  rm -rf --one-file-system "$WORK/base"
  container=$(image_tool from --signature-policy "$POLICY" scratch)
  image_tool add --quiet "$container" "$WORK/base.tar" / > /dev/null # add unpacks it
  image_tool commit --quiet --rm --signature-policy "$POLICY" "$container" "$1" > /dev/null
  rm "$WORK/base.tar"
}

host_settings() { # how this host reaches a package index, lent to the build and not kept in the image
  local bundle=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt} user=${PIP_CONFIG_FILE:-$HOME/.config/pip/pip.conf}
  if [ -e "$bundle" ]; then echo "--volume=$bundle:/etc/ssl/certs/ca-certificates.crt:ro"; fi
  if [ -e /etc/pip.conf ]; then echo "--volume=/etc/pip.conf:/etc/pip.conf:ro"; fi
  if [ -e "$user" ]; then echo "--volume=$user:/root/.config/pip/pip.conf:ro"; fi
}

build() {
  local options=(
    --isolation chroot # needs neither an OCI runtime nor cgroups, which a container on its own seldom has to give
    --network host     # pip reaches the index the way this host does; a network of its own would need a bridge
    --pull=never       # the base is the one made above: a registry is not asked even for the name
    --format docker    # the OCI format has no field for HEALTHCHECK and would drop it
    --signature-policy "$POLICY"
  )
  mapfile -t mounts < <(host_settings)
  image_tool build "${options[@]}" "${mounts[@]}" --tag quotepart --file Dockerfile . > "$WORK/log" 2>&1 ||
    { tail -n 30 "$WORK/log" >&2; fail "the build"; }
}

BASE=$(awk '$1 == "FROM" { print $2 }' Dockerfile | sort -u)
[ "$(wc -l <<< "$BASE")" = 1 ] || fail "the stages of the Dockerfile have different bases"
make_base "$BASE"
pass "a stand-in for $BASE from $SUITE"
build
pass "the Dockerfile builds"

# --- what the image says ----------------------------------------------------------------------------------------------

image_tool inspect --type image quotepart | jq .Docker.config > "$WORK/config"
config() { jq --raw-output "$1" "$WORK/config"; }
USER_ID=$(config .User)
[[ $USER_ID =~ ^[1-9][0-9]*$ ]] || fail "the image's user must be a number above 0, as Kubernetes checks it: '$USER_ID'"
pass "its user: $USER_ID"
mapfile -t ENVIRONMENT < <(config '.Env[]')
mapfile -t ENTRYPOINT < <(config '.Entrypoint[]')
mapfile -t COMMAND < <(config '.Cmd[]')
mapfile -t HEALTH < <(config '.Healthcheck.Test[1:][]') # the first says that no shell is meant

# --- running it -------------------------------------------------------------------------------------------------------

CONTAINER=$(image_tool from --pull=never --signature-policy "$POLICY" quotepart)
ROOT=$(image_tool mount "$CONTAINER")
DATA=$WORK/data
cp --archive "$ROOT$(config '.Volumes | keys[0]')" "$DATA" # as an engine fills a new volume: the owner is the image's

# A network that has loopback and nothing else: the service may listen on 0.0.0.0:8000, as the image says, and nobody
# reaches it from outside; and it reaches nobody.
unshare --net sleep 1800 &
NETWORK=$!
until [ "$SPACE" != "$HOST" ]; do SPACE=$(readlink "/proc/$NETWORK/ns/net"); done
isolated() { nsenter --net="/proc/$NETWORK/ns/net" "$@"; }
isolated ip link set lo up # it is the only one there

# As deploy/compose.yaml and deploy/kubernetes/ run it: as the image's user, without any capability and without a way
# to get one, the root file system read-only but for /data and /tmp.
inside() { # inside COMMAND...: SETTINGS (NAME=value ...) are added to the image's environment
  ${BY:-} nsenter --net="/proc/$NETWORK/ns/net" unshare --mount bash -euc '
    root=$1 data=$2 examples=$3 user=$4; shift 4
    mount --bind "$root" "$root"
    mount --bind "$data" "$root/data"
    mount --bind "$examples" "$root/mnt"
    mount -o remount,bind,ro "$root/mnt"
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -o remount,bind,ro "$root"
    exec chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups --bounding-set=-all --no-new-privs \
      env --chdir=/data --ignore-environment "$@"
  ' inside "$ROOT" "$DATA" "$PWD/examples" "$USER_ID" "${ENVIRONMENT[@]}" "${SETTINGS[@]}" "$@"
}
SETTINGS=()

# In the background, one program gives way to the next until it is the service: a signal to $! is a signal to it.
start() { # start LOG COMMAND...
  BY=exec inside "${ENTRYPOINT[@]}" "${@:2}" > "$1" 2>&1 &
}

ask() { isolated curl --noproxy '*' --silent --show-error --fail --max-time 30 "$@"; }

ready() { # ready URL: it answers within 60 s
  for _ in {1..300}; do
    if ask --output /dev/null "$1" 2> /dev/null; then return; fi
    sleep 0.2
  done
  tail -n 20 "$WORK"/*.log >&2
  fail "$1 does not answer"
}

stop() { # stop PROCESS LOG: told to end, it finishes what is in hand and says that it did
  local status=0
  kill -TERM "$1"
  wait "$1" || status=$?
  # 143: one process ends by the very signal that it was sent. Several end by themselves.
  [[ $status = 0 || $status = 143 ]] || fail "told to end, it ends with exit code $status"
  grep --quiet stopped "$2" || { tail -n 20 "$2" >&2; fail "told to end, it does not end in order"; }
  pass "told to end, it ends in order"
}

same "the uid it runs as" "$(inside id -u)" "$USER_ID"
same "its capabilities" "$(inside awk '/^Cap/ { print $2 }' /proc/self/status | sort -u)" 0000000000000000
if inside touch /opt/quotepart/changed 2> /dev/null; then fail "it can write into its own program"; fi
for tool in gcc cc g++ c++ clang make ld cargo; do
  # The shell of the image looks, in the PATH of the image.
  if inside sh -c "command -v $tool" > /dev/null; then fail "$tool is in the image"; fi
done
for path in /opt/build /source /wheels /opt/quotepart/bin/pip /root/.cache/pip /root/.config/pip /etc/pip.conf; do
  # buildah leaves the empty files and directories that it mounted something on.
  if [ -n "$(find "$ROOT$path" -type f -size +0 2> /dev/null | head -n 1)" ]; then fail "$path is in the image"; fi
done
pass "no compiler, no pip in the service's environment, nothing of the build, nothing of this host's settings"

inside python -c '
from importlib.metadata import distributions
for each in distributions():
    print(each.name.lower().replace("_", "-").replace(".", "-"), each.version, sep="==")
' | grep -v '^quotepart==' | LC_ALL=C sort > "$WORK/installed"
grep -o '^[^ ]*==[^ ]*' requirements.txt | LC_ALL=C sort > "$WORK/locked"
inside python -c 'import psycopg, typst, uvloop' || fail "a compiled library does not load"
same "installed and not in requirements.txt" "$(LC_ALL=C comm -23 "$WORK/installed" "$WORK/locked")" ""
pass "$(wc -l < "$WORK/installed") distributions installed, each as locked"

# --- what it is for: the garage of examples/charging ------------------------------------------------------------------

API=http://127.0.0.1:8000
SESSIONS=/mnt/data/acn_caltech_2019-09_2019-12.csv.gz

if inside "${ENTRYPOINT[@]}" "${COMMAND[@]}" > "$WORK/unmigrated.log" 2>&1; then
  fail "it serves a database that nobody has migrated"
fi
grep -q 'quotepart migrate' "$WORK/unmigrated.log" || fail "it does not say that the database must be migrated"
inside "${ENTRYPOINT[@]}" migrate
start "$WORK/serve.log" "${COMMAND[@]}"
SERVE=$!
ready $API/readyz
pass "it migrates, then serves as its CMD says: ${COMMAND[*]}"
inside "${HEALTH[@]}" || fail "its health check: ${HEALTH[*]}"
pass "its health check"

inside "${ENTRYPOINT[@]}" apply /mnt/charging/catalog.yaml | tail -n 1
KEY=$(inside "${ENTRYPOINT[@]}" keys create --scope admin)
SETTINGS=(QUOTEPART_API_KEY="$KEY")
report=$(inside "${ENTRYPOINT[@]}" import $SESSIONS --mapping /mnt/charging/mapping.yaml --state /tmp/state \
  --report /tmp/not-accepted.csv --json)
SETTINGS=()
same "sessions of the file: accepted, quarantined, rejected" \
  "$(jq --raw-output '[.accepted, .quarantined, .rejected] | map(tostring) | join(" ")' <<< "$report")" "2636 541 0"
same "kWh counted, as in the file" \
  "$(ask --header "Authorization: Bearer $KEY" "$API/v1/usage?meter=energy" | jq --raw-output '.data[].quantity')" \
  27447.1151569563792904
inside "${ENTRYPOINT[@]}" close --through 2020-01-01T08:00:00Z --json > "$WORK/billing"
same "billing periods: due, closed, failed" "$(jq -c '[.periods_due, .closed, .failed]' "$WORK/billing")" "[48,48,0]"
invoice=$(ask --header "Authorization: Bearer $KEY" "$API/v1/invoices?limit=1" | jq --raw-output '.data[0].id')
ask --header "Authorization: Bearer $KEY" --output "$WORK/pdf" "$API/v1/invoices/$invoice.pdf"
same "an invoice's PDF begins with" "$(head --bytes 5 "$WORK/pdf")" "%PDF-"
inside "${ENTRYPOINT[@]}" audit --json > "$WORK/audit" || fail "the audit: $(cat "$WORK/audit")"
same "the books recomputed: clean, events, documents" "$(jq -c '[.clean, .events, .documents]' "$WORK/audit")" \
  "[true,2636,48]"
same "the metric of accepted events" \
  "$(ask $API/metrics | awk '$1 == "quotepart_events_total{outcome=\"accepted\"}" { print $2 }')" 2636.0
stop $SERVE "$WORK/serve.log"

# As the deployment files have it: two processes that serve, and the jobs in a third.
SETTINGS=(QUOTEPART_RUN_JOBS=no)
start "$WORK/serve.log" serve --host 127.0.0.1 --workers 2
SERVE=$!
SETTINGS=()
start "$WORK/work.log" work --metrics-port 9101
JOBS=$!
ready $API/readyz
ready http://127.0.0.1:9101/readyz
ask --header "Authorization: Bearer $KEY" --json '{"through": "2020-01-01T08:00:00Z", "issue": true}' \
  "$API/v1/billing-runs" > "$WORK/billing"
run=$(jq --raw-output .id "$WORK/billing")
for _ in {1..150}; do
  ask --header "Authorization: Bearer $KEY" "$API/v1/billing-runs/$run" > "$WORK/billing"
  if [ "$(jq --raw-output .status "$WORK/billing")" != running ]; then break; fi
  sleep 0.2
done
same "a billing run asked of one and done by another: status, due" "$(jq -c '[.status, .periods_due]' "$WORK/billing")" \
  '["done",0]'
inside "${ENTRYPOINT[@]}" doctor || fail "the doctor finds something"
stop $SERVE "$WORK/serve.log"
stop $JOBS "$WORK/work.log"
echo "The image is as it must be: $(du -sm "$ROOT" | cut -f 1) MB."
