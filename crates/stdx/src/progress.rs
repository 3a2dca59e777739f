//! The bar that Docker draws for a download.

use crate::size::human_size;

/// Longest bar.
const BAR: u64 = 50;
/// Terminals this narrow get the numbers alone.
const NARROW: u16 = 110;

/// Bar and numbers for a terminal of so many columns; nothing where there is nothing to count.
pub fn text(current: u64, total: u64, columns: u16) -> String {
    #[expect(clippy::cast_precision_loss, reason = "four digits are printed")]
    let size = |bytes: u64| human_size(bytes as f64);
    if current == 0 && total == 0 {
        return String::new();
    }
    if total == 0 {
        return format!("{:>8}", size(current));
    }
    let mut text = String::new();
    if columns > NARROW {
        let done = (current.saturating_mul(100) / total / 2).min(BAR);
        let fill = |count: u64, with: &str| with.repeat(usize::try_from(count).unwrap_or_default());
        text = format!("[{}>{}] ", fill(done, "="), fill(BAR - done, " "));
    }
    text += &format!("{:>8}", size(current));
    if current <= total {
        text += &format!("/{}", size(total));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_dockers() {
        assert_eq!(text(0, 0, 200), "");
        assert_eq!(text(1, 0, 200), "      1B");
        assert_eq!(
            text(20, 100, 200),
            "[==========>                                        ]      20B/100B"
        );
        assert_eq!(text(100, 100, 80), "    100B/100B");
        assert_eq!(
            text(150, 100, 200),
            "[==================================================>]     150B"
        );
    }
}
