// The shapes of docs/api.md, and of src/domain/live.rs and src/domain/customer/brief.rs as serde writes them.

export type Id = string;
/** Unix milliseconds. */
export type UnixMs = number;
export type Role = "agent" | "supervisor" | "admin";
export type Channel = "phone" | "email" | "chat" | "whatsapp" | "sms" | "web_form" | "social" | "self_service";
export type Direction = "inbound" | "outbound" | "internal";
export type Party = "customer" | "agent";
export type AgentState = "offline" | "ready" | "not_ready" | "offered" | "busy" | "wrap_up";

export interface Me { agent: Id; name: string; username: string; role: Role; extension: string | null }

export interface Who { customer: Id; name: string; organisation: string | null; vip: boolean; language: string | null; since: UnixMs | null }
export interface ProbableReason { text: string; because: string; score: number; interaction: Id | null; ticket: Id | null }
export interface Candidate { who: Who; last_contact_at: UnixMs | null; reason: ProbableReason | null }
export interface Chip { kind: "overdue_promise" | "open_tickets" | "unanswered_message"; text: string }
export interface LastContact { interaction: Id; channel: Channel; at: UnixMs; title: string; outcome: string | null }
export type Matched = "known" | "several" | "unknown" | "withheld" | "late";
export interface Brief {
  number: string | null; country: string | null; display_name: string | null; identity: Id | null; matched: Matched; customer: Who | null;
  candidates: Candidate[]; reasons: ProbableReason[]; chips: Chip[]; last_contacts: LastContact[]; contacts_30_days: number; sentiment: number[];
}

export interface OfferView { offer: Id; interaction: Id; at: UnixMs; waited_ms: number; queue: string; ringing: boolean; brief: Brief }
export interface CallView {
  interaction: Id; direction: Direction; started_at: UnixMs; /** null while it rings outside */ answered_at: UnixMs | null; held_since: UnixMs | null; recording: boolean; trouble: string | null; trouble_since: UnixMs | null; sound: SoundNow | null; queue: string; brief: Brief;
}
/** Poor sound of a call in progress; `mos_x100` 100 to 450. */
export interface SoundNow { mos_x100: number; text: string }
export interface WrapUpView { interaction: Id; direction: Direction; ended_at: UnixMs; talked_ms: number; until: UnixMs; may_extend: boolean; brief: Brief }
export interface AgentView {
  agent: Id; name: string; state: AgentState; reason: string | null; since: UnixMs; phone_registered: boolean; queues: string[]; notice: string | null;
  offer: OfferView | null; call: CallView | null; wrap_up: WrapUpView | null;
}
export type OfferGone = "caller_hung_up" | "answered_elsewhere" | "no_answer" | "declined" | "phone_busy" | "phone_failed";
export interface BoardAgent { agent: Id; name: string; /** The call they are in. */ interaction: Id | null; state: AgentState; reason: string | null; since: UnixMs; phone_registered: boolean }
export interface WaitingCaller { interaction: Id; name: string | null; number: string | null; queue: string; since: UnixMs; position: number; /** by half minutes; null while an agent is asked, and where nobody is there */ estimate_ms: number | null; offered_to: string | null }
/** `callers` names the first 50; the figures count all. */
export interface Board { waiting: number; longest_since: UnixMs | null; callers: WaitingCaller[]; calls: number; agents: BoardAgent[]; alarms: string[] }
/** One queue now and today. */
export interface QueueView {
  queue: string; waiting: number; longest_since: UnixMs | null; /** what one more caller would wait while others do */ estimate_ms: number | null; offered: number; answered: number; answered_in_time: number; abandoned: number; abandoned_short: number;
  turned_away: number; longest_ms: number; average_answer_ms: number | null; service_level: number | null; target: number; within_s: number;
}

export type LiveMessage =
  | { type: "hello"; epoch: number; cursor: number; now?: UnixMs; me: Me }
  | { type: "ping"; now: UnixMs }
  | ({ type: "agent" } & AgentView)
  | { type: "offer_gone"; agent: Id; offer: Id; why: OfferGone; by: string | null }
  | ({ type: "board" } & Board)
  | { type: "queues"; queues: QueueView[] }
  | { type: "changed"; changes: { interaction: Id; customer: Id | null }[] }
  | ({ type: "words" } & LiveWords);

