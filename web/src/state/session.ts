// Who is logged in. An ended session asks for the password over the page; nothing below it is lost.
import { signal } from "@preact/signals";
import { api, ApiError, whenSessionExpires } from "../net/api.ts";
import { forgetSavedDrafts } from "./kept_drafts.ts";
import type { Me } from "../types.ts";

export type Session =
  | { kind: "loading" }
  | { kind: "out" }
  | { kind: "unreachable"; why: string }
  | { kind: "in"; me: Me; expired: boolean };

export const session = signal<Session>({ kind: "loading" });

export function me(): Me | null {
  return session.value.kind === "in" ? session.value.me : null;
}

export function isSupervisor(): boolean {
  const role = me()?.role;
  return role === "supervisor" || role === "admin";
}

/** A supervisor without an extension has no phone, and so no state of their own. */
export function takesCalls(): boolean {
  const who = me();
  return who !== null && (who.role === "agent" || who.extension !== null);
}

function expire(): void {
  const current = session.value;
  if (current.kind === "in" && !current.expired) session.value = { ...current, expired: true };
}

export async function restore(): Promise<void> {
  whenSessionExpires(expire);
  try {
    session.value = { kind: "in", me: await api.me(), expired: false };
  } catch (error) {
    session.value = error instanceof ApiError && error.status === 401 ? { kind: "out" } : { kind: "unreachable", why: error instanceof Error ? error.message : "" };
  }
}

export async function login(username: string, password: string): Promise<void> {
  const who = await api.login(username, password);
  const before = session.value;
  // Somebody else at the same desk must not find the former's page under the login.
  if (before.kind === "in" && before.me.agent !== who.agent) location.reload();
  session.value = { kind: "in", me: who, expired: false };
}

export async function logout(): Promise<void> {
  await api.logout().catch(() => undefined);
  forgetSavedDrafts();
  location.hash = "";
  location.reload();
}

/** Asks the server whether the session still stands, after the live connection was refused. */
export function checkSession(): void {
  if (session.value.kind === "in" && !session.value.expired) void api.me().catch(() => undefined);
}
