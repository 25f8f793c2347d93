// Demo people and contacts for the mock server; the shapes of docs/api.md.

const MIN = 60_000;
const HOUR = 60 * MIN;
const DAY = 24 * HOUR;
export const id = (kind, n) => `0192f000-0000-7000-8${kind.padStart(3, "0").slice(0, 3)}-${String(n).padStart(12, "0")}`;

export const ME = { agent: id("a", 1), name: "Ann Keller", username: "ann", role: "agent", extension: "201" };
export const BOSS = { agent: id("a", 9), name: "Sofia Lindqvist", username: "sofia", role: "supervisor", extension: null };
export const NUMBER = "+4520123456";
export const CALL = id("1", 100);

export const DISPOSITIONS = [
  { id: "billing_double_charge", label: "Billing › double charge", contact: true }, { id: "billing_question", label: "Billing › question", contact: true },
  { id: "delivery_late", label: "Delivery › late", contact: true }, { id: "delivery_damaged", label: "Delivery › damaged", contact: true },
  { id: "contract_change", label: "Contract › change", contact: true }, { id: "wrong_number", label: "No contact › wrong number", contact: false },
];

export const MARIA = { customer: id("c", 1), name: "Maria Jensen", organisation: "Jensen Interiors", vip: true, language: "da", since: Date.UTC(2019, 3, 2) };
const PETER = { customer: id("c", 2), name: "Peter Jensen", organisation: "Jensen Interiors", vip: false, language: "da", since: Date.UTC(2021, 5, 1) };
const OLSEN = { customer: id("c", 3), name: "Ingrid Olsen", organisation: "Olsen AS", vip: false, language: "no", since: Date.UTC(2022, 1, 1) };

export const SCRIPT = [
  ["agent", 900, "Thank you for calling Northwind, my name is Ann.", 0], ["customer", 4360, "Hello, this is Maria Jensen.", 0],
  ["customer", 6680, "I sent you an email two hours ago and nobody answered.", -48], ["agent", 10270, "I am sorry to hear that. I have it here, about invoice 4711.", 0],
  ["customer", 15230, "Yes. I was charged twice, and this is the second time I call about it.", -66], ["agent", 20050, "I can see both payments. Please wait a moment, I ask finance.", 0],
  ["agent", 34280, "Thank you for waiting. I will refund 1,249 kroner to your card.", 0], ["customer", 39560, "When will I get my refund?", -10],
  ["agent", 42320, "It will be on your account by Wednesday, and I send you a confirmation.", 0], ["customer", 47610, "That is great, thank you very much for your help.", 58],
  ["agent", 51400, "Is there anything else I can do for you?", 0], ["customer", 54410, "No, thank you. Goodbye.", 22],
];
export const DURATION = 57_600;
const legs = { customer: id("e", 1), agent: id("e", 2) };

/** What moved the mood, as the server names it: plain words at their place. */
const FIRED = { "nobody answered.": -55, "charged twice,": -55, "second time": -30, "great,": 78, "very much": 30, "Thank you": 34 };
function fired(words) {
  return Object.entries(FIRED).flatMap(([text, weight]) => {
    const wanted = text.split(" ");
    const at = words.findIndex((_, n) => wanted.every((one, k) => words[n + k]?.text === one));
    return at < 0 ? [] : [{ from_ms: words[at].from_ms, to_ms: words[at + wanted.length - 1].to_ms, text: text.replace(/[.,]/g, "").toLowerCase(), weight, by: "words" }];
  });
}

function utterance([party, from, text, sentiment], index) {
  const words = text.split(" ");
  let at = from;
  const timed = words.map((word, n) => {
    const length = 90 + word.length * 52;
    const value = { text: word, from_ms: at, to_ms: at + length, confidence: index === 4 && n === 3 ? 38 : index === 6 && n === 6 ? 44 : 93 };
    at += length + 40;
    return value;
  });
  return { leg: legs[party], party, from_ms: from, to_ms: at, confidence: 90, rejected: null, sentiment: party === "customer" ? sentiment : null, fired: party === "customer" && sentiment !== 0 ? fired(timed) : [], words: timed };
}

export function utterances() {
  const all = SCRIPT.map(utterance);
  all.splice(10, 0, { leg: legs.customer, party: "customer", from_ms: 50_400, to_ms: 51_100, confidence: 0, rejected: "nothing understood", sentiment: null, fired: [], words: [] });
  return all;
}

