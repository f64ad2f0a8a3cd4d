//! A component's signature: a signed note beside the file, `app.wasm.sig`, whose text states what is in the file.
//!
//! ```text
//! elias-component/v1
//! sha256 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
//! name hello
//! version 1.0.0
//! manifest fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9
//!
//! - example.com/team o0fG1...
//! ```
//!
//! `sha256` is the digest of the whole file and `manifest` that of the manifest's JSON, `name` and `version` are the
//! manifest's; of a component without a manifest only the first two lines are stated. The first line keeps a key's
//! signatures of components apart from whatever else it signs. Signature lines begin with an em dash, as in
//! [`crate::note`].

use crate::digest;
use crate::layout::{self, LayoutError};
use crate::note::{self, KeyId, NoteError, SigningKey, VerifyingKey};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The first line of a signature's text: the format's name and version.
pub const FORMAT: &str = "elias-component/v1";
/// The suffix of a signature's file name, after the component's.
pub const EXTENSION: &str = "sig";
/// The longest name and the longest version that are signed, in bytes.
pub const FIELD_BYTES_MAX: usize = 256;

/// The verified statement of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSignature {
    /// The trusted keys that signed, in the note's order; at least one.
    pub signers: Vec<KeyId>,
    /// The component's SHA-256, in hexadecimal.
    pub digest: String,
    /// SHA-256 of its manifest's JSON, in hexadecimal, if it has a manifest.
    pub manifest: Option<String>,
}

