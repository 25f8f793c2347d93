// The live connection: one WebSocket per tab, reconnecting with back-off and jitter, watched by the server's pings.
import type { DeskMessage, LiveMessage } from "../types.ts";

export type Connection = { kind: "connecting" } | { kind: "open" } | { kind: "lost"; since: number; attempt: number };

/** Silence after which the connection counts as dead; the server pings each 10 s. */
export const SILENCE_LIMIT_MS = 25_000;
const BACKOFF_FIRST_MS = 400;
const BACKOFF_MAX_MS = 10_000;

/** How long to wait before attempt `attempt` (0 = first): doubles to 10 s, ± 30 % so that a house does not return at once. */
export function backoffMs(attempt: number, random: number): number {
  const base = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(base * (0.7 + 0.6 * random));
}

export interface LiveHandlers {
  message(message: LiveMessage): void;
  connection(connection: Connection): void;
  /** A connection could not be made: the session may have ended. */
  refused(): void;
}

export class Live {
  #socket: WebSocket | null = null;
  #attempt = 0;
  #lostSince: number | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #pingSeen = false;
  #closed = false;
  readonly #handlers: LiveHandlers;

  constructor(handlers: LiveHandlers) {
    this.#handlers = handlers;
  }

  open(): void {
    this.#closed = false;
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#socket?.close();
    this.#socket = null;
  }

  /** Sends, or says that it could not: nothing is queued, an old command must not act later. */
  send(message: DeskMessage): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Tries at once, for example when the browser is back on the network. */
  retryNow(): void {
    if (this.#closed || this.#socket) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  #connect(): void {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/live`);
    let opened = false;
    this.#socket = socket;
    this.#pingSeen = false;
    socket.onmessage = (event) => {
      if (this.#socket !== socket || typeof event.data !== "string") return;
      this.#heard(socket);
      const message = parse(event.data);
      if (!message) return;
      if (message.type === "ping") this.#pingSeen = true;
      if (message.type === "hello") {
        opened = true;
        this.#attempt = 0;
        this.#lostSince = null;
        this.#handlers.connection({ kind: "open" });
      }
      this.#handlers.message(message);
    };
    socket.onclose = () => {
      if (this.#socket === socket) this.#lost(opened);
    };
    this.#heard(socket);
  }

  #heard(socket: WebSocket): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      // Before the first ping only the handshake is watched: a proxy may be slow, a dead one is not.
      if (this.#socket === socket && (this.#pingSeen || socket.readyState !== WebSocket.OPEN)) {
        socket.close();
        this.#lost(true);
      }
    }, SILENCE_LIMIT_MS);
  }

  #lost(opened: boolean): void {
    this.#socket = null;
    clearTimeout(this.#watchdog);
    if (this.#closed) return;
    this.#lostSince ??= Date.now();
    this.#handlers.connection({ kind: "lost", since: this.#lostSince, attempt: this.#attempt });
    if (!opened) this.#handlers.refused();
    this.#timer = setTimeout(() => this.#connect(), backoffMs(this.#attempt, Math.random()));
    this.#attempt += 1;
  }
}

function parse(text: string): LiveMessage | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string" ? (value as LiveMessage) : null;
  } catch {
    return null;
  }
}
