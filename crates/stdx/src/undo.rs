//! Steps to take back when a later step fails.

/// A list of clean-up steps, run in reverse order unless [`Undo::keep`] is called.
///
/// Each step returns its own failure as text; the failures of all steps are collected, none stops the others.
#[derive(Default)]
pub struct Undo<'a> {
    steps: Vec<(&'static str, Step<'a>)>,
}

type Step<'a> = Box<dyn FnOnce() -> Result<(), String> + Send + 'a>;

impl<'a> Undo<'a> {
    /// Registers how to take back what was just done; `what` names it in the report.
    pub fn push(
        &mut self,
        what: &'static str,
        step: impl FnOnce() -> Result<(), String> + Send + 'a,
    ) {
        self.steps.push((what, Box::new(step)));
    }

    /// The operation succeeded: nothing is taken back.
    pub fn keep(mut self) {
        self.steps.clear();
    }

    /// Takes everything back, last step first, and returns what could not be.
    pub fn run(mut self) -> Vec<String> {
        let mut failures = Vec::new();
        while let Some((what, step)) = self.steps.pop() {
            if let Err(error) = step() {
                failures.push(format!("{what}: {error}"));
            }
        }
        failures
    }
}

impl std::fmt::Debug for Undo<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.steps.iter().map(|(what, _)| what))
            .finish()
    }
}
