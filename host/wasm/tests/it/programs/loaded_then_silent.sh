#!/bin/sh
# Says "loaded", then nothing.
printf '\001\000\000\000\000'
exec /bin/sleep 1000
