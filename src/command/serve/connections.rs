//! Which connections of a listener are open, and which of them gives way to a new one.
//!
//! A listener never waits for a client. When it is full, it closes a connection of the address that has the most of them, so
//! that one client cannot take the places of the others: a kubelet has one connection, whoever holds 200 loses those.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::AbortHandle;

/// Whether a connection has sent its request.
#[derive(Clone, Debug, Default)]
pub struct RequestProgress(Arc<AtomicBool>);

impl RequestProgress {
    /// Records that the whole head of the request is there.
    pub fn requested(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_idle(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

/// The open connections of a listener, the oldest first.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    open: Vec<OpenConnection>,
}

#[derive(Debug)]
struct OpenConnection {
    peer: IpAddr,
    progress: RequestProgress,
    task: AbortHandle,
}

impl Connections {
    /// None yet, and never more than `most`.
    pub fn at_most(most: usize) -> Self {
        Self { most, open: Vec::with_capacity(most) }
    }

    /// Closes a connection if there is no place for another one, from `peer`. Returns whether it did.
    pub fn make_place(&mut self, peer: IpAddr) -> bool {
        self.open.retain(|connection| !connection.task.is_finished());
        if self.open.len() < self.most {
            return false;
        }
        let peers: Vec<(IpAddr, bool)> = self.open.iter().map(|it| (it.peer, it.progress.is_idle())).collect();
        if let Some(position) = displaced(&peers, peer) {
            self.open.remove(position).task.abort();
        }
        true
    }

    /// Adds a connection that `task` serves.
    pub fn add(&mut self, peer: IpAddr, progress: RequestProgress, task: AbortHandle) {
        self.open.push(OpenConnection { peer, progress, task });
    }
}

/// The position of the connection that gives way to a new one: of the address with the most connections, counting the new one;
/// rather one whose client has sent no request yet than one that is being answered; and the oldest of these.
fn displaced(open: &[(IpAddr, bool)], new: IpAddr) -> Option<usize> {
    let count = |peer: IpAddr| open.iter().filter(|(it, _)| *it == peer).count() + usize::from(peer == new);
    let rank =
        |(position, (peer, is_idle)): &(usize, &(IpAddr, bool))| (count(*peer), *is_idle, std::cmp::Reverse(*position));
    open.iter().enumerate().max_by_key(rank).map(|(position, _)| position)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBELET: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn other(number: u8) -> IpAddr {
        [10, 0, 1, number].into()
    }

    #[test]
    fn the_address_with_the_most_connections_loses_one() {
        let crowd = other(7);
        let open = [(KUBELET, true), (crowd, true), (crowd, true), (other(1), true)];
        assert_eq!(displaced(&open, crowd), Some(1));
        let open = [(KUBELET, true), (crowd, true), (crowd, true), (crowd, true)];
        assert_eq!(displaced(&open, KUBELET), Some(1), "the oldest of three");
        // The new one counts: a client that fills the listener displaces its own connections.
        assert_eq!(displaced(&[(KUBELET, true), (crowd, true)], crowd), Some(1));
    }

    #[test]
    fn an_idle_connection_goes_before_one_that_is_being_answered() {
        assert_eq!(displaced(&[(other(1), false), (other(2), true), (other(3), true)], KUBELET), Some(1));
        assert_eq!(displaced(&[(other(1), false), (other(2), false)], KUBELET), Some(0));
        // But not before those of a client that has many.
        assert_eq!(displaced(&[(other(1), true), (other(2), false), (other(2), false)], KUBELET), Some(1));
    }

    #[test]
    fn an_empty_listener_displaces_nothing() {
        assert_eq!(displaced(&[], KUBELET), None);
    }
}
