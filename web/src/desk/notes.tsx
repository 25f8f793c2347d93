// The note of a call: kept as it is typed, here and on the server; a conflict shows both.
import { useEffect, useRef } from "preact/hooks";
import { draftOf, type DraftStatus } from "../state/draft.ts";
import { useKeys } from "../state/keys.ts";
import { Kbd } from "../ui/bits.tsx";
import type { Id, InteractionPage } from "../types.ts";

const STATUS: Record<DraftStatus, string> = { empty: "", typing: "typing…", local: "kept here", saved: "saved", conflict: "two versions" };

export function Notes({ interaction, page, yieldN }: { interaction: Id; page: InteractionPage | null; yieldN: boolean }) {
  const draft = draftOf(interaction);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => { if (page) draft.fromServer(page.draft); }, [page]);
  useKeys({
    n: () => {
      if (yieldN) return false;
      field.current?.focus();
      return true;
    },
    escape: () => {
      if (document.activeElement instanceof HTMLElement && document.activeElement.matches("input, textarea, select")) document.activeElement.blur();
      else return false;
      return true;
    },
  });
  return (
    <div class="notes">
      <label class="sec" for="note"><span>Notes <Kbd>N</Kbd></span><span aria-live="polite" class="note-status">{STATUS[draft.status.value]}</span></label>
      <textarea
        id="note" ref={field} value={draft.text.value} rows={3} maxLength={8000} placeholder="What the next colleague should know"
        onInput={(event) => draft.type(event.currentTarget.value)}
      />
      {draft.other.value !== null && (
        <div class="conflict" role="alert">
          <b>Somebody changed this note meanwhile:</b>
          <p>{draft.other.value}</p>
          <div class="line">
            <button type="button" class="btn small" onClick={() => draft.resolve(`${draft.text.value}\n\n${draft.other.value ?? ""}`)}>Keep both</button>
            <button type="button" class="btn small" onClick={() => draft.resolve(draft.text.value)}>Keep mine</button>
            <button type="button" class="btn small" onClick={() => draft.resolve(draft.other.value ?? "")}>Take theirs</button>
          </div>
        </div>
      )}
    </div>
  );
}
