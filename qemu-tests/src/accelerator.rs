//! Who executes a guest's instructions. Software emulation always works and is enough; KVM is
//! quicker, but a `/dev/kvm` that opens is no promise: nested ones may hang or crash the guest.
//! So it is used only after a probe boot has succeeded with it.

use std::fs::OpenOptions;
use std::time::Duration;

use crate::machine::Machine;
use crate::time::Limit;
use crate::turn::Turn;

/// How long a probe boot may take; with working KVM it takes one or two seconds.
const PROBE: Limit = Limit(Duration::from_secs(10));

/// An accelerator of QEMU's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// `tcg`.
    Software,
    /// `kvm`.
    Hardware,
    /// `tcg` with `-icount`: an instruction takes a nanosecond of the guest's time and idle time
    /// takes none of ours, so that the guest's clock counts instructions and what is measured by
    /// it does not depend on how busy the host is. Cores take turns.
    Counting,
}

impl Accelerator {
    /// The best that works: boots the given machine with KVM until it says `sign`, and settles
    /// for software if it does not. What was found out is kept beside the turn's lock until this
    /// host boots again.
    pub fn best(machine: &Machine, sign: &str, turn: &Turn) -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let note = turn.folder().join("qemu.accelerator");
        let known = std::fs::read_to_string(&note).unwrap_or_default();
        for candidate in [Self::Software, Self::Hardware] {
            if known == candidate.note(&boot) {
                return candidate;
            }
        }
        let found = Self::probe(machine, sign, turn);
        // A note that cannot be written costs another probe.
        let _ = std::fs::write(&note, found.note(&boot));
        found
    }

    fn probe(machine: &Machine, sign: &str, turn: &Turn) -> Self {
        if OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
            return Self::Software;
        }
        let machine = Machine { accelerator: Self::Hardware, ..machine.clone() };
        let Ok(mut guest) = machine.start(turn) else { return Self::Software };
        match guest.expect(sign, PROBE) {
            Ok(_) => Self::Hardware,
            Err(_) => Self::Software,
        }
    }

    fn note(self, boot: &str) -> String {
        format!("{} {boot}", self.argument())
    }

    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::Software => "tcg,thread=multi",
            Self::Hardware => "kvm",
            Self::Counting => "tcg,thread=single",
        }
    }

    /// How instructions are counted, where they are.
    pub(crate) fn counting(self) -> Option<&'static str> {
        match self {
            Self::Software | Self::Hardware => None,
            Self::Counting => Some("shift=0,sleep=off"),
        }
    }

    pub(crate) fn processor(self) -> &'static str {
        match self {
            Self::Software => "max",
            Self::Hardware => "host",
            // Each octet of a fast string move would count as an instruction.
            Self::Counting => "max,erms=off,fsrm=off",
        }
    }
}
