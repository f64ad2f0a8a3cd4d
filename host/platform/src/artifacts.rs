//! Artifacts: components and their files by SHA-256, in a folder, and behind it an S3 bucket that several hosts share.
//!
//! An artifact has the digest under which it is stored: it is checked when it comes in, and again whenever it is read,
//! so that a file that was altered or cut short behind the host's back is found and fetched anew, never served.

use bytes::Bytes;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt};
use elias_api::{Code, Error, Result};
use elias_atomic_write::{Access, AtomicFile, Fsync};
use elias_names::Digest;
use futures::{Stream, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path as ObjectPath;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreExt, RetryConfig};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::io::{ErrorKind, Read, Seek, Write};
use std::sync::Arc;
use std::time::Duration;

mod encoded;
mod stream;

/// The store of artifacts; a cheap handle.
#[derive(Clone)]
pub struct Artifacts {
    folder: Arc<Dir>,
    bucket: Option<Arc<dyn ObjectStore>>,
}

/// How long a connection to the bucket may take, and a request: the largest artifact at 4 Mbit/s.
const CONNECT_TIMEOUT: &str = "5 seconds";
const REQUEST_TIMEOUT: &str = "130 seconds";

/// The folder of what is being written.
const PARTIAL: &str = "partial";

impl Artifacts {
    /// Artifacts in `folder`, and in the bucket at `url` (`s3://BUCKET`) if there is one. The bucket's credentials,
    /// region and endpoint are those of the environment, as for Amazon's own tools (`AWS_ACCESS_KEY_ID`,
    /// `AWS_ENDPOINT_URL` and so on).
    ///
    /// # Errors
    /// `storage-failed`, `bad-input`.
    pub fn open(folder: Dir, url: Option<&str>) -> Result<Self> {
        // Files that an earlier process did not finish are nobody's.
        if folder.exists(PARTIAL) {
            folder.remove_dir_all(PARTIAL)?;
        }
        folder.create_dir_with(PARTIAL, DirBuilder::new().mode(0o700))?;
        let bucket = url.map(bucket).transpose()?;
        Ok(Self { folder: Arc::new(folder), bucket })
    }

    /// Stores what `chunks` give, if that has the digest; says how many bytes it has. Nothing is visible before all of
    /// it is on the disk.
    ///
    /// # Errors
    /// `too-large` past `bytes_max`, `digest-mismatch`, `no-space-left`, `storage-failed`, `bad-input` if the stream
    /// breaks off.
    pub async fn put<E: std::fmt::Display>(
        &self,
        digest: &Digest,
        chunks: impl Stream<Item = Result<Bytes, E>>,
        bytes_max: u64,
    ) -> Result<u64> {
        let partial = Partial::begin(&self.folder)?;
        let (mut hash, mut bytes) = (Sha256::new(), 0_u64);
        let mut chunks = std::pin::pin!(chunks);
        let broken = |error: E| Error::new(Code::BadInput, format!("the upload broke off: {error}"));
        while let Some(chunk) = chunks.try_next().await.map_err(broken)? {
            bytes += chunk.len() as u64;
            if bytes > bytes_max {
                return Err(Error::new(Code::TooLarge, format!("an artifact has at most {bytes_max} bytes")));
            }
            hash.update(&chunk);
            partial.write(chunk).await?;
        }
        let found = hex(&hash.finalize());
        if found != digest.as_str() {
            let message = format!("the uploaded content has the SHA-256 {found}, not {digest}; upload it again");
            return Err(Error::new(Code::DigestMismatch, message));
        }
        if let Some(bucket) = &self.bucket {
            let whole = partial.read()?;
            bucket.put(&ObjectPath::from(key(digest)), whole.into()).await.map_err(away)?;
        }
        partial.finish(digest).await?;
        Ok(bytes)
    }

    /// An artifact, checked against its digest.
    ///
    /// # Errors
    /// `artifact-missing` where neither folder nor bucket has it whole.
    pub async fn get(&self, digest: &Digest) -> Result<Bytes> {
        let (folder, path) = (Arc::clone(&self.folder), key(digest));
        let wanted = digest.clone();
        let read = tokio::task::spawn_blocking(move || -> std::io::Result<Option<Vec<u8>>> {
            let bytes = folder.read(&path)?;
            if Digest::of(&bytes) == wanted {
                return Ok(Some(bytes));
            }
            tracing::error!(
                digest = %wanted,
                "an artifact on the disk is damaged: its content does not match its digest"
            );
            Ok(None)
        });
        match read.await {
            Ok(Ok(Some(bytes))) => return Ok(bytes.into()),
            Ok(Ok(None)) => {}
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {}
            Ok(Err(error)) => return Err(error.into()),
            Err(panic) => return Err(Error::new(Code::Internal, format!("reading an artifact: {panic}"))),
        }
        let missing = || {
            let message = format!(
                "the artifact {digest} is not in the store, or is damaged; upload it again (elias deploy does)"
            );
            Error::new(Code::ArtifactMissing, message)
        };
        let bucket = self.bucket.as_ref().ok_or_else(missing)?;
        let fetched = match bucket.get(&ObjectPath::from(key(digest))).await {
            Ok(object) => object.bytes().await.map_err(away)?,
            Err(object_store::Error::NotFound { .. }) => return Err(missing()),
            Err(error) => return Err(away(error)),
        };
        if Digest::of(&fetched) != *digest {
            return Err(missing());
        }
        let partial = Partial::begin(&self.folder)?;
        partial.write(fetched.clone()).await?;
        partial.finish(digest).await?;
        Ok(fetched)
    }

