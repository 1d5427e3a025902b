//! A board file as it is written: every key may be missing, for another board may give it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::{Board, BoardError, Kernel, ModuleName, Purpose};

/// The longest command line that x86 takes (`COMMAND_LINE_SIZE`), less room for what is appended.
const LONGEST_COMMAND_LINE: usize = 2048 - 512;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    description: Option<String>,
    pub(crate) inherits: Option<String>,
    #[serde(default)]
    kernel: KernelTable,
    #[serde(default)]
    modules: ModulesTable,
    /// Module name to its parameters.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    #[serde(default)]
    image: ImageTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct KernelTable {
    package: Option<String>,
    command_line: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModulesTable {
    watchdog: Option<Vec<String>>,
    button: Option<Vec<String>>,
    network: Option<Vec<String>>,
    filter: Option<Vec<String>>,
    storage: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageTable {
    largest_mib: Option<u32>,
}

impl File {
    pub(crate) fn read(folder: &Path, name: &str) -> Result<Self, BoardError> {
        let path = folder.join(format!("{name}.toml"));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(BoardError::Read { path, source }),
        };
        toml::from_str(&text).map_err(|error| BoardError::Shape { path, what: error.to_string() })
    }

    /// This file's keys, and the parent's where this file has none.
    pub(crate) fn over(self, parent: Self) -> Self {
        let mut parameters = parent.parameters;
        parameters.extend(self.parameters);
        Self {
            description: self.description.or(parent.description),
            inherits: parent.inherits,
            kernel: KernelTable {
                package: self.kernel.package.or(parent.kernel.package),
                command_line: self.kernel.command_line.or(parent.kernel.command_line),
            },
            modules: ModulesTable {
                watchdog: self.modules.watchdog.or(parent.modules.watchdog),
                button: self.modules.button.or(parent.modules.button),
                network: self.modules.network.or(parent.modules.network),
                filter: self.modules.filter.or(parent.modules.filter),
                storage: self.modules.storage.or(parent.modules.storage),
            },
            parameters,
            image: ImageTable { largest_mib: self.image.largest_mib.or(parent.image.largest_mib) },
        }
    }

    /// The complete board, or everything that is wrong with it.
    pub(crate) fn check(self, name: &str) -> Result<Board, Vec<String>> {
        let mut problems = Vec::new();
        let description = self.description.unwrap_or_default();
        if description.trim().is_empty() || description.contains('\n') {
            problems.push("`description` is missing or not one line".to_owned());
        }
        let kernel = check_kernel(self.kernel, &mut problems);
        let modules = check_modules(self.modules, self.parameters, &mut problems);
        let largest_mib = self.image.largest_mib.unwrap_or_default();
        if !(1..=1024).contains(&largest_mib) {
            problems.push("`image.largest_mib` is missing or not 1 to 1024".to_owned());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let largest_image = u64::from(largest_mib) << 20;
        Ok(Board { name: name.to_owned(), description, kernel, modules, largest_image })
    }
}

fn check_kernel(table: KernelTable, problems: &mut Vec<String>) -> Kernel {
    let package = table.package.unwrap_or_default();
    // Debian Policy §5.6.1: lower case letters, digits, plus, minus, dot.
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    if !package.starts_with("linux-image-") || !package.chars().all(legal) {
        problems.push(format!(
            "`kernel.package` is {package:?}; a package name that begins with linux-image- would \
             be right"
        ));
    }
    let command_line = table.command_line.unwrap_or_default();
    for word in &command_line {
        if word.is_empty() || !word.chars().all(|c| c.is_ascii_graphic()) {
            problems.push(format!(
                "`kernel.command_line` has {word:?}; one word of printable ASCII would be right"
            ));
        }
    }
    if !command_line.iter().any(|word| word.starts_with("console=")) {
        problems.push("`kernel.command_line` names no console=".to_owned());
    }
    if command_line.iter().map(|word| word.len() + 1).sum::<usize>() > LONGEST_COMMAND_LINE {
        problems.push(format!("`kernel.command_line` is longer than {LONGEST_COMMAND_LINE}"));
    }
    Kernel { package, command_line }
}

fn check_modules(
    table: ModulesTable,
    mut parameters: BTreeMap<String, String>,
    problems: &mut Vec<String>,
) -> Vec<Purpose> {
    // The order of loading: the watchdog first, so that whatever hangs later ends in a restart.
    let purposes = [
        ("watchdog", table.watchdog),
        ("button", table.button),
        ("network", table.network),
        ("filter", table.filter),
        ("storage", table.storage),
    ];
    let mut seen = Vec::new();
    let mut checked = Vec::new();
    for (purpose, names) in purposes {
        let mut modules = Vec::new();
        for name in names.unwrap_or_default() {
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(legal) {
                problems.push(format!(
                    "`modules.{purpose}` has {name:?}; a module's name with underscores would be \
                     right"
                ));
            }
            if seen.contains(&name) {
                problems.push(format!("`modules.{purpose}` has {name} a second time"));
            }
            seen.push(name.clone());
            let parameters = parameters.remove(&name).unwrap_or_default();
            if parameters.chars().any(|c| c.is_control() || c == '#') {
                problems.push(format!("`parameters.{name}` has a control character or a #"));
            }
            modules.push(ModuleName { name, parameters });
        }
        if purpose == "network" && modules.is_empty() {
            problems.push("`modules.network` is missing or empty".to_owned());
        }
        checked.push(Purpose { name: purpose, modules });
    }
    for name in parameters.keys() {
        problems.push(format!("`parameters.{name}` is for a module that the board does not load"));
    }
    checked
}
