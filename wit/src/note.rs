//! Signed notes and their Ed25519 keys, as C2SP signed-note has them (<https://c2sp.org/signed-note>): what a
//! component's signature and a transparency log's checkpoint are written in.
//!
//! A note is a text, an empty line, and a line for each signature. A key has a name, and is told from others of that
//! name by a hash of 32 bits; [`KeyId`] is both. Keys are text:
//!
//! - `NAME+HASH+BASE64`, the *verifier key*, which everybody may read;
//! - `PRIVATE+KEY+NAME+HASH+BASE64`, the *signing key*, which is secret.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use signed_note::{Note, Verifiers};
use std::fmt;

/// The largest note that is written or read, in bytes.
pub const NOTE_BYTES_MAX: usize = 16 << 10;
/// The most keys that sign one note.
pub const SIGNERS_MAX: usize = 16;
/// The longest name of a key, in bytes.
pub const KEY_NAME_BYTES_MAX: usize = 128;
/// The longest text of a key, in bytes.
pub const KEY_BYTES_MAX: usize = 256;

/// The signature type of Ed25519 in C2SP signed-note.
const ED25519: u8 = 1;
const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";
/// How many of a note's signers an error names.
const NAMED_MAX: usize = 4;

/// Which key: its name, and the first 32 bits of a hash of name and public key. Written `NAME+HASH`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    /// The owner of the key, such as `example.com/team`.
    pub name: String,
    /// Tells keys of one name apart.
    pub hash: u32,
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}", self.name, self.hash)
    }
}

crate::error_codes! {
    /// Why a note or a key is refused.
    #[derive(Debug, thiserror::Error)]
    pub enum NoteError {
        /// Not a key's text, or not one that may be used.
        #[error("{0}")]
        Key(&'static str) => "bad-key",
        /// Not a signed note, or over [`NOTE_BYTES_MAX`].
        #[error("it is not a signed note: a text, an empty line, and lines that begin with an em dash (U+2014)")]
        Malformed => "malformed-signature",
        /// None of the signatures is by a known key.
        #[error("it is signed by {0}, and by none of the keys that are trusted")]
        UnknownKey(String) => "unknown-key",
        /// A signature that is said to be by a known key is not.
        #[error("the signature said to be by {0} is wrong: the text or the signature was altered")]
        BadSignature(KeyId) => "bad-signature",
    }
}

/// A secret key. It is wiped from memory when dropped; [`SigningKey::to_text`] is the only way to see it.
#[derive(Clone)]
pub struct SigningKey {
    id: KeyId,
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// The key named `name` that `seed` means. The seed must come from the system's random source, and be kept nowhere
    /// else.
    ///
    /// # Errors
    /// [`NoteError::Key`] if the name is empty, has more than [`KEY_NAME_BYTES_MAX`] bytes, or has anything but visible
    /// ASCII characters without `+`.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        Ok(Self { id: id_of(name, &key.verifying_key()), key })
    }

    /// Reads `PRIVATE+KEY+NAME+HASH+BASE64`.
    ///
    /// # Errors
    /// [`NoteError::Key`] if it is anything else, or the hash is not that of the key.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let rest = text.strip_prefix(PRIVATE_PREFIX);
        let rest = rest.ok_or(NoteError::Key("it is not a signing key: PRIVATE+KEY+NAME+HASH+BASE64"))?;
        let (name, hash, seed) = split(rest)?;
        let key = Self::from_seed(name, &seed)?;
        check_hash(&key.id, hash)?;
        Ok(key)
    }

    /// The secret key's text: to be written where only its owner reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{PRIVATE_PREFIX}{}+{}", self.id, encode(self.key.as_bytes()))
    }

    /// Which key it is.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey { id: self.id.clone(), key: self.key.verifying_key() }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

impl signed_note::Signer for SigningKey {
    fn name(&self) -> &str {
        &self.id.name
    }

