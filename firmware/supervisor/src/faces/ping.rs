//! Asking a host whether it is there: one question a second, each with its answer.

use std::net::IpAddr;
use std::time::Duration;

use hoststack::EchoError;
use model::limits::{PING_INTERVAL, PING_PATIENCE};
use model::operator::Reply;
use model::status::{Echo, EchoOutcome, Pinged};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::clock;
use crate::stream::{Network, Pinger};

use super::errands::Teller;

/// Asks, and tells what came; until `stop`.
pub async fn run(
    network: &Network,
    teller: &Teller,
    (target, count): (IpAddr, u16),
    stop: &Notify,
) {
    let mut pinger = network.pinger();
    let (mut sent, mut round_trips) = (0, Vec::new());
    for sequence in 1..=count {
        let asked = clock::now();
        let source = match pinger.ask(asked, target, sequence) {
            Ok(source) => source,
            Err(error) => {
                teller.tell(Reply::Refused(refusal(target, error)));
                return;
            }
        };
        sent = sequence;
        let outcome = tokio::select! {
            outcome = outcome(&mut pinger, sequence) => outcome,
            () = stop.notified() => break,
        };
        if let EchoOutcome::Answered(after) = outcome {
            round_trips.push(after);
        }
        if !teller.tell(Reply::Echo(Echo { sequence, target, source, outcome })) {
            return;
        }
        let rest = PING_INTERVAL.saturating_sub(clock::now().since(asked));
        if sequence < count && !rest.is_zero() {
            tokio::select! {
                () = sleep(rest) => {}
                () = stop.notified() => break,
            }
        }
    }
    teller.tell(Reply::Pinged(summary(target, sent, &round_trips)));
}

async fn outcome(pinger: &mut Pinger, sequence: u16) -> EchoOutcome {
    let Ok(echo) = tokio::time::timeout(PING_PATIENCE, pinger.answer()).await else {
        pinger.forget(sequence);
        return EchoOutcome::Silent;
    };
    match echo.outcome {
        hoststack::EchoOutcome::Replied => EchoOutcome::Answered(echo.round_trip),
        hoststack::EchoOutcome::Unreachable => EchoOutcome::Unreachable(echo.from),
        hoststack::EchoOutcome::Expired => EchoOutcome::Expired(echo.from),
    }
}

fn refusal(target: IpAddr, error: EchoError) -> String {
    format!("{target} is not asked: {error}")
}

fn summary(target: IpAddr, sent: u16, round_trips: &[Duration]) -> Pinged {
    let received = u16::try_from(round_trips.len()).unwrap_or(u16::MAX);
    let total: Duration = round_trips.iter().sum();
    let ends = round_trips.iter().min().zip(round_trips.iter().max());
    let round_trips = ends.map(|(least, most)| [*least, total / u32::from(received.max(1)), *most]);
    Pinged { target, sent, received, round_trips }
}
