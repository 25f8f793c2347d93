// Light or dark: the system's choice until the reader makes another.
import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const KEY = "throughline.theme";

function stored(): Theme {
  const value = localStorage.getItem(KEY);
  return value === "light" || value === "dark" ? value : "system";
}

export const theme = signal<Theme>("system");
/** Changes whenever the colours do, so that canvases draw again. */
export const colours = signal(0);

function apply(): void {
  const root = document.documentElement;
  if (theme.value === "system") delete root.dataset["theme"];
  else root.dataset["theme"] = theme.value;
  colours.value += 1;
}

export function startTheme(): void {
  theme.value = stored();
  apply();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
}

/** System → light → dark → system. */
export function nextTheme(): void {
  theme.value = theme.value === "system" ? "light" : theme.value === "light" ? "dark" : "system";
  if (theme.value === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme.value);
  apply();
}
