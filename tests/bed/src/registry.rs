//! The registry of a bed with real nodes: what is pushed to `registry.test/…` here, the nodes can pull.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use ureq::http::StatusCode;

use crate::access_log::{self, Access};
use crate::image::{self, Blob, Built, Digest, INDEX, Image, MANIFEST};
use crate::machine::{Machine, Service};

const START: Duration = Duration::from_secs(20);

/// The folder in the hub's where it keeps what was pushed.
pub(crate) const STORAGE: &str = "registry";

/// The registry. What was pushed to it is kept while it is stopped.
#[derive(Clone, Debug)]
pub struct Registry {
    address: String,
    name: &'static str,
    hub: Machine,
    service: Service,
    agent: ureq::Agent,
}

impl Registry {
    /// The registry that runs as `service` on the hub, is called `name` by the nodes, and is reached at `address` by us.
    pub(crate) fn new(address: String, name: &'static str, hub: Machine, service: Service) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.timeout_global(Some(Duration::from_secs(60))).build().new_agent();
        Self { address, name, hub, service, agent }
    }

    /// `host:port`, as seen from the host.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Makes an image and pushes it under a reference such as `registry.test/team/app:1`.
    pub fn push(&self, reference: &str, image: &Image) -> Result<Digest> {
        let (repository, tag) = self.parse(reference)?;
        let built = image.build()?;
        self.push_blobs(repository, &built)?;
        self.put_manifest(repository, tag, MANIFEST, &built.manifest)
    }

    /// The same for an image of several architectures. The digest is the index's.
    pub fn push_index(&self, reference: &str, images: &[Image]) -> Result<Digest> {
        let (repository, tag) = self.parse(reference)?;
        let built = images.iter().map(Image::build).collect::<Result<Vec<_>>>()?;
        for image in &built {
            self.push_blobs(repository, image)?;
            self.put_manifest(repository, image.manifest.digest.as_str(), MANIFEST, &image.manifest)?;
        }
        self.put_manifest(repository, tag, INDEX, &image::index(&built)?)
    }

    /// Deletes a manifest, and with it all tags that name it.
    pub fn delete(&self, repository: &str, digest: &Digest) -> Result<()> {
        let repository = self.repository(repository);
        let deleted = self.agent.delete(self.url(repository, "manifests", digest.as_str())).call()?;
        let status = deleted.status();
        ensure!(status == StatusCode::ACCEPTED, "the registry does not delete {repository}@{digest}: {status}");
        Ok(())
    }

    /// Deletes a tag. The manifest stays.
    pub fn delete_tag(&self, reference: &str) -> Result<()> {
        let (repository, tag) = self.parse(reference)?;
        // Before version 3 the registry can do so in its storage, but not by its API.
        let repositories = self.hub.folder().join(STORAGE).join("docker/registry/v2/repositories");
        let path = repositories.join(repository).join("_manifests/tags").join(tag);
        fs::remove_dir_all(&path).with_context(|| format!("cannot delete the tag {reference}: {}", path.display()))
    }

