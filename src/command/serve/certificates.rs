//! The certificate of `/metrics`: from files that are read again when they change, or a self-signed one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tracing::{info, warn};

use crate::cluster::instance;

/// How often the files are read. A renewed certificate reaches a pod's volume within a minute or two anyway.
const INTERVAL: Duration = Duration::from_secs(10);

/// The current certificate.
#[derive(Debug)]
pub struct Certificates {
    folder: Option<PathBuf>,
    current: RwLock<(Files, Arc<CertifiedKey>)>,
}

/// The content of `tls.crt` and `tls.key`.
type Files = (Vec<u8>, Vec<u8>);

impl Certificates {
    /// Reads the files in a folder, or makes a self-signed certificate.
    ///
    /// # Errors
    /// If the files cannot be read, or do not belong together.
    pub fn new(folder: Option<&Path>) -> anyhow::Result<Self> {
        let current = match folder {
            Some(folder) => read(folder)?,
            None => ((Vec::new(), Vec::new()), self_signed()?),
        };
        Ok(Self { folder: folder.map(Path::to_owned), current: RwLock::new((current.0, Arc::new(current.1))) })
    }

    /// Answers TLS with the certificate that is current then.
    ///
    /// # Errors
    /// If the provider has no versions of TLS.
    pub fn acceptor(self: &Arc<Self>) -> anyhow::Result<TlsAcceptor> {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::clone(self) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Each scrape is a connection of its own, and memory for sessions would be for anybody to fill.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again and again.
    pub async fn follow(self: Arc<Self>) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            match self.reload() {
                Ok(false) => {}
                Ok(true) => info!("the certificate for metrics has changed"),
                Err(error) => warn!(error = format!("{error:#}"), "keeping the previous certificate for metrics"),
            }
        }
    }

    /// Reads the files, and says whether they have changed. If they cannot be used, the certificate stays as it is.
    fn reload(&self) -> anyhow::Result<bool> {
        let Some(folder) = &self.folder else { return Ok(false) };
        let (files, key) = read(folder)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let has_changed = current.0 != files;
        *current = (files, Arc::new(key));
        Ok(has_changed)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).1))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read(folder: &Path) -> anyhow::Result<(Files, CertifiedKey)> {
    let file = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let files = (file("tls.crt")?, file("tls.key")?);
    let of = || format!("cannot use tls.crt and tls.key in {}", folder.display());
    let key = parse(&files).with_context(of)?;
    Ok((files, key))
}

fn parse((chain, key): &Files) -> anyhow::Result<CertifiedKey> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>()?;
    ensure!(!chain.is_empty(), "tls.crt contains no certificate");
    let key = PrivateKeyDer::from_pem_slice(key).context("tls.key contains no private key")?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

/// Its clients cannot verify it. It keeps others from reading along all the same, and it is what controllers of the field make.
fn self_signed() -> anyhow::Result<CertifiedKey> {
    let names = vec![instance(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    Ok(CertifiedKey::from_der(vec![made.cert.der().clone()], key, &provider())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    fn folder(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("kube-prepull-certificates-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }

    fn write(folder: &Folder, chain: &str, key: &str) {
        std::fs::write(folder.0.join("tls.crt"), chain).expect("a file");
        std::fs::write(folder.0.join("tls.key"), key).expect("a file");
    }

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["metrics.test".to_owned()]).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn served(certificates: &Certificates) -> Vec<u8> {
        certificates.current.read().expect("a certificate").1.cert[0].to_vec()
    }

    #[test]
    fn files_that_change_are_read_again_and_files_that_cannot_be_used_change_nothing() {
        let folder = folder("change");
        let ((chain, key), (next_chain, next_key)) = (pair(), pair());
        write(&folder, &chain, &key);
        let certificates = Certificates::new(Some(&folder.0)).expect("a certificate");
        let first = served(&certificates);
        assert!(!certificates.reload().expect("usable files"));
        for (wrong_chain, wrong_key) in [(&next_chain, &key), (&chain, &chain), (&key, &key)] {
            write(&folder, wrong_chain, wrong_key);
            assert!(certificates.reload().is_err());
            assert_eq!(served(&certificates), first);
        }
        write(&folder, &next_chain, &next_key);
        assert!(certificates.reload().expect("usable files"));
        assert_ne!(served(&certificates), first);
    }

    #[test]
    fn a_folder_without_the_files_is_reported_at_the_start() {
        let folder = folder("missing");
        let error = format!("{:#}", Certificates::new(Some(&folder.0)).expect_err("no certificate"));
        assert!(error.contains("tls.crt") && error.contains("cannot read"), "{error}");
        write(&folder, "no certificate", "no key");
        let error = format!("{:#}", Certificates::new(Some(&folder.0)).expect_err("no certificate"));
        assert!(error.contains("tls.crt contains no certificate"), "{error}");
    }

    #[test]
    fn without_files_each_start_has_a_certificate_of_its_own() {
        let [one, other] = [0, 1].map(|_| Arc::new(Certificates::new(None).expect("a certificate")));
        assert_ne!(served(&one), served(&other));
        assert!(!one.reload().expect("usable files"));
        one.acceptor().expect("TLS");
    }
}
