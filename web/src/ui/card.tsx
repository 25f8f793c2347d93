// The card's lines, to be confirmed, put right or struck out: by button, or by Y, E and X on the line that has the focus.
import { Fragment } from "preact";
import { useState } from "preact/hooks";
import { api } from "../net/api.ts";
import { now } from "../state/clock.ts";
import { hint } from "../state/hint.ts";
import { reloadInteraction } from "../state/record.ts";
import type { Card, CardLine, FindingStatus, Id } from "../types.ts";
import { difference } from "../words/difference.ts";
import { dateTime } from "../words/format.ts";
import { CARD, OUTCOME } from "../words/labels.ts";
import { Check, Pencil, RotateCcw, X } from "./icons.tsx";
import { PlayEvidence } from "./bits.tsx";

async function judge(interaction: Id, line: CardLine, status: FindingStatus, text?: string): Promise<boolean> {
  try {
    await api.judge(line.finding, status, text);
    reloadInteraction(interaction);
    return true;
  } catch (error) {
    hint(error instanceof Error ? error.message : "Not saved.");
    return false;
  }
}

export function JudgedCard({ card, interaction, mayJudge }: { card: Card; interaction: Id; mayJudge: boolean }) {
  return <dl class="card-lines judged">{card.lines.map((line) => <Line key={line.finding} line={line} card={card} interaction={interaction} mayJudge={mayJudge} />)}</dl>;
}

/** What a line says; the outcome with how it ended before the words from which that was read. */
export function LineText({ card, line }: { card: Card; line: CardLine }) {
  return line.label === "outcome" && line.status !== "edited" ? <><b>{OUTCOME[card.outcome]}</b>: “{line.text}”</> : <>{line.text}</>;
}

function Line({ card, line, interaction, mayJudge }: { card: Card; line: CardLine; interaction: Id; mayJudge: boolean }) {
  const [text, setText] = useState<string | null>(null);
  const act = (status: FindingStatus) => void judge(interaction, line, status);
  const onKeyDown = (event: KeyboardEvent) => {
    if (!mayJudge || event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "y") act("confirmed");
    else if (key === "e") setText(line.text);
    else if (key === "x") act(line.status === "rejected" ? "proposed" : "rejected");
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const label = CARD[line.label];
  return (
    <div class={line.status} tabIndex={mayJudge ? 0 : undefined} onKeyDown={onKeyDown}>
      <dt>{label}</dt>
      <dd>
        {text === null ? <span class="line-text"><LineText card={card} line={line} /> </span> : <LineInput label={label} text={text} setText={setText} save={(next) => void judge(interaction, line, "edited", next).then((done) => { if (done) setText(null); })} />}
        <PlayEvidence interaction={interaction} evidence={line.evidence} />
        {line.status === "confirmed" && <span class="judged-mark"><Check size={12} aria-hidden="true" />confirmed</span>}
        {line.status === "edited" && <span class="judged-mark"><Pencil size={11} aria-hidden="true" />edited</span>}
        {line.status !== "proposed" && line.judged_by && <span class="judged-who muted"> {line.status === "rejected" ? "struck out by" : "by"} {line.judged_by}{line.judged_at !== null && `, ${dateTime(line.judged_at, now.peek())}`}</span>}
        {mayJudge && text === null && (
          <span class="judge" role="group" aria-label={`${label}: right or wrong`}>
            {line.status === "proposed" && <button type="button" aria-label={`Confirm ${label} (Y)`} title="Confirm: Y" onClick={() => act("confirmed")}><Check size={13} aria-hidden="true" /></button>}
            {line.status !== "rejected" && <button type="button" aria-label={`Edit ${label} (E)`} title="Edit: E" onClick={() => setText(line.text)}><Pencil size={12} aria-hidden="true" /></button>}
            {line.status === "proposed" && <button type="button" aria-label={`Strike ${label} out (X)`} title="Strike out: X" onClick={() => act("rejected")}><X size={13} aria-hidden="true" /></button>}
            {line.status !== "proposed" && <button type="button" aria-label={`Put ${label} back`} title="As it was read out" onClick={() => act("proposed")}><RotateCcw size={12} aria-hidden="true" /></button>}
          </span>
        )}
        {line.status === "edited" && line.proposed !== null && text === null && <Change from={line.proposed} to={line.text} />}
      </dd>
    </div>
  );
}

/** What an edit took out and put in. */
function Change({ from, to }: { from: string; to: string }) {
  return (
    <span class="change muted">
      {difference(from, to).map((part, index) => (
        <Fragment key={index}>{index > 0 && " "}{part.kind === "out" ? <del>{part.text}</del> : part.kind === "in" ? <ins>{part.text}</ins> : part.text}</Fragment>
      ))}
    </span>
  );
}

function LineInput({ label, text, setText, save }: { label: string; text: string; setText: (text: string | null) => void; save: (text: string) => void }) {
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "Enter") { if (text.trim() !== "") save(text.trim()); } else if (event.key === "Escape") setText(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return <textarea class="line-input" rows={2} aria-label={`${label}. Enter saves, Escape leaves.`} value={text} maxLength={2000} ref={(field) => { if (field && document.activeElement !== field) { field.focus(); field.select(); } }} onInput={(event) => setText(event.currentTarget.value)} onKeyDown={onKeyDown} />;
}