    fn key_id(&self) -> u32 {
        self.id.hash
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, ed25519_dalek::SignatureError> {
        use ed25519_dalek::Signer;
        Ok(self.key.try_sign(text)?.to_vec())
    }
}

/// A public key. Its text, by [`Display`](fmt::Display) and [`VerifyingKey::parse`], is `NAME+HASH+BASE64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    id: KeyId,
    key: ed25519_dalek::VerifyingKey,
}

impl VerifyingKey {
    /// Reads `NAME+HASH+BASE64`.
    ///
    /// # Errors
    /// [`NoteError::Key`] if it is anything else, the hash is not that of the key, or the key is one of the few for
    /// which anyone can make signatures (points of small order).
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        if text.starts_with(PRIVATE_PREFIX) {
            return Err(NoteError::Key("this is a signing key, which is secret; what verifies is its verifier key"));
        }
        let (name, hash, bytes) = split(text)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes);
        let key = key.map_err(|_| NoteError::Key("the key is not a point of Ed25519"))?;
        if key.is_weak() {
            return Err(NoteError::Key("the key is of small order: anyone can sign for it"));
        }
        let id = id_of(name, &key);
        check_hash(&id, hash)?;
        Ok(Self { id, key })
    }

    /// Which key it is.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.id, encode(self.key.as_bytes()))
    }
}

impl signed_note::Verifier for VerifyingKey {
    fn name(&self) -> &str {
        &self.id.name
    }

    fn key_id(&self) -> u32 {
        self.id.hash
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        // Strict: one text and key have no two signatures that only some verifiers take.
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(text, &signature).is_ok())
    }
}

/// A note's text, and who of the known keys signed it.
#[derive(Debug)]
pub struct VerifiedNote {
    /// The text, with its last newline.
    pub text: String,
    /// The known keys whose signatures are on the note, in its order; at least one.
    pub signers: Vec<KeyId>,
}

/// A note with this text, signed by each of `keys`.
///
/// # Errors
/// [`NoteError::Malformed`] if the text does not end in a newline, has other control characters, or is too long;
/// [`NoteError::Key`] if there is no key, or more than [`SIGNERS_MAX`].
pub fn sign(text: &str, keys: &[SigningKey]) -> Result<String, NoteError> {
    let mut note = Note::new(text.as_bytes(), &[]).map_err(|_| NoteError::Malformed)?;
    let once = keys.iter().enumerate().filter(|(at, key)| keys[..*at].iter().all(|earlier| earlier.id != key.id));
    let signers: Vec<_> = once.map(|(_, key)| key as &dyn signed_note::Signer).take(SIGNERS_MAX + 1).collect();
    if signers.is_empty() || signers.len() > SIGNERS_MAX {
        return Err(NoteError::Key("a note is signed with 1 to 16 keys"));
    }
    note.add_sigs(&signers).map_err(|_| NoteError::Key("the key cannot sign"))?;
    let note = String::from_utf8(note.to_bytes()).map_err(|_| NoteError::Malformed)?;
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::Malformed);
    }
    Ok(note)
}

/// Opens a note, as untrusted input: its text, if one of `keys` signed it. Signatures by other keys do not matter; a
/// wrong one by a known key does.
///
/// # Errors
/// See [`NoteError`].
pub fn open(note: &str, keys: &[VerifyingKey]) -> Result<VerifiedNote, NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::Malformed);
    }
    let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| NoteError::Malformed)?;
    let (verified, _) = parsed.verify(&TrustedKeys(keys)).map_err(|error| match error {
        signed_note::NoteError::UnverifiedNote => NoteError::UnknownKey(signers(note)),
        signed_note::NoteError::InvalidSignature { name, id } => NoteError::BadSignature(KeyId { name, hash: id }),
        signed_note::NoteError::VerificationError(_) => {
            NoteError::Key("two different trusted keys have one name and hash; leave one of them out")
        }
        _ => NoteError::Malformed,
    })?;
    let signers = verified.iter().map(|by| KeyId { name: by.name().to_owned(), hash: by.id() }).collect();
    let text = String::from_utf8(parsed.text().to_vec()).map_err(|_| NoteError::Malformed)?;
    Ok(VerifiedNote { text, signers })
}