/** The last customer's line of a call with a number taken out of words and recording. */
export function takeOut(page) {
  const said = page.transcript.utterances.filter((one) => one.party === "customer" && one.words.length > 5).at(-1);
  const [first, last] = [said.words[2], said.words[4]];
  said.words.splice(2, 3, { text: "[card number].", from_ms: first.from_ms, to_ms: last.to_ms, confidence: 93 });
  page.recording.gaps = ["customer", "agent"].map((party) => ({ party, kind: "redacted", from_ms: first.from_ms - 1500, to_ms: last.to_ms + (party === "customer" ? 150 : 500) }));
}

/** The same script as it is told while the call is on. */
export function liveUtterances() {
  return utterances().map(({ sentiment: _, fired: __, ...one }) => ({ ...one, partial: false }));
}

/** The first words of line `index`, still being said. */
export function partly(index, words) {
  const one = liveUtterances()[index];
  const said = one.words.slice(0, words);
  return { ...one, partial: true, to_ms: said.at(-1)?.to_ms ?? one.to_ms, words: said };
}

/** Words that nobody had time for. */
export function later(from_ms, to_ms) {
  return { leg: legs.customer, party: "customer", from_ms, to_ms, confidence: 0, rejected: "later", partial: false, words: [] };
}

export const CARD = {
  title: "Invoice 4711 charged twice, refund by Wednesday", outcome: "solved", method: "card-rules 2",
  lines: [
    { label: "reason", text: "“I was charged twice, and this is the second time I call about it.”", evidence: [{ party: "customer", from_ms: 15230, to_ms: 19800 }], status: "proposed", proposed: null },
    { label: "details", text: "Invoice 4711 · 1,249 kroner", evidence: [{ party: "agent", from_ms: 10270, to_ms: 14800 }, { party: "agent", from_ms: 34280, to_ms: 39000 }], status: "proposed", proposed: null },
    { label: "agreed", text: "“I will refund 1,249 kroner to your card.”", evidence: [{ party: "agent", from_ms: 34280, to_ms: 39000 }], status: "proposed", proposed: null },
    { label: "open", text: "Confirmation to be sent", evidence: [{ party: "agent", from_ms: 42320, to_ms: 47200 }], status: "proposed", proposed: null },
    { label: "outcome", text: "That is great, thank you very much", evidence: [{ party: "customer", from_ms: 47610, to_ms: 51000 }], status: "proposed", proposed: null },
  ],
};

CARD.lines.forEach((line, index) => { Object.assign(line, { finding: id("8", index + 1), judged_by: null, judged_at: null }); });

