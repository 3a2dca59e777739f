//! TLS towards one kind of host: whom we trust, and who we say we are.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use crate::{Error, Result};

/// What is special about a host's TLS.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct TlsSettings {
    /// Certificates are not checked.
    pub(super) skip_verify: bool,
    /// Further trusted certificates, PEM.
    pub(super) authorities: Vec<Vec<u8>>,
    /// Our certificate and its key, PEM.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSettings")
            .field("skip_verify", &self.skip_verify)
            .field("authorities", &self.authorities.len())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

/// The one provider of cryptography. Passed explicitly: a process-wide default depends on what else is linked.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates that the machine trusts; a built-in list where it has none.
pub(super) fn machine_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!("trusted certificates of this machine: {error}");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::info!("this machine has no trusted certificates: the built-in ones are used");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// The library's configuration for these settings.
pub(super) fn config(machine: &RootCertStore, settings: &TlsSettings) -> Result<ClientConfig> {
    let verifier: Arc<dyn ServerCertVerifier> = if settings.skip_verify {
        Arc::new(Unchecked(provider()))
    } else {
        Arc::new(Checked::new(machine, &settings.authorities)?)
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS", &error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match &settings.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|error| wrong("key of client certificate", &error))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, key)
                .map_err(|error| wrong("client certificate", &error))
        }
    }
}

fn wrong(what: &str, why: &dyn std::fmt::Display) -> Error {
    Error::Settings(format!("{what}: {why}"))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong("certificate", &error))
}

/// A TLS failure in the words of Go's library, where people know them.
pub(super) fn words(error: &rustls::Error) -> String {
    use rustls::CertificateError as Bad;
    let why = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            // An authority that shows itself is by far most often one that nobody made known here.
            bad if is_unsigned(bad) => "x509: certificate signed by unknown authority".to_owned(),
            Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. } => {
                "x509: certificate has expired or is not yet valid".to_owned()
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                format!("x509: certificate is not valid for that name: {bad}")
            }
            other => format!("x509: {other}"),
        },
        rustls::Error::AlertReceived(alert) => return format!("remote error: tls: {alert:?}"),
        other => return format!("tls: {other}"),
    };
    format!("tls: failed to verify certificate: {why}")
}

/// Whether nothing was wrong with a certificate but that no authority signed it as a server's. The library looks at when it
/// is valid before it looks at either.
fn is_unsigned(bad: &CertificateError) -> bool {
    match bad {
        CertificateError::UnknownIssuer => true,
        CertificateError::Other(other) => matches!(
            other.0.downcast_ref::<webpki::Error>(),
            Some(webpki::Error::CaUsedAsEndEntity)
        ),
        _ => false,
    }
}

/// Takes certificates that the machine or the user trusts. One that the user named for the host is taken from the host
/// itself, too, whoever signed it and although it is an authority's, as in Go: `openssl req -x509` makes such.
#[derive(Debug)]
struct Checked {
    chains: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl Checked {
    fn new(machine: &RootCertStore, authorities: &[Vec<u8>]) -> Result<Self> {
        let (mut roots, mut named) = (machine.clone(), Vec::new());
        for pem in authorities {
            for certificate in certificates(pem)? {
                roots
                    .add(certificate.clone())
                    .map_err(|error| wrong("trusted certificate", &error))?;
                named.push(certificate);
            }
        }
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| wrong("trusted certificates", &error))?;
        Ok(Self { chains, named })
    }

    /// Checks all but who signed it.
    fn verify_named(
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(certificate)?;
        let algorithms = provider().signature_verification_algorithms.all;
        // Without any authority, the best that it can come to is that none has signed it.
        let nobody = RootCertStore::empty();
        match verify_server_cert_signed_by_trust_anchor(&certificate, &nobody, &[], now, algorithms)
        {
            Err(rustls::Error::InvalidCertificate(bad)) if is_unsigned(&bad) => {}
            outcome => outcome?,
        }
        verify_server_name(&certificate, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.named.contains(certificate) {
            return Self::verify_named(certificate, name, now);
        }
        self.chains
            .verify_server_cert(certificate, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Takes any certificate: for registries that the user called insecure, and for loopback.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use testkit::registry::{AUTHORITY, CERTIFICATE, SELF_SIGNED};

    use super::*;

    /// Years in which the certificates of the tests are valid, and are not.
    const VALID: u64 = 2050;
    const INVALID: [u64; 2] = [2000, 2200];

    /// What is said of a certificate, when another was named for the host.
    fn verify(named: &str, shown: &str, name: &str, year: u64) -> String {
        let named = [named.as_bytes().to_vec()];
        let verifier = Checked::new(&RootCertStore::empty(), &named).unwrap();
        let shown = CertificateDer::from_pem_slice(shown.as_bytes()).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let since = Duration::from_hours((year - 1970) * 365 * 24);
        let now = UnixTime::since_unix_epoch(since);
        match verifier.verify_server_cert(&shown, &[], &name, &[], now) {
            Ok(_) => "taken".to_owned(),
            Err(error) => words(&error),
        }
    }

    #[test]
    fn a_certificate_that_was_named_for_the_host_is_taken_from_it() {
        for named in [SELF_SIGNED, CERTIFICATE] {
            for name in ["localhost", "registry.test", "127.0.0.1"] {
                assert_eq!(verify(named, named, name, VALID), "taken");
            }
        }
        assert_eq!(verify(AUTHORITY, CERTIFICATE, "localhost", VALID), "taken");
    }

    #[test]
    fn a_certificate_that_was_named_is_still_of_its_names_and_time() {
        for (named, shown) in [
            (SELF_SIGNED, SELF_SIGNED),
            (CERTIFICATE, CERTIFICATE),
            (AUTHORITY, CERTIFICATE),
        ] {
            for name in ["registry.other", "127.0.0.2"] {
                let said = verify(named, shown, name, VALID);
                assert!(said.contains("is not valid for that name"), "{said}");
            }
            for year in INVALID {
                let said = verify(named, shown, "localhost", year);
                assert!(said.contains("expired or is not yet valid"), "{said}");
            }
        }
        let said = verify(AUTHORITY, AUTHORITY, "localhost", VALID);
        assert!(said.contains("is not valid for that name"), "{said}");
    }

    #[test]
    fn a_certificate_that_nobody_named_is_refused() {
        for (named, shown) in [
            (AUTHORITY, SELF_SIGNED),
            (CERTIFICATE, SELF_SIGNED),
            (SELF_SIGNED, CERTIFICATE),
        ] {
            assert_eq!(
                verify(named, shown, "localhost", VALID),
                "tls: failed to verify certificate: x509: certificate signed by unknown authority"
            );
        }
    }
}
