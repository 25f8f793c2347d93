// What the reader may change, as far as the page can tell; the server decides.
import type { InteractionPage } from "../types.ts";
import { isSupervisor, me } from "./session.ts";

/** Words and card of a call are put right by its agents and by supervisors. */
export function mayChange(page: Pick<InteractionPage, "legs">): boolean {
  const name = me()?.name;
  return isSupervisor() || page.legs.some((leg) => leg.party === "agent" && leg.agent !== null && leg.agent === name);
}
