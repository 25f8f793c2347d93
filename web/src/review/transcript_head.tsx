// Above the words of a call: which revision is read, and having it transcribed again.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api } from "../net/api.ts";
import { now } from "../state/clock.ts";
import { hint } from "../state/hint.ts";
import { reloadInteraction } from "../state/record.ts";
import { isSupervisor } from "../state/session.ts";
import type { InteractionPage, Redo, SpeechModels, Transcript } from "../types.ts";
import { Menu, Tag } from "../ui/bits.tsx";
import { dateTime } from "../words/format.ts";

interface Props { page: InteractionPage; shown: Transcript; choose: (revision: number | null) => void; note: ComponentChildren }

export function TranscriptHead({ page, shown, choose, note }: Props) {
  const { transcript } = page;
  const playable = page.recording.state === "ready" || page.recording.state === "trouble";
  return (
    <div class="transcript-head">
      {transcript.revisions.length > 1 ? (
        <select class="compact" aria-label="Revision of the words" value={String(shown.revision)} onChange={(event) => { const revision = Number(event.currentTarget.value); choose(revision === transcript.revision ? null : revision); }}>
          {[...transcript.revisions].reverse().map((one) => (
            <option key={one.revision} value={String(one.revision)}>Revision {one.revision}{one.revision === transcript.revision ? ", newest" : ""} · {one.model} · {one.kind === "live" ? "live" : dateTime(one.at, now.peek())}</option>
          ))}
        </select>
      ) : transcript.model && <span class="muted one">{transcript.model}</span>}
      {note}
      <span class="grow" />
      {transcript.redo && <RedoState redo={transcript.redo} />}
      {isSupervisor() && playable && transcript.state !== "pending" && (transcript.redo === null || transcript.redo.state === "failed") && <Again page={page} />}
    </div>
  );
}

function RedoState({ redo }: { redo: Redo }) {
  const by = redo.model ? ` by ${redo.model}` : "";
  switch (redo.state) {
    case "waiting": return <Tag tone="accent" {...(redo.trouble ? { title: redo.trouble } : {})}>waits to be transcribed{by}</Tag>;
    case "running": return <Tag tone="accent">is being transcribed{by}…</Tag>;
    case "failed": return <span class="redo-failed bad-text">Not transcribed{by}: {redo.trouble ?? "it failed three times."}</span>;
  }
}

function Again({ page }: { page: InteractionPage }) {
  const [models, setModels] = useState<SpeechModels | null>(null);
  useEffect(() => { api.speechModels().then(setModels, () => setModels(null)); }, []);
  const ask = (model: string) => {
    api.transcribeAgain(page.interaction, model).catch((error: unknown) => hint(error instanceof Error ? error.message : "Not asked for.")).finally(() => reloadInteraction(page.interaction));
  };
  if (models === null) return null;
  if (models.models.length === 0) return <span class="muted">{models.trouble}</span>;
  return (
    <Menu label="Transcribe again with" kind="btn small" items={models.models.map((model) => ({ label: model.name, ...(model.usual ? { detail: "the usual one" } : {}), pick: () => ask(model.name) }))}>
      <span aria-hidden="true">Transcribe again</span>
    </Menu>
  );
}
