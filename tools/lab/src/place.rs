//! Where a lab is: the names of its namespaces and the folder of its files. Several labs may stand
//! side by side, one for a person and one for a test, because their names differ.

use crate::LabError;
use crate::command::this_program;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// The names and the folder of one lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What every namespace of this lab begins with.
    prefix: String,
    /// Configurations, logs, process records.
    pub folder: PathBuf,
    /// The program that is started as echo and as switch.
    program: PathBuf,
}

/// A lab that is locked for one verb; unlocked when dropped, or by the kernel after a crash.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

impl Place {
    /// The lab that people use: namespaces `portico-HOST`, files in `target/lab`.
    pub fn standard(target: &Path) -> Place {
        Place::new("portico-".into(), target.join("lab"))
    }

    /// A lab beside it: namespaces `portico-NAME-HOST`, files in `target/NAME`. `name` must not
    /// look like a host: `demo`, not `node1`.
    pub fn named(target: &Path, name: &str) -> Place {
        Place::new(format!("portico-{name}-"), target.join(name))
    }

    fn new(prefix: String, folder: PathBuf) -> Place {
        Place { prefix, folder, program: PathBuf::from(this_program()) }
    }

    /// The same lab for a program that has not the lab's hidden verbs itself: `program` does.
    #[must_use]
    pub fn with_program(self, program: &Path) -> Place {
        Place { program: program.to_path_buf(), ..self }
    }

    /// The program that has the lab's hidden verbs, which is this one unless told otherwise.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The namespace of a host.
    pub fn host(&self, host: &str) -> String {
        format!("{}{host}", self.prefix)
    }

    /// The namespace that holds the bridge of a segment.
    pub fn segment(&self, segment: &str) -> String {
        format!("{}net-{segment}", self.prefix)
    }

    /// The namespace of the neighbour that has a segment's gateway addresses, where the segment is
    /// a switch.
    pub fn gateway(&self, segment: &str) -> String {
        format!("{}gateway-{segment}", self.prefix)
    }

    /// Whether a namespace belongs to this lab, whatever built it: hosts `node1`, `server2`,
    /// `client3`, segments `net-…` and their gateways `gateway-…` behind the prefix.
    pub fn owns(&self, namespace: &str) -> bool {
        let Some(rest) = namespace.strip_prefix(&self.prefix) else { return false };
        let numbered = |role: &str| {
            rest.strip_prefix(role)
                .is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()))
        };
        let is_segment = rest.starts_with("net-") || rest.starts_with("gateway-");
        is_segment || ["node", "server", "client"].into_iter().any(numbered)
    }

    /// The folder of one host.
    pub fn host_folder(&self, host: &str) -> PathBuf {
        self.folder.join(host)
    }

    /// The log of one process.
    pub fn log(&self, process: &str) -> PathBuf {
        self.folder.join(format!("{process}.log"))
    }

    /// Makes the folder and locks the lab for one verb.
    ///
    /// # Errors
    /// [`LabError::Busy`] where another verb holds the lock, [`LabError::File`].
    pub fn lock(&self) -> Result<Lock, LabError> {
        std::fs::create_dir_all(&self.folder).map_err(LabError::file(&self.folder))?;
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(LabError::file(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(LabError::Busy { lock: path }),
            Err(TryLockError::Error(source)) => Err(LabError::File { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labs_side_by_side_do_not_own_each_others_namespaces() {
        let standard = Place::standard(Path::new("t"));
        let demo = Place::named(Path::new("t"), "demo");
        let cases = [
            ("portico-node1", true, false),
            ("portico-server12", true, false),
            ("portico-net-outside", true, false),
            ("portico-gateway-outside", true, false),
            ("portico-demo-gateway-outside", false, true),
            ("portico-demo-node1", false, true),
            ("portico-demo-net-inside", false, true),
            ("portico-node", false, false),
            ("portico-nodes1", false, false),
            ("other-node1", false, false),
        ];
        for (namespace, of_standard, of_demo) in cases {
            assert_eq!(standard.owns(namespace), of_standard, "{namespace}");
            assert_eq!(demo.owns(namespace), of_demo, "{namespace}");
        }
        assert!(standard.owns(&standard.host("client1")));
        assert!(demo.owns(&demo.segment("more")));
    }

    #[test]
    fn a_lab_is_locked_for_one_verb_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let place = Place::standard(folder.path());
        let lock = place.lock().expect("nobody holds it");
        assert!(matches!(place.lock(), Err(LabError::Busy { .. })));
        drop(lock);
        place.lock().expect("it was given back");
    }
}
