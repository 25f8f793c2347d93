// One short sentence at the foot of the page, for a moment.
import { signal } from "@preact/signals";

const SHOWN_MS = 4000;
export const hintText = signal<string | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;

export function hint(text: string): void {
  hintText.value = text;
  clearTimeout(timer);
  timer = setTimeout(() => (hintText.value = null), SHOWN_MS);
}
