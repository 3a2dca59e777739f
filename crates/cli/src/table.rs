//! Columns of text, as Go's tabwriter lays them out: at least ten wide, three blanks apart.

const MIN_WIDTH: usize = 10;
const PADDING: usize = 3;

/// Lays out lines whose cells end with tabs; the last cell of a line is no part of a column.
pub(crate) fn layout(text: &str) -> String {
    // Each cell with the blanks that come after it.
    let mut lines: Vec<Vec<(&str, usize)>> = text
        .lines()
        .map(|line| line.split('\t').map(|cell| (cell, 0)).collect())
        .collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        for block in lines.chunk_by_mut(|one, other| one.len().min(other.len()) > column + 1) {
            if block[0].len() > column + 1 {
                pad(block, column);
            }
        }
    }
    let mut text = String::new();
    for cells in lines {
        for (cell, blanks) in cells {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', blanks));
        }
        text.push('\n');
    }
    text
}

/// Makes the cells of one column as wide as the widest of them.
fn pad(lines: &mut [Vec<(&str, usize)>], column: usize) {
    for cells in &mut *lines {
        cells[column].1 = cells[column].0.chars().count();
    }
    let widest = lines.iter().map(|cells| cells[column].1).max();
    let width = MIN_WIDTH.max(widest.unwrap_or(0) + PADDING);
    for cells in lines {
        cells[column].1 = width - cells[column].1;
    }
}

/// Cuts a text that is too long and marks the cut: `/bin/sh -c 'while tr…`.
pub(crate) fn ellipsis(text: &str, width: usize) -> String {
    use unicode_width::UnicodeWidthChar;
    let total: usize = text.chars().map(|letter| letter.width().unwrap_or(0)).sum();
    if total <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let mut kept: String = text
        .chars()
        .take_while(|letter| {
            used += letter.width().unwrap_or(0);
            used < width
        })
        .collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_laid_out_as_by_tabwriter() {
        let text = "CONTAINER ID\tIMAGE\tPORTS\tNAMES\nabc\tbusybox:latest\t\tweb\n";
        let expect = "CONTAINER ID   IMAGE            PORTS     NAMES\n\
                      abc            busybox:latest             web\n";
        assert_eq!(layout(text), expect);
    }

    #[test]
    fn long_texts_end_in_an_ellipsis() {
        assert_eq!(ellipsis("\"sleep 100\"", 20), "\"sleep 100\"");
        assert_eq!(
            ellipsis("01234567890123456789x", 20),
            "0123456789012345678…"
        );
        assert_eq!(ellipsis("世界世界", 5), "世界…");
    }
}
