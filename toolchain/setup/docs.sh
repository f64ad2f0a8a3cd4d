#!/usr/bin/env bash
# Makes the site of the documentation in target/docs, with search. A link that leads nowhere is an error, in the pages and in those at the top of
# the repository. To look at it: toolchain/site/node_modules/.bin/vitepress preview toolchain/site
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v npm >/dev/null || toolchain/setup/system.sh nodejs npm
node tests/docs/links.mjs
toolchain/setup/packages.sh toolchain/site
toolchain/site/node_modules/.bin/vitepress build toolchain/site
