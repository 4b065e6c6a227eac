#!/bin/sh
# Redis with a password that stands in no list of processes, and nothing on disk: what it loses Airflow sends again.
# With the argument `ping`, whether it answers.
set -eu
if [ -n "${REDIS_PASSWORD_FILE:-}" ]; then
    REDIS_PASSWORD=$(cat "$REDIS_PASSWORD_FILE")
fi
if [ "${1:-}" = ping ]; then
    [ "$(REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli ping)" = PONG ]
    exit
fi
umask 077 # /tmp is in memory
quoted=$(printf %s "$REDIS_PASSWORD" | sed 's/[\\"]/\\&/g')
cat >/tmp/redis.conf <<END
bind * -::*
dir /tmp
save ""
appendonly no
maxmemory-policy noeviction
requirepass "$quoted"
END
unset REDIS_PASSWORD quoted
exec redis-server /tmp/redis.conf
