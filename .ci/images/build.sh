#!/usr/bin/env bash
# Stand-ins for the official base images, built from Debian's packages where no registry can be reached.
# An image is built only when none of its name is there, or when one of ours was built from other inputs.
set -euo pipefail
cd "$(dirname "$0")"
docker=/usr/bin/docker
certificates=/usr/local/share/ca-certificates

inputs() { # a hash of everything an image is built from
    (cat build.sh "$@"; cat "$certificates"/*.crt 2>/dev/null || true) | sha256sum | cut -c1-16
}

is_current() { # name, inputs: whether it is there, official or built from these inputs
    local label
    label=$("$docker" image inspect --format '{{index .Config.Labels "stand-in"}}' "$1" 2>/dev/null) || return 1
    [ -z "$label" ] || [ "$label" = "$2" ]
}

build() { # name, folder
    local hash
    hash=$(inputs "$2"/*)
    is_current "$1" "$hash" && return
    echo "building a stand-in for $1"
    mkdir -p "$2/certificates"
    cp "$certificates"/*.crt "$2/certificates/" 2>/dev/null || true
    "$docker" build --quiet --label "stand-in=$hash" --tag "$1" "$2" >/dev/null
    rm -r "$2/certificates"
}

base=$(inputs)
if ! is_current debian:trixie-slim "$base"; then
    echo "building a stand-in for debian:trixie-slim"
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    if ! command -v debootstrap >/dev/null; then # the engine was not installed by engine.sh
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
    fi
    mirror=$(../mirror.sh)
    debootstrap --variant=minbase trixie "$root" "$mirror" >/tmp/debootstrap.log 2>&1 \
        || { tail -20 /tmp/debootstrap.log >&2; exit 1; }
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
    tar -C "$root" -c . | "$docker" import --change "LABEL stand-in=$base" - debian:trixie-slim >/dev/null
fi
build python:3.13-slim-trixie python &
python_build=$!
build nginx:1.28-alpine nginx &
nginx_build=$!
build redis:8.0-alpine redis &
redis_build=$!
build prom/prometheus:v3.5.0 prometheus &
prometheus_build=$!
build postgres:17 postgres
wait "$python_build"
wait "$nginx_build"
wait "$redis_build"
wait "$prometheus_build"
