#!/usr/bin/env bash
# Builds the engine: target/engine/engine.wasm, from guest-js/engine and the C source of QuickJS.
# Rebuilds only when something it is made from has changed.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
out=$root/target/engine
mkdir -p "$out"

# The WASI packages, from the crate whose host implementation we use, so that both sides speak one version.
packages=$(cargo metadata --format-version 1 --locked | tr ',' '\n' | sed -n 's/.*"manifest_path":"\([^"]*\)\/Cargo.toml".*/\1/p')
http=$(grep -m 1 '/wasmtime-wasi-http-[0-9.]*$' <<<"$packages")
mkdir -p wit/deps
for file in "$http"/wit/deps/*.wit; do
  cmp -s "$file" "wit/deps/$(basename "$file")" || cp "$file" wit/deps/
done
# Our own packages beside them: a world's dependencies are found there.
for package in wit/*/*.wit; do
  name=$(basename "$(dirname "$package")")
  [ "$name" = deps ] || { mkdir -p "wit/deps/elias-$name"; cp "$package" "wit/deps/elias-$name/"; }
done

"$root/toolchain/setup/wasm-target.sh"
made_from=$(cat guest-js/engine/Cargo.toml $(find guest-js/engine/src guest-js/engine/quickjs guest-js/engine/quickjs-sys -type f | sort) \
  guest-js/engine/*.h wit/*.wit wit/*/*.wit Cargo.lock "$0" target/wasm-sdk/env | cksum)
if [ -f "$out/engine.wasm" ] && [ "$(cat "$out/made-from" 2>/dev/null)" = "$made_from" ]; then exit 0; fi

# shellcheck disable=SC1091
. target/wasm-sdk/env
# QuickJS itself: the C source that a newer rquickjs-sys carries, with our patches, in a folder that is made anew.
crate=$(grep -m 1 '/rquickjs-sys-[0-9.]*$' <<<"$packages")
export ELIAS_QUICKJS=$root/target/quickjs
rm -rf "$ELIAS_QUICKJS"
mkdir -p "$ELIAS_QUICKJS"
cp "$crate"/quickjs.bind.h "$crate"/quickjs/*.[ch] "$ELIAS_QUICKJS/"
cp -r "$crate/src/inlines" "$ELIAS_QUICKJS/"
for patch in guest-js/engine/quickjs/patches/*.patch; do
  patch --silent --strip=1 --directory="$ELIAS_QUICKJS" <"$patch" || { echo "error: $patch does not fit $crate" >&2; exit 1; }
done

# QuickJS at -O3 and without assertions; paths are remapped so that every machine makes the same bytes.
# What is to be within quickjs.c goes there as a macro's body; see inside-quickjs.h.
{ echo '#define ELIAS_INSIDE_QUICKJS \'; sed 's/$/ \\/' guest-js/engine/quickjs/*.c; echo; } >"$out/quickjs-parts.h"
# The headers' checksum is there because QuickJS's build script looks at the flags, and not at the files that they name.
headers=$(cat guest-js/engine/*.h "$out/quickjs-parts.h" | cksum | cut -d' ' -f1)
includes="-include $root/guest-js/engine/stack-limit.h -include $out/quickjs-parts.h -include $root/guest-js/engine/inside-quickjs.h -include $root/guest-js/engine/async-context.h -include $root/guest-js/engine/stack-traces.h"
export CFLAGS_wasm32_wasip1="-O3 -DNDEBUG -DELIAS_HEADERS=$headers $includes"
remap="--remap-path-prefix=$root=/elias --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
# The stack lies below the data (an overflow traps instead of overwriting it); QuickJS's own limit is reached before.
# Memory is imported: an application's image defines it.
link="-C link-arg=--import-memory -C link-arg=--export-memory
  -C link-arg=-zstack-size=1048576 -C link-arg=--stack-first -C link-arg=--export=__stack_pointer -C link-arg=--export=__heap_base
  -C link-arg=--wrap=malloc -C link-arg=--wrap=calloc -C link-arg=--wrap=free -C link-arg=--wrap=realloc
  -C target-feature=+simd128,+bulk-memory,+sign-ext,+nontrapping-fptoint,+mutable-globals"
export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="$ELIAS_WASM_RUSTFLAGS $remap $(echo $link)"
echo "building the engine (about three minutes the first time)"
"$ELIAS_WASM_CARGO" build --locked --quiet --package elias-engine --target wasm32-wasip1 --profile engine --target-dir target/guest
wasm=target/guest/wasm32-wasip1/engine/elias_engine.wasm

features="--enable-bulk-memory --enable-sign-ext --enable-mutable-globals --enable-nontrapping-float-to-int --enable-multivalue --enable-reference-types --enable-simd"
# shellcheck disable=SC2086
wasm-opt $features -O3 --strip-debug --strip-producers "$wasm" -o "$out/engine.wasm.new"
mv "$out/engine.wasm.new" "$out/engine.wasm"
echo "$made_from" >"$out/made-from"
ls -l "$out/engine.wasm"
