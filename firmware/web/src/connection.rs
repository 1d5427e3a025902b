//! One connection from its first octet to its last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use model::limits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::patience::Patient;
use crate::site::Site;
use crate::tls::Identity;

/// Whether somebody known is at the other end of a connection. Whoever is not gives way to
/// newcomers.
#[derive(Clone, Debug, Default)]
pub struct Standing(Arc<AtomicBool>);

impl Standing {
    /// Nobody has signed in on this connection.
    pub fn is_stranger(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }

    /// The other end showed a session that lasts, or did not.
    pub(crate) fn set_known(&self, known: bool) {
        self.0.store(known, Ordering::Relaxed);
    }
}

impl Site {
    /// Serves one connection until either end has had enough. Whatever goes wrong with it is the
    /// other end's affair.
    pub async fn serve<IO>(
        self: Arc<Self>,
        identity: Identity,
        io: IO,
        remote: SocketAddr,
        standing: Standing,
    ) where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let io = Patient::new(io, limits::WEB_PATIENCE);
        let greeting = timeout(limits::WEB_HEAD_TIME, identity.acceptor.accept(io));
        let Ok(Ok(stream)) = greeting.await else { return };
        self.converse(stream, remote, &standing).await;
    }

    /// HTTP on a stream that is private already: what [`Self::serve`] does once TLS is done.
    pub async fn converse<IO>(self: Arc<Self>, io: IO, remote: SocketAddr, standing: &Standing)
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let answer = |request| {
            let (site, standing) = (self.clone(), standing.clone());
            async move { Ok::<_, Infallible>(site.answer(request, remote.ip(), &standing).await) }
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::WEB_HEAD_TIME)
            .max_headers(limits::WEB_HEADERS)
            .max_buf_size(limits::WEB_HEAD_OCTETS)
            // The box may not know what time it is (RFC 9110 §6.6.1).
            .auto_date_header(false)
            .serve_connection(TokioIo::new(io), service_fn(answer));
        // An error says what the other end did to it; there is nobody to tell.
        let _ = connection.await;
    }
}