/** Words of a call in progress; one with the leg and beginning of an earlier one takes its place. */
export interface LiveWords { interaction: Id; lag_ms: number; utterances: LiveUtterance[] }
export interface LiveUtterance { leg: Id; party: Party; from_ms: number; to_ms: number; confidence: number; /** "later": nobody had time */ rejected: string | null; partial: boolean; words: Word[] }
/** What was heard so far; `trouble` says why there are no words at all. */
export interface LiveSnapshot { utterances: LiveUtterance[]; lag_ms: number; trouble?: string | null }

export type DeskMessage =
  | { type: "ack"; offer: Id; level: "rendered" | "delivered" }
  | { type: "set_state"; state: "ready" | "not_ready" | "offline"; reason: string | null }
  | { type: "decline"; offer: Id }
  | { type: "hang_up"; interaction: Id }
  | { type: "finish_wrap_up"; interaction: Id }
  | { type: "extend_wrap_up"; interaction: Id }
  | { type: "watch_words"; interaction: Id };

export interface Disposition { id: string; label: string; contact: boolean }
export interface SuggestedDisposition { id: string; label: string }
/** A promise of ours that was heard and is not a task yet. */
export interface SuggestedPromise { finding: Id; text: string; due: UnixMs | null }
export interface Note { note: Id; text: string; by: string; at: UnixMs }
export interface TicketRef { ticket: Id; subject: string }
export interface Ticket { ticket: Id; subject: string; state: "open_us" | "open_customer" | "solved"; since: UnixMs; contacts: number }
export interface IdentityRow { identity: Id; kind: "phone" | "email" | "whatsapp" | "chat" | "social" | "web"; value: string; since: UnixMs | null; until: UnixMs | null }

export type WorkItemKind = "call" | "message" | "callback" | "missed_call" | "promise" | "follow_up" | "not_wrapped_up";
export interface WorkItem {
  work_item: Id; kind: WorkItemKind; state: "waiting" | "offered" | "accepted" | "done"; title: string; customer: Who | null; number: string | null;
  channel: Channel; interaction: Id | null; queue: string | null; priority: number; due: UnixMs | null; opened_at: UnixMs; owner: string | null; why_closed: string | null;
  /** How long the caller of a missed call waited. */
  waited_ms: number | null;
}

export interface CustomerPage { customer: Who; identities: IdentityRow[]; tickets: Ticket[]; promises: WorkItem[]; notes: Note[] }

export type CardLabel = "reason" | "details" | "done" | "agreed" | "open" | "outcome";
export interface Evidence { party: Party; from_ms: number; to_ms: number }
export type FindingStatus = "proposed" | "confirmed" | "edited" | "rejected";
/** `proposed`: what was read out first, where somebody edited it; `judged_…`: who spoke on it last. */
export interface CardLine { finding: Id; label: CardLabel; text: string; evidence: Evidence[]; status: FindingStatus; proposed: string | null; judged_by: string | null; judged_at: UnixMs | null }
export type CardOutcome = "solved" | "not_solved" | "unclear";
/** `method`: "card-rules 2", or "card-model" and the language model's name. */
export interface Card { title: string; outcome: CardOutcome; method: string; lines: CardLine[] }

export type TranscriptState = "none" | "pending" | "done" | "failed";
export interface TimelineEntry {
  interaction: Id; channel: Channel; direction: Direction; at: UnixMs; ended_at: UnixMs | null; title: string; outcome: string | null; agent: string | null;
  ticket: TicketRef | null; body: string | null; card: Card | null; sentiment: number | null; recorded: boolean; transcript: TranscriptState;
  duration_ms: number | null; disposition: string | null; notes: Note[];
}
export interface TimelinePage { entries: TimelineEntry[]; next: string | null }

export interface CallRow {
  interaction: Id; at: UnixMs; direction: Direction; customer: string | null; number: string | null; agent: string | null; queue: string | null; waited_ms: number | null;
  talked_ms: number | null; /** `cause`: null while it is on */ outcome: "answered" | "missed" | "abandoned" | "waiting"; disposition: string | null; title: string | null; sentiment: number | null;
  recorded: boolean; coverage: number | null; cause: string | null; poor_ms: number;
  /** Where the words that were looked for were said first. */
  said: { party: Party; from_ms: number; text: string } | null;
}
export interface CallsPage { calls: CallRow[]; next: string | null }

