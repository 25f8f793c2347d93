// The keyboard: handlers by key, the latest mounted first. Letters and digits work only outside fields.
import { useEffect, useRef } from "preact/hooks";
import { keyName } from "../words/key_name.ts";

/** After a pop appears, agent keys are dead this long: a key meant for something else must not act on a call. */
export const DEAD_AFTER_POP_MS = 300;

export type KeyMap = Record<string, (event: KeyboardEvent) => boolean | void>;

const maps: { current: KeyMap }[] = [];
let deadUntil = 0;

export function deadenKeys(): void {
  deadUntil = performance.now() + DEAD_AFTER_POP_MS;
}

function inField(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement ? !["checkbox", "radio", "button", "range"].includes(target.type)
    : target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || (target instanceof HTMLElement && target.isContentEditable);
}

/** Keys that also work while typing. */
function worksInField(name: string): boolean {
  return name === "escape" || name.startsWith("ctrl+") || /^(shift\+)?f\d+$/.test(name);
}

function onKey(event: KeyboardEvent): void {
  // Over a page that asks something its keys are dead: a digit must not choose below, and Escape closes what is on top.
  if (document.querySelector("dialog:modal")) return;
  if (event.defaultPrevented || event.isComposing || (event.repeat && !/^(arrow|j$|k$|l$)/.test(keyName(event)))) return;
  const name = keyName(event);
  if (inField(event.target) && !worksInField(name)) return;
  const onControl = event.target instanceof HTMLElement && event.target.closest("button, a, summary, input, [role=option]") !== null;
  if (onControl && (name === "enter" || name === "space")) return;
  for (let i = maps.length - 1; i >= 0; i -= 1) {
    const handler = maps[i]?.current[name];
    if (!handler) continue;
    if (performance.now() < deadUntil) {
      event.preventDefault();
      return;
    }
    if (handler(event) === false) continue;
    event.preventDefault();
    return;
  }
}

export function startKeys(): void {
  document.addEventListener("keydown", onKey);
}

/** Binds keys while the component is mounted; a handler that returns `false` passes the key on. */
export function useKeys(map: KeyMap): void {
  const holder = useRef(map);
  holder.current = map;
  useEffect(() => {
    maps.push(holder);
    return () => {
      maps.splice(maps.indexOf(holder), 1);
    };
  }, []);
}