export function timeline(now, count = 0) {
  const base = { direction: "inbound", ended_at: null, outcome: null, agent: null, ticket: null, body: null, card: null, sentiment: null, recorded: false, transcript: "none", duration_ms: null, disposition: null, notes: [] };
  const ticket = { ticket: id("d", 812), subject: "Invoice 4711 charged twice" };
  const list = [
    { ...base, interaction: id("1", 1), channel: "email", at: now - 2 * HOUR - 4 * MIN, title: "Charged twice for invoice 4711", outcome: "not answered", ticket, sentiment: -46,
      body: "Hello,\n\nI see two payments of 1,249 kr for the same invoice, 4711, on the 3rd and on the 5th. Your colleague said on the phone that it would be back on the account by Friday, and it is not.\n\nCould you please look into it? I do not want to call a third time.\n\nKind regards\nMaria Jensen" },
    { ...base, interaction: id("1", 2), channel: "phone", at: now - 8 * DAY - 2 * HOUR, title: "Two payments for invoice 4711", outcome: "not_solved", agent: "Tom Weber", ticket, recorded: true, transcript: "done", duration_ms: 391_000,
      disposition: "Billing › double charge", sentiment: -31,
      card: { title: "Two payments", outcome: "not_solved", method: "card-rules 2", lines: [CARD.lines[0], { label: "agreed", text: "“The refund will be on your account by Friday.”", evidence: [{ party: "agent", from_ms: 42320, to_ms: 47200 }], status: "confirmed", proposed: null }, { label: "open", text: "Finance has to book it", evidence: [{ party: "agent", from_ms: 20050, to_ms: 24000 }], status: "proposed", proposed: null }] },
      notes: [{ note: id("f", 1), text: "Sent to finance, ref F-2231.", by: "Tom Weber", at: now - 8 * DAY }] },
    { ...base, interaction: id("1", 3), channel: "chat", at: now - 20 * DAY, title: "Where do I find my invoices?", outcome: "solved", agent: "Lea Brandt", sentiment: 35, body: "Maria: Where do I find my invoices?\nLea: Under Account › Invoices; I have sent you the link.\nMaria: Found it, thanks!" },
    { ...base, interaction: id("1", 4), channel: "whatsapp", at: now - 25 * DAY, title: "Delivery on Thursday?", outcome: "solved", agent: "Ann Keller", body: "Is the delivery on Thursday in the morning? – Yes, between 9 and 11." },
    { ...base, interaction: id("1", 5), channel: "web_form", at: now - 25 * DAY - 3 * HOUR, title: "Change of address", outcome: "solved", body: "New address: Nørrebrogade 12, 2200 København N" },
    { ...base, interaction: id("1", 6), channel: "email", direction: "outbound", at: now - 60 * DAY, title: "Your order 88-120 has shipped", outcome: null, agent: "Lea Brandt", body: "Dear Maria,\nyour order left our warehouse today." },
    { ...base, interaction: id("1", 7), channel: "phone", at: now - 300 * DAY, title: "Question about the new contract", outcome: "solved", agent: "Tom Weber", recorded: true, transcript: "done", duration_ms: 184_000, disposition: "Contract › change", sentiment: 24, card: null },
  ];
  for (let n = 0; n < count; n += 1) {
    const channel = ["email", "chat", "phone", "whatsapp", "web_form"][n % 5];
    list.push({ ...base, interaction: id("2", n), channel, at: now - 301 * DAY - n * 7 * HOUR, title: `Contact ${n + 1}: order ${48_000 + n}`, outcome: n % 3 ? "solved" : null, body: channel === "phone" ? null : "Where is my order? ".repeat(1 + (n % 9)), duration_ms: channel === "phone" ? 60_000 + n * 10 : null });
  }
  return list;
}

export function strangerTimeline(now) {
  return [{ ...timeline(now)[6], interaction: id("1", 70), at: now - 3 * DAY, title: "Call without a name", outcome: "missed", agent: null, recorded: false, transcript: "none", duration_ms: null, disposition: null, sentiment: null }];
}

export function briefKnown(now) {
  const [mail, call, chat] = timeline(now);
  const last = ({ interaction, channel, at, title, outcome }) => ({ interaction, channel, at, title, outcome: outcome === "not_solved" ? "callback promised" : outcome });
  return {
    number: NUMBER, country: "DK", display_name: "M JENSEN", identity: id("b", 1), matched: "known", customer: MARIA, candidates: [],
    reasons: [{ text: "Invoice 4711, charged twice", because: "e-mail 2 h ago, not answered", score: 99, interaction: mail.interaction, ticket: id("d", 812) }],
    chips: [{ kind: "overdue_promise", text: "Refund promised for Friday, 2 days late" }, { kind: "open_tickets", text: "1 open ticket" }, { kind: "unanswered_message", text: "E-mail unanswered for 2 h" }],
    last_contacts: [last(mail), last(call), last(chat)], contacts_30_days: 5, sentiment: [35, 30, 24, -31, -46],
  };
}

const empty = { country: "DK", display_name: null, identity: id("b", 1), customer: null, candidates: [], reasons: [], chips: [], last_contacts: [], contacts_30_days: 0, sentiment: [] };
export const BRIEFS = {
  known: briefKnown,
  two: (now) => ({ ...briefKnown(now), reasons: [...briefKnown(now).reasons, { text: "Delivery 88-120 incomplete", because: "web form yesterday, waiting for us", score: 90, interaction: null, ticket: null }] }),
  several: (now) => ({ ...empty, number: NUMBER, matched: "several", contacts_30_days: 4, candidates: [
    { who: MARIA, last_contact_at: now - 2 * HOUR, reason: { text: "Invoice 4711, charged twice", because: "", score: 99, interaction: null, ticket: null } },
    { who: PETER, last_contact_at: now - 9 * DAY, reason: { text: "Delivery 88-120 incomplete", because: "", score: 60, interaction: null, ticket: null } },
    { who: { ...OLSEN, name: "Reception, Jensen Interiors" }, last_contact_at: null, reason: null }] }),
  unknown: (now) => ({ ...empty, number: "+33170189900", country: "FR", matched: "unknown", identity: id("b", 7), contacts_30_days: 1, last_contacts: [{ interaction: id("1", 70), channel: "phone", at: now - 3 * DAY, title: "Call without a name", outcome: "missed" }] }),
  late: () => ({ ...empty, number: NUMBER, country: null, identity: null, matched: "late" }),
  withheld: () => ({ ...empty, number: null, country: null, identity: null, matched: "withheld" }),
  evil: (now) => ({ ...briefKnown(now), customer: { ...MARIA, name: '<img src=x onerror=alert(1)><b>Eve</b>', organisation: "<script>alert(2)</script>" }, display_name: "<svg onload=alert(3)>" }),
};

