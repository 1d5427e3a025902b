//! The suspicion time L, agreed on through the token.
//!
//! Two numbers travel: by `lease` each member counts its own leases, by `patience` it waits for the
//! others' to run out. At any instant, and whoever has seen which token, every member's lease must
//! not be longer than any member's patience. So L is raised in two steps, patience first, and
//! lowered in two, lease first; the second step waits until everybody has seen the first, and after
//! a lowering until what was granted by the longer lease has run out.

use super::Cluster;
use super::ring::Possession;
use super::sight::micros;
use base::time::Duration;

impl Cluster {
    /// Gathers what members want, and takes the next step towards it.
    pub(super) fn agree_on_pace(&mut self) {
        let now = self.clock;
        let own = self.own;
        let wanted = self.report.as_ref().map_or(self.pace.start, |report| report.wanted);
        let wanted = micros(wanted);
        let Possession::Holding { token, .. } = &mut self.possession else { return };
        if token.members.first() == Some(&own) {
            token.wanted = [wanted, token.wanted[0]];
        } else {
            token.wanted[0] = token.wanted[0].max(wanted);
        }
        if token.paced != self.paced.0 {
            self.paced = (token.paced, now);
        }
        let wanted = token.wanted[0].max(token.wanted[1]);
        let seen = token.seq >= token.paced + 2 * token.members.len() as u64;
        let patience = Duration::from_micros(token.patience.into());
        let over = now.since(self.paced.1) > patience * 2;
        let next = if token.lease > wanted + wanted / 4 && token.lease == token.patience {
            (wanted, token.patience)
        } else if token.lease < token.patience && wanted >= token.patience && seen {
            // A raise that everybody knows of, or a lowering that is not wanted any more.
            (token.patience, token.patience)
        } else if token.lease < token.patience && over && seen {
            (token.lease, token.lease)
        } else if wanted > token.patience {
            (token.lease, wanted)
        } else {
            return;
        };
        if next == (token.lease, token.patience) {
            return;
        }
        (token.lease, token.patience) = next;
        token.paced = token.seq;
        self.paced = (token.paced, now);
        self.lease = Duration::from_micros(token.lease.into());
        self.patience = Duration::from_micros(token.patience.into());
    }
}
