#!/bin/sh
# Says nothing.
exec /bin/sleep 1000
