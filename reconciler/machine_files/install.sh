#!/bin/sh
# Gets Nomad onto this machine, and Docker where its jobs need it. Done again after a failure; nothing is done twice.
set -eu
# shellcheck source=/dev/null
. /etc/nomad-reconciler/machine
say() { echo "nomad-reconciler: $*"; }
fetch() { curl --fail --silent --show-error --location --retry 5 --retry-connrefused --max-time 300 "$@"; }
apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@"; }
here() { nomad version 2>/dev/null | head -n 1 | grep -qwF "Nomad v$NOMAD_VERSION"; }

from_apt() {
    keys=/etc/apt/keyrings
    install -d -m 0755 "$keys"
    [ -s "$keys/hashicorp.asc" ] || {
        fetch --output "$keys/hashicorp.new" https://apt.releases.hashicorp.com/gpg
        mv "$keys/hashicorp.new" "$keys/hashicorp.asc"
    }
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    echo "deb [signed-by=$keys/hashicorp.asc] https://apt.releases.hashicorp.com $release main" \
        > /etc/apt/sources.list.d/hashicorp.list
    apt update
    apt install "nomad=$NOMAD_VERSION-*"
    apt-mark hold nomad > /dev/null # a change of version is the reconciler's to make
}

from_url() {
    place=$(mktemp -d)
    trap 'rm -rf "$place"' EXIT
    fetch --output "$place/nomad.zip" "$NOMAD_URL"
    echo "$NOMAD_SHA256  $place/nomad.zip" | sha256sum --check --quiet || {
        say "$NOMAD_URL is not what machine.install.sha256 says" >&2
        exit 1
    }
    python3 -m zipfile -e "$place/nomad.zip" "$place"
    install -m 0755 "$place/nomad" /usr/local/bin/nomad
}

with_docker() {
    command -v docker > /dev/null || {
        say "installing Docker"
        if command -v apt-get > /dev/null; then
            apt update
            apt install docker.io
        else
            dnf install --assumeyes --quiet docker
        fi
    }
    systemctl enable --now docker.service
    for _ in $(seq 60); do
        if docker info > /dev/null 2>&1; then return; fi
        sleep 2
    done
    say "Docker does not answer after 2 minutes" >&2
    exit 1
}

install -d -m 0750 -o root -g root /etc/nomad.d
here || {
    say "installing Nomad $NOMAD_VERSION ($INSTALL)"
    "from_$INSTALL"
}
here || {
    say "what was installed is not Nomad $NOMAD_VERSION but $(nomad version | head -n 1)" >&2
    exit 1
}
[ "$DOCKER" = no ] || with_docker
