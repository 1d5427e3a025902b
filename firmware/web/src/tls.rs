//! Who the box is to a browser: a key and a certificate that it signs itself. TLS 1.3 only
//! (RFC 8446).
//!
//! There is no store yet, so both live in memory and are new after each start. Their fingerprints
//! stand on the serial console for comparison with what the browser shows. When the addresses
//! change, the key stays and signs another certificate ([`Identity::renew`]).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;
use tokio_rustls::TlsAcceptor;

use crate::secret::{hash, hex};

/// A key with its certificate.
#[derive(Clone)]
pub struct Identity {
    pub(crate) acceptor: TlsAcceptor,
    key: Arc<KeyPair>,
    node: String,
    addresses: Vec<IpAddr>,
    fingerprint: String,
}

/// Why there is no identity, and so no page.
#[derive(Debug)]
pub enum IdentityError {
    /// The key could not be made or the certificate not be signed.
    Certificate(rcgen::Error),
    /// The key and the certificate do not suit TLS.
    Tls(rustls::Error),
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(error) => write!(f, "no certificate could be made: {error}"),
            Self::Tls(error) => write!(f, "the certificate does not suit TLS: {error}"),
        }
    }
}

impl std::error::Error for IdentityError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Certificate(error) => Some(error),
            Self::Tls(error) => Some(error),
        }
    }
}

impl Identity {
    /// Makes a key and a certificate for a node and its addresses. Takes a millisecond, or some
    /// dozen on an emulated processor.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn make(node: &str, addresses: &[IpAddr]) -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        Self::sign(node, addresses, Arc::new(key.map_err(IdentityError::Certificate)?))
    }

    /// The same key with a certificate for other addresses.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn renew(&self, addresses: &[IpAddr]) -> Result<Self, IdentityError> {
        Self::sign(&self.node, addresses, self.key.clone())
    }

    fn sign(node: &str, addresses: &[IpAddr], key: Arc<KeyPair>) -> Result<Self, IdentityError> {
        let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).map_err(IdentityError::Certificate)?;
        // The box may not know what year it is: the certificate has no beginning and no end that
        // matter (RFC 5280 §4.1.2.5), and says nothing that has to be kept secret.
        params.distinguished_name.push(DnType::CommonName, format!("Portico {node}"));
        let certificate = params.self_signed(&*key).map_err(IdentityError::Certificate)?;
        let fingerprint = fingerprint(certificate.der());
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .map_err(IdentityError::Tls)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private);
        let mut config = config.map_err(IdentityError::Tls)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (node, addresses) = (node.to_owned(), addresses.to_vec());
        Ok(Self { acceptor, key, node, addresses, fingerprint })
    }

    /// The addresses that the certificate names.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// SHA-256 of the key that the certificate carries (its SubjectPublicKeyInfo, RFC 5280
    /// §4.1.2.7), in the same form.
    pub fn key_fingerprint(&self) -> String {
        fingerprint(&self.key.subject_public_key_info())
    }

    /// SHA-256 of the certificate, as browsers show it: pairs of digits with colons.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

fn fingerprint(octets: &[u8]) -> String {
    let digits = hex(&hash(&[octets])).to_uppercase();
    let pairs: Vec<&str> = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identity_is_another_one() {
        let addresses = ["192.0.2.11".parse().unwrap(), "2001:db8::11".parse().unwrap()];
        let first = Identity::make("n1", &addresses).unwrap();
        let second = Identity::make("n1", &addresses).unwrap();
        assert_ne!(first.fingerprint(), second.fingerprint());
        assert_ne!(first.key_fingerprint(), second.key_fingerprint());
        assert_eq!(first.fingerprint().len(), 32 * 3 - 1);
    }

    #[test]
    fn other_addresses_change_the_certificate_and_not_the_key() {
        let first = Identity::make("n1", &["192.0.2.11".parse().unwrap()]).unwrap();
        let address = "2001:db8::11".parse().unwrap();
        let second = first.renew(&[address]).unwrap();
        assert_eq!(second.addresses(), [address]);
        assert_eq!(first.key_fingerprint(), second.key_fingerprint());
        assert_ne!(first.fingerprint(), second.fingerprint());
    }
}
