//! The certificates of a cluster of real nodes: one authority, recreated at every start and thrown away at the end.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::json;

/// What a certificate is for.
#[derive(Clone, Copy)]
pub enum Use<'a> {
    /// To say who one is.
    Client,
    /// To be found under these names and addresses.
    Server(&'a [&'a str], &'a [Ipv4Addr]),
}

/// The authority, and the folder that keeps what it signs.
pub struct Pki {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    /// Makes an authority and the key that signs service accounts' tokens.
    pub fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut params = named("kube-prepull test bed", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        fs::write(folder.join("ca.key"), key.serialize_pem())?;
        let authority = CertifiedIssuer::self_signed(params, key)?;
        fs::write(folder.join("ca.crt"), authority.pem())?;

        let tokens = KeyPair::generate()?;
        fs::write(folder.join("sa.key"), tokens.serialize_pem())?;
        fs::write(folder.join("sa.pub"), tokens.public_key_pem())?;
        Ok(Self { folder: folder.to_path_buf(), authority })
    }

    /// Signs a certificate and writes it and its key to `<file>.crt` and `<file>.key`.
    pub fn issue(&self, file: &str, name: &str, organisation: Option<&str>, used_as: Use) -> Result<()> {
        let mut params = named(name, organisation);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match used_as {
            Use::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Use::Server(..) => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        if let Use::Server(names, addresses) = used_as {
            let names = names.iter().map(|name| Ok(SanType::DnsName((*name).try_into()?)));
            let addresses = addresses.iter().map(|&address| Ok(SanType::IpAddress(IpAddr::V4(address))));
            params.subject_alt_names = names.chain(addresses).collect::<Result<_>>()?;
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.authority)?;
        fs::write(self.folder.join(format!("{file}.crt")), certificate.pem())?;
        fs::write(self.folder.join(format!("{file}.key")), key.serialize_pem())?;
        Ok(())
    }

    /// Signs a client certificate and writes a kubeconfig that uses it.
    pub fn issue_user(&self, file: &str, name: &str, organisation: Option<&str>, server: &str) -> Result<()> {
        self.issue(file, name, organisation, Use::Client)?;
        write_kubeconfig(&self.folder.join(format!("{file}.kubeconfig")), &self.folder, file, server)
    }
}

/// Writes a kubeconfig for a user whose certificate is in the folder. (JSON is YAML.)
pub fn write_kubeconfig(path: &Path, pki: &Path, user: &str, server: &str) -> Result<()> {
    let file = |name: String| pki.join(name);
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bed", "cluster": {"server": server, "certificate-authority": file("ca.crt".into())}}],
        "users": [{"name": user, "user": {
            "client-certificate": file(format!("{user}.crt")),
            "client-key": file(format!("{user}.key")),
        }}],
        "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": user}}],
        "current-context": "bed",
    });
    fs::write(path, serde_json::to_vec_pretty(&kubeconfig)?).with_context(|| format!("cannot write {}", path.display()))
}

fn named(name: &str, organisation: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(organisation) = organisation {
        params.distinguished_name.push(DnType::OrganizationName, organisation);
    }
    params
}
