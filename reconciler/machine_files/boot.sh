#!/bin/sh
# Writes what only this machine knows, read from the instance metadata (IMDSv2), into the agent's configuration.
set -eu
# shellcheck source=/dev/null
. /etc/nomad-reconciler/machine
say() { echo "nomad-reconciler: $*"; }
metadata=http://169.254.169.254/latest
ask() { curl --fail --silent --show-error --retry 10 --retry-connrefused --max-time 5 "$@"; }
token=$(ask --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token")
get() { ask --header "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/$1"; }

if ! nomad=$(command -v nomad); then
    say "there is no nomad on this machine: its image must have it, or machine.install must say how to get it" >&2
    exit 1
fi
id=$(get instance-id)
type=$(get instance-type)
address=$(get local-ipv4)
role=$(get tags/instance/nomad-reconciler:role)
claim=$(get tags/instance/nomad-reconciler:claim)
# Nomad's own guess of a virtual machine's MHz depends on the image: the table makes it what was planned with.
mhz=$(awk -F '\t' -v type="$type" '$1 == type { print $2 }' /etc/nomad-reconciler/cpu_total_compute)

# The package's example makes every machine a cluster of its own, and would win over ours by its name.
example=/etc/nomad.d/nomad.hcl
if [ -e "$example" ] && grep -q '^ *bootstrap_expect *= *1$' "$example"; then
    say "the package's example $example is put aside"
    mv "$example" "$example.example"
fi

install -d -m 0700 -o root -g root "$DATA_DIR"
umask 077
{
    printf '{"name": "%s", "advertise": {"http": "%s", "rpc": "%s", "serf": "%s"}' "$id" "$address" "$address" "$address"
    if [ "$role" = client ]; then
        printf ', "client": {"meta": {"unique.nomad_reconciler_claim": "%s"}' "$claim"
        [ -z "$mhz" ] || printf ', "cpu_total_compute": %s' "$mhz"
        printf '}'
    fi
    printf '}\n'
} > /etc/nomad.d/50-boot.json.new
mv /etc/nomad.d/50-boot.json.new /etc/nomad.d/50-boot.json
say "$id ($type) starts $("$nomad" version | head -n 1) as a $role"