    /// The size of an artifact in the folder, in bytes.
    pub(crate) fn bytes(&self, digest: &Digest) -> Option<u64> {
        self.folder.metadata(key(digest)).ok().map(|metadata| metadata.len())
    }

    /// Deletes files from the folder that are not among `referenced` and were put there more than `age` ago: uploads
    /// without a version, and files of deleted versions, compressed ones too. Returns how many.
    ///
    /// # Errors
    /// `storage-failed`.
    pub(crate) fn sweep(&self, referenced: &HashSet<String>, age: Duration) -> Result<u64> {
        let mut swept = 0;
        let of_referenced = referenced.iter().filter_map(|digest| digest.parse().ok());
        let compressed: HashSet<_> =
            of_referenced.flat_map(|digest| self.encodings(&digest)).map(|file| file.sha256).collect();
        for entry in self.folder.entries()? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() || entry.file_name().to_str() == Some(PARTIAL) {
                continue;
            }
            let folder = entry.open_dir()?;
            for file in folder.entries()? {
                let file = file?;
                let old = file.metadata()?.modified()?.into_std().elapsed().is_ok_and(|since| since > age);
                let name = file.file_name();
                let text = name.to_string_lossy();
                let kept = referenced.contains(text.strip_suffix(encoded::LIST).unwrap_or(&text));
                if old && !kept && !compressed.contains(&*text) {
                    folder.remove_file(&name)?;
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }

    /// Whether an artifact is there, whole: what was damaged has to be sent again.
    ///
    /// # Errors
    /// `store-unavailable` if the bucket does not respond.
    pub async fn has(&self, digest: &Digest) -> Result<bool> {
        match self.get(digest).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Code::ArtifactMissing => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The path of an artifact: folders by the first two digits, so that none has millions of entries.
fn key(digest: &Digest) -> String {
    format!("{}/{digest}", &digest.as_str()[..2])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn away(error: object_store::Error) -> Error {
    Error::new(Code::StoreUnavailable, format!("the artifact store: {error}"))
}

/// How often a request to the bucket is sent again, and for how long: whoever deploys waits for it.
fn patience() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(2),
        ..BackoffConfig::default()
    };
    RetryConfig { backoff, max_retries: 4, retry_timeout: Duration::from_secs(15) }
}

fn bucket(url: &str) -> Result<Arc<dyn ObjectStore>> {
    let name = url.strip_prefix("s3://").ok_or_else(|| {
        Error::new(
            Code::BadInput,
            "artifacts are in the data directory, or at s3://BUCKET; the rest is said by AWS_ variables",
        )
    })?;
    // Of the providers that may be compiled in, the one that all of the host uses. A second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = AmazonS3Builder::from_env().with_bucket_name(name.trim_end_matches('/')).with_retry(patience());
    // Whoever names an endpoint without TLS means it.
    let plain =
        builder.get_config_value(&AmazonS3ConfigKey::Endpoint).is_some_and(|endpoint| endpoint.starts_with("http://"));
    let set = |builder: AmazonS3Builder, key: ClientConfigKey, value: &str| {
        builder.with_config(AmazonS3ConfigKey::Client(key), value)
    };
    let builder = if plain { set(builder, ClientConfigKey::AllowHttp, "true") } else { builder };
    let builder = set(builder, ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT);
    let built = set(builder, ClientConfigKey::Timeout, REQUEST_TIMEOUT).build();
    Ok(Arc::new(built.map_err(|error| Error::new(Code::BadInput, format!("artifacts at {url}: {error}")))?))
}

/// An artifact that is being written; removed unless it is finished.
struct Partial {
    folder: Arc<Dir>,
    file: AtomicFile<Arc<Dir>>,
}

impl Partial {
    fn begin(folder: &Arc<Dir>) -> Result<Self> {
        let file = AtomicFile::create(Arc::clone(folder), format!("{PARTIAL}/artifact"), Access::OwnerOnly)?;
        Ok(Self { folder: Arc::clone(folder), file })
    }

    async fn write(&self, chunk: Bytes) -> Result<()> {
        let mut file = self.file.file().try_clone()?;
        blocking(move || file.write_all(&chunk)).await
    }

    fn read(&self) -> Result<Vec<u8>> {
        let mut file = self.file.file();
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    async fn finish(self, digest: &Digest) -> Result<()> {
        let digest = digest.clone();
        blocking(move || self.finish_now(&digest)).await
    }

    fn finish_now(self, digest: &Digest) -> std::io::Result<()> {
        let path = key(digest);
        self.folder.create_dir_with(&path[..2], DirBuilder::new().recursive(true).mode(0o700))?;
        // The upload is acknowledged next, and nothing else may have the bytes.
        self.file.commit(path, Fsync::FileAndFolder).map(drop)
    }
}

async fn blocking(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<()> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(panic) => Err(Error::new(Code::Internal, format!("writing an artifact: {panic}"))),
    }
}

#[cfg(test)]
mod tests;
