//! How a world is run, beside its seed.

use crate::explore::Fates;
use crate::plan::Classes;
use crate::plant::Plant;

/// How a world is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Fault classes that are left out.
    pub(crate) without: Classes,
    /// A bug that is built into the world, to prove that a checker finds it.
    pub(crate) plant: Option<Plant>,
    /// What becomes of the first messages after some time.
    pub(crate) fates: Option<Fates>,
    /// Whether what happens is printed.
    pub trace: bool,
}

impl Options {
    /// The command that runs a seed so again.
    pub fn command(&self, seed: u64) -> String {
        let without: Vec<_> =
            self.without.iter().map(|class| format!(" --without {}", class.name())).collect();
        format!("cargo xtask sim --seed {seed} --trace{}", without.concat())
    }

    /// Leaves a class of faults out.
    ///
    /// # Errors
    /// The names that there are, if it is none of them.
    pub fn without(mut self, name: &str) -> Result<Self, String> {
        let class = Classes::named(name).ok_or_else(|| {
            format!("there is no fault class {name:?}; there are: {}", Classes::all())
        })?;
        self.without = self.without.union(class);
        Ok(self)
    }
}
