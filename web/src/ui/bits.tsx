// The small pieces that every screen is made of.
import { Fragment, type ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { now } from "../state/clock.ts";
import { playFrom, loaded, playing } from "../state/player.ts";
import type { Evidence, Id } from "../types.ts";
import { duration, signed } from "../words/format.ts";
import { mood, moodTrend } from "../words/labels.ts";
import { ChevronDown, Play, type LucideIcon } from "./icons.tsx";

export function Kbd({ children }: { children: string }) {
  return <kbd aria-hidden="true">{children}</kbd>;
}

export function Tag({ tone = "", children, title }: { tone?: "" | "warn" | "bad" | "ok" | "accent"; children: ComponentChildren; title?: string }) {
  return <span class={`tag ${tone}`} title={title}>{children}</span>;
}

/** Facts in a row; each keeps its own direction, so that a number beside an Arabic name stays whole. */
export function Facts({ of }: { of: string[] }) {
  return <>{of.map((fact, index) => <Fragment key={index}>{index > 0 && " · "}<bdi>{fact}</bdi></Fragment>)}</>;
}

/** Counts up from a time, or down to one. */
export function Timer({ since, until }: { since?: number; until?: number }) {
  const ms = since !== undefined ? now.value - since : until !== undefined ? until - now.value : 0;
  return <span class="num">{duration(ms)}</span>;
}

/** The last contacts' sentiment as small bars, with the trend in a word. */
export function MoodBars({ values }: { values: number[] }) {
  if (values.length === 0) return <span class="muted">not enough</span>;
  const trend = moodTrend(values);
  return (
    <span class="mood">
      <svg width={values.length * 7} height="18" aria-hidden="true">
        {values.map((value, index) => {
          const height = 3 + ((Math.max(-100, Math.min(100, value)) + 100) / 200) * 15;
          return <rect key={index} class={mood(value)} x={index * 7} y={18 - height} width="5" height={height} rx="1" />;
        })}
      </svg>
      <b>{trend}</b>
    </span>
  );
}

export function Mood({ value }: { value: number }) {
  const word = mood(value);
  return <Tag tone={word === "negative" ? "warn" : word === "positive" ? "ok" : ""} title={`Sentiment ${signed(value)} of −100…100`}>{word}</Tag>;
}

/** Says what is not there, and what to do. */
export function Empty({ icon: Icon, title, children }: { icon?: LucideIcon; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      {Icon && <Icon size={22} aria-hidden="true" />}
      <b>{title}</b>
      {children && <div class="muted">{children}</div>}
    </div>
  );
}

export function Problem({ children, retry }: { children: ComponentChildren; retry?: () => void }) {
  return (
    <div class="problem" role="alert">
      <span>{children}</span>
      {retry && <button type="button" class="btn" onClick={retry}>Try again</button>}
    </div>
  );
}

export function Skeleton({ lines }: { lines: number }) {
  return <div class="skeleton" aria-hidden="true">{Array.from({ length: lines }, (_, index) => <i key={index} />)}</div>;
}

/** Plays the places that a card line points at. */
export function PlayEvidence({ interaction, evidence }: { interaction: Id; evidence: Evidence[] }) {
  return (
    <>
      {evidence.map((place) => (
        <button
          key={`${place.party}${place.from_ms}`} type="button" class="play-chip num"
          aria-label={`Play ${place.party} at ${duration(place.from_ms)}`}
          onClick={(event) => {
            event.stopPropagation();
            playFrom(interaction, place.from_ms, place.to_ms);
          }}
        >
          <Play size={9} aria-hidden="true" />{duration(place.from_ms)}
        </button>
      ))}
    </>
  );
}

/** Whether this interaction is what sounds now. */
export function isPlaying(interaction: Id): boolean {
  return playing.value && loaded.value === interaction;
}

/** A button whose action shows as pending when it takes longer than 100 ms, and that says what went wrong. */
export function ActionButton({ action, children, class: kind = "", disabled }: {
  action: () => Promise<void>; children: ComponentChildren; class?: string; disabled?: boolean;
}) {
  const [state, setState] = useState<"idle" | "running" | "pending">("idle");
  const alive = useRef(true);
  useEffect(() => () => { alive.current = false; }, []);
  const run = async () => {
    if (state !== "idle") return;
    setState("running");
    const slow = setTimeout(() => setState("pending"), 100);
    try {
      await action();
    } finally {
      clearTimeout(slow);
      if (alive.current) setState("idle");
    }
  };
  return <button type="button" class={`btn ${kind}`} disabled={disabled === true} aria-busy={state === "pending"} onClick={() => void run()}>{children}</button>;
}

export interface MenuItem { label: string; detail?: string; checked?: boolean; pick: () => void }

/** A button that opens a short list; arrows move, Escape closes and gives the focus back. */
export function Menu({ label, children, items, kind = "btn quiet" }: { label: string; children: ComponentChildren; items: (MenuItem | "line")[]; kind?: string }) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    root.current?.querySelector<HTMLElement>('[role^="menuitem"]')?.focus();
    const away = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", away);
    return () => document.removeEventListener("pointerdown", away);
  }, [open]);
  const close = () => {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (!open) return;
    const all = [...(root.current?.querySelectorAll<HTMLElement>('[role^="menuitem"]') ?? [])];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0) all[(at + step + all.length) % all.length]?.focus();
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="menu" ref={root} onKeyDown={onKeyDown}>
      <button type="button" class={kind} aria-haspopup="menu" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span class="sr">{label} </span>{children}<ChevronDown size={13} aria-hidden="true" />
      </button>
      {open && (
        <div class="menu-list" role="menu" aria-label={label}>
          {items.map((item, index) => item === "line" ? <hr key={index} /> : (
            <button
              key={item.label} type="button" role={item.checked === undefined ? "menuitem" : "menuitemradio"} {...(item.checked === undefined ? {} : { "aria-checked": item.checked })}
              onClick={() => {
                close();
                item.pick();
              }}
            >
              <span>{item.label}</span>{item.detail && <span class="muted">{item.detail}</span>}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
