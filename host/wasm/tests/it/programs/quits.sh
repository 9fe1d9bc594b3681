#!/bin/sh
# Gives up.
echo "cannot go on" >&2
exit 3
