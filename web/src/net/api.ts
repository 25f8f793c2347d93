// The one way to the server: every answer is a value or an `ApiError` whose message can be shown.
import type {
  Brief, CallsPage, Correction, CustomerPage, Disposition, FindingStatus, Id, InteractionPage, LiveSnapshot, Me, Note, Peaks, SpeechModels, TimelinePage, Transcript, UnixMs, WorkItem,
} from "../types.ts";

/** What went wrong, in one sentence for the person at the desk. */
export class ApiError extends Error {
  readonly status: number;
  /** What the server holds now, with a conflict. */
  readonly current: unknown;
  constructor(status: number, message: string, current: unknown = null) {
    super(message);
    this.status = status;
    this.current = current;
  }
}

/** Says a failed answer in words; the server's own sentence goes first. */
export function sentence(status: number, said: string | null): string {
  if (said && status !== 500) return said;
  switch (status) {
    case 0: return "No answer from the server. What you typed is kept here; try again in a moment.";
    case 401: return "Your session has ended. Log in again; nothing typed is lost.";
    case 403: return "You may not see this. A supervisor or an admin can grant it.";
    case 404: return "This is not here any more, or was never yours to see.";
    case 409: return "Somebody changed this meanwhile. Both versions are kept.";
    case 429: return "Too many attempts. Wait a minute, then try again.";
    default: return status >= 500 ? "The server could not do this. Your calls go on; try again, and tell an admin if it stays." : `The server refused this (${status}).`;
  }
}

type Query = Record<string, string | number | null | undefined>;

let onExpired: () => void = () => {};

/** Called whenever an answer says that the session has ended. */
export function whenSessionExpires(handler: () => void): void {
  onExpired = handler;
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    const headers: Record<string, string> = { Accept: "application/json" };
    if (method !== "GET") headers["X-Throughline"] = "1";
    if (body !== undefined) headers["Content-Type"] = "application/json";
    response = await fetch(path, { method, headers, credentials: "same-origin", ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  } catch {
    throw new ApiError(0, sentence(0, null));
  }
  if (response.status === 204) return undefined as T;
  const value: unknown = await response.json().catch(() => null);
  if (response.ok) return value as T;
  const said = (value ?? {}) as { error?: unknown; current?: unknown };
  if (response.status === 401 && path !== "/api/login") onExpired();
  throw new ApiError(response.status, sentence(response.status, typeof said.error === "string" ? said.error : null), said.current ?? null);
}

function query(path: string, values: Query): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) if (value !== null && value !== undefined && value !== "") search.set(key, String(value));
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

const id = encodeURIComponent;

export const api = {
  login: (username: string, password: string) => call<Me>("POST", "/api/login", { username, password }),
  logout: () => call<void>("POST", "/api/logout"),
  me: () => call<Me>("GET", "/api/me"),
  dispositions: () => call<Disposition[]>("GET", "/api/dispositions"),
  customer: (customer: Id) => call<CustomerPage>("GET", `/api/customers/${id(customer)}`),
  timeline: (of: "customers" | "identities", whose: Id, before: string | null, limit: number) =>
    call<TimelinePage>("GET", query(`/api/${of}/${id(whose)}/timeline`, { before, limit })),
  interaction: (interaction: Id) => call<InteractionPage>("GET", `/api/interactions/${id(interaction)}`),
  liveWords: (interaction: Id) => call<LiveSnapshot>("GET", `/api/interactions/${id(interaction)}/live-words`),
  words: (interaction: Id, revision: number) => call<Transcript>("GET", query(`/api/interactions/${id(interaction)}/words`, { revision })),
  correct: (interaction: Id, patch: { revision: number; leg: Id; from_ms: number; to_ms: number; before: string; after: string }) =>
    call<Correction>("POST", `/api/interactions/${id(interaction)}/corrections`, patch),
  takeBack: (interaction: Id, correction: Id) => call<Correction>("POST", `/api/interactions/${id(interaction)}/corrections/${id(correction)}/undo`, {}),
  transcribeAgain: (interaction: Id, model: string | null) => call<unknown>("POST", `/api/interactions/${id(interaction)}/transcribe`, { model }),
  speechModels: () => call<SpeechModels>("GET", "/api/speech/models"),
  judge: (finding: Id, status: FindingStatus, text?: string) => call<void>("POST", `/api/findings/${id(finding)}`, text === undefined ? { status } : { status, text }),
  audioUrl: (interaction: Id) => `/api/interactions/${id(interaction)}/audio.wav`,
  peaks: (interaction: Id) => call<Peaks>("GET", `/api/interactions/${id(interaction)}/peaks`),
  saveDraft: (interaction: Id, text: string, version: number) => call<{ version: number }>("PUT", `/api/interactions/${id(interaction)}/draft`, { text, version }),
  addNote: (interaction: Id, text: string) => call<Note>("POST", `/api/interactions/${id(interaction)}/notes`, { text }),
  chooseCustomer: (interaction: Id, choice: { customer: Id | null } | { name: string }) => call<Brief>("POST", `/api/interactions/${id(interaction)}/customer`, choice),
  wrapUp: (interaction: Id, result: { disposition: string; note: string; solved: boolean; promises: { text: string; due: UnixMs | null }[] }) =>
    call<void>("POST", `/api/interactions/${id(interaction)}/wrap-up`, result),
  workItems: () => call<WorkItem[]>("GET", "/api/work-items?mine=1"),
  takeWorkItem: (item: Id) => call<WorkItem>("POST", `/api/work-items/${id(item)}/take`, {}),
  closeWorkItem: (item: Id, why: string) => call<WorkItem>("POST", `/api/work-items/${id(item)}/close`, { why }),
  calls: (filter: { from: UnixMs | null; to: UnixMs | null; agent: string | null; q: string; before: string | null }) => call<CallsPage>("GET", query("/api/calls", filter)),
};
