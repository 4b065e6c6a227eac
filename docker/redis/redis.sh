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
settings='bind * -::*\nprotected-mode no\nsave ""\nappendonly no\nmaxmemory-policy noeviction\ndir /tmp\n'
quoted=$(printf %s "$REDIS_PASSWORD" | sed 's/[\\"]/\\&/g')
unset REDIS_PASSWORD
{ printf "$settings"; printf 'requirepass "%s"\n' "$quoted"; } | redis-server -
