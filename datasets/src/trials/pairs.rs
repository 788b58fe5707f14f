//! Pairs of pictures: CSV, and the format of Labeled Faces in the Wild.
//!
//! CSV columns: `label` (1 one person, 0 two), `image_a` (the reference), `image_b` (the probe), and where
//! known `fold`, `kind`, `group`, `subject_a`, `subject_b`. Paths are relative to the file's folder.

use std::path::Path;

use super::{
    subjects::{SubjectSource, of_labels},
    table::{Numbers, Pictures, Table, TrialsError, folder_of, read_text},
};

/// One comparison to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Whether both are one person.
    pub mated: bool,
    /// Number of the reference's picture.
    pub reference: usize,
    /// Number of the probe's picture.
    pub probe: usize,
    /// Subjects of reference and probe, from 0.
    pub subjects: [usize; 2],
    /// Fold of a protocol that has folds.
    pub fold: Option<usize>,
    /// Groups it belongs to, as `column` and value.
    pub groups: Vec<(&'static str, String)>,
}

/// A protocol of comparisons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairs {
    /// The pictures, each once.
    pub pictures: Pictures,
    /// The comparisons.
    pub trials: Vec<Trial>,
    /// How many subjects there are.
    pub subjects: usize,
    /// How they were told apart.
    pub subject_source: SubjectSource,
}

/// Columns whose values make groups.
const GROUPS: [&str; 2] = ["kind", "group"];

/// Reads a file of pairs; which of the two formats it has is told by its first line.
///
/// # Errors
/// What is wrong, by line and column, or which picture is missing.
pub fn read_pairs(path: &Path) -> Result<Pairs, TrialsError> {
    let text = read_text(path)?;
    let first = text.lines().next().unwrap_or_default();
    let counts = first.split_whitespace().all(|word| word.parse::<u32>().is_ok());
    if counts && !first.trim().is_empty() { read_lfw(path, &text) } else { read_csv(path, &text) }
}

fn read_csv(path: &Path, text: &str) -> Result<Pairs, TrialsError> {
    let table = Table::parse(path, text, &["label", "image_a", "image_b"])?;
    let mut pictures = Pictures::default();
    let (mut folds, mut names) = (Numbers::default(), Numbers::default());
    let named = table.has("subject_a") && table.has("subject_b");
    let mut trials = Vec::new();
    for row in table.rows() {
        let groups = GROUPS.iter().filter_map(|column| Some((*column, row.optional(column)?.to_owned())));
        let subjects = if named { [names.of(row.required("subject_a")?), names.of(row.required("subject_b")?)] } else { [0, 0] };
        trials.push(Trial {
            mated: row.flag("label")?,
            reference: pictures.of_cell(&row, "image_a")?,
            probe: pictures.of_cell(&row, "image_b")?,
            subjects,
            fold: row.optional("fold").map(|fold| folds.of(fold)),
            groups: groups.collect(),
        });
        if let Some(trial) = trials.last().filter(|trial| named && trial.mated != (trial.subjects[0] == trial.subjects[1])) {
            let expected =
                if trial.mated { "the subject of subject_a, since label is 1" } else { "another subject than subject_a, since label is 0" };
            return Err(row.wrong("subject_b", expected));
        }
    }
    finish(path, pictures, trials, named.then_some(names.len()))
}

/// `Name n m` is a mated pair, `Name n Other m` a non-mated one. The first line holds the number of folds and
/// of pairs of each kind in a fold, or only the latter; each fold lists its mated pairs first.
fn read_lfw(path: &Path, text: &str) -> Result<Pairs, TrialsError> {
    let wrong = |line: usize, column: &str, expected: &str| TrialsError::Malformed {
        path: path.into(),
        line: line as u64,
        column: column.into(),
        expected: expected.into(),
    };
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())).filter(|(_, line)| !line.is_empty());
    let counts: Vec<usize> =
        lines.next().map(|(_, line)| line.split_whitespace().filter_map(|word| word.parse().ok()).collect()).unwrap_or_default();
    let (folds, each) = match counts.as_slice() {
        [each] if *each > 0 => (1, *each),
        [folds, each] if *folds > 0 && *each > 0 => (*folds, *each),
        _ => return Err(wrong(1, "counts", "the number of folds and of pairs in each, or only the latter")),
    };
    let images = if folder_of(path).join("images").is_dir() { "images/" } else { "" };
    let mut pictures = Pictures::default();
    let mut trials = Vec::new();
    for (line, text) in lines {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (a, b) = match words.as_slice() {
            [name, a, b] => ((*name, *a), (*name, *b)),
            [name, a, other, b] => ((*name, *a), (*other, *b)),
            _ => return Err(wrong(line, "line", "a name and two numbers, or two names each with a number")),
        };
        let fold = (folds > 1).then_some(trials.len() / (2 * each));
        if fold.is_some_and(|fold| fold >= folds) {
            return Err(wrong(line, "line", &format!("{} pairs as the first line says, and no more", 2 * each * folds)));
        }
        let mut picture = |column: &str, (name, number): (&str, &str)| {
            let number: u32 = number.parse().map_err(|_| wrong(line, column, "the number of a picture"))?;
            let id = format!("{images}{name}/{name}_{number:04}");
            let ending = if folder_of(path).join(format!("{id}.png")).is_file() { "png" } else { "jpg" };
            pictures.number(path, line as u64, column, folder_of(path), &format!("{id}.{ending}"))
        };
        let (reference, probe) = (picture("first picture", a)?, picture("second picture", b)?);
        trials.push(Trial { mated: words.len() == 3, reference, probe, subjects: [0, 0], fold, groups: Vec::new() });
    }
    finish(path, pictures, trials, None)
}

