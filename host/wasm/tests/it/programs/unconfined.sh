#!/bin/sh
# Says that nothing is in force.
printf '\010\000\000\000\004\000\000\000\000\000\000\000'
exec /bin/sleep 1000