export function workItems(now) {
  const base = { state: "waiting", channel: "phone", queue: "Billing", priority: 5, owner: "Ann Keller", why_closed: null, waited_ms: null, opened_at: now - DAY, interaction: id("1", 2) };
  return [
    { ...base, work_item: id("9", 1), kind: "promise", title: "Refund for invoice 4711", customer: MARIA, number: NUMBER, due: now - 2 * DAY - HOUR, state: "accepted" },
    { ...base, work_item: id("9", 2), kind: "missed_call", title: "Missed call", waited_ms: 72_000, customer: null, number: "+33170189900", due: now + 35 * MIN, owner: null, opened_at: now - 20 * MIN },
    { ...base, work_item: id("9", 3), kind: "promise", title: "Send the new contract", customer: OLSEN, number: "+4722123456", due: now + DAY, state: "accepted" },
    { ...base, work_item: id("9", 4), kind: "not_wrapped_up", title: "Call of 9:12, 3:10 min", customer: PETER, number: NUMBER, due: null, channel: "phone" },
  ];
}

export function customerPage(now) {
  return {
    customer: MARIA, promises: [workItems(now)[0]], notes: [{ note: id("f", 2), text: "Prefers e-mail in the morning.", by: "Lea Brandt", at: now - 40 * DAY }],
    identities: [{ identity: id("b", 1), kind: "phone", value: NUMBER, since: MARIA.since, until: null }, { identity: id("b", 2), kind: "email", value: "maria@jensen-interiors.example", since: MARIA.since, until: null }],
    tickets: [{ ticket: id("d", 812), subject: "Invoice 4711 charged twice", state: "open_us", since: now - 8 * DAY, contacts: 2 }, { ticket: id("d", 700), subject: "New contract", state: "solved", since: now - 300 * DAY, contacts: 1 }],
  };
}

const NO_WORDS = { state: "pending", trouble: null, model: null, language: null, revision: null, kind: null, at: null, coverage: { customer: null, agent: null }, legs: [], utterances: [], corrections: [], revisions: [], redo: null };

/** One revision; `corrections` are laid over the words as the server does. */
export function transcript(now, { coverage = { customer: 96, agent: 98 }, revision = 1, revisions = 1, corrections = [], redo = null, extra = 0 } = {}) {
  const list = Array.from({ length: revisions }, (_, n) => ({ revision: n + 1, kind: "final", model: n === 0 ? "demo-phone.en" : "large-v3-turbo", at: now - 2 * HOUR + n * 40 * MIN }));
  const words = utterances();
  // A call of hours: the script over and over.
  for (let n = 0; n < extra; n += 1) {
    const [party, , text] = SCRIPT[n % SCRIPT.length];
    words.push(utterance([party, 58_000 + n * 2_400, text, 0], 100 + n));
  }
  if (revision > 1) words[4].words[3] = { ...words[4].words[3], text: "charge", confidence: 88 };
  const undone = new Set(corrections.map((one) => one.undoes).filter(Boolean));
  const shown = corrections.filter((one) => !one.undoes).map(({ undoes: _, ...one }) => ({ ...one, state: undone.has(one.correction) ? "taken_back" : one.state }));
  for (const one of shown.filter((each) => each.state === "stands")) lay(words, one);
  const leg = (party, lost) => ({ leg: legs[party], party, understood: coverage[party] - lost, not_understood: 100 - coverage[party], lost, waiting: 0, doubtful_ms: party === "customer" ? 2300 : 140,
    doubtful: party === "customer" ? [{ from_ms: 3_000, to_ms: 4_300 }, { from_ms: 21_000, to_ms: 22_000 }] : [{ from_ms: 9_000, to_ms: 9_140 }], doubtful_more: 0 });
  return { state: "done", trouble: null, model: list[revision - 1].model, language: "en", revision, kind: "final", at: list[revision - 1].at, coverage, legs: [leg("customer", 2), leg("agent", 0)], utterances: words, corrections: shown, revisions: list, redo };
}

