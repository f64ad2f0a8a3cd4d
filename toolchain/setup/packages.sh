#!/usr/bin/env bash
# Installs what the examples and the tests of packages take from npm, and what the folders named as arguments do, as their lockfiles say. Install
# scripts never run.
set -euo pipefail
cd "$(dirname "$0")/../.."
for folder in examples/* tests/packages "$@"; do
  lock=$folder/package-lock.json
  [ -e "$lock" ] || continue
  if [ ! -e "$folder/node_modules/.package-lock.json" ] || [ "$lock" -nt "$folder/node_modules/.package-lock.json" ]; then
    echo "installing packages of $folder"
    (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    touch "$folder/node_modules/.package-lock.json"
  fi
done
