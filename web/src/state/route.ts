// The page's own routes, in the fragment.
import { effect, signal } from "@preact/signals";
import { session } from "./session.ts";

export type Route = { place: "desk" } | { place: "board" } | { place: "calls"; interaction: string | null };

export function parseRoute(hash: string): Route | null {
  const [, place, interaction] = hash.replace(/^#/, "").split("/");
  if (place === "desk" || place === "board") return { place };
  if (place === "calls") return { place, interaction: interaction ? decodeURIComponent(interaction) : null };
  return null;
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
