// The page's own routes, in the fragment.
import { effect, signal } from "@preact/signals";
import { session } from "./session.ts";

export type Route = { place: "desk" } | { place: "board" } | { place: "calls"; interaction: string | null; /** the second of it that a link names, ms */ at: number | null };

export function parseRoute(hash: string): Route | null {
  const [, place, interaction, second] = hash.replace(/^#/, "").split("/");
  if (place === "desk" || place === "board") return { place };
  if (place === "calls") return { place, interaction: interaction ? decoded(interaction) : null, at: second && /^\d+(\.\d+)?$/.test(second) ? Math.round(Number(second) * 1000) : null };
  return null;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The fragment of a call, or of a second of it. */
export function callHash(interaction: string, atMs: number | null = null): string {
  return `#/calls/${encodeURIComponent(interaction)}${atMs === null ? "" : `/${Math.max(0, Math.ceil(atMs / 100)) / 10}`}`;
}

export const route = signal<Route>({ place: "desk" });

export function go(place: "desk" | "board" | "calls", interaction?: string): void {
  location.hash = `#/${place}${interaction ? `/${encodeURIComponent(interaction)}` : ""}`;
}

export function startRoute(first: () => Route): void {
  const read = () => (route.value = parseRoute(location.hash) ?? first());
  addEventListener("hashchange", read);
  // Where one begins depends on who has logged in.
  effect(() => {
    if (session.value.kind !== "loading") read();
  });
}
