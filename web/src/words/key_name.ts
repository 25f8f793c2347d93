// One name for each key. Pure.

/** `Ctrl+Enter` → `ctrl+enter`, `J` → `j`, `?` → `?`. */
export function keyName(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">): string {
  const key = event.key.toLowerCase();
  const printable = event.key.length === 1;
  const shift = event.shiftKey && !printable ? "shift+" : "";
  return `${event.ctrlKey || event.metaKey ? "ctrl+" : ""}${event.altKey ? "alt+" : ""}${shift}${key === " " ? "space" : key}`;
}
