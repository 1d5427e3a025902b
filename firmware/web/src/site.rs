//! What all connections share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::Instant;
use model::config::User;
use model::limits;
use model::operator::{Face, Origin, Reply, Request, Role};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::live::Broadcast;
use crate::outside::{Gone, Outside, Query};
use crate::secret::{self, Hash, NoRandomness};
use crate::session::{Session, Sessions};

/// The page, with everybody who looks at it.
pub struct Site {
    outside: Outside,
    sessions: Mutex<Sessions>,
    users: Mutex<Vec<User>>,
    pub(crate) live: Broadcast,
    /// The right to send a whole document.
    pub(crate) paper: Semaphore,
    /// Mixed into the digests of passwords that programs send with every request.
    pub(crate) pepper: String,
    /// The node's name.
    pub(crate) node: String,
    /// What a browser should show of the certificate.
    fingerprint: Mutex<String>,
}

/// Control did not answer in time, or has too much to do to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl Site {
    /// A site that nobody has signed in to.
    ///
    /// # Errors
    /// [`NoRandomness`]: sessions could be guessed.
    pub fn new(outside: Outside, node: &str, fingerprint: &str) -> Result<Arc<Self>, NoRandomness> {
        Ok(Arc::new(Self {
            outside,
            sessions: Mutex::default(),
            users: Mutex::default(),
            live: Broadcast::default(),
            paper: Semaphore::new(1),
            pepper: secret::draw()?,
            node: node.to_owned(),
            fingerprint: Mutex::new(fingerprint.to_owned()),
        }))
    }

    /// Says who may sign in from now on. Sessions of users who are gone or have another password
    /// or another role end.
    pub fn set_users(&self, users: &[User]) {
        let mut known = lock(&self.users);
        let changed = known.iter().filter(|user| !users.contains(user));
        self.sessions(|sessions| changed.for_each(|user| sessions.end_user(&user.name)));
        users.clone_into(&mut known);
    }

    /// Says what a browser should show of the certificate from now on.
    pub fn set_fingerprint(&self, fingerprint: &str) {
        fingerprint.clone_into(&mut lock(&self.fingerprint));
    }

    pub(crate) fn fingerprint(&self) -> String {
        lock(&self.fingerprint).clone()
    }

    /// Whether anybody can sign in.
    pub(crate) fn has_users(&self) -> bool {
        !lock(&self.users).is_empty()
    }

    pub(crate) fn now(&self) -> Instant {
        (self.outside.clock)()
    }

    /// Does something with the sessions, and tells of those that are over.
    pub(crate) fn sessions<T>(&self, act: impl FnOnce(&mut Sessions) -> T) -> T {
        let mut sessions = lock(&self.sessions);
        let result = act(&mut sessions);
        let over = sessions.take_over();
        drop(sessions);
        over.into_iter().for_each(|session| (self.outside.part)(session, Gone::Over));
        result
    }

    /// Looks after sessions that nobody uses, for ever: what they hold is given back though nobody
    /// asks, soon where others may want it, and at last with the session itself.
    pub(crate) async fn sweep(&self) {
        loop {
            tokio::time::sleep(limits::WEB_SESSION_SWEEP).await;
            let now = self.now();
            self.sessions(|sessions| sessions.sweep(now));
            let silent = self.sessions(|sessions| sessions.take_silent(now));
            silent.into_iter().for_each(|session| (self.outside.part)(session, Gone::Silent));
        }
    }

    pub(crate) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// The session behind a key.
    pub(crate) fn session(&self, key: &Hash) -> Option<Session> {
        self.sessions(|sessions| sessions.find(self.now(), key))
    }

    /// Asks control on behalf of a session; of nobody: for the page that all look at.
    pub(crate) async fn ask(
        &self,
        session: Option<&Session>,
        request: Request,
    ) -> Result<Reply, Busy> {
        let origin = Origin {
            session: session.map_or(Origin::NOBODY, |session| session.number),
            user: session.map_or_else(|| "web".to_owned(), |session| session.user.clone()),
            role: session.map_or(Role::View, |session| session.role),
            face: Face::Web,
        };
        let (answer, reply) = oneshot::channel();
        let query = Query { origin, request, answer };
        self.outside.queries.try_send(query).map_err(|_| Busy)?;
        match timeout(limits::WEB_REPLY_TIME, reply).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) | Err(_) => Err(Busy),
        }
    }
}

impl Drop for Site {
    /// Nobody can show a session of this site any more.
    fn drop(&mut self) {
        self.sessions(Sessions::end_all);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change of these is whole before anything in it can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
