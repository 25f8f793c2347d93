// What the record holds about a customer beside the contacts: tickets, promises, addresses, notes.
import { now } from "../state/clock.ts";
import { customerOf } from "../state/record.ts";
import { Problem, Skeleton, Tag } from "../ui/bits.tsx";
import type { CustomerPage, Id } from "../types.ts";
import { ago, count, date, due, phone } from "../words/format.ts";

export function About({ customer, close }: { customer: Id; close: () => void }) {
  const page = customerOf(customer).value;
  return (
    <div class="about scroll" tabIndex={0} role="group" aria-label="Details">
      {page.kind === "loading" && <Skeleton lines={5} />}
      {page.kind === "error" && <Problem>{page.why}</Problem>}
      {page.kind === "ready" && <Details page={page.value} />}
      <button type="button" class="link" onClick={close}>Back to the timeline</button>
    </div>
  );
}

const TICKET = { open_us: "waiting for us", open_customer: "waiting for the customer", solved: "solved" } as const;

function Details({ page }: { page: CustomerPage }) {
  return (
    <>
      <h3 class="sec">Tickets</h3>
      {page.tickets.length === 0 && <p class="muted">No ticket</p>}
      <ul class="about-list">
        {page.tickets.map((ticket) => (
          <li key={ticket.ticket}>
            <b class="one">{ticket.subject}</b><span class="grow" />
            <span class="muted num">{count(ticket.contacts, "contact")} · since {date(ticket.since, now.value)}</span>
            <Tag tone={ticket.state === "open_us" ? "warn" : ticket.state === "solved" ? "ok" : ""}>{TICKET[ticket.state]}</Tag>
          </li>
        ))}
      </ul>
      {page.promises.length > 0 && <h3 class="sec">Promises</h3>}
      <ul class="about-list">
        {page.promises.map((item) => {
          const when = item.due === null ? null : due(item.due, now.value);
          return <li key={item.work_item}><b class="one">{item.title}</b><span class="grow" />{item.owner && <span class="muted">{item.owner}</span>}{when && <Tag tone={when.urgency === "late" ? "bad" : ""}>{when.text}</Tag>}</li>;
        })}
      </ul>
      <h3 class="sec">Reached by</h3>
      <ul class="about-list">
        {page.identities.map((identity) => (
          <li key={identity.identity}><span class="muted kind">{identity.kind}</span><span class="one">{identity.kind === "phone" ? phone(identity.value) : identity.value}</span><span class="grow" />{identity.until !== null && <span class="muted">until {date(identity.until, now.value)}</span>}</li>
        ))}
      </ul>
      {page.notes.length > 0 && <h3 class="sec">Notes</h3>}
      {page.notes.map((note) => <p key={note.note} class="note"><b>{note.by}</b> <span class="muted">{ago(note.at, now.value)}</span> {note.text}</p>)}
    </>
  );
}
