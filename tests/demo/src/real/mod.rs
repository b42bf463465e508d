//! The story on a real node.

mod mistakes;
mod outage;
mod pulls;
mod refresh;
mod stop;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use test_bed::real::{self, Options, Sample, Watch, gap};
use test_bed::state::Kind;
use test_bed::{Digest, Image, Node, Real, Registry, Started};

use crate::cluster::{Cluster, NAMESPACE};
use crate::controller::{self, Controller};
use crate::images::{APP, EXTRA, HOLDER, Maker, SCRATCH, TOOLS};
use crate::screen::Screen;
use crate::serverless::{self, Simulator};
use crate::{process, story, text};

const STEPS: usize = 9;
/// The images in the order of the list.
const NAMES: [&str; 4] = [SCRATCH, TOOLS, APP, EXTRA];
/// How long pulls may take, with the kubelet's pauses between two tries.
const PULLS: Duration = Duration::from_secs(180);

/// Shows it, and ends what was started for it.
pub fn show(keep: bool) -> Result<()> {
    let screen = Screen::new(STEPS);
    screen.story(
        "kube-prepull: every image on the list is on every node before it is needed, and stays there",
        "All of this is real, but for Alibaba Cloud in step 5: a kubelet, containerd, runc and a registry, in network \
         namespaces of this machine. What is said of images is read from the node's containerd itself.",
    );
    story::show(Kind::Real, keep, &screen, |screen, started| play(screen, keep, started))
}

fn play(screen: &Screen, keep: bool, started: &mut Started) -> Result<()> {
    let real = start_cluster(screen, started)?;
    let cluster = make_namespace(screen, &real)?;
    let images = make_images(screen, &real)?;
    let mut story = Story::begin(screen, &real, cluster, images)?;
    story.images_arrive()?;
    story.an_edit_brings_a_fourth_image()?;
    story.eci = Some(serverless::becomes_an_image_cache(screen, &story.cluster)?);
    story.mistakes_change_nothing()?;
    story.a_tag_moves()?;
    story.the_registry_goes_down()?;
    story.the_controller_stops()?;
    story.conclude(keep)
}

fn start_cluster(screen: &Screen, started: &mut Started) -> Result<Real> {
    screen.step(
        "A node and a registry",
        "The node has never seen the images that follow, which are made for this run. Nothing leaves the machine.",
    );
    if Real::find()?.is_some() {
        screen
            .note("A cluster of this checkout runs already. It is used as soon as no test needs it, and left running.");
    } else {
        let options = Options { nodes: 1, bed: process::beside("bed")?, holder: None };
        started.start(Kind::Real, || real::up(&options))?;
    }
    // Steps of the story stop the registry, so nobody else may need it.
    Real::alone()
}

fn make_namespace(screen: &Screen, real: &Real) -> Result<Cluster> {
    let cluster = Cluster::Real(real.clone());
    controller::end_earlier(&cluster)?;
    serverless::end_earlier(&cluster)?;
    cluster.make_namespace()?;
    cluster.show(screen, &["get", "nodes"])?;
    Ok(cluster)
}

/// What was pushed.
struct Pushed {
    maker: Maker,
    scratch: Digest,
    tools: Digest,
    app: Digest,
}

fn make_images(screen: &Screen, real: &Real) -> Result<Pushed> {
    screen.step(
        "Three images, made on the spot and pushed to the registry",
        "None of them has a shell, a sleep or anything else that could be made to run for long. Users' images often are \
         like that, so kube-prepull brings a program of its own: the holder, which is mounted into a container of each \
         image and does nothing there. To the kubelet an image with a container is in use, and is not deleted.",
    );
    let (registry, maker) = (real.registry()?, Maker::new()?);
    let push = |reference: &str, image: &Image, what: &str| {
        let digest = registry.push(reference, image)?;
        screen.output(&text::image(reference, &digest, what));
        anyhow::Ok(digest)
    };
    let scratch = push(SCRATCH, &maker.file("scratch"), "FROM scratch, and one text file")?;
    let tools = push(TOOLS, &maker.tools(), "50 MiB")?;
    let app = push(APP, &maker.file("version one of the app"), "small; its tag will move")?;
    push(HOLDER, &real.holder_image()?, &format!("the holder, {} bytes", real.holder()?.len()))?;
    Ok(Pushed { maker, scratch, tools, app })
}

