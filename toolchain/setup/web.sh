#!/usr/bin/env bash
# Bundles the npm packages that web modules are made of: guest-js/web/vendor/NAME.js -> target/web/NAME.js. Install scripts
# never run. Does its work only when something it is made from has changed.
set -euo pipefail
cd "$(dirname "$0")/../.."
vendor=guest-js/web/vendor
made_from=$(find "$vendor" -name node_modules -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 cksum toolchain/setup/web.sh | cksum)
if [ "$(cat target/web/made-from 2>/dev/null)" = "$made_from" ]; then exit 0; fi

if ! cmp -s "$vendor/package-lock.json" "$vendor/node_modules/.installed-lock.json"; then
  (cd "$vendor" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  cp "$vendor/package-lock.json" "$vendor/node_modules/.installed-lock.json"
fi
node "$vendor/build.mjs"
echo "$made_from" >target/web/made-from
