/** Calls of webhooks, in the model: which may be accepted, and which refused with which code. */
import type { Call, Clock } from "./call.ts";
import { claim, same } from "./disagreement.ts";
import type { Seen } from "./disagreement.ts";

/** A call is on record as the one that counts. @returns its body @throws Disagreement */
export function acceptedBy(call: Call, { at, request }: Seen, isPaused: boolean, { slackMs }: Clock): unknown {
  const { body } = request as { readonly body: { readonly good: boolean } };
  claim(body.good, "a call that is to be refused was accepted");
  const isTimely = isPaused || at <= call.latest + slackMs;
  claim(call.state === "waiting" && isTimely, `the call came after ${call.id} was over`);
  return body;
}

/**
 * @param call undefined where the handler has not come to it
 * @param isOver the run has ended, or is about to
 * @throws Disagreement
 */
export function refusedBy(call: Call | undefined, { call: id, code, at }: Seen, isOver: boolean): void {
  const { outcome = null } = call ?? {};
  const had = outcome !== null && "value" in outcome && outcome.value !== null;
  switch (code) {
    case "run_ended":
      return claim(isOver, `a call of ${String(id)} was refused as if the run had ended`);
    case "webhook_duplicate":
      return claim(call === undefined || had, `${String(id)} has not had its call`);
    case "webhook_expired":
      return claim(
        call === undefined || (!had && (call.state === "over" || call.isDue(at))),
        `${String(id)} is not over`,
      );
    default:
      return same(code, "webhook_rejected", "why a call is refused");
  }
}
