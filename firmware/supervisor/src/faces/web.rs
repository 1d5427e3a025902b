//! The web page: where it is served, and to how many.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base::rate::TokenBucket;
use hoststack::Attachment;
use model::event::Event;
use model::limits;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use web::{Attempt, Identity, Outside, Query, Site, Standing};

use crate::auth::{Auth, Source};
use crate::clock;
use crate::journal::Journal;
use crate::stream::{Network, Stream};

use super::{Post, Where};

/// HTTP over TLS (RFC 9110 §4.2.2).
const PORT: u16 = 443;
/// Connections that pages and programs may have; the others are for what else comes.
const CONNECTIONS: usize = limits::FACE_CONNECTIONS - 8;
/// When handshakes come too fast: look again.
const BREATH: Duration = Duration::from_millis(50);

/// What the page is made of.
pub struct Page {
    pub network: Network,
    /// The file of the last capture.
    pub captured: watch::Receiver<Option<Arc<[u8]>>>,
    pub places: watch::Receiver<Where>,
    pub post: Arc<Post>,
    pub auth: Auth,
    pub name: String,
    pub journal: Journal,
}

/// Those who are connected.
#[derive(Default)]
struct Guests {
    tasks: JoinSet<()>,
    /// In the order in which they came.
    all: BTreeMap<u64, (AbortHandle, Standing)>,
    next: u64,
}

impl Page {
    /// Serves for ever, where and while the configuration says so.
    pub async fn run(mut self) {
        while self.places.borrow_and_update().management.is_empty() {
            if self.places.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
        let (queries, asked) = mpsc::channel(limits::WEB_QUERIES);
        let (attempts, attempted) = mpsc::channel(limits::SIGN_IN_QUEUE);
        let post = self.post.clone();
        let part = Arc::new(move |session, gone| post.part(session, gone));
        let captured = self.captured.clone();
        let outside = Outside { clock: clock::now, queries, attempts, part, captured };
        let Some((identity, site)) = self.open(outside) else {
            return std::future::pending().await;
        };
        let carry = carry(&self.post, asked);
        let judge = judge(&self.auth, attempted);
        let follow = follow(&self.auth, &site);
        let serve = self.serve(identity, &site);
        tokio::join!(carry, judge, follow, site.clone().sample(), serve);
    }

    /// Makes the identity, and listens. `None`: there is no page, and the log says why.
    fn open(&self, outside: Outside) -> Option<(Identity, Arc<Site>)> {
        let places = self.places.borrow().clone();
        let served: Vec<IpAddr> = addresses(&places);
        let no_page = |why: String| {
            self.journal.boot("web", format!("not served: {why}"));
            None
        };
        let identity = match Identity::make(&self.name, &served) {
            Ok(identity) => identity,
            Err(error) => return no_page(error.to_string()),
        };
        let Ok(site) = Site::new(outside, &self.name, identity.fingerprint()) else {
            return no_page("the kernel gives no randomness".into());
        };
        match self.network.listen(PORT) {
            // A former life of this thread listened already.
            Ok(()) | Err(hoststack::ListenError::InUse) => {}
            Err(error @ (hoststack::ListenError::Zero | hoststack::ListenError::TooMany)) => {
                return no_page(error.to_string());
            }
        }
        let names: Vec<String> = served.iter().map(|&address| place(address)).collect();
        let detail = format!(
            "{}; a new certificate, kept until the next start; SHA-256 {}; of the key {}",
            names.join(" "),
            identity.fingerprint(),
            identity.key_fingerprint()
        );
        self.journal.boot("web", detail);
        Some((identity, site))
    }

    /// Takes connections, each in a task of its own.
    async fn serve(&self, mut identity: Identity, site: &Arc<Site>) {
        let mut guests = Guests::default();
        let mut handshakes =
            TokenBucket::new(limits::WEB_HANDSHAKES_PER_SECOND, limits::WEB_HANDSHAKES_BURST);
        let mut places = self.places.clone();
        loop {
            let here = places.borrow_and_update().clone();
            self.network.with(|stack| stack.confine(PORT, &here.management));
            self.renew(&mut identity, &here, site);
            tokio::select! {
                Ok(()) = places.changed() => {}
                (stream, _, remote) = self.network.accept(PORT) => {
                    while !handshakes.take(clock::now()) {
                        tokio::time::sleep(BREATH).await;
                    }
                    guests.welcome(site, &identity, stream, remote);
                }
                Some(done) = guests.tasks.join_next() => {
                    guests.note(done, &self.journal);
                }
            }
        }
    }
}

impl Page {
    /// Another certificate, if the page is at other addresses than the one in use names. Who is
    /// connected stays so.
    fn renew(&self, identity: &mut Identity, here: &Where, site: &Site) {
        let served = addresses(here);
        if served == identity.addresses() || served.is_empty() {
            return;
        }
        match identity.renew(&served) {
            Ok(renewed) => {
                let pages: Vec<String> = served.iter().map(|&address| place(address)).collect();
                self.journal.note(&Event::CertificateRenewed {
                    pages: pages.join(" "),
                    certificate: renewed.fingerprint().to_owned(),
                    key: renewed.key_fingerprint(),
                });
                site.set_fingerprint(renewed.fingerprint());
                *identity = renewed;
            }
            Err(error) => self.journal.boot("web", format!("the old certificate stays: {error}")),
        }
    }
}

impl Guests {
    /// Gives a newcomer a task; at the expense of the stranger who has been here longest, if
    /// there are too many. When nobody is a stranger, the newcomer has to come again.
    fn welcome(
        &mut self,
        site: &Arc<Site>,
        identity: &Identity,
        stream: Stream,
        remote: std::net::SocketAddr,
    ) {
        if self.all.len() >= CONNECTIONS {
            let stranger = self.all.iter().find(|(_, (_, standing))| standing.is_stranger());
            let Some(oldest) = stranger.map(|(number, _)| *number) else { return };
            if let Some((task, _)) = self.all.remove(&oldest) {
                task.abort();
            }
        }
        let standing = Standing::default();
        let serve = site.clone().serve(identity.clone(), stream, remote, standing.clone());
        let task = self.tasks.spawn(serve);
        self.next += 1;
        self.all.insert(self.next, (task, standing));
    }