fn finish(path: &Path, pictures: Pictures, mut trials: Vec<Trial>, named: Option<usize>) -> Result<Pairs, TrialsError> {
    if trials.is_empty() {
        return Err(TrialsError::Empty { path: path.into(), what: "pair" });
    }
    if let Some(subjects) = named {
        return Ok(Pairs { pictures, trials, subjects, subject_source: SubjectSource::Columns });
    }
    let ids: Vec<&str> = (0..pictures.len()).map(|number| pictures.id(number)).collect();
    let labelled: Vec<(usize, usize, bool)> = trials.iter().map(|trial| (trial.reference, trial.probe, trial.mated)).collect();
    let (numbers, subjects, subject_source) = of_labels(&ids, &labelled);
    let of = |picture: usize| numbers.get(picture).copied().unwrap_or_default();
    for trial in &mut trials {
        trial.subjects = [of(trial.reference), of(trial.probe)];
    }
    Ok(Pairs { pictures, trials, subjects, subject_source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::table::tests::folder;

    const PICTURES: [(&str, &str); 4] =
        [("images/A_B/A_B_0001.jpg", "x"), ("images/A_B/A_B_0002.jpg", "x"), ("images/C/C_0007.jpg", "x"), ("images/D/D_0001.png", "x")];

    fn read(name: &str, text: &str) -> Result<Pairs, TrialsError> {
        let folder = folder(&[PICTURES.as_slice(), &[(name, text)]].concat());
        read_pairs(&folder.path().join(name))
    }

    #[test]
    fn csv_and_lfw_say_the_same() {
        let csv = "label,image_a,image_b,fold\n1,images/A_B/A_B_0001.jpg,images/A_B/A_B_0002.jpg,1\n\
                   0,images/A_B/A_B_0001.jpg,images/C/C_0007.jpg,1\n0,images/C/C_0007.jpg,images/D/D_0001.png,2\n";
        let csv = read("pairs.csv", csv).unwrap();
        let lfw = read("pairs.txt", "2\t1\nA_B\t1\t2\nA_B\t1\tC\t7\nC\t7\tD\t1\n").unwrap();
        assert_eq!(csv.trials, lfw.trials);
        assert_eq!((lfw.subjects, lfw.pictures.len(), lfw.subject_source), (3, 4, SubjectSource::Names));
        assert_eq!(lfw.trials.iter().map(|trial| trial.fold).collect::<Vec<_>>(), [Some(0), Some(0), Some(1)]);
    }

    #[test]
    fn one_count_means_no_folds() {
        assert_eq!(read("pairs.txt", "1\nA_B 1 2\n").unwrap().trials[0].fold, None);
    }

    #[track_caller]
    fn check(name: &str, text: &str, expected: &str) {
        let error = read(name, text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column() {
        check("p.csv", "label,image_a\n", "p.csv: line 1: image_b: expected a column");
        check("p.csv", "label,image_a,image_b\n2,a,b\n", "p.csv: line 2: label: expected 1 or 0, got \"2\"");
        check("p.csv", "label,image_a,image_b\n", "p.csv: expected at least one pair");
        let pair = "images/A_B/A_B_0001.jpg,images/C/C_0007.jpg";
        check("p.csv", &format!("label,image_a,image_b\n0,{pair}\n0,gone.jpg,x\n"), "p.csv: line 3: image_a: expected a picture at ");
        check(
            "p.csv",
            &format!("label,image_a,image_b,subject_a,subject_b\n0,{pair},x,x\n"),
            "line 2: subject_b: expected another subject",
        );
        check("p.txt", "2 1\nA_B 1\n", "p.txt: line 2: line: expected a name and two numbers");
        check("p.txt", "2 1\nA_B 1 x\n", "p.txt: line 2: second picture: expected the number of a picture");
        check("p.txt", "2 1\nA_B 1 3\n", "p.txt: line 2: second picture: expected a picture at ");
        check("p.txt", "0 1\n", "p.txt: line 1: counts: expected the number of folds");
    }

    #[test]
    fn subjects_and_groups_are_taken_from_columns() {
        let pairs = read("p.csv", "label,image_a,image_b,subject_a,subject_b,kind\n1,images/C/C_0007.jpg,images/D/D_0001.png,s,s,id\n");
        let pairs = pairs.unwrap();
        assert_eq!((pairs.subjects, pairs.subject_source), (1, SubjectSource::Columns));
        assert_eq!(pairs.trials[0].groups, [("kind", "id".to_owned())]);
    }
}
