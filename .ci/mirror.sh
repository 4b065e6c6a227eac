#!/usr/bin/env bash
# Prints the address of the Debian archive that this machine installs from.
set -euo pipefail
sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true)
mirror=$(grep -E '^(URIs:|deb) ' <<<"$sources" | grep -oE 'https?://[^ ]+/debian/?( |$)' | tr -d ' ' | sed -n 1p)
[ -n "$mirror" ] || { echo "no Debian source in /etc/apt" >&2; exit 1; }
echo "$mirror"
