//! How the binary is linked: what a server does not need at run time stays out of it.

fn main() {
    println!("cargo:rerun-if-changed=../link.rs");
    println!("cargo:rerun-if-env-changed=ELIAS_SYMBOLS");
    // Functions with the same code are one, and addresses that are filled in at the start take a bit each: lld's, which
    // is the linker of this target.
    if std::env::var("TARGET").as_deref() == Ok("x86_64-unknown-linux-gnu") {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    // Names of functions are for profiles: ask for them by ELIAS_SYMBOLS=1.
    if std::env::var_os("ELIAS_SYMBOLS").is_none() {
        println!("cargo:rustc-link-arg-bins=-Wl,--strip-all");
    }
}
