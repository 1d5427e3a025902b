//! Services, and from which ports of servers their packets come.

use base::address::mapped;
use base::time::Duration;
use base::{ServerId, ServiceId};
use dataplane::tables::{Service, Services};
use model::config::ServiceProtocol;
use model::limits;

use super::{NO_POOL, NO_VIP, Plan};

impl Plan {
    pub(super) fn service_table(&self) -> Services {
        let mut services = Services::default();
        for &(place, idle) in &self.offers {
            let Some(config) = place.and_then(|place| self.config.services.get(place)) else {
                // Nobody finds it any more; the flows it has last as long as before.
                let gone = Service { vip: NO_VIP, pool: NO_POOL, idle, shared: false };
                services.push(gone, base::Protocol::TCP, []);
                continue;
            };
            let (vip, pool) = (config.vip, config.pool);
            let service = Service { vip, pool, idle, shared: false };
            let protocol = config.protocol.number();
            let id = services.push(service, protocol, config.ports.ranges().iter().cloned());
            self.replies(&mut services, config, id);
        }
        for (id, config) in self.services() {
            if self.is_shared(&services, config) {
                services.set_shared(id);
            }
        }
        services
    }

    /// Says from which ports the service's servers answer.
    fn replies(
        &self,
        services: &mut Services,
        config: &model::config::Service,
        service: ServiceId,
    ) {
        let protocol = config.protocol.number();
        for (id, member) in self.members.iter().enumerate() {
            let Some((_, server)) = self.server(ServerId::from(id)) else { continue };
            if member.is_some_and(|member| member.pool == config.pool) {
                let at = (ServerId::from(id), mapped(server.address));
                services.push_reply(at, protocol, server.port, service, config.ports.ranges());
            }
        }
    }
}

/// How long a silent flow of a service is remembered.
pub(super) fn idle_time(service: &model::config::Service) -> Duration {
    service.idle.unwrap_or(match service.protocol {
        ServiceProtocol::Tcp => limits::TCP_IDLE_DEFAULT,
        ServiceProtocol::Udp => limits::UDP_IDLE_DEFAULT,
    })
}
