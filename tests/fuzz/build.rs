//! Compiles QuickJS as the engine has it, with the engine's JSON beside its own, for the target `json`.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Written by `toolchain/setup/engine.sh`: QuickJS with our patches.
const QUICKJS: &str = "../../target/quickjs";
const JSON: &str = "../../guest-js/engine/quickjs/json.c";

fn main() {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let (source, json) = (folder.join(QUICKJS), folder.join(JSON));
    println!("cargo:rerun-if-changed={}", json.display());
    println!("cargo:rerun-if-changed={}", source.display());
    println!("cargo:rerun-if-changed=json.c");
    // It becomes part of quickjs.c before a function that nothing else declares, as guest-js/engine/inside-quickjs.h
    // has it.
    let text = fs::read_to_string(&json).expect("the engine's JSON");
    let lines: String = text.lines().map(|line| format!("{line} \\\n")).collect();
    let name = "js_callsite_isnative(context, this_value, count, arguments)";
    let parts = format!("#define ELIAS_JSON \\\n{lines}\n#define {name} {name}; ELIAS_JSON static JSValue {name}\n");
    let parts = write(&out, "parts.h", &parts);

    let mut builder = cc::Build::new();
    builder.extra_warnings(false).warnings(false).define("_GNU_SOURCE", "1").define("ELIAS_NO_ARENAS", "1");
    // libFuzzer sees what C does only if clang compiled it.
    if let Some(clang) = env::var_os("ELIAS_FUZZ_CLANG") {
        builder.compiler(clang).flag("-fsanitize=fuzzer-no-link");
    }
    builder.flag("-include").flag(parts).include(&source);
    let sources = ["quickjs.c", "libregexp.c", "libunicode.c", "dtoa.c"].map(|file| source.join(file));
    builder.files(sources).file(folder.join("json.c")).compile("quickjs");
    println!("cargo:rustc-link-lib=m");
}

fn write(out: &Path, name: &str, text: &str) -> PathBuf {
    let path = out.join(name);
    fs::write(&path, text).expect("the build folder is writable");
    path
}
