#!/bin/sh
# Says what it hears.
exec /bin/cat