/// Looks up the trusted key that made a signature.
struct TrustedKeys<'a>(&'a [VerifyingKey]);

impl Verifiers for TrustedKeys<'_> {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn signed_note::Verifier, signed_note::VerificationError> {
        let mut found = self.0.iter().filter(|key| key.id.hash == id && key.id.name == name);
        let name = || name.to_owned();
        let first = found.next().ok_or_else(|| signed_note::VerificationError::UnknownKey { name: name(), id })?;
        if found.any(|other| other != first) {
            return Err(signed_note::VerificationError::AmbiguousKey { name: name(), id });
        }
        Ok(first)
    }
}

/// The signers that a note names, for an error.
fn signers(note: &str) -> String {
    let lines = note.rsplit_once("\n\n").map_or("", |(_, signatures)| signatures).lines();
    let signatures = lines.filter_map(|line| signed_note::Signature::from_bytes(line.as_bytes()).ok());
    let mut ids = signatures.map(|by| KeyId { name: by.name().escape_debug().to_string(), hash: by.id() }.to_string());
    let mut named: Vec<_> = ids.by_ref().take(NAMED_MAX).collect();
    if ids.next().is_some() {
        named.push("others".to_owned());
    }
    named.join(", ")
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'+';
    if name.is_empty() || name.len() > KEY_NAME_BYTES_MAX || !name.bytes().all(allowed) {
        return Err(NoteError::Key("a key's name has 1 to 128 visible ASCII characters, and no `+`"));
    }
    Ok(())
}

fn check_hash(id: &KeyId, written: &str) -> Result<(), NoteError> {
    if format!("{:08x}", id.hash) != written {
        return Err(NoteError::Key("the key's hash is not that of its name and bytes: it was altered or cut"));
    }
    Ok(())
}

fn id_of(name: &str, key: &ed25519_dalek::VerifyingKey) -> KeyId {
    let mut bytes = [ED25519; 33];
    bytes[1..].copy_from_slice(key.as_bytes());
    KeyId { name: name.to_owned(), hash: signed_note::key_id(name, &bytes) }
}

fn encode(key: &[u8; 32]) -> String {
    let mut bytes = [ED25519; 33];
    bytes[1..].copy_from_slice(key);
    BASE64_STANDARD.encode(bytes)
}

