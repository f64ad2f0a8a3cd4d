//! Reads artifacts piece by piece, to send them on.

use super::{Artifacts, hex, key};
use bytes::{Bytes, BytesMut};
use elias_api::{Code, Error, Result};
use elias_names::Digest;
use futures::StreamExt;
use futures::stream::BoxStream;
use sha2::{Digest as _, Sha256};
use std::io::{self, ErrorKind};
use std::ops::Range;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// Bytes that are read at a time, and so all that is held of a file for a reader.
const PIECE_BYTES: usize = 64 << 10;

/// A file that is being read.
struct FileReader {
    artifacts: Artifacts,
    digest: Digest,
    file: tokio::fs::File,
    left: u64,
    /// Of what was read so far, where that began at the beginning and goes to the end.
    hash: Option<Sha256>,
}

impl Artifacts {
    /// Bytes of an artifact, as they are read from the disk. A file that is read whole is checked against its digest:
    /// if it does not have that, its last piece is an error, so that no reader takes it for the artifact, and it is
    /// deleted for the next one to find it missing.
    ///
    /// # Errors
    /// `artifact-missing` where neither folder nor bucket has it, or it is shorter than that.
    pub async fn stream(&self, digest: &Digest, range: Range<u64>) -> Result<BoxStream<'static, io::Result<Bytes>>> {
        if self.bytes(digest).is_none() {
            self.get(digest).await?; // from the bucket to the folder
        }
        let mut file = {
            let (folder, path) = (std::sync::Arc::clone(&self.folder), key(digest));
            let opened = tokio::task::spawn_blocking(move || folder.open(path)).await;
            let opened = opened.map_err(|panic| Error::new(Code::Internal, format!("opening an artifact: {panic}")))?;
            tokio::fs::File::from_std(opened?.into_std())
        };
        let bytes = file.metadata().await?.len();
        if range.end > bytes {
            let message = format!("the artifact {digest} is damaged: it has {bytes} bytes");
            return Err(Error::new(Code::ArtifactMissing, message));
        }
        let whole = range == (0..bytes);
        file.seek(io::SeekFrom::Start(range.start)).await?;
        let left = range.end.saturating_sub(range.start);
        let hash = whole.then(Sha256::new);
        let reading = FileReader { artifacts: self.clone(), digest: digest.clone(), file, left, hash };
        Ok(futures::stream::try_unfold(reading, next).boxed())
    }
}

async fn next(mut reading: FileReader) -> io::Result<Option<(Bytes, FileReader)>> {
    if reading.left == 0 {
        return Ok(None);
    }
    let most = usize::try_from(reading.left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
    let mut piece = BytesMut::with_capacity(most);
    let mut part = (&mut reading.file).take(most as u64);
    while piece.len() < most {
        if part.read_buf(&mut piece).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    reading.left -= piece.len() as u64;
    if let Some(hash) = &mut reading.hash {
        hash.update(&piece);
        if reading.left == 0 && hex(&hash.clone().finalize()) != reading.digest.as_str() {
            tracing::error!(digest = %reading.digest, "a damaged artifact on the disk was deleted");
            reading.artifacts.folder.remove_file(key(&reading.digest))?;
            return Err(ErrorKind::InvalidData.into());
        }
    }
    Ok(Some((piece.freeze(), reading)))
}
