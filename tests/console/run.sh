#!/usr/bin/env bash
# The console in a browser, against the shipped binaries with a folder and ports of their own. Arguments go to Playwright:
#
#     tests/console/run.sh -g 'the log comes live'
set -euo pipefail
cd "$(dirname "$0")"
../../toolchain/setup/console.sh
if ! cmp -s package-lock.json node_modules/.installed-lock.json; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed-lock.json
fi
browser=${ELIAS_BROWSER:-}
for name in chromium-headless-shell chromium chromium-browser google-chrome; do
  [ -n "$browser" ] || browser=$(command -v "$name" || true)
done
if [ -z "$browser" ]; then
  ../../toolchain/setup/system.sh chromium-headless-shell
  browser=$(command -v chromium-headless-shell)
fi
ELIAS_BROWSER=$browser node_modules/.bin/playwright test "$@"