    /// Forgets those who went, and notes what broke.
    fn note(&mut self, done: Result<(), tokio::task::JoinError>, journal: &Journal) {
        self.all.retain(|_, (task, _)| !task.is_finished());
        if let Err(error) = done
            && error.is_panic()
        {
            let reason = error.to_string();
            journal.note(&Event::TaskRestarted { task: "web connection".into(), reason });
        }
    }
}

/// Carries the site's requests to control.
async fn carry(post: &Post, mut asked: mpsc::Receiver<Query>) {
    while let Some(Query { origin, request, answer }) = asked.recv().await {
        post.carry(origin, request, answer);
    }
}

/// Has the site's passwords judged.
async fn judge(auth: &Auth, mut attempted: mpsc::Receiver<Attempt>) {
    while let Some(Attempt { user, password, source, answer }) = attempted.recv().await {
        auth.submit(user, password, Source::Address(source), answer);
    }
}

/// Keeps the site's users those of the configuration.
async fn follow(auth: &Auth, site: &Site) {
    let mut users = auth.users();
    loop {
        let now = users.borrow_and_update().clone();
        site.set_users(&now.list);
        if users.changed().await.is_err() {
            return;
        }
    }
}

/// The node's addresses on the networks of management.
fn addresses(places: &Where) -> Vec<IpAddr> {
    let served = |place: &&Attachment| places.management.contains(&place.network);
    let places = places.attachments.iter().filter(served);
    places.flat_map(|place| place.addresses.iter().map(|own| own.address)).collect()
}

/// What a person types into a browser (RFC 3986 §3.2.2).
fn place(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("https://{address}/"),
        IpAddr::V6(address) => format!("https://[{address}]/"),
    }
}
