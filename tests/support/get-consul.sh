#!/bin/sh
# usage: get-consul.sh DEST_DIR   -- leaves DEST_DIR/consul; the system's own package sources stay as they are
set -eu
dest=$1
mirror=$(apt-get indextargets --format '$(REPO_URI)' | sed -n '/\/debian\/*$/p' | sort -u | head -n 1)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/lists/partial" "$tmp/cache/archives/partial" "$tmp/get" "$dest"
key=/usr/share/keyrings/debian-archive-keyring.gpg
# bullseye is the last Debian with a package of Consul: 1.8.7
echo "deb [signed-by=$key] ${mirror:?no Debian mirror configured} bullseye main" > "$tmp/sources.list"
apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$tmp/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$tmp/lists" -o Dir::Cache="$tmp/cache" -o APT::Sandbox::User=root \
        -o Acquire::Check-Valid-Until=false -o Acquire::Retries=1 "$@"
}
apt update
(cd "$tmp/get" && apt download consul)
dpkg-deb -x "$tmp"/get/consul_*.deb "$tmp/unpacked"
install -m 755 "$tmp/unpacked/usr/bin/consul" "$dest/consul.new"
mv "$dest/consul.new" "$dest/consul"
