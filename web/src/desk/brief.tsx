// The brief: who, why, what we owe. The same height in every state; lines fill in place; at most one red item.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../net/api.ts";
import { now } from "../state/clock.ts";
import { showBrief, view } from "../state/desk.ts";
import { hint } from "../state/hint.ts";
import { useKeys } from "../state/keys.ts";
import { ActionButton, Facts, Kbd, MoodBars, Tag, Timer } from "../ui/bits.tsx";
import { CHANNEL_ICON } from "../ui/icons.tsx";
import type { Brief, CallView, Candidate, Chip, Id, LastContact } from "../types.ts";
import { ago, count, country, initials, language, phone } from "../words/format.ts";
import { callerName, plain } from "../words/labels.ts";
import { aboutOpen, jumpTo } from "./timeline.tsx";

/** Where the brief comes from decides which of its keys work. */
export type Stage = "offer" | "call" | "wrap_up" | "item";

export function BriefPanel({ brief, interaction, stage }: { brief: Brief; interaction: Id | null; stage: Stage }) {
  return (
    <section class={`brief ${brief.matched}`} aria-label="Who is calling and why">
      <WhoLine brief={brief} />
      {brief.matched === "several" && interaction !== null
        ? <Several brief={brief} interaction={interaction} stage={stage} />
        : (
          <div class="brief-card">
            <div class="why">
              {brief.matched === "known" ? <Reasons brief={brief} label={stage === "item" ? "To do" : "Probably about"} /> : brief.matched === "late" ? <Late /> : brief.matched === "withheld" ? <Withheld />
                : <Unknown brief={brief} interaction={interaction} />}
            </div>
            <Chips chips={brief.chips} late={brief.matched === "late"} known={brief.matched === "known"} />
            <div class="brief-foot">
              <LastContacts contacts={brief.last_contacts} late={brief.matched === "late"} first={brief.matched !== "late" && brief.last_contacts.length === 0} />
              <Edge brief={brief} stage={stage} />
            </div>
          </div>
        )}
    </section>
  );
}

function WhoLine({ brief }: { brief: Brief }) {
  const who = brief.customer;
  const name = callerName(brief);
  return (
    <div class="who">
      <div class="avatar" aria-hidden="true">{who ? initials(who.name) : brief.matched === "several" ? String(brief.candidates.length) : "?"}</div>
      <div class="who-text">
        <div class="line">
          <h1 class="one" dir="auto">{name}</h1>
          {who?.vip && <Tag tone="accent">VIP</Tag>}
          {who?.language && <Tag>{language(who.language)}</Tag>}
        </div>
        <div class="one muted"><WhoFacts brief={brief} /></div>
      </div>
      {who && (
        <button type="button" class="btn small" aria-expanded={aboutOpen.value === who.customer} onClick={() => (aboutOpen.value = aboutOpen.value === who.customer ? null : who.customer)}>
          Details
        </button>
      )}
    </div>
  );
}

function WhoFacts({ brief }: { brief: Brief }) {
  const facts: string[] = [];
  if (brief.customer?.organisation) facts.push(brief.customer.organisation);
  if (brief.number && callerName(brief) !== phone(brief.number)) facts.push(phone(brief.number));
  if (brief.country && brief.matched !== "known") facts.push(country(brief.country));
  if (brief.matched === "known" && brief.number) facts.push("matched by this number");
  if (brief.matched === "several") facts.push(brief.display_name ? `calls itself “${brief.display_name}”` : "a shared number");
  if (brief.matched === "unknown") facts.push(brief.display_name ? "name as sent by the caller's phone, not checked" : "nobody in the record has this number");
  if (brief.matched === "withheld") facts.push("nothing is matched and nobody is created");
  if (brief.customer?.since) facts.push(`since ${new Date(brief.customer.since).getFullYear()}`);
  return <Facts of={facts} />;
}

function Reasons({ brief, label }: { brief: Brief; label: string }) {
  const [first, second] = brief.reasons;
  if (!first) return <><span class="label">{label}</span><div class="big">No open ticket</div></>;
  return (
    <>
      <span class="label">{label}</span>
      {second ? [first, second].map((reason) => <div class="two" key={reason.text}><b>{reason.text}</b> <span class="muted">{reason.because}</span></div>)
        : <><div class="big">{first.text}</div><div class="one muted">because: {first.because}</div></>}
    </>
  );
}

function Late() {
  return <><span class="label">Looking up…</span><div class="bar wide" /><div class="bar" /></>;
}

function Withheld() {
  return <><span class="label">Probably about</span><div class="big">Ask for the name</div><div class="muted">The caller withheld the number. A note here stays with this call.</div></>;
}

function Unknown({ brief, interaction }: { brief: Brief; interaction: Id | null }) {
  const field = useRef<HTMLInputElement>(null);
  const [name, setName] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  useKeys({ n: () => { if (!field.current) return false; field.current.focus(); return true; } });
  const save = async () => {
    const value = name.trim();
    if (value === "" || interaction === null) return;
    try {
      showBrief(interaction, await api.chooseCustomer(interaction, { name: value }));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : "Not saved.");
    }
  };
  return (
    <>
      <span class="label">{brief.last_contacts.length > 0 ? "Has contacted us before, nobody asked the name" : "Not in the record: ask for the name"}</span>
      <div class="name-row">
        <label class="field"><span class="sr">Name of the caller</span>
          <input
            ref={field} value={name} placeholder="Name of the caller" autocomplete="off" maxLength={120} disabled={interaction === null}
            onInput={(event) => setName(event.currentTarget.value)}
            onKeyDown={(event) => { if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); void save(); } }}
          /><Kbd>N</Kbd>
        </label>
        <ActionButton action={save} disabled={name.trim() === ""}>Save name</ActionButton>
      </div>
      {problem && <div class="bad-text" role="alert">{problem}</div>}
    </>
  );
}

