#!/usr/bin/env bash
# A Docker engine for CI: installs Debian trixie's packages when no engine answers, and starts dockerd.
# Prints the engine's pid when it was started here, nothing when one was running. Logs go to $1.
set -euo pipefail
log=${1:?usage: engine.sh LOG}
cd "$(dirname "$0")/.."
docker=/usr/bin/docker # an older client may come first in PATH

if "$docker" info >/dev/null 2>&1 && "$docker" buildx version >/dev/null 2>&1 && "$docker" compose version >/dev/null 2>&1; then
    exit 0
fi
free_kb=$(df --output=avail / | tail -1)
if [ "$free_kb" -lt 10000000 ]; then
    echo "engine.sh: 10 GB of free disk are needed, there are $((free_kb / 1000000)) GB" >&2
    exit 1
fi
if ! { command -v dockerd && "$docker" buildx version && "$docker" compose version && command -v debootstrap; } >>"$log" 2>&1; then
    # bookworm's own engine has only the classic builder; the address is that of the machine's Debian source
    mirror=$(.ci/mirror.sh)
    printf 'Types: deb\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
        "$mirror" >/etc/apt/sources.list.d/trixie.sources
    printf 'Package: *\nPin: release n=trixie\nPin-Priority: 100\n' >/etc/apt/preferences.d/trixie
    apt-get update -qq >>"$log" 2>&1
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        docker.io/trixie docker-cli/trixie docker-buildx/trixie docker-compose/trixie iptables debootstrap >>"$log" 2>&1
fi
if ! "$docker" info >/dev/null 2>&1; then
    dockerd >>"$log" 2>&1 </dev/null &
    pid=$!
    for _ in $(seq 60); do
        if "$docker" info >/dev/null 2>&1; then
            echo "$pid"
            exit 0
        fi
        sleep 1
    done
    echo "engine.sh: dockerd did not start; see $log" >&2
    tail -20 "$log" >&2
    exit 1
fi
