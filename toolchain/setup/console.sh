#!/usr/bin/env bash
# Builds the web console into host/console/dist, which elias-serve embeds. Packages come by the lockfile, and their install scripts never run. Does its
# work only when something it is made from has changed.
#
# `check`: types, texts and modules of the console. `schema OPENAPI.json`: whether its types of the admin API are those of this document.
set -euo pipefail
cd "$(dirname "$0")/../../host/console"
if ! cmp -s package-lock.json node_modules/.installed-lock.json; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed-lock.json
fi

case "${1:-}" in
  check)
    npm run --silent check
    npm run --silent test
    exit 0
    ;;
  schema)
    made=$(mktemp --suffix=.ts)
    trap 'rm -f "$made"' EXIT
    npm run --silent schema -- "$2" -o "$made" >/dev/null 2>&1
    if ! cmp "$made" src/api/schema.ts; then
      echo "error: the admin API has changed: (cd host/console && npm run schema -- $2 -o src/api/schema.ts)" >&2
      exit 1
    fi
    exit 0
    ;;
esac

# The editor knows the types of the SDK.
made_from=$(find . ../../guest-js/sdk \( -name node_modules -o -path ./dist -o -path ./test \) -prune -o -type f -print0 |
  LC_ALL=C sort -z | xargs -0 cksum ../../toolchain/setup/console.sh | cksum)
if [ -e dist/index.html ] && [ "$(cat node_modules/.built-from 2>/dev/null)" = "$made_from" ]; then exit 0; fi
echo "building the console"
npm run --silent build
echo "$made_from" >node_modules/.built-from
