//! A worker's heap as a chain: a whole heap, and the changes by later turns.

use super::HeapCommit;
use elias_host::{HeapChange, WorkerHeap};

/// Bytes of the longest memory that there is: what a store reads it has written.
const MEMORY_BYTES_MAX: u64 = 4 << 30;

/// Merges changes into a whole heap.
pub(crate) type Merge = fn(&[u8], &[Vec<u8>]) -> Result<Vec<u8>, String>;

/// Merges changes into a whole heap, all as [`elias_host`] writes them. Takes milliseconds for some megabytes.
///
/// # Errors
/// What is wrong with the bytes.
pub fn merge(whole: &[u8], changes: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    if changes.is_empty() {
        return Ok(whole.to_vec());
    }
    let mut heap = WorkerHeap::from_bytes(whole, MEMORY_BYTES_MAX).map_err(|error| error.to_string())?;
    for change in changes {
        let change = HeapChange::from_bytes(change, MEMORY_BYTES_MAX).map_err(|error| error.to_string())?;
        heap.apply(&change).map_err(|error| error.to_string())?;
    }
    heap.to_bytes().map_err(|error| error.to_string())
}

/// What a commit made of the heap; `P` is where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StepHeap<P> {
    Whole(P),
    Change(P),
    BackTo(u64),
}

/// A commit that changed the heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step<P> {
    /// The commit's number among all of its store.
    pub(super) seq: u64,
    /// The worker's turn.
    pub(super) turn: u64,
    pub(super) heap: StepHeap<P>,
}

/// The commits from which the heap of a worker is made, in the order of their turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain<P>(Vec<Step<P>>);

impl<P> Default for Chain<P> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<P: Clone> Chain<P> {
    /// Adds a commit. What nobody can ask for any more is dropped: everything before a whole heap, unless a former turn
    /// may be restored.
    pub(super) fn push(&mut self, step: Step<P>, restorable: Option<u64>) {
        if restorable.is_none() && matches!(step.heap, StepHeap::Whole(_)) {
            self.0.clear();
        }
        self.0.push(step);
    }

    /// The whole heap and the changes that make the heap as of a turn; none if it is not kept.
    pub(super) fn resolve(&self, turn: u64) -> Option<Vec<P>> {
        let at_or_before = |steps: &[Step<P>], turn: u64| steps.iter().rposition(|step| step.turn <= turn);
        let mut position = at_or_before(&self.0, turn)?;
        let mut places = Vec::new();
        loop {
            match &self.0[position].heap {
                StepHeap::Whole(place) => {
                    places.push(place.clone());
                    places.reverse();
                    return Some(places);
                }
                StepHeap::Change(place) => {
                    places.push(place.clone());
                    position = position.checked_sub(1)?;
                }
                StepHeap::BackTo(turn) => position = at_or_before(&self.0[..position], *turn)?,
            }
        }
    }

    /// Puts whole heaps in place of all commits up to the one of number `seq`.
    pub(super) fn replace_through(&mut self, seq: u64, wholes: impl IntoIterator<Item = (u64, P)>) {
        let later = self.0.split_off(self.0.iter().take_while(|step| step.seq <= seq).count());
        self.0 = wholes.into_iter().map(|(turn, place)| Step { seq, turn, heap: StepHeap::Whole(place) }).collect();
        self.0.extend(later);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Where the bytes are.
    pub(super) fn places(&self) -> impl Iterator<Item = &P> {
        self.0.iter().filter_map(|step| match &step.heap {
            StepHeap::Whole(place) | StepHeap::Change(place) => Some(place),
            StepHeap::BackTo(_) => None,
        })
    }
}

impl HeapCommit {
    /// Its bytes; none where it has none.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Change(bytes) | Self::Whole(bytes) => bytes,
            Self::Unchanged | Self::BackTo(_) => &[],
        }
    }

    /// The step that it is, with its bytes at `place`; none where the heap is as it was.
    pub(super) fn step<P>(&self, seq: u64, turn: u64, place: P) -> Option<Step<P>> {
        let heap = match self {
            Self::Unchanged => return None,
            Self::Change(_) => StepHeap::Change(place),
            Self::Whole(_) => StepHeap::Whole(place),
            Self::BackTo(turn) => StepHeap::BackTo(*turn),
        };
        Some(Step { seq, turn, heap })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(turn: u64, heap: StepHeap<&'static str>) -> Step<&'static str> {
        Step { seq: turn, turn, heap }
    }

    #[test]
    fn a_heap_is_the_last_whole_one_and_the_changes_since() {
        let mut chain = Chain::default();
        chain.push(step(2, StepHeap::Whole("two")), None);
        chain.push(step(4, StepHeap::Change("+four")), None);
        chain.push(step(5, StepHeap::Change("+five")), Some(4));
        assert_eq!(chain.resolve(1), None);
        assert_eq!(chain.resolve(3), Some(vec!["two"]));
        assert_eq!(chain.resolve(9), Some(vec!["two", "+four", "+five"]), "no later one changed it");
        chain.push(step(10, StepHeap::BackTo(4)), None);
        chain.push(step(11, StepHeap::Change("+eleven")), None);
        assert_eq!(chain.resolve(11), Some(vec!["two", "+four", "+eleven"]));
        chain.push(step(12, StepHeap::Whole("twelve")), Some(11));
        assert_eq!(chain.resolve(11), Some(vec!["two", "+four", "+eleven"]));
        chain.push(step(13, StepHeap::Whole("thirteen")), None);
        assert_eq!((chain.len(), chain.resolve(12)), (1, None));
    }

    #[test]
    fn whole_heaps_take_the_place_of_the_commits_up_to_one() {
        let mut chain = Chain::default();
        chain.push(step(1, StepHeap::Whole("one")), None);
        chain.push(step(2, StepHeap::Change("+two")), Some(1));
        // A handler that was undone while its worker was written down.
        chain.push(step(3, StepHeap::BackTo(1)), None);
        chain.push(step(4, StepHeap::Change("+four")), None);
        chain.replace_through(2, [(1, "ONE"), (2, "TWO")]);
        assert_eq!(chain.resolve(2), Some(vec!["TWO"]));
        assert_eq!(chain.resolve(4), Some(vec!["ONE", "+four"]));
        assert_eq!(chain.places().copied().collect::<Vec<_>>(), ["ONE", "TWO", "+four"]);
    }
}
