// One clock for all timers on the page: ticks once a second, on the server's time.
import { signal } from "@preact/signals";

let offsetMs = 0;

/** The server's time now, as far as its last message told. */
export function serverNow(): number {
  return Date.now() + offsetMs;
}

/** Ticks once a second. */
export const now = signal(serverNow());

/** Takes the server's clock from a message; the way here is shorter than what a timer shows. */
export function setServerNow(at: number): void {
  offsetMs = at - Date.now();
  now.value = serverNow();
}

export function startClock(): void {
  setInterval(() => {
    now.value = serverNow();
  }, 1000);
}
