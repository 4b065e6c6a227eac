#!/bin/sh
# Starts the proxy with a cookie of its own: nothing that a browser got before a restart holds after it.
set -eu
umask 077
secret=$(head -c 32 /dev/urandom | sha256sum | cut -c 1-64)
cat >/tmp/session.conf <<CONF
map "" \$session { default $secret; }
map \$cookie_growth_session \$realm { default "Growth Analytics"; $secret off; }
CONF
exec nginx -e stderr -c /etc/growth/nginx.conf -g 'daemon off;'
