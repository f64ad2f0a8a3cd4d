#!/usr/bin/env bash
# Installs what the build needs from the operating system: a compiler for the engine's C and Rust parts.
# Run by `make`; quick when everything is there. Only Debian and its relatives are automated, see the README for others.
set -euo pipefail

have() { command -v "$1" >/dev/null 2>&1; }

# rustup's own wasm32-wasip1 is preferred (see wasm-target.sh); its absence is what the packaged compilers are for.
packages=()
have wasm-opt || packages+=(binaryen)
have wasm-ld-22 || packages+=(clang-22 lld-22 llvm-22 libclang1-22 libclang-common-22-dev libclang-rt-22-dev-wasm32)
[ -e /usr/lib/wasm32-wasi/libc.a ] || packages+=(wasi-libc)
have cc || packages+=(gcc libc6-dev)
have patch || packages+=(patch)
have npm || packages+=(nodejs npm)
have curl || packages+=(curl)
if ! rustup target list --installed 2>/dev/null | grep -q '^wasm32-wasip1$'; then
  { [ -x /usr/bin/cargo ] && [ -e /usr/lib/rustlib/src/rust/library/std/Cargo.toml ]; } ||
    packages+=(rustc-web cargo-web rust-web-src libstd-rust-web-dev)
fi
packages+=("$@")

[ ${#packages[@]} -gt 0 ] || exit 0
if ! have apt-get; then
  echo "error: missing: ${packages[*]}" >&2
  echo "  install them with your package manager; the README's \"What is needed\" says what each is for" >&2
  exit 1
fi
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
echo "installing: ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -o DPkg::Lock::Timeout=300 update -qq
$as_root apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
