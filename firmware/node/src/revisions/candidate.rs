//! The candidate: who may change it, how it is changed, and what becomes of one that is left.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use base::Instant;
use model::config::document::{Document, EditError, diff};
use model::event::Event;
use model::limits;
use model::operator::{Origin, Reply};

use super::session::Lock;
use super::{Engine, Refusal};

impl Engine {
    pub(super) fn show(&mut self, origin: &Origin, path: &str) -> Reply {
        let lines = |text: &str| Reply::Lines(text.lines().map(ToString::to_string).collect());
        match self.candidate(origin) {
            Ok(lock) if path.is_empty() => lines(&lock.text()),
            Ok(lock) => match lock.document.get(path) {
                Some(text) => lines(&text),
                None => Reply::Refused(format!("{path}: nothing is set there")),
            },
            Err(refusal) => refusal.into(),
        }
    }

    /// The candidate is a session's from now on, if nobody else has it, or if that is taken over.
    /// Who left one before has it back.
    pub(super) fn enter(&mut self, now: Instant, origin: &Origin, take_over: bool) -> Reply {
        match &self.lock {
            Some(lock) if lock.session == origin.session => {
                return Reply::Refused("you change the configuration already".into());
            }
            Some(lock) if take_over => {
                let left = lock.session;
                self.give_up(left, &format!("{} ({}) took over", origin.user, origin.face));
            }
            Some(lock) => return Reply::Refused(lock.taken()),
            None => {}
        }
        let running = self.history.running();
        let number = running.number;
        let mut lock = Lock::new(now, origin, (running.document(), running.text.clone()), number);
        let mut sentence = "the configuration is yours to change".to_string();
        if let Some(at) = self.aside.iter().position(|aside| aside.user == origin.user) {
            let aside = self.aside.remove(at);
            sentence.push_str("; your candidate of before is back");
            if aside.base != number {
                sentence.push_str(&format!(
                    ", which began from revision {}: revision {number} is in force since, and \
                     `compare` shows what of it you would undo",
                    aside.base
                ));
            }
            lock.restore(aside);
        }
        self.lock = Some(lock);
        Reply::Done(sentence)
    }

    /// A session has the candidate no more. What it changed is put aside for its user.
    pub(super) fn give_up(&mut self, session: u64, why: &str) {
        let Some(lock) = self.lock.take_if(|lock| lock.session == session) else { return };
        if !lock.is_changed() {
            return;
        }
        let (user, reason) = (lock.user.clone(), why.to_string());
        self.events.push(Event::CandidateLeft { user, reason });
        self.aside.retain(|aside| aside.user != lock.user);
        self.aside.push(lock);
        if self.aside.len() > limits::CANDIDATES_ASIDE {
            self.aside.remove(0);
        }
    }

    /// A session does not want the candidate any more. Who has lost it is told so, and can leave.
    pub(super) fn exit(&mut self, origin: &Origin, discard: bool) -> Reply {
        let Ok(lock) = self.candidate(origin) else {
            return Reply::Done("this session does not change the configuration any more".into());
        };
        if lock.is_changed() && !discard {
            return Reply::Refused(
                "there are changes that are not committed: commit or discard them".into(),
            );
        }
        self.lock = None;
        Reply::Done("the configuration is free to be changed by others".into())
    }

    /// The candidate, if it is this session's.
    pub(super) fn candidate(&mut self, origin: &Origin) -> Result<&mut Lock, Refusal> {
        match &mut self.lock {
            Some(lock) if lock.session != origin.session => Err(Refusal::Why(lock.taken())),
            Some(lock) => Ok(lock),
            None => Err(Refusal::Why("nobody changes the configuration: enter first".into())),
        }
    }

    pub(super) fn edit(
        &mut self,
        origin: &Origin,
        change: impl FnOnce(&mut Lock) -> Result<(), Refusal>,
    ) -> Reply {
        let lock = match self.candidate(origin) {
            Ok(lock) => lock,
            Err(refusal) => return refusal.into(),
        };
        match change(lock) {
            Ok(()) => Reply::Done("the candidate is changed".into()),
            Err(refusal) => refusal.into(),
        }
    }

    pub(super) fn compare(&mut self, origin: &Origin) -> Reply {
        if let Err(refusal) = self.candidate(origin) {
            return refusal.into();
        }
        let running = self.history.running();
        let Some(lock) = &self.lock else { return Reply::Lines(Vec::new()) };
        let changes = diff(&running.document(), &lock.document);
        let mut lines: Vec<_> = changes.iter().map(ToString::to_string).collect();
        if lines.is_empty() && lock.is_rewritten(&running.text) {
            lines.push("~ comments and layout only, no key".into());
        }
        Reply::Lines(lines)
    }

    /// The candidate is another document, as it was written.
    pub(super) fn replace(&mut self, origin: &Origin, text: &str) -> Reply {
        self.edit(origin, |lock| {
            lock.document = Document::parse(text).map_err(Refusal::Problems)?;
            lock.written = Some(text.into());
            Ok(())
        })
    }

    pub(super) fn rollback(&mut self, origin: &Origin, number: u8) -> Reply {
        let entry = self.history.back(usize::from(number));
        let Some((document, text)) = entry.map(|it| (it.document(), it.text.clone())) else {
            let kept = self.history.len() - 1;
            return Reply::Refused(format!("there are {kept} revisions before the one in force"));
        };
        let base = self.history.running().number;
        self.edit(origin, |lock| {
            (lock.document, lock.written, lock.base) = (document, Some(text), base);
            Ok(())
        })
    }
}

impl Lock {
    /// Changes the candidate key by key, which leaves nothing of how it was written.
    pub(super) fn change(
        &mut self,
        edit: impl FnOnce(&mut Document) -> Result<(), EditError>,
    ) -> Result<(), Refusal> {
        edit(&mut self.document).map_err(|why| Refusal::Why(why.to_string()))?;
        self.written = None;
        Ok(())
    }
}
