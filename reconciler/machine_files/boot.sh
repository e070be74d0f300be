#!/bin/sh
# Writes what only this machine knows, read from the instance metadata (IMDSv2), into the agent's configuration.
set -eu
metadata=http://169.254.169.254/latest
ask() { curl --fail --silent --show-error --retry 10 --retry-connrefused --max-time 5 "$@"; }
token=$(ask --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token")
get() { ask --header "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/$1"; }

id=$(get instance-id)
type=$(get instance-type)
role=$(get tags/instance/nomad-reconciler:role)
claim=$(get tags/instance/nomad-reconciler:claim)
# Nomad's own guess of a virtual machine's MHz depends on the image: the table makes it what was planned with.
mhz=$(awk -F '\t' -v type="$type" '$1 == type { print $2 }' /etc/nomad-reconciler/cpu_total_compute)

umask 027
{
    printf '{"name": "%s"' "$id"
    if [ "$role" = client ]; then
        printf ', "client": {"meta": {"unique.nomad_reconciler_claim": "%s"}' "$claim"
        [ -z "$mhz" ] || printf ', "cpu_total_compute": %s' "$mhz"
        printf '}'
    fi
    printf '}\n'
} > /etc/nomad.d/50-boot.json