crate::error_codes! {
    /// Why a component's signature is not taken.
    #[derive(Debug, thiserror::Error)]
    pub enum SignatureError {
        /// The note or a key is refused.
        #[error("the signature is refused: {0}")]
        Note(#[from] NoteError) as error => error.code(),
        /// A note that is signed well and is not about a component.
        #[error("the signature is not a component signature: its first line must be `{FORMAT}`")]
        Format => "malformed-signature",
        /// The signature is about other bytes.
        #[error("the signature is for another file: it states the digest {stated}, this file has {found}")]
        Digest {
            /// The digest in the signature.
            stated: String,
            /// The digest of the file.
            found: String,
        } => "digest-mismatch",
        /// The digest is right and the manifest's lines are not.
        #[error("the signature does not state what the component's manifest says; sign it again")]
        Statement => "digest-mismatch",
        /// The bytes are not a component.
        #[error(transparent)]
        Component(#[from] LayoutError) => "bad-component",
        /// The manifest has a name or a version that does not fit a line.
        #[error("the manifest's {0} is empty, over {FIELD_BYTES_MAX} bytes, or has control characters")]
        Field(&'static str) => "bad-component",
    }
}

/// The file of a component's signature: beside it, `app.wasm.sig`.
#[must_use]
pub fn path_of(component: &Path) -> PathBuf {
    let mut name = component.as_os_str().to_owned();
    name.push(".");
    name.push(EXTENSION);
    name.into()
}

/// The statement that a signature of this component makes, and the digest of its manifest.
fn statement(component: &[u8], digest_of_component: &str) -> Result<(String, Option<String>), SignatureError> {
    let layout = layout::read(component)?;
    let mut text = format!("{FORMAT}\nsha256 {digest_of_component}\n");
    let (Some(manifest), Some(json)) = (&layout.manifest, layout.manifest_json) else { return Ok((text, None)) };
    for (name, value) in [("name", &manifest.name), ("version", &manifest.version)] {
        if value.is_empty() || value.len() > FIELD_BYTES_MAX || value.contains(char::is_control) {
            return Err(SignatureError::Field(name));
        }
        let _ = writeln!(text, "{name} {value}"); // writing to a String cannot fail
    }
    let manifest = digest(json);
    let _ = writeln!(text, "manifest {manifest}");
    Ok((text, Some(manifest)))
}

/// Signs a component with each of `keys`: the content of the file beside it.
///
/// # Errors
/// [`SignatureError::Component`] or [`SignatureError::Field`] if it cannot be signed, [`SignatureError::Note`] if there
/// is no key or there are too many.
pub fn sign(keys: &[SigningKey], component: &[u8]) -> Result<String, SignatureError> {
    let (text, _) = statement(component, &digest(component))?;
    Ok(note::sign(&text, keys)?)
}

/// Checks that `note` is a signature of this component by one of `keys`, as untrusted input. Signatures by other keys
/// on the same note do not matter.
///
/// # Errors
/// See [`SignatureError::code`]: `malformed-signature`, `unknown-key`, `bad-signature`, `digest-mismatch`,
/// `bad-component`.
pub fn verify(note: &str, component: &[u8], keys: &[VerifyingKey]) -> Result<VerifiedSignature, SignatureError> {
    let opened = note::open(note, keys)?;
    let stated = opened.text.strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix("\nsha256 "));
    let stated = stated.and_then(|rest| rest.lines().next()).ok_or(SignatureError::Format)?;
    let found = digest(component);
    if stated != found {
        return Err(SignatureError::Digest { stated: stated.chars().take(64).collect(), found });
    }
    let (text, manifest) = statement(component, &found)?;
    if text != opened.text {
        return Err(SignatureError::Statement);
    }
    Ok(VerifiedSignature { signers: opened.signers, digest: found, manifest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{FORMAT as MANIFEST_FORMAT, MANIFEST_SECTION, Manifest};

    /// A component with nothing in it but a manifest that names an engine.
    fn component(name: &str, version: &str) -> Vec<u8> {
        let engine = wasm_encoder::Module::new();
        let mut component = wasm_encoder::Component::new();
        component.section(&wasm_encoder::ModuleSection(&engine));
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            name: name.into(),
            version: version.into(),
            handlers: vec![],
            workers: vec![],
            imports: vec![],
            schemas: Default::default(),
            stage: None,
            eval: false,
            engine: digest(&engine.finish()),
            source: "0".repeat(64),
            outside: Vec::new(),
            needed_by: Default::default(),
            builder: "test".into(),
        };
        let mut bytes = component.finish();
        layout::append_custom_section(&mut bytes, MANIFEST_SECTION, &manifest.to_json());
        bytes
    }

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::from_seed(name, &[seed; 32]).unwrap()
    }

    #[test]
    fn a_signature_is_beside_its_component() {
        assert_eq!(path_of(Path::new("out/app.wasm")), Path::new("out/app.wasm.sig"));
    }

    #[test]
    fn a_signature_states_file_name_version_and_manifest() {
        let (app, team) = (component("hello", "1.2.3"), key("team", 1));
        let note = sign(std::slice::from_ref(&team), &app).unwrap();
        let verified = verify(&note, &app, &[team.verifying_key()]).unwrap();
        let manifest = verified.manifest.unwrap();
        let text = format!("{FORMAT}\nsha256 {}\nname hello\nversion 1.2.3\nmanifest {manifest}\n\n", digest(&app));
        assert!(note.starts_with(&text), "{note}");
        assert_eq!(verified.signers, [team.id().clone()]);
        let foreign = wasm_encoder::Component::new().finish();
        let note = sign(std::slice::from_ref(&team), &foreign).unwrap();
        assert_eq!(verify(&note, &foreign, &[team.verifying_key()]).unwrap().manifest, None);
    }

    #[test]
    fn a_byte_that_differs_anywhere_is_refused() {
        let (app, team) = (component("hello", "1.2.3"), key("team", 1));
        let note = sign(std::slice::from_ref(&team), &app).unwrap();
        let keys = [team.verifying_key()];
        for at in 0..app.len() {
            for bit in 0..8 {
                let mut app = app.clone();
                app[at] ^= 1 << bit;
                assert_eq!(verify(&note, &app, &keys).unwrap_err().code(), "digest-mismatch", "{at}");
            }
        }
        let mut codes = std::collections::BTreeSet::new();
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                // A file that is not UTF-8 does not get as far as here.
                let Ok(altered) = String::from_utf8(bytes) else { continue };
                codes.insert(verify(&altered, &app, &keys).expect_err(&altered).code());
            }
            if note.is_char_boundary(at) {
                assert!(verify(&note[..at], &app, &keys).is_err(), "cut at {at}");
            }
        }
        assert!(codes.iter().eq(&["bad-signature", "malformed-signature", "unknown-key"]), "{codes:?}");
        for wrong in [key("team", 2), key("other", 1)] {
            assert_eq!(verify(&note, &app, &[wrong.verifying_key()]).unwrap_err().code(), "unknown-key");
        }
    }

    #[test]
    fn several_may_sign_and_unknown_keys_do_not_matter() {
        let (app, old, new) = (component("hello", "1.2.3"), key("team", 1), key("team", 2));
        let note = sign(&[old.clone(), new.clone()], &app).unwrap();
        for trusted in [vec![&old], vec![&new], vec![&old, &new]] {
            let keys: Vec<_> = trusted.iter().map(|key| key.verifying_key()).collect();
            let signers: Vec<_> = trusted.iter().map(|key| key.id().clone()).collect();
            assert_eq!(verify(&note, &app, &keys).unwrap().signers, signers);
        }
    }

    #[test]
    fn what_is_signed_well_and_says_something_else_is_refused() {
        let (app, team) = (component("hello", "1.2.3"), key("team", 1));
        let right = digest(&app);
        for (text, code) in [
            ("example.com/log\n5\nAAAA\n".to_owned(), "malformed-signature"),
            (format!("elias-component/v2\nsha256 {right}\n"), "malformed-signature"),
            (format!("{FORMAT}\nsha256 {right}\n"), "digest-mismatch"),
            (format!("{FORMAT}\nsha256 {right}\nname hello\nversion 9\nmanifest {right}\n"), "digest-mismatch"),
            (format!("{FORMAT}\nsha256 {}\n", "x".repeat(5000)), "digest-mismatch"),
        ] {
            let note = note::sign(&text, std::slice::from_ref(&team)).unwrap();
            assert_eq!(verify(&note, &app, &[team.verifying_key()]).unwrap_err().code(), code, "{text}");
        }
        for (name, version) in [("a\nversion 2", "1"), ("", "1"), ("a", "1\u{85}"), (&"a".repeat(257), "1")] {
            let error = sign(std::slice::from_ref(&team), &component(name, version)).unwrap_err();
            assert_eq!(error.code(), "bad-component", "{name:?}");
        }
        assert_eq!(sign(&[team], b"no component").unwrap_err().code(), "bad-component");
        assert_eq!(sign(&[], &app).unwrap_err().code(), "bad-key");
    }
}
