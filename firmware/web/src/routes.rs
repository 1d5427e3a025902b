//! Which address means what.
//!
//! | address | method | who | what |
//! | --- | --- | --- | --- |
//! | `/`, `/main.js`, … | GET | anybody | the page |
//! | `/api/v1/session` | GET | anybody | whether somebody is signed in, and what to sign in with |
//! | `/api/v1/sign-in`, `/api/v1/sign-out` | POST | anybody | begins and ends a session |
//! | `/api/v1/live` | GET | view | a snapshot of the overview each second, as events |
//! | `/api/v1/events` | GET | view | the log, each line taken apart |
//! | `/api/v1/capture` | GET | operate | the file of the last capture |
//! | `/api/v1/COMMAND` | POST | its role | what the command does, see [`crate::actions`] |
//! | `/api/v1/TOPIC` | GET | view | what the console's `show TOPIC` shows (config: configure) |
//! | `/metrics` | GET | view | for Prometheus |

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use model::limits;
use model::operator::{self, Reply, Role, Topic};
use tokio::time::timeout;

use crate::actions::{self, Action};
use crate::answer::{self, Answer};
use crate::connection::Standing;
use crate::live::Live;
use crate::session::Session;
use crate::site::Site;
use crate::{facts, metrics, page, sign_in};

impl Site {
    /// Answers one request.
    pub(crate) async fn answer<B>(
        self: Arc<Self>,
        request: Request<B>,
        source: IpAddr,
        standing: &Standing,
    ) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        // What HEAD leaves out is left out by hyper (RFC 9110 §9.3.2).
        let method = if head.method == Method::HEAD { Method::GET } else { head.method.clone() };
        let path = head.uri.path();
        if method == Method::GET {
            if let Some(answer) = page::get(path, &head.headers) {
                return answer;
            }
            if path == "/api/v1/session" {
                return self.whoami(&head.headers);
            }
        } else if method == Method::POST {
            return match path {
                "/api/v1/sign-in" => match read(body, limits::WEB_BODY_OCTETS).await {
                    Ok(body) => self.sign_in(&head.headers, &body, source).await,
                    Err(refusal) => refusal,
                },
                "/api/v1/sign-out" => self.sign_out(&head.headers),
                _ => self.act(&head, body, source, standing).await,
            };
        } else {
            let sentence = "only GET, HEAD and POST are understood";
            let mut refusal = answer::refuse(StatusCode::METHOD_NOT_ALLOWED, "method", sentence);
            refusal
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
            return refusal;
        }
        let session = match self.known(&method, &head.headers, source, standing).await {
            Ok(session) => session,
            Err(refusal) => return refusal,
        };
        match path {
            "/api/v1/live" => answer::events(Live::new(self, session.number)),
            "/metrics" => self.metrics(&session).await,
            "/api/v1/capture" => self.captured(&session),
            _ => self.show(&session, path).await,
        }
    }

    /// Who asks, which decides what becomes of the connection when there are too many.
    async fn known(
        &self,
        method: &Method,
        headers: &HeaderMap,
        source: IpAddr,
        standing: &Standing,
    ) -> Result<Session, Answer> {
        let session = self.identify(method, headers, source).await;
        standing.set_known(session.is_ok());
        session
    }

    /// Has a command done.
    async fn act<B>(&self, head: &Parts, body: B, source: IpAddr, standing: &Standing) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let session = match self.known(&head.method, &head.headers, source, standing).await {
            Ok(session) => session,
            Err(refusal) => return refusal,
        };
        if let Some(refusal) = sign_in::foreign(&head.headers) {
            return refusal;
        }
        let Some(action) = Action::at(head.uri.path()) else { return unknown() };
        let large = action.octets > limits::WEB_BODY_OCTETS;
        if large && session.role < Role::Configure {
            return forbidden(session.role, Role::Configure);
        }
        let paper = if large { self.paper.acquire().await.ok() } else { None };
        let request = match read(body, action.octets).await {
            Ok(body) => action.request(&body),
            Err(refusal) => return refusal,
        };
        drop(paper);
        match request {
            Ok(request) if session.role < request.role() => forbidden(session.role, request.role()),
            Ok(request) => match self.ask(Some(&session), request).await {
                Ok(reply) => actions::outcome(&reply),
                Err(_) => busy(),
            },
            Err(sentence) => answer::refuse(StatusCode::BAD_REQUEST, "form", &sentence),
        }
    }

    async fn show(&self, session: &Session, path: &str) -> Answer {
        if path == "/api/v1/events" {
            return match self.ask(Some(session), operator::Request::Show(Topic::Log)).await {
                Ok(Reply::Log(log)) => answer::json(StatusCode::OK, &facts::events(&log)),
                Ok(_) | Err(_) => busy(),
            };
        }
        let word = path.strip_prefix("/api/v1/").unwrap_or_default();
        let Some((_, topic)) = facts::TOPICS.iter().find(|(name, _)| *name == word) else {
            return unknown();
        };
        // The document holds the digests of passwords.
        if *topic == Topic::Config && session.role < Role::Configure {
            return forbidden(session.role, Role::Configure);
        }
        match self.ask(Some(session), operator::Request::Show(*topic)).await {
            Ok(Reply::Refused(sentence)) => {
                answer::refuse(StatusCode::CONFLICT, "refused", &sentence)
            }
            Ok(reply) => match facts::value(&reply) {
                Some(value) => answer::json(StatusCode::OK, &value),
                None => unknown(),
            },
            Err(_) => busy(),
        }
    }

    /// What the console's `capture` kept.
    fn captured(&self, session: &Session) -> Answer {
        if session.role < Role::Operate {
            return forbidden(session.role, Role::Operate);
        }
        match self.outside().captured.borrow().clone() {
            Some(capture) => answer::capture(&self.node, capture),
            None => {
                let sentence = "nothing was captured since the box started: capture does on the \
                                console";
                answer::refuse(StatusCode::NOT_FOUND, "nothing", sentence)
            }
        }
    }

    async fn metrics(&self, session: &Session) -> Answer {
        let mut replies = Vec::new();
        for topic in metrics::TOPICS {
            match self.ask(Some(session), operator::Request::Show(topic)).await {
                Ok(reply) => replies.push(reply),
                Err(_) => return busy(),
            }
        }
        answer::text(metrics::KIND, metrics::text(&replies))
    }
}

/// All of a small body, if it comes in time.
async fn read<B>(body: B, octets: usize) -> Result<Bytes, Answer>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let body = Limited::new(Box::pin(body), octets);
    match timeout(limits::WEB_BODY_TIME, body.collect()).await {
        Ok(Ok(all)) => Ok(all.to_bytes()),
        Ok(Err(_)) => {
            let sentence = format!("a body has at most {octets} octets here");
            Err(answer::refuse(StatusCode::PAYLOAD_TOO_LARGE, "body", &sentence))
        }
        Err(_) => {
            let sentence = "the body did not come in time";
            Err(answer::refuse(StatusCode::REQUEST_TIMEOUT, "body", sentence))
        }
    }
}

fn forbidden(has: Role, needed: Role) -> Answer {
    let sentence = format!("the role {has} may not do this, it takes {needed}");
    answer::refuse(StatusCode::FORBIDDEN, "role", &sentence)
}

fn unknown() -> Answer {
    answer::refuse(StatusCode::NOT_FOUND, "unknown", "there is nothing at this address")
}

fn busy() -> Answer {
    answer::refuse(StatusCode::SERVICE_UNAVAILABLE, "busy", "the box is busy, try again")
}