function Several({ brief, interaction, stage }: { brief: Brief; interaction: Id; stage: Stage }) {
  const choose = async (customer: Id | null) => {
    try {
      showBrief(interaction, await api.chooseCustomer(interaction, { customer }));
    } catch (error) {
      hint(error instanceof Error ? error.message : "The choice was not saved.");
    }
  };
  const pick = (index: number) => () => {
    const candidate = brief.candidates[index];
    // In wrap-up the digits are the dispositions'.
    if (!candidate || stage === "wrap_up") return false;
    void choose(candidate.who.customer);
    return true;
  };
  useKeys({ "1": pick(0), "2": pick(1), "3": pick(2), "0": () => { if (stage === "wrap_up") return false; void choose(null); return true; } });
  const keys = stage !== "wrap_up";
  return (
    <div class="brief-card several">
      {brief.candidates.slice(0, 3).map((candidate, index) => (
        <CandidateRow key={candidate.who.customer} candidate={candidate} digit={keys ? String(index + 1) : null} choose={() => void choose(candidate.who.customer)} />
      ))}
      <div class="line none-of-these">
        <span class="muted">Ask who is calling. Answering needs no choice.</span><span class="grow" />
        <button type="button" class="btn small" onClick={() => void choose(null)}>None of these {keys && <Kbd>0</Kbd>}</button>
      </div>
    </div>
  );
}

function CandidateRow({ candidate, digit, choose }: { candidate: Candidate; digit: string | null; choose: () => void }) {
  const { who, reason, last_contact_at } = candidate;
  return (
    <button type="button" class="candidate" onClick={choose}>
      {digit ? <kbd>{digit}</kbd> : <span />}
      <span class="row-text">
        <span class="one"><b>{who.name}</b>{who.vip && <> <Tag tone="accent">VIP</Tag></>}{who.organisation && <span class="muted"> · <bdi>{who.organisation}</bdi></span>}</span>
        <span class="one muted">{reason ? reason.text : "No open ticket"}</span>
      </span>
      <span class="muted num">{last_contact_at === null ? "no contact" : ago(last_contact_at, now.value)}</span>
    </button>
  );
}

function Chips({ chips, late, known }: { chips: Chip[]; late: boolean; known: boolean }) {
  const tone = { overdue_promise: "bad", open_tickets: "", unanswered_message: "warn" } as const;
  const red = chips.findIndex((chip) => chip.kind === "overdue_promise");
  return (
    <div class="chips">
      {late ? <div class="bar" /> : chips.slice(0, 3).map((chip, index) => (
        <Tag key={chip.kind + chip.text} tone={chip.kind === "overdue_promise" && index !== red ? "warn" : tone[chip.kind]}>{chip.text}</Tag>
      ))}
      {known && chips.length === 0 && <span class="muted">We owe nothing</span>}
    </div>
  );
}

function LastContacts({ contacts, late, first }: { contacts: LastContact[]; late: boolean; first: boolean }) {
  return (
    <ul class="last-contacts" aria-label="Last contacts">
      {late && [0, 1, 2].map((index) => <li key={index}><div class="bar" /></li>)}
      {first && <li class="muted">No contact before</li>}
      {contacts.slice(0, 3).map((contact) => {
        const Icon = CHANNEL_ICON[contact.channel];
        return (
          <li key={contact.interaction}>
            <button type="button" onClick={() => jumpTo(contact.interaction)}>
              <Icon size={13} aria-hidden="true" />
              <span class="muted num when">{ago(contact.at, now.value)}</span>
              <span class="one" dir="auto">{contact.title}</span>
              {contact.outcome && <span class="muted one outcome">{plain(contact.outcome)}</span>}
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function Edge({ brief, stage }: { brief: Brief; stage: Stage }) {
  const { call, wrap_up } = view.value ?? {};
  const fromUs = (call ?? wrap_up)?.direction === "outbound";
  return (
    <dl class="edge">
      {stage !== "item" && <EdgeFact label={stage === "offer" ? "Waited so far" : fromUs ? "Rang" : "Waited"}><Waited stage={stage} /></EdgeFact>}
      <EdgeFact label="Last 30 days">{brief.matched === "late" ? "–" : <b class="num">{count(brief.contacts_30_days, "contact")}</b>}</EdgeFact>
      <EdgeFact label="Mood">{brief.matched === "late" ? "–" : <MoodBars values={brief.sentiment} />}</EdgeFact>
    </dl>
  );
}

function EdgeFact({ label, children }: { label: string; children: ComponentChildren }) {
  return <div><dt>{label}</dt><dd>{children}</dd></div>;
}

/** From the first ring to the answer; unknown while it rings outside. */
function waitedMs(call: CallView): number | null {
  return call.answered_at === null ? null : call.answered_at - call.started_at;
}

/** How long the caller waited, kept after the offer's view is gone. */
function Waited({ stage }: { stage: Stage }) {
  const kept = useRef<number | null>(null);
  const { offer, call } = view.value ?? {};
  useEffect(() => {
    if (call) kept.current = waitedMs(call);
  }, [call?.interaction, call?.answered_at]);
  if (stage === "offer" && offer) return <b><Timer since={offer.at - offer.waited_ms} /></b>;
  const ms = call ? waitedMs(call) : kept.current;
  return <b class="num">{ms === null || stage === "item" ? "–" : `${Math.max(0, Math.round(ms / 1000))} s`}</b>;
}
