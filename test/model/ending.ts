/** How a run ends, in the model. */
import { Given } from "./disagreement.ts";

export type Ending = {
  readonly ends: "completed" | "failed" | "cancelled";
  readonly told: Readonly<Record<string, unknown>>;
};

export const cancelled: Ending = { ends: "cancelled", told: { code: "cancelled" } };

/** How a run ends whose handler threw this. */
export function failed(error: Error & Record<"code" | "step" | "attempts", unknown>): Ending {
  const { name, message, code, step, attempts } = error;
  if (!(error instanceof Given)) return { ends: "failed", told: { code: "handler_failed", name } };
  const own = code === "step_failed" || code === "non_retryable" ? { name, message, attempts } : {};
  return { ends: "failed", told: { code, ...(step === undefined ? {} : { step }), ...own } };
}