    /// Loses the layers of an image that was pushed, as a damaged storage does. Its manifest stays.
    pub fn lose_layers(&self, reference: &str, image: &Image) -> Result<()> {
        let (repository, _) = self.parse(reference)?;
        let built = image.build()?;
        let storage = self.hub.folder().join(STORAGE).join("docker/registry/v2");
        for blob in built.blobs.iter().take(built.blobs.len() - 1) {
            let hex = blob.digest.as_str().trim_start_matches("sha256:");
            let link = storage.join("repositories").join(repository).join("_layers/sha256").join(hex);
            let data = storage.join("blobs/sha256").join(&hex[..2]).join(hex);
            for path in [link, data] {
                fs::remove_dir_all(&path)
                    .with_context(|| format!("cannot lose a layer of {reference}: {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// What the registry was asked for since it was first started, oldest first.
    pub fn accesses(&self) -> Result<Vec<Access>> {
        let path = self.log();
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(access_log::parse(&String::from_utf8_lossy(&text)))
    }

    /// How many requests for manifests of a repository came from that address, be they answered well or not.
    pub fn manifest_requests(&self, repository: &str, source: IpAddr) -> Result<usize> {
        let repository = self.repository(repository);
        let is_meant = |access: &Access| access.source == source && access.manifest_of() == Some(repository);
        Ok(self.accesses()?.iter().filter(|access| is_meant(access)).count())
    }

    /// How many requests for blobs (layers and configurations) of the repository of a reference came from that address.
    pub fn blob_requests(&self, reference: &str, source: IpAddr) -> Result<usize> {
        let (repository, _) = self.parse(reference)?;
        let is_meant = |access: &Access| access.source == source && access.blob_of() == Some(repository);
        Ok(self.accesses()?.iter().filter(|access| is_meant(access)).count())
    }

    /// The file that it logs to.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.hub.log(self.service.name)
    }

    /// Ends the registry: connections are refused.
    pub fn stop(&self) -> Result<()> {
        self.hub.stop(&self.service)
    }

    /// Starts it again and waits until it answers.
    pub fn start(&self) -> Result<()> {
        self.hub.start(&self.service)?;
        self.await_answer()
    }

    /// Lets it accept connections and never answer, until [`Registry::resume`].
    pub fn hang(&self) -> Result<()> {
        self.hub.signal(&self.service, Signal::SIGSTOP)
    }

    /// Ends what [`Registry::hang`] began.
    pub fn resume(&self) -> Result<()> {
        self.hub.signal(&self.service, Signal::SIGCONT)
    }

    pub(crate) fn await_answer(&self) -> Result<()> {
        let url = format!("http://{}/v2/", self.address);
        self.hub.await_service(&self.service, START, || Ok(self.agent.get(&url).call().is_ok().then_some(())))
    }

    fn push_blobs(&self, repository: &str, image: &Built) -> Result<()> {
        image.blobs.iter().try_for_each(|blob| self.push_blob(repository, blob))
    }

    fn push_blob(&self, repository: &str, blob: &Blob) -> Result<()> {
        let found = self.agent.head(self.url(repository, "blobs", blob.digest.as_str())).call()?;
        if found.status() == StatusCode::OK {
            return Ok(());
        }
        let begun = self.agent.post(self.url(repository, "blobs", "uploads/")).send_empty()?;
        let location = begun.headers().get("location").and_then(|value| value.to_str().ok());
        let location = location.with_context(|| format!("the registry refuses an upload: {}", begun.status()))?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("http://{}{location}{separator}digest={}", self.address, blob.digest);
        let put = self.agent.put(url).content_type("application/octet-stream").send(blob.bytes.as_slice())?;
        ensure!(put.status() == StatusCode::CREATED, "the registry refuses a blob: {}", put.status());
        Ok(())
    }

    fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, manifest: &Blob) -> Result<Digest> {
        let url = self.url(repository, "manifests", tag);
        let put = self.agent.put(url).content_type(media_type).send(manifest.bytes.as_slice())?;
        ensure!(put.status() == StatusCode::CREATED, "the registry refuses {repository}:{tag}: {}", put.status());
        Ok(manifest.digest.clone())
    }

    fn url(&self, repository: &str, kind: &str, name: &str) -> String {
        format!("http://{}/v2/{repository}/{kind}/{name}", self.address)
    }

    fn parse<'a>(&self, reference: &'a str) -> Result<(&'a str, &'a str)> {
        match self.repository(reference).rsplit_once(':') {
            Some((repository, tag)) if !repository.contains('@') => Ok((repository, tag)),
            _ => bail!("{reference} is not of the form {}/repository:tag", self.name),
        }
    }

    fn repository<'a>(&self, reference: &'a str) -> &'a str {
        reference.strip_prefix(self.name).and_then(|rest| rest.strip_prefix('/')).unwrap_or(reference)
    }
}
