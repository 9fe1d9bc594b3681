#!/bin/sh
# Announces a frame of 2 GiB.
printf '\377\377\377\177'
exec /bin/sleep 1000