function lay(words, one) {
  const utterance = words.find((each) => each.leg === one.leg && each.from_ms < one.to_ms && one.from_ms < each.to_ms);
  if (!utterance) return;
  const inside = (word) => word.from_ms >= one.from_ms && word.to_ms <= one.to_ms;
  const at = Math.max(0, utterance.words.findIndex(inside));
  const after = one.after === "" ? [] : [{ text: one.after, from_ms: one.from_ms, to_ms: one.to_ms, confidence: 100 }];
  utterance.words = [...utterance.words.slice(0, at), ...after, ...utterance.words.slice(at).filter((word) => !inside(word))];
  utterance.rejected = utterance.words.length === 0 ? "struck out" : null;
}

export function wordsAt(words, { leg, from_ms, to_ms }) {
  return words.filter((each) => each.leg === leg).flatMap((each) => each.words).filter((word) => word.from_ms >= from_ms && word.to_ms <= to_ms).map((word) => word.text).join(" ");
}

export function interactionPage(interaction, now, { stage = "done", trouble = null, coverage = { customer: 96, agent: 98 }, words = {} } = {}) {
  const done = stage === "done";
  const at = now - 3 * HOUR;
  const segment = (leg, agent, kind, from_ms, to_ms, position = null) => ({ leg, agent, kind, from_ms, to_ms, position });
  const totals = (leg, lost) => ({ leg, received: 2870, sent: 2868, lost, dropped: 0, jitter_us: 1800, tap_dropped: 0 });
  return {
    interaction, channel: "phone", direction: "inbound", at, ended_at: done ? at + DURATION : null, duration_ms: done ? DURATION : null, state: done ? "closed" : "ended", customer: MARIA, number: NUMBER, called: "+4570123400",
    queue: "Billing", cause: "customer_hung_up", disposition: done ? "Billing › double charge" : null, title: done ? CARD.title : null,
    legs: [{ leg: legs.customer, party: "customer", agent: null, from_ms: 0, to_ms: DURATION, cause: "customer_hung_up", totals: totals(legs.customer, 14) }, { leg: legs.agent, party: "agent", agent: "Ann Keller", from_ms: 260, to_ms: DURATION, cause: "customer_hung_up", totals: totals(legs.agent, 0) }],
    segments: [segment(legs.customer, null, "queue", 0, 260, 2), segment(legs.customer, null, "ring", 260, 800), segment(legs.agent, "Ann Keller", "ring", 260, 800), segment(legs.customer, null, "talk", 800, 25_000), segment(legs.agent, "Ann Keller", "talk", 800, DURATION),
      segment(legs.customer, null, "hold", 25_000, 34_000), segment(legs.customer, null, "talk", 34_000, DURATION), segment(null, "Ann Keller", "wrap_up", DURATION, DURATION + 41_000)],
    sounds: [{ leg: legs.customer, kind: "announcement", clip: "built-in announcement", from_ms: 10, to_ms: 180 }, { leg: legs.customer, kind: "music", clip: "built-in music", from_ms: 180, to_ms: 800 }],
    offers: [{ agent: "Tom Weber", at_ms: 40, acked_ms: 74, rang_ms: 76, lead_ms: 2, outcome: "declined" }, { agent: "Ann Keller", at_ms: 200, acked_ms: 236, rang_ms: 260, lead_ms: 24, outcome: "accepted" }],
    recording: trouble ?? { state: "ready", trouble: null, duration_ms: DURATION, gaps: [{ party: "customer", kind: "lost", from_ms: 44_000, to_ms: 45_200 }] },
    quality: done ? QUALITY() : { spans: [], legs: [] },
    transcript: done ? transcript(now, { coverage, ...words }) : NO_WORDS,
    card: done && coverage.customer >= 60 ? CARD : null, card_trouble: done && coverage.customer < 60 ? `${coverage.customer} % understood` : null,
    sentiment: { overall: done ? -12 : null, trend: done ? [-48, 40] : null, confidence: 71, why: done ? ["charged twice", "second time"] : [], enough: done },
    notes: done ? [{ note: id("f", 9), text: "Finance ticket raised, ref F-2231. Call back Wednesday if not booked.", by: "Ann Keller", at: now - 2 * HOUR }] : [],
    ticket: { ticket: id("d", 812), subject: "Invoice 4711 charged twice", why: "joined: same words as in the e-mail" }, draft: null,
    promises: [], suggested_promises: done ? [{ finding: id("9", 50), text: "Refund 1,249 kr, confirmation by e-mail", due: now + 3 * DAY }] : [],
    suggested_dispositions: done ? DISPOSITIONS.slice(0, 3).map(({ id, label }) => ({ id, label })) : [],
  };
}

