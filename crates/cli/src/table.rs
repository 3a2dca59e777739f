//! Columns of text, as Go's tabwriter lays them out: at least ten wide, three blanks apart.

const MIN_WIDTH: usize = 10;
const PADDING: usize = 3;

/// Lays out lines whose cells end with tabs; the last cell of a line is no part of a column.
pub(crate) fn layout(text: &str) -> String {
    let mut lines: Vec<Vec<String>> = text
        .lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut at = 0;
        while at < lines.len() {
            let block = lines[at..]
                .iter()
                .take_while(|cells| cells.len() > column + 1)
                .count();
            pad(&mut lines[at..at + block], column);
            at += block.max(1);
        }
    }
    lines.iter().map(|cells| cells.concat() + "\n").collect()
}

/// Pads the cells of one column to the widest of them.
fn pad(lines: &mut [Vec<String>], column: usize) {
    let widest = lines
        .iter()
        .map(|cells| cells[column].chars().count())
        .max()
        .unwrap_or(0);
    let width = MIN_WIDTH.max(widest + PADDING);
    for cells in lines {
        let missing = width - cells[column].chars().count();
        cells[column].push_str(&" ".repeat(missing));
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
