#!/usr/bin/env bash
# Changes the pure crates (pure-crates.txt) one place at a time, and says which changes none of their tests notices. There
# are more changes than time: they are taken in random order for MUTANTS_SECONDS (default 600). What was found is in
# target/mutants.out, with a diff of each change. Changes of which the tests cannot know (a log line, a faster path) are
# found too; so this fails only where it cannot run.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v cargo-mutants >/dev/null || cargo install --quiet --locked cargo-mutants
packages=()
for folder in $(grep -v '^#' toolchain/setup/pure-crates.txt); do
  packages+=(--package "$(sed -n 's/^name = "\(.*\)"/\1/p' "$folder/Cargo.toml" | head -1)")
done
mkdir -p target
status=0
# In a copy of the tree, without what git ignores. A signal ends it, and the files of what was tried until then stay.
timeout "${MUTANTS_SECONDS:-600}" cargo mutants "${packages[@]}" --shuffle --gitignore=true --cap-lints=true \
  --cargo-arg=--locked --output target || status=$?
# 2 and 3: some were not noticed, or made the tests run for ever; 124: the time was over.
case $status in 0 | 2 | 3 | 124) ;; *) exit "$status" ;; esac
cd target/mutants.out
echo "noticed: $(wc -l <caught.txt), for ever: $(wc -l <timeout.txt), not compiled: $(wc -l <unviable.txt)," \
  "not noticed: $(wc -l <missed.txt)"
cat missed.txt
