//! What others see as the arguments of this process.

use std::io;
use std::ptr;

use super::SingleThreaded;

/// The place of this process's arguments in its own memory: `/proc/PID/cmdline` and ps(1) show what stands there.
#[derive(Debug)]
pub struct Title {
    start: usize,
    length: usize,
}

impl Title {
    /// Finds the place.
    ///
    /// # Errors
    ///
    /// `/proc/self/stat` is not to be read, or says nothing of it.
    pub fn find() -> io::Result<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let (start, end) = place(&stat).ok_or(io::ErrorKind::InvalidData)?;
        let length = end.checked_sub(start).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, length })
    }

    /// Writes other arguments there. What is longer than the first ones is cut, what is shorter filled up with zeros.
    pub fn set(&self, _: &SingleThreaded, arguments: &[&str]) {
        let mut text = arguments.join("\0").into_bytes();
        text.resize(self.length, 0);
        // The kernel takes arguments whose last byte is not zero for longer than they are (setproctitle(3)).
        if let Some(last) = text.last_mut() {
            *last = 0;
        }
        let target = ptr::with_exposed_provenance_mut::<u8>(self.start);
        // SAFETY: the kernel copied the arguments to this place on the stack at the exec and tells its bounds; the place
        // is writable, and stays as long as the process. There is no other thread, and whoever reads arguments in this
        // one (`std::env::args`) copies them.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr(), target, text.len()) };
    }
}

/// `arg_start` and `arg_end` of proc_pid_stat(5), its fields 48 and 49.
fn place(stat: &str) -> Option<(usize, usize)> {
    // The name, field 2, stands in parentheses and may have any characters.
    let mut fields = stat.rsplit_once(") ")?.1.split_whitespace().skip(48 - 3);
    let mut next = || fields.next()?.parse().ok().filter(|place| *place != 0);
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_stands_behind_a_name_of_any_characters() {
        let rest: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        let stat = format!("7 (a) 1 (b) {}", rest.join(" "));
        assert_eq!(place(&stat), Some((48, 49)));
        assert_eq!(place("7 (a) S 1 2"), None);
        assert_eq!(place(""), None);
    }

    #[test]
    fn the_arguments_of_this_process_are_at_the_place() {
        let title = Title::find().unwrap();
        let arguments = std::fs::read("/proc/self/cmdline").unwrap();
        assert_eq!(title.length, arguments.len());
    }
}