export interface Word { text: string; from_ms: number; to_ms: number; confidence: number }
/** Words that moved a mood, by their time; `weight` −100…100. "repeated", "problem": the sentence as a whole. */
export interface Fired { from_ms: number; to_ms: number; text: string; weight: number; by: "words" | "repeated" | "problem" }
export interface Utterance {
  leg: Id; party: Party; from_ms: number; to_ms: number; confidence: number; rejected: string | null; sentiment: number | null; fired: Fired[]; words: Word[];
}
export interface Leg { leg: Id; party: Party; agent: string | null; from_ms: number; to_ms: number | null; cause: string | null; totals: LegTotals | null }
export interface LegTotals { received: number; sent: number; lost: number; dropped: number; jitter_us: number; tap_dropped: number }
export type SegmentKind = "ivr" | "queue" | "ring" | "talk" | "hold" | "consult" | "park" | "listen" | "whisper" | "barge" | "voicemail" | "wrap_up";
export interface Segment { leg: Id | null; agent: string | null; kind: SegmentKind; from_ms: number; to_ms: number | null; position: number | null }
/** Something of ours that a party heard. */
export interface Sound { leg: Id; kind: "announcement" | "place" | "music" | "closing"; clip: string; from_ms: number; to_ms: number | null }
export interface OfferRow { agent: string; at_ms: number; acked_ms: number | null; rang_ms: number | null; lead_ms: number | null; outcome: string | null }
/** Every 5 s of a leg: what came from it and, in `there_…`, what it said of what we sent. */
export interface SoundSample {
  from_ms: number; to_ms: number; lost_permille: number; jitter_us: number; round_trip_us: number | null; silent_ms: number; mos_x100: number | null;
  there_lost_permille: number | null; there_mos_x100: number | null; there_deaf: boolean;
}
export interface LegSound { leg: Id; party: Party; samples: SoundSample[] }
export interface SoundSpan { party: Party; kind: "hard_to_hear" | "not_heard" | "hears_badly" | "hears_nothing"; from_ms: number; to_ms: number; text: string }
export interface CallSound { spans: SoundSpan[]; legs: LegSound[] }
export interface Gap { party: Party; kind: "lost" | "paused" | "redacted"; from_ms: number; to_ms: number }

/** One revision of the words, corrections in their places. */
export interface Transcript {
  state: TranscriptState; trouble: string | null; model: string | null; language: string | null; revision: number | null; kind: "live" | "final" | null; at: UnixMs | null;
  coverage: { customer: number | null; agent: number | null }; legs: LegShares[]; utterances: Utterance[]; corrections: Correction[]; revisions: Revision[]; redo: Redo | null;
}
/** Percent of what was voiced or lost. */
export interface LegShares { leg: Id; party: Party; understood: number; not_understood: number; lost: number; waiting: number; /** like a voice, in no utterance */ doubtful_ms: number; /** where: the first 100 */ doubtful: { from_ms: number; to_ms: number }[]; /** how many more places */ doubtful_more: number }
export interface Revision { revision: number; kind: "live" | "final"; model: string; at: UnixMs }
/** A transcription that was asked for while there are words. */
export interface Redo { state: "waiting" | "running" | "failed"; model: string | null; trouble: string | null }
export interface Correction { correction: Id; leg: Id; from_ms: number; to_ms: number; before: string; after: string; by: string; at: UnixMs; state: "stands" | "taken_back" | "no_longer_fits" }
export interface SpeechModels { models: { name: string; usual: boolean }[]; trouble: string | null }

export interface InteractionPage {
  interaction: Id; channel: Channel; direction: Direction; at: UnixMs; ended_at: UnixMs | null; duration_ms: number | null; state: "open" | "ended" | "closed";
  customer: Who | null; number: string | null; called: string | null; queue: string | null; cause: string | null; disposition: string | null; title: string | null;
  legs: Leg[]; segments: Segment[]; sounds: Sound[]; offers: OfferRow[];
  recording: { state: "none" | "open" | "ready" | "trouble"; trouble: string | null; duration_ms: number | null; gaps: Gap[] };
  quality: CallSound;
  transcript: Transcript;
  card: Card | null; card_trouble: string | null;
  sentiment: { overall: number | null; trend: [number, number] | null; confidence: number; why: string[]; enough: boolean } | null;
  notes: Note[]; ticket: (TicketRef & { why: string | null }) | null; draft: { text: string; version: number } | null;
  promises: WorkItem[]; suggested_promises: SuggestedPromise[]; suggested_dispositions: SuggestedDisposition[];
}

/** Pairs of [lowest, highest] sample per bucket, −128…127. */
export interface Peaks { bucket_ms: number; duration_ms: number; customer: [number, number][]; agent: [number, number][] }
