// When a list is read again that many changes may touch: soon for what is the reader's own, seldom for everybody else's. Pure but
// for the clock that it is given.

export interface Ticks { now(): number; set(run: () => void, ms: number): unknown; clear(timer: unknown): void; /** 0 to 1 */ random(): number }

const TIMERS: Ticks = { now: () => performance.now(), set: (run, ms) => setTimeout(run, ms), clear: (timer) => clearTimeout(timer as number), random: () => Math.random() };

/** Own changes that belong together arrive within this. */
const OWN_MS = 100;
/** Between two readings for own changes. */
const OWN_APART_MS = 250;
/** Between two readings for the changes of others: at first, and where they don't stop. */
const OTHERS_APART_MS = 1000;
const OTHERS_APART_MAX_MS = 8000;
/** So much of a wait is chance: a whole floor hears of a change in the same instant and must not ask in the same instant. */
const SPREAD = 0.5;

export class Refresher {
  readonly #read: () => Promise<unknown>;
  readonly #ticks: Ticks;
  #timer: unknown = null;
  #due = 0;
  #reading = false;
  #asked: "own" | "others" | null = null;
  #lastAt = Number.NEGATIVE_INFINITY;
  #apart = OTHERS_APART_MS;

  constructor(read: () => Promise<unknown>, ticks: Ticks = TIMERS) {
    this.#read = read;
    this.#ticks = ticks;
  }

  /** Something of the reader's own changed. */
  own(): void {
    this.#ask("own");
  }

  /** Something changed that may stand in the list and mostly does not. */
  others(): void {
    this.#ask("others");
  }

  /** Reads without waiting. */
  now(): void {
    this.#schedule(0);
  }

  #ask(whose: "own" | "others"): void {
    if (this.#reading) {
      if (this.#asked !== "own") this.#asked = whose;
      return;
    }
    const now = this.#ticks.now();
    if (whose === "own") return this.#schedule(Math.max(OWN_MS, this.#lastAt + OWN_APART_MS - now));
    if (this.#timer !== null) return;
    const since = now - this.#lastAt;
    // A floor that was quiet for a while is quiet again.
    if (since > 2 * OTHERS_APART_MAX_MS) this.#apart = OTHERS_APART_MS;
    const wait = Math.max(OTHERS_APART_MS, this.#apart - since);
    this.#apart = Math.min(this.#apart * 2, OTHERS_APART_MAX_MS);
    this.#schedule(wait * (1 + SPREAD * this.#ticks.random()));
  }

  /** The earlier of two times counts. */
  #schedule(ms: number): void {
    const due = this.#ticks.now() + ms;
    if (this.#timer !== null) {
      if (this.#due <= due) return;
      this.#ticks.clear(this.#timer);
    }
    this.#due = due;
    this.#timer = this.#ticks.set(() => void this.#run(), ms);
  }

  async #run(): Promise<void> {
    this.#timer = null;
    this.#reading = true;
    this.#asked = null;
    this.#lastAt = this.#ticks.now();
    try {
      await this.#read();
    } finally {
      this.#reading = false;
      const asked = this.#asked as "own" | "others" | null;
      if (asked !== null) this.#ask(asked);
    }
  }
}
