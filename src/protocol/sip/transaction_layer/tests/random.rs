//! The layer under any order of events: no panic, no leak, bounded outputs.

use proptest::prelude::*;

use super::*;

/// What can happen to a layer.
#[derive(Clone, Debug)]
enum Event {
    Receive { method: usize, branch: u8, tagged: bool },
    Open { method: usize, branch: u8 },
    Respond { nth: usize, status: u16 },
    Send { method: usize, branch: u8 },
    Answer { status: u16, method: usize, branch: u8 },
    Cancel { nth: usize },
    Refuse { nth: usize, server: bool },
    Wait { ms: u64 },
}

const METHODS: [&str; 5] = ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"];
/// An unused id is as good as a used one: inputs to what is gone must be harmless too.
const IDS: u64 = 40;

fn branch(number: u8) -> String {
    // Some peers write branches from before RFC 3261.
    if number.is_multiple_of(3) { format!("{number}") } else { format!("z9hG4bK{number}") }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let status = prop::sample::select(vec![100_u16, 180, 183, 200, 202, 302, 401, 486, 487, 503, 603]);
    let method = 0..METHODS.len();
    let number = 0_u8..6;
    let nth = 0..usize::try_from(IDS).unwrap_or(0);
    let event = prop_oneof![
        (method.clone(), number.clone(), any::<bool>()).prop_map(|(method, branch, tagged)| Event::Receive { method, branch, tagged }),
        (method.clone(), number.clone()).prop_map(|(method, branch)| Event::Open { method, branch }),
        (nth.clone(), status.clone()).prop_map(|(nth, status)| Event::Respond { nth, status }),
        (method.clone(), number.clone()).prop_map(|(method, branch)| Event::Send { method, branch }),
        (status, method, number).prop_map(|(status, method, branch)| Event::Answer { status, method, branch }),
        nth.clone().prop_map(|nth| Event::Cancel { nth }),
        (nth, any::<bool>()).prop_map(|(nth, server)| Event::Refuse { nth, server }),
        (0_u64..9000).prop_map(|ms| Event::Wait { ms }),
    ];
    prop::collection::vec(event, 0..200)
}

impl Bench {
    /// Applies one event; returns how many outputs it made.
    fn apply(&mut self, event: Event) -> usize {
        let id = |nth: usize| u64::try_from(nth).unwrap_or(0) % IDS + 1;
        match event {
            Event::Receive { method, branch: number, tagged } => {
                self.receive(METHODS[method], &branch(number), if tagged { ";tag=ours" } else { "" });
            }
            Event::Open { method, branch: number } => {
                let _ = self.open(METHODS[method], &branch(number));
            }
            Event::Respond { nth, status } => {
                let _ = self.respond(ServerId(id(nth)), status);
            }
            Event::Send { method, branch: number } => {
                let _ = self.send(METHODS[method], &branch(number));
            }
            Event::Answer { status, method, branch: number } => {
                self.answer(status, METHODS[method], &branch(number));
            }
            Event::Cancel { nth } => {
                self.layer.cancel(self.now, ClientId(id(nth)), Some("SIP;cause=487"));
            }
            Event::Refuse { nth, server: true } => self.layer.transport_error(self.now, TransactionId::Server(ServerId(id(nth)))),
            Event::Refuse { nth, server: false } => self.layer.transport_error(self.now, TransactionId::Client(ClientId(id(nth)))),
            Event::Wait { ms } => {
                self.now += Duration::from_millis(ms);
                let (servers, clients) = self.layer.len();
                self.layer.handle_timeout(self.now);
                // Each transaction says at most: a datagram or a report, and its end.
                let most = 2 * (servers + clients);
                let outputs = self.drain();
                assert!(outputs <= most, "{outputs} outputs of {most}");
            }
        }
        self.drain()
    }

    fn drain(&mut self) -> usize {
        std::iter::from_fn(|| self.layer.poll_output()).count()
    }
}

proptest! {
    #[test]
    fn in_any_order_of_events_nothing_leaks_and_outputs_stay_few(events in events()) {
        let limits = Limits { max_servers: 8, max_clients: 8 };
        let mut bench = Bench::with(limits);
        for event in events {
            let told = format!("{event:?}");
            let outputs = bench.apply(event);
            prop_assert!(outputs <= 4, "{outputs} outputs after {told}");
            let (servers, clients) = bench.layer.len();
            prop_assert!(servers <= limits.max_servers && clients <= 2 * limits.max_clients);
            prop_assert_eq!(bench.layer.server_by_key.len(), servers);
            prop_assert_eq!(bench.layer.client_by_key.len(), clients);
            prop_assert_eq!(bench.layer.queue.len(), servers + clients, "every transaction has an end in sight");
        }
        // The longest silence that a transaction survives: the backstop of an INVITE that nobody answers.
        bench.run(600_000 + 64_000);
        prop_assert!(bench.layer.is_empty(), "left over: {:?}", bench.layer);
    }

    #[test]
    fn once_everything_is_answered_all_tables_are_empty_after_64_t1(branches in prop::collection::vec(0_u8..40, 1..40), status in 200_u16..700) {
        let mut bench = Bench::new();
        for number in branches {
            for method in ["INVITE", "OPTIONS"] {
                if let Ok(id) = bench.open(method, &branch(number)) {
                    bench.respond(id, status).expect("the first answer");
                }
                if bench.send(method, &branch(number)).is_ok() {
                    bench.answer(status, method, &branch(number));
                }
            }
        }
        bench.run(32_000);
        prop_assert!(bench.layer.is_empty(), "left over: {:?}", bench.layer);
    }
}
