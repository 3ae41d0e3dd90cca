//! A node that stands between a light peer and an honest node, changes what it passes on, and keeps
//! payments to itself.
//!
//! It speaks with the transport of this crate, so that everything but the content is as it has to be.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use goodwatt::net::{Kind, LightLink, Network, NetworkEvent, NetworkSettings};
use goodwatt_chain::hash::ChainId;
use goodwatt_chain::light::{Answer, Excuse, Question};
use goodwatt_chain::units::Height;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// What is done to an answer: frames of these kinds and payloads are sent instead of it.
pub(crate) type Lie = Box<dyn FnMut(&Question, Answer) -> Vec<(Kind, Vec<u8>)> + Send>;

/// A node that lies, until it is dropped.
pub(crate) struct Liar {
    pub(crate) address: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _data: TempDir,
}

impl Liar {
    /// Stands before the node at `honest`.
    pub(crate) fn before(honest: &str, chain: ChainId, lie: Lie) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut settings = NetworkSettings::new(data.path().to_owned(), chain);
        settings.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        settings.development = true;
        let honest = honest.to_owned();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let (network, events) = Network::start(settings).expect("it listens");
                tell.send(network.listens().expect("an address")).expect("somebody waits");
                tokio::select! {
                    () = serve(&network, events, &honest, chain, lie) => {}
                    _ = stopped => {}
                }
                network.stop().await;
            });
        });
        let address = told.recv().expect("it listens").to_string();
        Self { address, stop: Some(stop), thread: Some(thread), _data: data }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it lies without a panic");
        }
    }
}

async fn serve(
    network: &Network,
    mut events: tokio::sync::mpsc::Receiver<NetworkEvent>,
    honest: &str,
    chain: ChainId,
    mut lie: Lie,
) {
    let honest = honest.parse().expect("an address");
    let mut link = LightLink::connect(&honest, None, &chain, Height::ZERO).await.expect("it is up");
    while let Some(event) = events.recv().await {
        let NetworkEvent::Frame { peer, kind: Kind::Question, payload } = event else { continue };
        let question = Question::decode(&payload).expect("the tool asks well");
        let answer = match question {
            // What is handed in stays here.
            Question::Submit { .. } => Answer::Nothing(Excuse::Failed),
            _ => {
                let answer = link.ask(&payload).await.expect("an honest node answers");
                Answer::decode(&answer).expect("an honest node answers well")
            }
        };
        for (kind, payload) in lie(&question, answer) {
            // The tool may have had enough, and be gone.
            let _gone = network.send(peer, kind, payload);
        }
    }
}