/// All that the steps need.
struct Story<'s> {
    screen: &'s Screen,
    cluster: Cluster,
    node: Node,
    registry: Registry,
    watch: Watch,
    images: Pushed,
    /// The digests of the images on the list that have arrived: of each, those that its tag has stood for.
    wanted: Vec<Vec<Digest>>,
    /// Since when all of them have been held.
    complete: Instant,
    controller: Option<Controller>,
    eci: Option<Simulator>,
    /// The list as it was applied last.
    list: String,
}

impl<'s> Story<'s> {
    fn begin(screen: &'s Screen, real: &Real, cluster: Cluster, images: Pushed) -> Result<Self> {
        let node = real.nodes()?.into_iter().next().context("the cluster has no node")?;
        let registry = real.registry()?;
        let known = node.images()?;
        let new = [&images.scratch, &images.tools, &images.app];
        ensure!(
            !known.iter().any(|image| new.iter().any(|digest| digest.as_str() == image.digest)),
            "the node has the images before they were asked for"
        );
        let watch = Watch::begin(vec![node.clone()], NAMESPACE, &[]);
        let list = crate::list::read()?;
        let (wanted, complete) = (Vec::new(), Instant::now());
        Ok(Self { screen, cluster, node, registry, watch, images, wanted, complete, controller: None, eci: None, list })
    }

    /// Waits until `check` returns a value, as long as the controller runs that was started.
    fn wait<T>(&self, what: &str, mut check: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        self.screen.wait(what, PULLS, || {
            self.controller.as_ref().map_or(Ok(()), Controller::ensure_running)?;
            check()
        })
    }

    /// Waits for a sample of containerd, begun after `begin`, that is as asked.
    fn await_sample(&self, what: &str, begin: Instant, is_it: impl Fn(&Sample) -> bool) -> Result<Sample> {
        self.wait(what, || Ok(self.watch.since(begin)?.into_iter().find(|sample| is_it(sample))))
    }

    /// Waits until the rollout is over on every node, also if the cluster has more nodes than the watched one.
    fn await_one_daemon_set(&self) -> Result<()> {
        self.wait("the older generation to go", || Ok((self.cluster.generations()?.lines().count() == 1).then_some(())))
    }

    /// Each image of the list by the digests that it may be held as.
    fn digests(&self) -> Vec<Vec<&str>> {
        self.wanted.iter().map(|digests| digests.iter().map(Digest::as_str).collect()).collect()
    }

    /// Makes sure that no image of the list was not held since `begin`, and says how often containerd was asked.
    fn never_released(&self, begin: Instant) -> Result<usize> {
        let samples = self.watch.since(begin)?;
        ensure!(!samples.is_empty(), "there is no sample of containerd");
        if let Some(gap) = gap(&samples, &self.digests()) {
            let after = text::seconds(gap.at.duration_since(begin));
            anyhow::bail!("after {after} an image of the list was not held on the node: {:#?}", gap.held);
        }
        Ok(samples.len())
    }

    /// The size of an image on the node, as containerd says.
    fn size(&self, digest: &str) -> Result<String> {
        let image = self.node.images()?.into_iter().find(|image| image.digest == digest);
        Ok(image.with_context(|| format!("the node has no image {digest}"))?.size)
    }

    fn conclude(mut self, keep: bool) -> Result<()> {
        let samples = self.never_released(self.complete)?;
        self.screen.shown(&format!(
            "All of it happened. Since the last of the four images had arrived, containerd was asked {samples} times, and \
             every image was held every time."
        ));
        if keep {
            self.keep_running()?;
        }
        Ok(())
    }

    /// Leaves all of it to the user, with a controller.
    fn keep_running(&mut self) -> Result<()> {
        let screen = self.screen;
        screen.say("The node, the registry and the list stay, and the controller is started again:");
        Controller::start(screen, &self.cluster)?.keep();
        self.eci.take().into_iter().for_each(Simulator::keep);
        crate::cluster::how_to_go_on(screen, &self.cluster)
    }
}
