//! What changed between two texts, line by line: longest common subsequence, shown with some lines around. Pure.

use std::fmt::Write as _;

/// Most cells of the table of common lengths; larger texts are shown as replaced as a whole where they differ.
const MAX_CELLS: usize = 4 << 20;

/// A line of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// In both.
    Same(&'a str),
    /// Only in the old text.
    Old(&'a str),
    /// Only in the new text.
    New(&'a str),
}

/// Compares two texts.
pub(super) fn compare<'a>(old: &'a str, new: &'a str) -> Vec<Change<'a>> {
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    let before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (old.get(before..).unwrap_or_default(), new.get(before..).unwrap_or_default());
    let after = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let old_middle = old_rest.get(..old_rest.len() - after).unwrap_or_default();
    let new_middle = new_rest.get(..new_rest.len() - after).unwrap_or_default();
    let mut changes: Vec<Change<'a>> = old.iter().take(before).map(|line| Change::Same(line)).collect();
    middle(old_middle, new_middle, &mut changes);
    changes.extend(old.iter().skip(old.len() - after).map(|line| Change::Same(line)));
    changes
}

fn middle<'a>(old: &[&'a str], new: &[&'a str], changes: &mut Vec<Change<'a>>) {
    let width = new.len() + 1;
    let cells = (old.len() + 1).saturating_mul(width);
    if cells > MAX_CELLS {
        changes.extend(old.iter().map(|line| Change::Old(line)));
        changes.extend(new.iter().map(|line| Change::New(line)));
        return;
    }
    // lengths[i * width + j]: longest common subsequence of old[i..] and new[j..].
    let mut lengths = vec![0_u32; cells];
    let at = |lengths: &[u32], i: usize, j: usize| lengths.get(i * width + j).copied().unwrap_or_default();
    for (i, old_line) in old.iter().enumerate().rev() {
        for (j, new_line) in new.iter().enumerate().rev() {
            let length = if old_line == new_line {
                at(&lengths, i + 1, j + 1) + 1
            } else {
                at(&lengths, i + 1, j).max(at(&lengths, i, j + 1))
            };
            if let Some(cell) = lengths.get_mut(i * width + j) {
                *cell = length;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    loop {
        match (old.get(i), new.get(j)) {
            (Some(old_line), Some(new_line)) if old_line == new_line => {
                changes.push(Change::Same(old_line));
                i += 1;
                j += 1;
            }
            (Some(line), other) if other.is_none() || at(&lengths, i + 1, j) >= at(&lengths, i, j + 1) => {
                changes.push(Change::Old(line));
                i += 1;
            }
            (_, Some(line)) => {
                changes.push(Change::New(line));
                j += 1;
            }
            (_, None) => break,
        }
    }
}

/// The changes with `around` unchanged lines at both sides, in the form that patch(1) knows; empty for equal texts.
pub(super) fn unified(changes: &[Change<'_>], around: usize) -> String {
    let mut out = String::new();
    let is_near = |at: usize| {
        let from = at.saturating_sub(around);
        let near = changes.iter().skip(from).take(at - from + around + 1);
        near.into_iter().any(|change| !matches!(change, Change::Same(_)))
    };
    let (mut old_line, mut new_line) = (1, 1);
    let mut at = 0;
    while at < changes.len() {
        let part = changes.iter().enumerate().skip(at).take_while(|(index, _)| is_near(*index)).count();
        if part == 0 {
            // Outside of every part there are unchanged lines only.
            (at, old_line, new_line) = (at + 1, old_line + 1, new_line + 1);
            continue;
        }
        let part = changes.get(at..at + part).unwrap_or_default();
        let old_count = part.iter().filter(|change| !matches!(change, Change::New(_))).count();
        let new_count = part.iter().filter(|change| !matches!(change, Change::Old(_))).count();
        let range = |line: usize, count: usize| match count {
            // As patch(1) has it: nothing comes after the line before.
            0 => format!("{},0", line - 1),
            1 => line.to_string(),
            _ => format!("{line},{count}"),
        };
        let _ = writeln!(out, "@@ -{} +{} @@", range(old_line, old_count), range(new_line, new_count));
        for change in part {
            let _ = match change {
                Change::Same(line) => writeln!(out, " {line}"),
                Change::Old(line) => writeln!(out, "-{line}"),
                Change::New(line) => writeln!(out, "+{line}"),
            };
        }
        old_line += old_count;
        new_line += new_count;
        at += part.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(old: &str, new: &str) -> String {
        unified(&compare(&old.replace(' ', "\n"), &new.replace(' ', "\n")), 3)
    }

    #[test]
    fn equal_texts_have_no_changes() {
        assert_eq!(diff("a b c", "a b c"), "");
        assert_eq!(diff("", ""), "");
    }

    #[test]
    fn changes_are_shown_with_three_lines_around() {
        assert_eq!(diff("1 2 3 4 5 6 7 8 9", "1 2 3 4 x 6 7 8 9"), "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n");
        assert_eq!(diff("a b c", "b c d"), "@@ -1,3 +1,3 @@\n-a\n b\n c\n+d\n");
        assert_eq!(diff("", "a"), "@@ -0,0 +1 @@\n+a\n");
        assert_eq!(diff("a b", ""), "@@ -1,2 +0,0 @@\n-a\n-b\n");
    }

    #[test]
    fn distant_changes_are_parts_of_their_own_and_near_ones_one_part() {
        let old = "a 1 2 3 4 5 6 7 8 9 b";
        assert_eq!(
            diff(old, "x 1 2 3 4 5 6 7 8 9 y"),
            "@@ -1,4 +1,4 @@\n-a\n+x\n 1\n 2\n 3\n@@ -8,4 +8,4 @@\n 7\n 8\n 9\n-b\n+y\n"
        );
        assert_eq!(diff("a 1 2 b", "x 1 2 y"), "@@ -1,4 +1,4 @@\n-a\n+x\n 1\n 2\n-b\n+y\n");
    }

    #[test]
    fn a_line_that_stays_is_found_in_the_middle() {
        let changes = compare("a\nb\nc\nd", "x\nb\nd\ny");
        use Change::{New, Old, Same};
        assert_eq!(changes, [Old("a"), New("x"), Same("b"), Old("c"), Same("d"), New("y")]);
    }

    #[test]
    fn texts_that_are_too_large_are_replaced_as_a_whole() {
        let number = |from: usize| (from..from + 3000).map(|line| line.to_string()).collect::<Vec<_>>().join("\n");
        let (old, new) = (format!("same\n{}", number(0)), format!("same\n{}", number(10_000)));
        let changes = compare(&old, &new);
        assert_eq!(changes.len(), 6001);
        assert_eq!(changes.first(), Some(&Change::Same("same")));
        assert_eq!(changes.get(3001), Some(&Change::New("10000")));
    }
}
