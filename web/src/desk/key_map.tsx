// The map of keys, on `?`.
import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { X } from "../ui/icons.tsx";

export const keyMapOpen = signal(false);

const KEYS: [string, [string, string][]][] = [
  ["Call", [
    ["Answer", "at your phone (F2 reminds)"], ["Decline", "Shift F2"], ["Hang up", "Shift F9"], ["Hold, mute", "at your phone"],
    ["Several customers", "1 2 3, 0 none"],
  ]],
  ["Wrap-up", [["Suggested dispositions", "1 2 3"], ["A promise more", "P"], ["Finish", "Ctrl Enter"], ["Note, or the caller's name", "N"], ["Leave a field, go back", "Esc"]]],
  ["Move", [["Next, previous contact", "J K"], ["Open", "Enter"], ["Go to work, customer, live", "G then W C L"], ["Board, calls (supervisor)", "G then S, G then A"], ["This map", "?"]]],
  ["Words and card", [["Put the chosen word right", "E, or double-click"], ["Save, leave", "Enter, Esc"], ["Line of the card: right, edit, strike out", "Y E X"]]],
  ["Player", [
    ["Play, pause", "Space"], ["Back, on 5 s", "J L"], ["Back, on 2 s", "← →"], ["Turn before, after", "Shift ← →"], ["Slower, faster", ", ."],
    ["Customer, agent, both", "1 2 0"], ["Link to this second", "Enter"], ["Next, previous place found", "N P"],
  ]],
];

export function KeyMap() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = keyMapOpen.value;
  // Before the browser takes its next turn: between our wish and its showing, the end of the closing before must not come in.
  useLayoutEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open && dialog.current?.open) dialog.current.close();
  }, [open]);
  return (
    <dialog
      ref={dialog} class="key-map" aria-label="Keys"
      onCancel={(event) => { event.preventDefault(); keyMapOpen.value = false; }}
      onClose={() => { if (!dialog.current?.open) keyMapOpen.value = false; }}
      onKeyDown={(event) => { if (event.key !== "?") return; event.preventDefault(); keyMapOpen.value = false; }}
    >
      <div class="line"><h2>Keys</h2><span class="grow" /><button type="button" class="btn quiet icon" aria-label="Close" onClick={() => (keyMapOpen.value = false)}><X size={16} aria-hidden="true" /></button></div>
      <div class="key-groups">
        {KEYS.map(([group, rows]) => (
          <section key={group}>
            <h3 class="sec">{group}</h3>
            <dl>{rows.map(([what, keys]) => <div key={what}><dt>{what}</dt><dd>{keys}</dd></div>)}</dl>
          </section>
        ))}
      </div>
    </dialog>
  );
}
