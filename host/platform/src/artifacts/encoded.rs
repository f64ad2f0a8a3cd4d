//! Compresses files once, when a version that serves them is deployed, and never for a request.
//!
//! The result is an artifact by its own SHA-256. Beside the original is a list of what there is of it, so that
//! nothing is compressed twice, and nothing is tried twice that gained nothing. Other hosts make their own; the bucket
//! has originals only.

use super::{Artifacts, Partial, hex, key};
use elias_api::{Code, Error, Result};
use elias_atomic_write::Fsync;
use elias_gateway::assets::EncodedAsset;
use elias_gateway::{Coding, encoding};
use elias_names::Digest;
use sha2::{Digest as _, Sha256};
use std::io::{Read, Write};
use std::str::FromStr;

/// The suffix of a list's name.
pub(super) const LIST: &str = ".encodings";
/// Shorter files gain nothing that a client would notice.
const ENCODED_BYTES_MIN: u64 = 1024;
/// Longer files are sent as they are: compressing one would hold up its deployment.
const ENCODED_BYTES_MAX: u64 = 16 << 20;
/// The codings that are made: those that clients have.
const CODINGS: [Coding; 2] = [Coding::Brotli, Coding::Gzip];
/// Brotli's quality 9 comes within some percent of 11, at a tenth of its time: some megabytes a second.
const BROTLI_QUALITY: i32 = 9;
const BROTLI_WINDOW: i32 = 22;

impl Artifacts {
    /// The compressed forms of an artifact. Files that are gone are left out.
    pub(crate) fn encodings(&self, digest: &Digest) -> Vec<EncodedAsset> {
        let there = |file: &EncodedAsset| {
            Digest::from_str(&file.sha256).is_ok_and(|digest| self.bytes(&digest) == Some(file.bytes))
        };
        self.list(digest).unwrap_or_default().into_iter().filter(there).collect()
    }

    fn list(&self, digest: &Digest) -> Option<Vec<EncodedAsset>> {
        serde_json::from_slice(&self.folder.read(list_key(digest)).ok()?).ok()
    }

    /// Compresses an artifact in the folder that is of this media type, unless that was done before; says how many
    /// bytes were read for it. What does not become smaller is not kept.
    ///
    /// # Errors
    /// `storage-failed`.
    pub(crate) async fn encode(&self, digest: &Digest, media_type: &str) -> Result<u64> {
        let bytes = self.bytes(digest).unwrap_or_default();
        if !encoding::is_compressible(media_type) || !(ENCODED_BYTES_MIN..=ENCODED_BYTES_MAX).contains(&bytes) {
            return Ok(0);
        }
        if self.list(digest).is_some_and(|list| self.encodings(digest).len() == list.len()) {
            return Ok(0);
        }
        let (artifacts, digest) = (self.clone(), digest.clone());
        let work = tokio::task::spawn_blocking(move || artifacts.encode_now(&digest, bytes));
        work.await.unwrap_or_else(|panic| Err(Error::new(Code::Internal, format!("compressing a file: {panic}"))))?;
        Ok(bytes)
    }

    fn encode_now(&self, digest: &Digest, bytes: u64) -> Result<()> {
        let mut made = Vec::new();
        for coding in CODINGS {
            let partial = Partial::begin(&self.folder)?;
            let mut output = HashingWriter { file: partial.file.file(), hash: Sha256::new(), bytes: 0 };
            compress(coding, self.folder.open(key(digest))?, &mut output)?;
            let (sha256, smaller) = (hex(&output.hash.finalize()), output.bytes);
            if smaller < bytes {
                partial.finish_now(&sha256.parse()?)?;
                made.push(EncodedAsset { coding, sha256, bytes: smaller });
            }
        }
        let text = serde_json::to_vec(&made).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let partial = Partial::begin(&self.folder)?;
        partial.file.file().write_all(&text)?;
        // A list that a power loss takes away or damages is made again.
        partial.file.commit(list_key(digest), Fsync::None)?;
        Ok(())
    }
}

fn list_key(digest: &Digest) -> String {
    format!("{}{LIST}", key(digest))
}

fn compress(coding: Coding, mut input: impl Read, output: &mut impl Write) -> std::io::Result<()> {
    match coding {
        Coding::Brotli => {
            let mut settings = brotli::enc::BrotliEncoderParams::default();
            (settings.quality, settings.lgwin) = (BROTLI_QUALITY, BROTLI_WINDOW);
            brotli::BrotliCompress(&mut input, output, &settings).map(drop)
        }
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(output, flate2::Compression::best());
            std::io::copy(&mut input, &mut encoder)?;
            encoder.finish().map(drop)
        }
        Coding::Zstd => Err(std::io::ErrorKind::Unsupported.into()),
    }
}

/// A file that knows what was written to it.
struct HashingWriter<'a> {
    file: &'a cap_std::fs::File,
    hash: Sha256,
    bytes: u64,
}

impl Write for HashingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = (&mut &*self.file).write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
