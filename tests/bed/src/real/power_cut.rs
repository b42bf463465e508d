//! What a power cut does to a node: its processes end at once, and its files stay.

use std::fs;
use std::path::Path;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::Node;
use crate::member;

/// What the runtime still has of the containers when it runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    /// They have exited: so it is with containerd.
    DeadContainers,
    /// None, and no sandbox either: CRI-O removes them all when it starts for the first time after a reboot (`crio wipe`).
    Nothing,
}

impl Node {
    /// Ends kubelet, containerd and all that runs in the pods of a namespace, and starts containerd again. The kubelet is for the
    /// caller to start, since it restarts the containers: until then everything about them can be seen as the power cut left it.
    pub fn cut_power(&self, namespace: &str, remains: Remains) -> Result<()> {
        self.stop_kubelet()?;
        let containers = self.all_of(namespace)?;
        let processes = self.processes_of(&containers)?;
        self.stop_containerd()?;
        // Without its shim nobody learns how a process ended, as after a reboot.
        self.end_shims(&containers)?;
        for process in &processes {
            self.exec("kill", &["-s", "KILL", process])?;
        }
        self.clear_run_folder(&containers)?;
        self.start_containerd()?;
        if remains == Remains::Nothing {
            self.remove(&containers)?;
            // What containerd serves to kubelets is in its memory, and read from its files only when it starts.
            self.stop_containerd()?;
            self.start_containerd()?;
        }
        Ok(())
    }

    /// The ids of the containers of a namespace, with the sandboxes, which are containers too.
    fn all_of(&self, namespace: &str) -> Result<Vec<String>> {
        let filter = format!(r#"labels."io.kubernetes.pod.namespace"=={namespace}"#);
        Ok(self.ctr(&["containers", "list", "--quiet", &filter])?.lines().map(str::to_owned).collect())
    }

    /// The ids of their processes in the node.
    fn processes_of(&self, containers: &[String]) -> Result<Vec<String>> {
        let tasks = self.ctr(&["tasks", "list"])?;
        let columns = tasks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let running =
            columns.filter(|it| it.len() == 3 && it[2] == "RUNNING" && containers.iter().any(|id| id == it[0]));
        Ok(running.map(|it| it[1].to_owned()).collect())
    }

    fn end_shims(&self, containers: &[String]) -> Result<()> {
        let service = format!("{}/containerd", self.name());
        for process in member::all(&self.layout.state.folder())? {
            let arguments = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
            let mut arguments = arguments.split(|&byte| byte == 0);
            let is_shim = process.program().is_some_and(|program| program == "containerd-shim-runc-v2");
            if process.service == service
                && is_shim
                && arguments.any(|it| containers.iter().any(|id| id.as_bytes() == it))
            {
                process.signal(Signal::SIGKILL)?;
            }
        }
        Ok(())
    }

    /// What a reboot clears: there containerd keeps what it knows of running processes.
    fn clear_run_folder(&self, containers: &[String]) -> Result<()> {
        let tasks = Path::new("/run/containerd/io.containerd.runtime.v2.task/k8s.io");
        for container in containers {
            let task = tasks.join(container).display().to_string();
            // Its root file system is mounted there, where it runs.
            let _ = self.exec("umount", &["--lazy", &format!("{task}/rootfs")]);
            self.exec("rm", &["--recursive", "--force", "--one-file-system", &task])?;
        }
        Ok(())
    }

    fn remove(&self, containers: &[String]) -> Result<()> {
        containers.iter().try_for_each(|id| self.ctr(&["containers", "delete", id]).map(drop))
    }
}
