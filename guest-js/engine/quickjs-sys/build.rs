//! Compiles QuickJS from the folder that `toolchain/setup/engine.sh` made: the C source of a newer `rquickjs-sys`
//! with the patches of `guest-js/engine/quickjs/patches`, and that crate's inline functions in Rust.

use std::path::{Path, PathBuf};
use std::{env, fs};

const SOURCES: [&str; 4] = ["libregexp.c", "libunicode.c", "quickjs.c", "dtoa.c"];

/// As rquickjs-sys defines them: what is there for Emscripten fits WASI, whose libc has no rounding modes.
const WASI_DEFINES: [(&str, &str); 3] = [("EMSCRIPTEN", "1"), ("FE_DOWNWARD", "0"), ("FE_UPWARD", "0")];

fn main() {
    println!("cargo:rerun-if-env-changed=ELIAS_QUICKJS");
    let source = env::var_os("ELIAS_QUICKJS")
        .expect("build the engine with toolchain/setup/engine.sh, which sets ELIAS_QUICKJS");
    let source = PathBuf::from(source);
    println!("cargo:rerun-if-changed={}", source.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let wasi = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "wasi");
    let mut defines = vec![("_GNU_SOURCE", "1"), ("ELIAS_NO_ARENAS", "1")];
    if wasi {
        defines.extend(WASI_DEFINES);
    }
    inlines(&source, &out);
    bindings(&source, &out, &defines, wasi);

    let mut builder = cc::Build::new();
    builder.extra_warnings(false).warnings(false);
    if wasi {
        let sdk = sdk();
        builder.compiler(sdk.join("bin/clang")).archiver(sdk.join("bin/ar"));
        builder.flag(format!("--sysroot={}", sdk.join("share/wasi-sysroot").display()));
    }
    for (name, value) in defines {
        builder.define(name, value);
    }
    builder.files(SOURCES.map(|file| source.join(file))).compile("quickjs");
}

/// The WASI SDK that `toolchain/setup/wasm-target.sh` found or arranged.
fn sdk() -> PathBuf {
    PathBuf::from(
        env::var_os("WASI_SDK").expect("build the engine with toolchain/setup/engine.sh, which sets WASI_SDK"),
    )
}

/// The crate's inline functions for the target's values.
fn inlines(source: &Path, out: &Path) {
    let narrow = env::var("CARGO_CFG_TARGET_POINTER_WIDTH").is_ok_and(|width| width == "32");
    let values = if narrow { "ptr_32_nan_boxing.rs" } else { "ptr_64.rs" };
    let text = [values, "common.rs"]
        .map(|file| fs::read_to_string(source.join("inlines").join(file)).expect("readable inlines"));
    fs::write(out.join("inlines.rs"), text.concat()).expect("writable OUT_DIR");
}

fn bindings(source: &Path, out: &Path, defines: &[(&str, &str)], wasi: bool) {
    let mut builder = bindgen::Builder::default()
        .use_core()
        .clang_arg("-xc")
        .clang_args(defines.iter().map(|(name, value)| format!("-D{name}={value}")))
        .size_t_is_usize(false)
        .header(source.join("quickjs.bind.h").display().to_string())
        .allowlist_type("JS.*")
        .allowlist_function("js.*")
        .allowlist_function("JS.*")
        .allowlist_function("__JS.*")
        .allowlist_var("JS.*")
        .opaque_type("FILE")
        .blocklist_type("FILE")
        .blocklist_function("JS_DumpMemoryUsage");
    if wasi {
        let sysroot = sdk().join("share/wasi-sysroot");
        builder = builder.clang_arg("-fvisibility=default").clang_arg(format!("--sysroot={}", sysroot.display()));
    }
    builder
        .generate()
        .expect("bindings of quickjs.h")
        .write_to_file(out.join("bindings.rs"))
        .expect("writable OUT_DIR");
}
