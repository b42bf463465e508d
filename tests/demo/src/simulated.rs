//! The part of the story that a simulated cluster can show.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use test_bed::simulated;
use test_bed::state::Kind;
use test_bed::{Simulated, Started};

use crate::cluster::{self, Cluster, SOON};
use crate::controller::{self, Controller};
use crate::list;
use crate::screen::Screen;
use crate::serverless;
use crate::story;

const STEPS: usize = 7;
const NODES: u32 = 5;

/// Shows it, and ends what was started for it.
pub fn show(keep: bool) -> Result<()> {
    let screen = Screen::new(STEPS);
    screen.story(
        "kube-prepull on a simulated cluster: what the API server sees of it",
        "The control plane is real and the controller too, but kwok only plays the nodes: NOTHING IS PULLED AND NOTHING \
         RUNS here, and a pod that is said to run shows no more than that Kubernetes would start it. `make demo` as root \
         shows real nodes, with images that arrive and stay.",
    );
    story::show(Kind::Simulated, keep, &screen, |screen, started| play(screen, keep, started))
}

fn play(screen: &Screen, keep: bool, started: &mut Started) -> Result<()> {
    screen.step("A control plane with simulated nodes", "It needs no root, and takes seconds.");
    let simulated = match Simulated::find()? {
        Some(running) => running,
        None => started.start(Kind::Simulated, || simulated::up(NODES))?,
    };
    let cluster = Cluster::Simulated(simulated);
    controller::end_earlier(&cluster)?;
    serverless::end_earlier(&cluster)?;
    cluster.make_namespace()?;
    cluster.show(screen, &["get", "nodes"])?;

    let list = list::read()?;
    let controller = a_list_becomes_a_daemon_set(screen, &cluster)?;
    let list = an_edit_makes_a_generation(screen, &cluster, list)?;
    let eci = serverless::becomes_an_image_cache(screen, &cluster)?;
    mistakes_change_nothing(screen, &cluster, &list)?;
    a_deleted_daemon_set_is_recreated(screen, &cluster)?;
    the_controller_stops(screen, &cluster, controller)?;
    screen.shown("All of it happened.");
    if keep {
        screen.say("The cluster and the list stay, and the controller is started again:");
        Controller::start(screen, &cluster)?.keep();
        eci.keep();
        cluster::how_to_go_on(screen, &cluster)?;
    }
    Ok(())
}

fn a_list_becomes_a_daemon_set(screen: &Screen, cluster: &Cluster) -> Result<Controller> {
    screen.step(
        "A list becomes a DaemonSet",
        "The whole user interface is a ConfigMap. The controller makes a \"generation\" of it: a DaemonSet with a \
         container for each image, so that every node, and every node that joins later, gets them.",
    );
    let controller = Controller::start(screen, cluster)?;
    cluster.apply_sample(screen)?;
    await_generation(screen, cluster, "")?;
    cluster.show(screen, &["get", "daemonsets"])?;
    Ok(controller)
}

fn an_edit_makes_a_generation(screen: &Screen, cluster: &Cluster, old: String) -> Result<String> {
    screen.step(
        "An edit makes another generation",
        "It is made beside the first, which is deleted only when the new one has, on every node, what the first one had.",
    );
    let first = cluster.generations()?;
    let new = list::with_extra(&old)?;
    cluster.edit(screen, &old, &new)?;
    await_generation(screen, cluster, &first)?;
    cluster.show_event(screen, "RolloutStarted")?;
    cluster.show(screen, &["get", "daemonsets"])?;
    Ok(new)
}

fn mistakes_change_nothing(screen: &Screen, cluster: &Cluster, good: &str) -> Result<()> {
    screen.step(
        "An edit with two mistakes is refused",
        "The last good state stays, and an Event says what is wrong, where, and how to put it right.",
    );
    let before = cluster.generations()?;
    let bad = list::with_mistakes(good)?;
    cluster.edit(screen, good, &bad)?;
    cluster.await_state(screen, "rejected")?;
    cluster.show_event(screen, "ListRejected")?;
    ensure!(cluster.generations()? == before, "DaemonSets have changed");
    screen.shown("No DaemonSet was touched.");
    cluster.edit(screen, &bad, good)?;
    cluster.await_state(screen, "accepted")
}

fn a_deleted_daemon_set_is_recreated(screen: &Screen, cluster: &Cluster) -> Result<()> {
    screen.step("Somebody deletes the DaemonSet", "The controller recreates it at once.");
    let before = cluster.generations()?;
    let name = before.split_whitespace().next().context("there is no DaemonSet")?;
    cluster.show(screen, &["delete", "daemonset", name])?;
    await_generation(screen, cluster, &before)?;
    cluster.show(screen, &["get", "daemonsets"])
}

fn the_controller_stops(screen: &Screen, cluster: &Cluster, controller: Controller) -> Result<()> {
    screen.step("The controller stops", "On real nodes it is the DaemonSets that hold the images, and they stay.");
    let before = cluster.generations()?;
    let took: Duration = controller.stop()?;
    ensure!(cluster.generations()? == before, "DaemonSets have changed");
    screen.shown(&format!("It ended within {} ms, and every DaemonSet is still there.", took.as_millis() + 1));
    Ok(())
}

/// Waits until there is one generation, which is none of those before, and its pods are ready on all nodes.
fn await_generation(screen: &Screen, cluster: &Cluster, before: &str) -> Result<()> {
    let status = "jsonpath={.items[*].status.desiredNumberScheduled} {.items[*].status.numberReady}";
    screen.wait("the DaemonSet's pods", SOON, || {
        let generations = cluster.generations()?;
        let is_new = generations.lines().count() == 1 && !before.contains(generations.trim());
        let status = cluster.kubectl(&["get", "daemonsets", "-o", status])?;
        let ready = status.split_once(' ').is_some_and(|(desired, ready)| desired == ready && desired != "0");
        Ok((is_new && ready).then_some(()))
    })
}
