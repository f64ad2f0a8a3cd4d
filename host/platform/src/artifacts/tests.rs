//! Tests of the artifact store: uploads are what their digests say, and stay it.

use super::*;
use futures::stream;

fn artifacts(folder: &tempfile::TempDir) -> Artifacts {
    let folder = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).expect("a folder");
    Artifacts::open(folder, None).expect("it opens")
}

fn chunks(text: &'static str) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::iter(text.as_bytes().chunks(3).map(|chunk| Ok(Bytes::from_static(chunk))))
}

#[tokio::test]
async fn what_is_stored_is_what_was_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let artifacts = artifacts(&folder);
    let digest = Digest::of(b"component");
    assert_eq!(artifacts.get(&digest).await.expect_err("not there").code(), Code::ArtifactMissing);
    assert_eq!(artifacts.put(&digest, chunks("another"), 100).await.expect_err("another").code(), Code::DigestMismatch);
    assert_eq!(artifacts.put(&digest, chunks("component"), 8).await.expect_err("too large").code(), Code::TooLarge);
    let broken = stream::iter([Ok(Bytes::from_static(b"comp")), Err(std::io::Error::other("gone"))]);
    assert_eq!(artifacts.put(&digest, broken, 100).await.expect_err("cut short").code(), Code::BadInput);
    assert!(!artifacts.has(&digest).await.expect("looked"), "none of these left anything");
    assert_eq!(std::fs::read_dir(folder.path().join(PARTIAL)).expect("the folder").count(), 0);
    assert_eq!(artifacts.put(&digest, chunks("component"), 9).await.expect("stored"), 9);
    assert_eq!(artifacts.get(&digest).await.expect("there"), "component");
}

#[tokio::test]
async fn what_is_read_piece_by_piece_is_checked_too() {
    use futures::TryStreamExt;
    let folder = tempfile::tempdir().expect("a folder");
    let artifacts = artifacts(&folder);
    let text: &'static str = Box::leak("elias".repeat(50_000).into_boxed_str());
    let digest = Digest::of(text.as_bytes());
    artifacts
        .put(&digest, stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(text.as_bytes()))]), 1 << 20)
        .await
        .expect("stored");
    let read = async |range| {
        let pieces: Vec<Bytes> = artifacts.stream(&digest, range).await?.try_collect().await?;
        assert!(pieces.iter().all(|piece| piece.len() <= 64 << 10));
        Ok::<_, elias_api::Error>(pieces.concat())
    };
    assert_eq!(read(0..250_000).await.expect("whole"), text.as_bytes());
    assert_eq!(read(70_000..200_001).await.expect("a part"), text.as_bytes()[70_000..200_001]);
    assert!(read(5..5).await.expect("nothing").is_empty());
    assert_eq!(read(0..250_001).await.expect_err("too long").code(), Code::ArtifactMissing);
    let file = folder.path().join(key(&digest));
    std::fs::write(&file, text.replacen("elias", "Elias", 1)).expect("altered");
    assert!(read(0..250_000).await.is_err(), "the last piece is missing");
    assert_eq!(read(0..250_000).await.expect_err("deleted").code(), Code::ArtifactMissing);
}

#[tokio::test]
async fn files_are_compressed_once_and_go_with_their_original() {
    let folder = tempfile::tempdir().expect("a folder");
    let artifacts = artifacts(&folder);
    let put = async |bytes: Vec<u8>| {
        let digest = Digest::of(&bytes);
        let size = bytes.len() as u64;
        artifacts.put(&digest, stream::iter([Ok::<_, std::io::Error>(bytes.into())]), size).await.expect("stored");
        digest
    };
    let script = put(b"let elias = 'elias';\n".repeat(500)).await;
    assert_eq!(artifacts.encode(&script, "text/javascript; charset=utf-8").await.expect("compressed"), 10_500);
    let made = artifacts.encodings(&script);
    assert_eq!(made.iter().map(|file| file.coding.as_str()).collect::<Vec<_>>(), ["br", "gzip"]);
    for file in &made {
        let digest: Digest = file.sha256.parse().expect("a digest");
        assert_eq!(artifacts.get(&digest).await.expect("it is an artifact").len() as u64, file.bytes);
        assert!(file.bytes < 1_000);
    }
    assert_eq!(artifacts.encode(&script, "text/javascript").await.expect("nothing to do"), 0);

    let noise: Vec<u8> = (0..5_000).map(|_| rand::random()).collect();
    let noise = put(noise).await;
    assert_eq!(artifacts.encode(&noise, "text/plain").await.expect("tried"), 5_000);
    assert!(artifacts.encodings(&noise).is_empty(), "it would not have become smaller");
    assert_eq!(artifacts.encode(&noise, "text/plain").await.expect("not tried again"), 0);
    for (bytes, media_type) in [(vec![b'a'; 5_000], "image/png"), (vec![b'a'; 500], "text/plain")] {
        let digest = put(bytes).await;
        assert_eq!(artifacts.encode(&digest, media_type).await.expect("left alone"), 0);
    }

    let referenced = HashSet::from([script.to_string()]);
    assert_eq!(artifacts.sweep(&referenced, Duration::ZERO).expect("swept"), 4, "the others, and a list");
    assert_eq!(artifacts.encodings(&script), made);
    assert_eq!(artifacts.sweep(&HashSet::new(), Duration::ZERO).expect("swept"), 4, "it, its list and what was made");
}

#[tokio::test]
async fn what_was_altered_behind_the_hosts_back_is_not_given_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let artifacts = artifacts(&folder);
    let digest = Digest::of(b"component");
    artifacts.put(&digest, chunks("component"), 9).await.expect("stored");
    let file = folder.path().join(key(&digest));
    std::fs::write(&file, "Component").expect("altered");
    assert_eq!(artifacts.get(&digest).await.expect_err("altered").code(), Code::ArtifactMissing);
    assert!(!artifacts.has(&digest).await.expect("looked"), "so that it is sent again");
    artifacts.put(&digest, chunks("component"), 9).await.expect("uploading it again mends it");
    assert_eq!(artifacts.get(&digest).await.expect("there"), "component");
    std::fs::remove_file(&file).expect("removed");
    assert_eq!(artifacts.get(&digest).await.expect_err("removed").code(), Code::ArtifactMissing);
}
