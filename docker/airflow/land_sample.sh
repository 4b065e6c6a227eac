#!/bin/sh
# One-shot of the stack, started as root: leave the volumes to the stack's user, and write sample data into an empty landing
# folder as the folder's owner, so that no file in the user's checkout belongs to a stranger.
set -eu
landing=/opt/growth/landing
# files of before AIRFLOW_UID was set, or of a restore, would be nobody's that runs here; a folder changes after what is in it
for volume in /opt/airflow/logs /var/lib/growth /var/lib/growth-reports; do
    if [ "$(stat -c %u "$volume")" != "$AIRFLOW_UID" ]; then
        echo "$volume now belongs to user $AIRFLOW_UID"
        # what others write meanwhile may go away meanwhile, and shared disks allow nobody to do this
        chown --recursive --no-dereference "$AIRFLOW_UID:0" "$volume" \
            || echo "not all of $volume could be given to user $AIRFLOW_UID" >&2
    fi
done
if [ "${SAMPLE_DATA:-true}" = false ]; then
    echo "SAMPLE_DATA=false: no sample data"
    exit 0
fi
owner=$(stat -c %u "$landing")
group=$(stat -c %g "$landing")
umask 022
exec setpriv --reuid "$owner" --regid "$group" --clear-groups growth sample --if-empty "$landing"
