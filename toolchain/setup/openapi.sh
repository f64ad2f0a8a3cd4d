#!/usr/bin/env bash
# Holds the admin API against its own OpenAPI document, by tools that are not ours: openapi-spec-validator reads the document, and schemathesis makes
# requests from it, of which none may be answered by a server error, an undocumented status, or what its schema does not say. The table of routes in
# docs/reference/admin-api.md is compared with it too.
#
# Both come from PyPI, at the versions of tests/openapi/requirements.txt.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=$PWD/target/openapi
python3 -c 'import venv, ensurepip' 2>/dev/null || toolchain/setup/system.sh python3 python3-venv
if ! cmp -s tests/openapi/requirements.txt "$tools/made-from"; then
  rm -rf "$tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement tests/openapi/requirements.txt
  cp tests/openapi/requirements.txt "$tools/made-from"
fi

folder=$(mktemp -d)
target/release/elias serve --platform --listen 127.0.0.1:0 --admin 127.0.0.1:0 --data-dir "$folder/data" >"$folder/output" 2>"$folder/log" &
platform=$!
trap 'kill "$platform" 2>/dev/null || true; wait "$platform" || true; rm -rf "$folder"' EXIT
until grep -q "admin API" "$folder/output"; do
  kill -0 "$platform" || { cat "$folder/log"; exit 1; }
  sleep 0.1
done
admin=$(sed -n 's|.*admin API at \(http://[^/]*\)/v1.*|\1|p' "$folder/output")
curl --silent --fail "$admin/v1/openapi.json" --output "$folder/openapi.json"
"$tools/bin/openapi-spec-validator" "$folder/openapi.json"
node tests/docs/admin-api.mjs "$folder/openapi.json"
# The console's types are made from it.
toolchain/setup/console.sh schema "$folder/openapi.json"
# What a schema cannot say (which texts are names, which digests were uploaded) is refused too: that is no failure.
# Logs and backups are streams, which a test of answers would wait for.
(cd "$folder" && "$tools/bin/schemathesis" --no-color run openapi.json --url "$admin" \
  --header "Authorization: Bearer $(cat "$folder/data/operator-token")" \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth \
  --exclude-path-regex '/(logs|stream|backup)$' --max-examples "${SCHEMATHESIS_EXAMPLES:-20}" --generation-deterministic --continue-on-failure) ||
  { tail -50 "$folder/log"; exit 1; }
