//! Recovers the workers that a former process left in a folder.

use super::frame;
use super::index::{Applied, Entry, FramePlace, Index, SegmentFile};
use super::reading::take_before;
use super::{BEFORE, CURRENT, DAMAGED, JOURNAL, JOURNAL_DIGITS, snapshot};
use cap_std::fs::Dir;
use elias_workers::WorkerKey;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Reads the headers of workers' files, and the journal. Nobody else writes, since the folder is locked.
///
/// # Errors
/// If a file cannot be read. A worker that is damaged is said in the log.
pub(super) fn read(folder: &Dir, path: &Path) -> std::io::Result<Index> {
    let mut index = Index::default();
    let (mut stems, mut segments) = (BTreeSet::new(), BTreeSet::new());
    for entry in folder.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if is_unfinished(name) {
            folder.remove_file(name)?;
        } else if let Some(stem) = [BEFORE, DAMAGED, CURRENT].iter().find_map(|end| name.strip_suffix(end)) {
            let bytes = entry.metadata()?.len();
            *index.file_bytes.entry(stem.to_owned()).or_default() += bytes;
            index.bytes += bytes;
            if !name.ends_with(DAMAGED) {
                stems.insert(stem.to_owned());
            }
        } else if let Some(number) = name.strip_prefix(JOURNAL).and_then(|number| number.parse::<u64>().ok()) {
            index.bytes += entry.metadata()?.len();
            segments.insert(number);
        }
    }
    for stem in stems {
        read_worker(&mut index, folder, path, &stem)?;
    }
    let mut gaps = BTreeMap::new();
    for number in segments {
        read_segment(&mut index, folder, path, number, &mut gaps)?;
    }
    for (key, commits) in gaps {
        let turns = index.workers.get(&key).map_or(0, |entry| entry.summary.turns);
        tracing::error!(
            worker = %key, turns,
            "a record of the journal in {} is damaged: the worker goes on as it was after turn {turns}, and what came \
             later is lost, with {commits} commits after it",
            path.display()
        );
    }
    Ok(index)
}

/// Whether a process was writing this file when it was killed: such names end in a ULID.
fn is_unfinished(name: &str) -> bool {
    let end = name.split_once(CURRENT).map_or("", |(_, end)| end);
    let ulid = end.strip_prefix('.').unwrap_or_default();
    ulid.len() == 26 && ulid.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Reads the header of a worker's file.
fn read_worker(index: &mut Index, folder: &Dir, path: &Path, stem: &str) -> std::io::Result<()> {
    let current = format!("{stem}{CURRENT}");
    if !folder.exists(&current) {
        // A process was killed between putting the old file aside and naming the new one: the journal has the rest.
        folder.rename(format!("{stem}{BEFORE}"), folder, &current)?;
    }
    let file = folder.open(&current)?;
    let length = file.metadata()?.len();
    let read = snapshot::read_header(&mut &file, length).or_else(|damage| {
        let taken = take_before(folder, stem, &damage)?;
        let turns = taken.0.record.turns;
        tracing::error!(
            worker = %taken.0.record.key, turns,
            "the file {current} in {} is damaged ({damage}) and was put aside: the worker goes on as it was after turn \
             {turns}, or as the journal has it",
            path.display()
        );
        Ok::<_, String>(taken)
    });
    match read {
        Ok((header, heap_at)) => {
            index.seq = index.seq.max(header.seq);
            index.workers.insert(header.record.key.clone(), Entry::of_snapshot(&header, heap_at));
        }
        Err(why) => {
            tracing::error!("a worker in {} cannot be read: {why}", path.display());
            index.damaged.insert(stem.to_owned(), why);
        }
    }
    Ok(())
}

/// Reads a segment of the journal. Counts by worker the commits that cannot be used, since one before is missing.
fn read_segment(
    index: &mut Index,
    folder: &Dir,
    path: &Path,
    number: u64,
    gaps: &mut BTreeMap<WorkerKey, u64>,
) -> std::io::Result<()> {
    let name = segment_name(number);
    let file: File = folder.open(&name)?.into_std();
    let mut bytes = Vec::new();
    (&file).read_to_end(&mut bytes)?;
    let Some((salt, mut at)) = frame::read_segment_head(&bytes) else {
        if !bytes.is_empty() {
            tracing::error!("{name} in {} is damaged at its beginning, and is left out", path.display());
        }
        // It goes with the next checkpoint.
        index.segments.insert(number, Arc::new(SegmentFile { file, salt: String::new() }));
        return Ok(());
    };
    while at < bytes.len() {
        let (frame, length, heap) = match frame::read(&bytes[at..], &salt) {
            Ok(read) => read,
            Err(why) => {
                let next = frame::find_next(&bytes, at + 1, &salt);
                let lost = next.unwrap_or(bytes.len()) - at;
                if next.is_some() {
                    tracing::error!("{name} in {} has {lost} damaged bytes at {at}: {why}", path.display());
                } else {
                    // What a process was writing when it was killed; nobody has had an answer to it.
                    tracing::warn!("{name} in {} ends in {lost} bytes that are no whole record: {why}", path.display());
                }
                match next {
                    Some(next) => at = next,
                    None => break,
                }
                continue;
            }
        };
        let place = FramePlace { segment: number, offset: at as u64, bytes: length, heap };
        at += length;
        match index.apply(&frame, place) {
            Applied::Gap => *gaps.entry(frame.key().clone()).or_default() += 1,
            Applied::Known => {}
            // Nothing is missing any more, or a process that was told of it has gone on.
            Applied::Done => {
                gaps.remove(frame.key());
            }
        }
    }
    index.segments.insert(number, Arc::new(SegmentFile { file, salt }));
    Ok(())
}

/// The name of a segment's file.
pub(super) fn segment_name(number: u64) -> String {
    format!("{JOURNAL}{number:0JOURNAL_DIGITS$}")
}
