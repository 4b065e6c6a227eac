#!/bin/sh
# One-shot of the stack, started as root: write sample data into an empty landing folder as the folder's owner, so that
# no file in the user's checkout belongs to a stranger.
set -eu
landing=/opt/growth/landing
if [ "${SAMPLE_DATA:-true}" = false ]; then
    echo "SAMPLE_DATA=false: no sample data"
    exit 0
fi
owner=$(stat -c %u "$landing")
group=$(stat -c %g "$landing")
umask 022
exec setpriv --reuid "$owner" --regid "$group" --clear-groups growth sample --if-empty "$landing"