/// Name, hash and bytes of `NAME+HASH+BASE64`.
fn split(text: &str) -> Result<(&str, &str, [u8; 32]), NoteError> {
    const WRONG: NoteError = NoteError::Key("it is not a key: NAME+HASH+BASE64");
    if text.len() > KEY_BYTES_MAX {
        return Err(WRONG);
    }
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return Err(WRONG) };
    check_name(name)?;
    let bytes = BASE64_STANDARD.decode(key).map_err(|_| WRONG)?;
    match bytes.split_first() {
        Some((&ED25519, key)) => Ok((name, hash, key.try_into().map_err(|_| WRONG)?)),
        _ => Err(NoteError::Key("the key is not of Ed25519, the one algorithm that is known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::from_seed(name, &[seed; 32]).unwrap()
    }

    #[test]
    fn the_examples_of_the_standard_are_read_and_written() {
        // The key and the note that the implementations in Go and Rust have in their tests.
        let text = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        let verifier = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key = SigningKey::parse(text).unwrap();
        assert_eq!(key.to_text(), text);
        assert_eq!(key.verifying_key().to_string(), verifier);
        assert_eq!(VerifyingKey::parse(verifier).unwrap(), key.verifying_key());
        let said =
            "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let note = sign(said, std::slice::from_ref(&key)).unwrap();
        assert!(note.ends_with(
            "\n\n\u{2014} PeterNeumann \
            x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        ));
        let opened = open(&note, &[key.verifying_key()]).unwrap();
        assert_eq!((opened.text.as_str(), opened.signers), (said, vec![key.id().clone()]));
    }

    #[test]
    fn keys_that_were_altered_in_any_place_are_refused() {
        let key = key("team", 1);
        let (secret, public) = (key.to_text(), key.verifying_key().to_string());
        for at in 0..secret.len() {
            let altered = altered(&secret, at);
            assert!(SigningKey::parse(&altered).is_err(), "{altered}");
        }
        for at in 0..public.len() {
            let altered = altered(&public, at);
            assert!(VerifyingKey::parse(&altered).is_err(), "{altered}");
        }
        let long = "n".repeat(KEY_NAME_BYTES_MAX + 1);
        for name in ["", "a b", "a+b", "a\nb", "\u{e4}", &long] {
            assert_eq!(SigningKey::from_seed(name, &[1; 32]).unwrap_err().code(), "bad-key", "{name}");
        }
        for text in ["", "+", "++", "a+b", &format!("a+00000000+{}", "A".repeat(1000)), &secret, "\u{e4}+1+AA=="] {
            assert_eq!(VerifyingKey::parse(text).unwrap_err().code(), "bad-key", "{text}");
        }
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.id()), "a debug line shows no secret");
    }

    #[test]
    fn keys_for_which_anyone_can_sign_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1; // the neutral element
        let weak = ed25519_dalek::VerifyingKey::from_bytes(&identity).unwrap();
        let text = format!("{}+{}", id_of("weak", &weak), encode(&identity));
        assert!(VerifyingKey::parse(&text).unwrap_err().to_string().contains("small order"));
    }

    #[test]
    fn a_note_is_opened_by_any_of_its_signers_unless_one_is_wrong() {
        let (a, b, c) = (key("a", 1), key("b", 2), key("c", 3));
        let by_a = |text: &str| sign(text, std::slice::from_ref(&a));
        let note = sign("text\n", &[a.clone(), b.clone()]).unwrap();
        let opened = |note: &str, keys: &[&SigningKey]| {
            let keys: Vec<_> = keys.iter().map(|key| key.verifying_key()).collect();
            open(note, &keys).map(|opened| opened.signers.len()).map_err(|error| error.code())
        };
        assert_eq!(opened(&note, &[&a]), Ok(1));
        assert_eq!(opened(&note, &[&c, &b, &a, &a]), Ok(2), "a key that is given twice is one key");
        assert_eq!(opened(&note, &[&c]), Err("unknown-key"));
        assert_eq!(opened(&note, &[]), Err("unknown-key"));
        let wrong_b = sign("other\n", std::slice::from_ref(&b)).unwrap();
        let mixed = format!("{}{}", by_a("text\n").unwrap(), wrong_b.lines().last().unwrap()) + "\n";
        assert_eq!(opened(&mixed, &[&a]), Ok(1));
        assert_eq!(opened(&mixed, &[&a, &b]), Err("bad-signature"));
        assert_eq!(sign("text\n", &vec![a.clone(); 50]).unwrap(), by_a("text\n").unwrap());
        let many: Vec<_> = (0..=SIGNERS_MAX).map(|n| key(&format!("key-{n}"), 1)).collect();
        assert_eq!(sign("text\n", &many).unwrap_err().code(), "bad-key");
        let long = format!("{}\n", "x".repeat(NOTE_BYTES_MAX));
        assert_eq!(by_a(&long).unwrap_err().code(), "malformed-signature");
        assert_eq!(opened(&format!("{}\n{note}", "x".repeat(NOTE_BYTES_MAX)), &[&a]), Err("malformed-signature"));
        let error = open(&note, &[c.verifying_key()]).unwrap_err().to_string();
        assert!(error.contains(&a.id().to_string()) && error.contains(&b.id().to_string()), "{error}");
    }

    /// The text with another character at `at`.
    fn altered(text: &str, at: usize) -> String {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    }
}
