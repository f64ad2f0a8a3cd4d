//! The contract between a component and a host, beside the WIT packages in this folder: the manifest, the custom
//! sections that carry it, where engine and image stand in a component's bytes, what images have in common, and the
//! signature beside the file. Beside that, the macro [`error_codes!`], by which the crates of the host and the command
//! line define their stable error codes.
//!
//! Everything here reads and writes bytes; nothing runs WebAssembly.

pub mod base;
mod code;
mod error_code;
pub mod hint;
pub mod image;
pub mod key_file;
pub mod layout;
pub mod manifest;
pub mod note;
mod payloads;
pub mod signature;
pub mod stack;
pub mod swap;
pub mod world;

pub use error_code::ErrorCode;

use sha2::{Digest, Sha256};

/// The SHA-256 of `bytes` as 64 lower-case hexadecimal digits: the name of every artifact.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Two lower-case hexadecimal digits for each byte.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push_hexadecimal(&mut text, bytes);
    text
}

/// The same, at the end of a text. The digits are from a table: each request has a `traceparent` written, and
/// formatting byte by byte would take it most of a microsecond.
pub fn push_hexadecimal(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}