/** Good sound but for 8 % loss from 0:40 to 0:50 on the customer's side and 7 s without sound from the agent's phone. */
export function QUALITY(well = false) {
  const samples = (bad) => Array.from({ length: 12 }, (_, n) => ({
    from_ms: n * 5000, to_ms: Math.min(DURATION, (n + 1) * 5000), lost_permille: 0, jitter_us: 1_200 + 140 * n, round_trip_us: 38_000, silent_ms: 0, mos_x100: 436 - (n % 3), there_lost_permille: 2, there_mos_x100: 434, there_deaf: false, ...(well ? {} : bad(n)),
  }));
  const spans = [
    { party: "agent", kind: "not_heard", from_ms: 26_000, to_ms: 33_000, text: "From 0:26 to 0:33 Ann Keller was not heard: no sound came from the agent's phone, though the other side was still there (one-way audio)." },
    { party: "customer", kind: "hard_to_hear", from_ms: 40_000, to_ms: 50_000, text: "From 0:40 to 0:50 the customer was hard to hear: 8 % of the sound was lost on the way from the carrier." },
  ];
  return {
    spans: well ? [] : spans,
    legs: [
      { leg: legs.customer, party: "customer", samples: samples((n) => (n === 8 || n === 9 ? { lost_permille: 80 + n, mos_x100: 349 - n } : {})) },
      { leg: legs.agent, party: "agent", samples: samples((n) => (n === 6 ? { silent_ms: 5_000, mos_x100: null, from_ms: 30_000, to_ms: 33_000 } : {})) },
    ],
  };
}

export function callRows(now) {
  const row = (n, at, customer, agent, part) => ({ interaction: id("1", 100 + n), at, direction: "inbound", customer, number: NUMBER, agent, queue: "Billing", waited_ms: 4000 + n * 1000, talked_ms: 190_000, outcome: "answered", disposition: "Billing › question", title: null, sentiment: null, recorded: true, coverage: 96, cause: "customer_hung_up", poor_ms: 0, ...part });
  const list = [
    row(0, now - 3 * HOUR, "Maria Jensen", "Ann Keller", { title: CARD.title, sentiment: -24, disposition: "Billing › double charge", talked_ms: 56_800 }),
    row(1, now - 3.4 * HOUR, "Ingrid Olsen", "Tom Weber", { sentiment: 44, title: "New contract sent" }),
    row(2, now - 4 * HOUR, null, null, { number: "+33170189900", outcome: "abandoned", waited_ms: 72_000, recorded: false, coverage: null, disposition: null, talked_ms: null, cause: "abandoned" }),
    row(3, now - 5 * HOUR, "Lea Brandt", "Tom Weber", { title: "Delivery date", coverage: 41, poor_ms: 45_000 }),
    row(4, now - 26 * HOUR, "Peter Jensen", "Ann Keller", { recorded: false, coverage: null, title: "Delivery 88-120 incomplete" }),
    row(5, now - 28 * HOUR, null, null, { number: null, outcome: "missed", waited_ms: 20_000, recorded: false, coverage: null, disposition: null, talked_ms: null, cause: "no_agent" }),
  ];
  for (let n = 6; n < 60; n += 1) list.push(row(n, now - 28 * HOUR - n * 40 * MIN, ["Maria Jensen", "Ingrid Olsen", "Peter Jensen"][n % 3], ["Ann Keller", "Tom Weber"][n % 2], { sentiment: (n * 37) % 90 - 45 }));
  return list;
}

