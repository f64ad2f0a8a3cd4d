#!/usr/bin/env bash
# Prepares what compiles Rust and C to wasm32-wasip1 and writes target/wasm-sdk/env, which engine.sh sources.
#
# C: the folder named by WASI_SDK when it is set (a WASI SDK release), else Debian's clang-22, lld-22 and wasi-libc,
# arranged as a WASI SDK would be. Rust: rustup's std for the target when it can be had, else std built from Debian's
# rust-web-src into a sysroot of our own (nothing is written under /usr). ELIAS_WASM_RUST=debian forces the latter.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
sdk=$root/target/wasm-sdk
mkdir -p "$sdk"

rust=${ELIAS_WASM_RUST:-}
if [ -z "$rust" ]; then
  if rustup target list --installed 2>/dev/null | grep -q '^wasm32-wasip1$' ||
    timeout 180 rustup target add wasm32-wasip1 >/dev/null 2>&1; then rust=rustup; else rust=debian; fi
fi
want="$rust ${WASI_SDK:-debian} $(cksum <"$0")"
if [ -f "$sdk/env" ] && [ "$(cat "$sdk/made-for" 2>/dev/null)" = "$want" ]; then exit 0; fi

if [ -z "${WASI_SDK:-}" ]; then
  "$root/toolchain/setup/system.sh"
  llvm=/usr/lib/llvm-22
  c=$sdk/c
  mkdir -p "$c/bin" "$c/share/wasi-sysroot/include" "$c/share/wasi-sysroot/lib"
  for tool in clang clang++ wasm-ld llvm-ar llvm-nm llvm-ranlib; do ln -sfn "$llvm/bin/$tool" "$c/bin/$tool"; done
  ln -sfn "$llvm/bin/llvm-ar" "$c/bin/ar"
  for triple in wasm32-wasi wasm32-wasip1; do
    ln -sfn /usr/include/wasm32-wasi "$c/share/wasi-sysroot/include/$triple"
    ln -sfn /usr/lib/wasm32-wasi "$c/share/wasi-sysroot/lib/$triple"
  done
  bindgen="export LIBCLANG_PATH=$llvm/lib BINDGEN_EXTRA_CLANG_ARGS=-resource-dir=$llvm/lib/clang/22"
else
  c=$WASI_SDK
  bindgen=":"
fi

if [ "$rust" = debian ]; then
  [ -x /usr/bin/cargo ] || ELIAS_WASM_RUST=debian "$root/toolchain/setup/system.sh" rustc-web cargo-web rust-web-src libstd-rust-web-dev
  std=$sdk/std
  mkdir -p "$std/src"
  printf '[package]\nname = "std-for-wasi"\nversion = "0.0.0"\nedition = "2021"\n[profile.release]\npanic = "abort"\n[workspace]\n' >"$std/Cargo.toml"
  : >"$std/src/lib.rs"
  echo "building Rust's std for wasm32-wasip1 (once, about a minute)"
  # embed-bitcode lets the engine link with LTO; RUSTC_BOOTSTRAP is what -Zbuild-std asks of a stable compiler.
  (cd "$std" && env -u RUSTUP_TOOLCHAIN RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$std/target" \
    CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-C embed-bitcode=yes" \
    /usr/bin/cargo build --quiet --release --target wasm32-wasip1 -Zbuild-std=std,panic_abort)
  lib=$sdk/sysroot/lib/rustlib
  rm -rf "$sdk/sysroot"
  mkdir -p "$lib/wasm32-wasip1/lib/self-contained"
  cp "$std"/target/wasm32-wasip1/release/deps/lib*.rlib "$lib/wasm32-wasip1/lib/"
  rm -f "$lib"/wasm32-wasip1/lib/libstd_for_wasi*
  cp /usr/lib/wasm32-wasi/{crt1-command.o,crt1-reactor.o,libc.a} "$lib/wasm32-wasip1/lib/self-contained/"
  host=$(/usr/bin/rustc -vV | sed -n 's/^host: //p')
  ln -sfn "/usr/lib/rustlib/$host" "$lib/$host" # build scripts need the host's std
  rustflags="--sysroot $sdk/sysroot"
  cargo="export ELIAS_WASM_CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1; unset RUSTUP_TOOLCHAIN"
else
  rustflags=""
  cargo="export ELIAS_WASM_CARGO=cargo"
fi

cat >"$sdk/env" <<E2
export WASI_SDK=$c
export CARGO_TARGET_WASM32_WASIP1_LINKER=$c/bin/wasm-ld
export ELIAS_WASM_RUSTFLAGS="$rustflags"
$bindgen
$cargo
E2
echo "$want" >"$sdk/made-for"
