#!/bin/sh
# Copies the workshop's papers to the stick in the till, and keeps the last seven copies.
# usage: backup.sh SOURCE TARGET
set -eu

if [ "$#" -ne 2 ]; then
    echo "usage: $0 SOURCE TARGET" >&2
    exit 2
fi
source=$1
target=$2
keep=7

if ! mountpoint -q "$target"; then
    echo "$target is not mounted: is the stick in the till?" >&2
    exit 1
fi

name="papers-$(date +%Y-%m-%d).tar.gz"
# Written under another name first, so that a stick that is pulled out leaves no half copy behind.
tar -czf "$target/.$name.part" -C "$source" .
mv "$target/.$name.part" "$target/$name"

# Names sort by date, so all but the last seven go.
ls -1 "$target" | grep '^papers-.*\.tar\.gz$' | sort -r | tail -n +$((keep + 1)) | while read -r old; do
    rm -- "$target/$old"
done
echo "wrote $name"