export function board(now) {
  const agent = (n, name, state, reason, since, phone_registered = true) => ({ agent: id("a", n), name, interaction: state === "busy" ? (n === 1 ? CALL : id("1", 200 + n)) : null, state, reason, since: now - since, phone_registered });
  return {
    waiting: 3, longest_since: now - 82_000, calls: 2,
    callers: [
      { interaction: id("1", 81), name: "Ingrid Olsen", number: "+4722123456", queue: "Claims", since: now - 82_000, position: 1, estimate_ms: null, offered_to: "Jonas Berg" },
      { interaction: id("1", 82), name: null, number: "+33170189900", queue: "Claims", since: now - 41_000, position: 2, estimate_ms: 210_000, offered_to: null },
      { interaction: id("1", 83), name: null, number: null, queue: "Support", since: now - 7_000, position: 1, estimate_ms: null, offered_to: null },
    ], alarms: ["No speech model. Admin: throughline model fetch.", "Trunk north-1 does not answer OPTIONS. Check 192.0.2.10 and the firewall."],
    agents: [agent(1, "Ann Keller", "busy", null, 252_000), agent(2, "Tom Weber", "busy", null, 61_000), agent(3, "Lea Brandt", "wrap_up", null, 48_000), agent(4, "Jonas Berg", "ready", null, 610_000, false), agent(5, "Mira Novak", "not_ready", "Lunch", 1_320_000), agent(6, "Ole Dahl", "offline", null, 9 * HOUR, false)],
  };
}

export function queues(now) {
  const day = { waiting: 0, longest_since: null, estimate_ms: null, abandoned_short: 0, turned_away: 0, target: 80, within_s: 20 };
  return [
    { ...day, queue: "Claims", waiting: 2, longest_since: now - 82_000, estimate_ms: 330_000, offered: 9, answered: 6, answered_in_time: 5, abandoned: 1, longest_ms: 96_000, average_answer_ms: 11_000, service_level: 71 },
    { ...day, queue: "Billing", offered: 62, answered: 57, answered_in_time: 47, abandoned: 4, abandoned_short: 1, longest_ms: 102_000, average_answer_ms: 14_200, service_level: 77 },
    { ...day, queue: "Support", waiting: 1, longest_since: now - 7_000, offered: 31, answered: 29, answered_in_time: 28, abandoned: 1, longest_ms: 38_000, average_answer_ms: 6_100, service_level: 93 },
  ];
}

// A stereo WAV of the script as buzzes and its peaks: enough to see and hear who speaks when.
const RATE = 8000;
const BUCKET_MS = 50;
export function audio() {
  const samples = Math.floor((DURATION / 1000) * RATE);
  const buffer = Buffer.alloc(44 + samples * 4);
  buffer.write("RIFF", 0); buffer.writeUInt32LE(36 + samples * 4, 4); buffer.write("WAVEfmt ", 8); buffer.writeUInt32LE(16, 16); buffer.writeUInt16LE(1, 20); buffer.writeUInt16LE(2, 22);
  buffer.writeUInt32LE(RATE, 24); buffer.writeUInt32LE(RATE * 4, 28); buffer.writeUInt16LE(4, 32); buffer.writeUInt16LE(16, 34); buffer.write("data", 36); buffer.writeUInt32LE(samples * 4, 40);
  const peaks = { bucket_ms: BUCKET_MS, duration_ms: DURATION, customer: [], agent: [] };
  const buckets = Math.ceil(DURATION / BUCKET_MS);
  for (const party of ["customer", "agent"]) peaks[party] = Array.from({ length: buckets }, () => [-1, 1]);
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (const { party, words, from_ms, to_ms } of utterances()) {
    for (const { from_ms: from, to_ms: to } of words.length > 0 ? words : [{ from_ms, to_ms }]) {
      const loud = (0.25 + random() * 0.6) * (words.length > 0 ? 1 : 0.2);
      const pitch = party === "customer" ? 210 : 120;
      for (let i = Math.floor((from / 1000) * RATE); i < (to / 1000) * RATE; i += 1) {
        const t = i / RATE;
        const envelope = Math.sin((Math.PI * (t * 1000 - from)) / (to - from));
        const value = loud * envelope * (Math.sin(2 * Math.PI * pitch * t) + 0.5 * Math.sin(2 * Math.PI * pitch * 2.7 * t)) * 0.5;
        buffer.writeInt16LE(Math.round(value * 20_000), 44 + i * 4 + (party === "customer" ? 0 : 2));
        const peak = peaks[party][Math.floor((t * 1000) / BUCKET_MS)];
        if (peak) { peak[0] = Math.max(-128, Math.min(peak[0], Math.round(value * 110))); peak[1] = Math.min(127, Math.max(peak[1], Math.round(value * 110))); }
      }
    }
  }
  return { wav: buffer, peaks };
}
