//! Who is in a picture, where a file of pairs does not say so.

use std::collections::HashMap;

use serde::Serialize;

/// How subjects were told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectSource {
    /// The file names them.
    Columns,
    /// By the names of folders and files; see [`name_of`].
    Names,
    /// Names contradict the labels, so whatever mated pairs connect is one subject.
    MatedPairs,
}

/// The subject that a picture's path names: its folder's name where the file's name starts with it (as in
/// `Jane_Roe/Jane_Roe_0001.jpg`), else the file's name up to its last underscore (`017_live.jpg` is `017`).
#[must_use]
pub fn name_of(id: &str) -> &str {
    let mut parts = id.rsplit(['/', '\\']);
    let file = parts.next().unwrap_or(id);
    let folder = parts.next().unwrap_or("");
    if !folder.is_empty() && file.starts_with(folder) {
        return folder;
    }
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    stem.rsplit_once('_').map_or(stem, |(name, _)| name)
}

/// Subject numbers of pictures, and how many subjects there are. Names count when they agree with every
/// label; else the connected parts of the mated pairs do.
pub(super) fn of_labels(ids: &[&str], labelled: &[(usize, usize, bool)]) -> (Vec<usize>, usize, SubjectSource) {
    let names: Vec<&str> = ids.iter().map(|id| name_of(id)).collect();
    let agree = labelled.iter().all(|(a, b, mated)| (names.get(*a) == names.get(*b)) == *mated);
    if agree {
        let (numbers, count) = number(&names);
        return (numbers, count, SubjectSource::Names);
    }
    let mut parent: Vec<usize> = (0..ids.len()).collect();
    for (a, b, _) in labelled.iter().filter(|(.., mated)| *mated) {
        let (a, b) = (root(&parent, *a), root(&parent, *b));
        if let Some(slot) = parent.get_mut(a) {
            *slot = b;
        }
    }
    let roots: Vec<usize> = (0..ids.len()).map(|picture| root(&parent, picture)).collect();
    let (numbers, count) = number(&roots);
    (numbers, count, SubjectSource::MatedPairs)
}

fn root(parent: &[usize], mut at: usize) -> usize {
    while let Some(up) = parent.get(at).filter(|up| **up != at) {
        at = *up;
    }
    at
}

fn number<T: std::hash::Hash + Eq + Copy>(words: &[T]) -> (Vec<usize>, usize) {
    let mut numbers: HashMap<T, usize> = HashMap::new();
    let all = words.iter().map(|word| {
        let next = numbers.len();
        *numbers.entry(*word).or_insert(next)
    });
    (all.collect(), numbers.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_folders_and_files() {
        assert_eq!(name_of("images/Jane_Roe/Jane_Roe_0001.jpg"), "Jane_Roe");
        assert_eq!(name_of("../other/images/live/0015/0015_01_05_03_121.jpg"), "0015");
        assert_eq!(name_of("images/017_live.jpg"), "017");
        assert_eq!(name_of("Jane_Roe_0001.jpg"), "Jane_Roe");
        assert_eq!(name_of("alone.png"), "alone");
    }

    #[track_caller]
    fn check(ids: &[&str], labelled: &[(usize, usize, bool)], subjects: &[usize], source: SubjectSource) {
        let (numbers, count, from) = of_labels(ids, labelled);
        assert_eq!((numbers.as_slice(), from), (subjects, source));
        assert_eq!(count, subjects.iter().max().map_or(0, |most| most + 1));
    }

    #[test]
    fn names_count_while_they_agree_with_the_labels() {
        check(&["a_1", "a_2", "b_1"], &[(0, 1, true), (0, 2, false)], &[0, 0, 1], SubjectSource::Names);
    }

    #[test]
    fn else_mated_pairs_do() {
        // "p_1" and "p_4" have one name and are two people; 0–1 and 1–2 are mated, so 0, 1 and 2 are one.
        let labelled = [(0, 1, true), (1, 2, true), (0, 3, false)];
        check(&["p_1", "q_2", "q_3", "p_4"], &labelled, &[0, 0, 0, 1], SubjectSource::MatedPairs);
    }
}
