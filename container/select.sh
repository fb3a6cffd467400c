#!/bin/sh
# Copies from a tree what a list names, and nothing else: select.sh LIST FROM TO
#
# A line of the list is a path; "!" and a pattern, which is left out of the folders that are named;
# or "#" and a remark. Every path that is not there is named, and nothing is copied.
set -eu
list=$1 from=$2 to=$3
wanted=$(mktemp)
unwanted=$(mktemp)
sed -e '/^[#!]/d' -e '/^[[:space:]]*$/d' "$list" > "$wanted"
sed -n 's/^!//p' "$list" > "$unwanted"

missing=0
while read -r path; do
  if [ ! -e "$from/$path" ]; then
    echo "$list names what is not in $from: $path" >&2
    missing=$((missing + 1))
  fi
done < "$wanted"
if [ "$missing" -gt 0 ]; then
  echo "$missing paths are missing: is $from another version?" >&2
  exit 1
fi

mkdir -p "$to"
# Whatever user runs the image must be able to read all of it.
tar -C "$from" -X "$unwanted" --mode=go+rX -cf - -T "$wanted" | tar -C "$to" --no-same-owner -xf -

while read -r path; do
  [ -e "$to/$path" ] || { echo "$path was not copied, or is a link to what was not" >&2; exit 1; }
done < "$wanted"
echo "$(find "$to" -type f | wc -l) files, $(du -sm "$to" | cut -f1) MB of $from"
