//! What all connections share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::Instant;
use model::config::User;
use model::limits;
use model::operator::{Face, Origin, Reply, Request, Role};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::live::Broadcast;
use crate::outside::{Outside, Query};
use crate::secret::{self, Hash, NoRandomness};
use crate::session::{Session, Sessions};

/// The page, with everybody who looks at it.
pub struct Site {
    outside: Outside,
    sessions: Mutex<Sessions>,
    users: Mutex<Vec<User>>,
    pub(crate) live: Broadcast,
    /// Mixed into the digests of passwords that programs send with every request.
    pub(crate) pepper: String,
    /// The node's name.
    pub(crate) node: String,
    /// What a browser should show of the certificate.
    pub(crate) fingerprint: String,
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
            pepper: secret::draw()?,
            node: node.to_owned(),
            fingerprint: fingerprint.to_owned(),
        }))
    }

    /// Says who may sign in from now on. Sessions of users who are gone or have another password
    /// or another role end.
    pub fn set_users(&self, users: &[User]) {
        let mut known = lock(&self.users);
        let changed = known.iter().filter(|user| !users.contains(user));
        let mut sessions = lock(&self.sessions);
        changed.for_each(|user| sessions.end_user(&user.name));
        users.clone_into(&mut known);
    }

    /// Whether anybody can sign in.
    pub(crate) fn has_users(&self) -> bool {
        !lock(&self.users).is_empty()
    }

    pub(crate) fn now(&self) -> Instant {
        (self.outside.clock)()
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    pub(crate) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// The session behind a key.
    pub(crate) fn session(&self, key: &Hash) -> Option<Session> {
        self.sessions().find(self.now(), key)
    }

    /// Asks control on behalf of a session; of nobody: for the page that all look at.
    pub(crate) async fn ask(
        &self,
        session: Option<&Session>,
        request: Request,
    ) -> Result<Reply, Busy> {
        let origin = Origin {
            session: session.map_or(0, |session| session.number),
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change of these is whole before anything in it can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
